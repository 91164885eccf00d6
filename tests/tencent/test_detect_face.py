"""DetectFace in the process and as the SDK's client."""

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.iai.v20200303 import models as sdk

import faceshape
from faceshape.tencent import IaiClient, detect_face, light_models
from faceshape.tencent.rectangles import FOREHEAD, face_rectangles
from faceshape.types import FaceShape, Mode

# The vendor's example of a request without attributes and quality (document of DetectFace).
NOT_COMPUTED = {
    "FaceAttributesInfo": {
        "Gender": 0,
        "Age": 0,
        "Expression": 0,
        "Hat": False,
        "Glass": False,
        "EyeOpen": True,
        "Mask": False,
        "Hair": {"Length": 0, "Bang": 0, "Color": 0},
        "Pitch": 0,
        "Yaw": 0,
        "Roll": 0,
        "Beauty": 0,
    },
    "FaceQualityInfo": {
        "Score": 0,
        "Sharpness": 0,
        "Brightness": 0,
        "Completeness": {"Eyebrow": 0, "Eye": 0, "Nose": 0, "Cheek": 0, "Mouth": 0, "Chin": 0},
    },
}


def shape_of(points, roll=0.0):
    points = np.asarray(points, np.float32)
    return FaceShape(points, points, np.array([0, 0, 1, 1], np.float32), 1.0, 1.0, roll)


def square(x, y, width, height, roll=0.0):
    """A face whose 90 points fill a rectangle, its corners among them."""
    generator = np.random.default_rng(5)
    points = generator.uniform((x, y), (x + width, y + height), (90, 2))
    points[:4] = [(x, y), (x + width, y), (x, y + height), (x + width, y + height)]
    return shape_of(points, roll)


class Faces:
    """An engine with given faces; it does not know `with_max_faces`."""

    def __init__(self, *faces):
        self.faces = list(faces)
        self.calls = []

    def analyze(self, image, mode=Mode.ALL, rotate=False):
        self.calls.append((mode, rotate))
        return self.faces[:1] if mode == Mode.LARGEST else self.faces


@pytest.fixture
def image(make_picture):
    return make_picture(400, 300)


def infos(params, engine):
    answer = detect_face(params, engine)["Response"]
    return answer["Error"]["Code"] if "Error" in answer else answer["FaceInfos"]


def boxes(params, engine):
    found = infos(params, engine)
    if isinstance(found, str):
        return found
    return [[face[name] for name in ("X", "Y", "Width", "Height")] for face in found]


def test_the_answer_has_the_vendors_fields(image):
    answer = detect_face({"Image": image}, Faces(square(50, 100, 60, 80)))["Response"]
    assert list(answer) == [
        "ImageWidth",
        "ImageHeight",
        "FaceInfos",
        "FaceModelVersion",
        "RequestId",
    ]
    assert (answer["ImageWidth"], answer["ImageHeight"]) == (400, 300)
    assert answer["FaceModelVersion"] == "3.0"
    assert answer["FaceInfos"] == [
        {"X": 50, "Y": 76, "Width": 60, "Height": 104, **NOT_COMPUTED},
    ]
    assert json.loads(json.dumps(answer)) == answer


def test_the_box_is_the_landmarks_with_a_forehead():
    [[x, y, width, height]] = face_rectangles([square(50, 100, 60, 80)])
    assert (x, y, width, height) == (50, 100 - FOREHEAD * 80, 60, 80 + FOREHEAD * 80)


def test_the_forehead_is_where_the_face_looks_up():
    upright = square(100, 100, 50, 50)
    for roll, grown in ((0, (0, -1)), (90, (1, 0)), (180, (0, 1)), (-90, (-1, 0))):
        [[x, y, width, height]] = face_rectangles([shape_of(upright.points, roll)])
        centre = np.array([x + width / 2, y + height / 2]) - 125
        assert np.sign(np.round(centre)).tolist() == list(grown)
        assert sorted((width, height)) == [50, 65]


def test_boxes_of_many_faces_and_of_none():
    faces = [square(10 * i, 20 * i, 30 + i, 40 + i, roll=7.0 * i) for i in range(5)]
    together = face_rectangles(faces)
    assert together.shape == (5, 4)
    assert together.tolist() == [face_rectangles([face])[0].tolist() for face in faces]
    assert face_rectangles([]).shape == (0, 4)
    for face, (x, y, width, height) in zip(faces, together, strict=True):
        assert (face.points >= (x, y)).all()
        assert (face.points <= (x + width, y + height)).all()


def test_boxes_may_reach_outside_the_picture(image):
    [[x, y, width, height]] = boxes({"Image": image}, Faces(square(-20.5, 3, 60, 80)))
    assert (x, y) == (-21, -21)
    assert (width, height) == (61, 104)


def test_the_largest_come_first_as_many_as_are_wanted(image):
    faces = Faces(*(square(0, 100, size, size) for size in (50, 90, 70)))
    widths = [box[2] for box in boxes({"Image": image, "MaxFaceNum": 120}, faces)]
    assert widths == [90, 70, 50]
    assert [box[2] for box in boxes({"Image": image, "MaxFaceNum": 2}, faces)] == [90, 70]


@pytest.mark.parametrize(
    ("params", "mode", "rotate"),
    [
        ({}, Mode.LARGEST, False),
        ({"MaxFaceNum": 1, "NeedRotateDetection": 1}, Mode.LARGEST, True),
        ({"MaxFaceNum": 2}, Mode.ALL, False),
    ],
)
def test_one_face_is_what_is_looked_for_unless_more_are_wanted(image, params, mode, rotate):
    faces = Faces(square(0, 100, 50, 50), square(100, 100, 40, 40))
    found = boxes({"Image": image, **params}, faces)
    assert len(found) == (1 if mode is Mode.LARGEST else 2)
    assert faces.calls == [(mode, rotate)]


def test_small_faces_are_left_out(image):
    # Width 33 and height 43; width 34; width 20.
    faces = Faces(*(square(50, 100, size, size) for size in (33, 34, 20)))
    found = boxes({"Image": image, "MaxFaceNum": 10}, faces)
    assert [box[2] for box in found] == [34]  # the default is 34
    for smallest, widths in ((33, [34, 33]), (20, [34, 33, 20]), (1, [34, 33, 20])):
        found = boxes({"Image": image, "MaxFaceNum": 10, "MinFaceSize": smallest}, faces)
        assert [box[2] for box in found] == widths
    params = {"Image": image, "MaxFaceNum": 10, "MinFaceSize": 35}
    assert boxes(params, faces) == "FailedOperation.FaceSizeTooSmall"


def test_no_face(image):
    assert boxes({"Image": image}, Faces()) == "InvalidParameterValue.NoFaceInPhoto"


@pytest.mark.parametrize("name", ["NeedFaceAttributes", "NeedQualityDetection"])
def test_what_is_not_computed_is_refused_never_made_up(image, name):
    faces = Faces(square(50, 100, 60, 80))
    for language, part in (("zh-CN", "未知方法名。"), ("en-US", "method name is unknown")):
        params = {"Image": image, name: 1, "Language": language}
        error = detect_face(params, faces)["Response"]["Error"]
        assert error["Code"] == "UnsupportedOperation.UnknowMethod"
        assert part in error["Message"]
        assert name in error["Message"]
    assert faces.calls == []
    for value in (0, None, 2, -1):  # the document: all but 1 stands for 0
        assert infos({"Image": image, name: value}, faces)[0]["FaceAttributesInfo"]["Age"] == 0


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"MaxFaceNum": 0}, "InvalidParameter.InvalidParameter"),
        ({"MaxFaceNum": -1}, "InvalidParameter.InvalidParameter"),
        ({"MaxFaceNum": 121}, "LimitExceeded.ErrorFaceNumExceed"),
        ({"MaxFaceNum": 10**5000}, "LimitExceeded.ErrorFaceNumExceed"),
        ({"MaxFaceNum": "1"}, "InvalidParameter"),
        ({"MaxFaceNum": True}, "InvalidParameter"),
        ({"MinFaceSize": 0}, "InvalidParameter.InvalidParameter"),
        ({"MinFaceSize": 34.0}, "InvalidParameter"),
        ({"MinFaceSize": 10**5000}, "FailedOperation.FaceSizeTooSmall"),
        ({"NeedFaceAttributes": "1"}, "InvalidParameter"),
        ({"NeedRotateDetection": 2}, "InvalidParameter.InvalidParameter"),
        ({"NeedRotateDetection": 10**5000}, "InvalidParameter.InvalidParameter"),
        ({"FaceModelVersion": "1.0"}, "InvalidParameterValue.FaceModelVersionIllegal"),
        ({"Mode": 1}, "UnknownParameter"),
        ({"Action": "AnalyzeFace"}, "InvalidAction"),
        ({"Version": "2017-01-01"}, "NoSuchVersion"),
        ({"Image": ""}, "InvalidParameterValue.ImageEmpty"),
        ({"Image": None}, "MissingParameter.ErrorParameterEmpty"),
        ({"Image": "%%%"}, "FailedOperation.ImageDecodeFailed"),
        ({"Url": "http://pictures.example/a.jpg"}, "FailedOperation.ImageDownloadError"),
    ],
)
def test_bad_requests(image, params, code):
    assert infos({"Image": image, **params}, Faces(square(50, 100, 60, 80))) == code


@pytest.mark.parametrize("params", [None, [], "text", 5, {1: 2}])
def test_no_request_raises(params):
    assert infos(params, Faces()) in ("InvalidParameter", "UnknownParameter")


@pytest.mark.parametrize("version", ["2020-03-03", "2018-03-01"])
def test_both_versions(image, version):
    params = {"Image": image, "Action": "DetectFace", "Version": version, "FaceModelVersion": "2.0"}
    answer = detect_face(params, Faces(square(50, 100, 60, 80)))["Response"]
    assert answer["FaceModelVersion"] == "2.0"


def test_an_engine_that_fails_is_a_logged_server_error(image, caplog):
    class Broken:
        def analyze(self, *_, **__):
            raise ZeroDivisionError("a bug")

    assert infos({"Image": image}, Broken()) == "FailedOperation.ServerError"
    assert "a bug" in caplog.text


def png(pixels):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def test_a_real_face(portrait, engine):
    """The landmarks' extent, and a third of it above: hairline, not hair."""
    [face] = engine.analyze(portrait, Mode.LARGEST)
    [[x, y, width, height]] = boxes({"Image": png(portrait)}, engine)
    low, high = face.points.min(axis=0), face.points.max(axis=0)
    assert abs(x - low[0]) <= 1
    assert abs(x + width - high[0]) <= 3  # the roll of 3 degrees moves the forehead to the right
    assert abs(y + height - high[1]) <= 1
    assert 0.27 < (low[1] - y) / (high[1] - low[1]) < 0.33
    turned = np.ascontiguousarray(np.rot90(portrait))  # anticlockwise: the forehead is at the left
    [[left, top, across, down]] = boxes({"Image": png(turned), "NeedRotateDetection": 1}, engine)
    assert across > down
    side = len(portrait)
    expected = [y, side - (x + width), height, width]
    assert np.abs(np.subtract([left, top, across, down], expected)).max() <= 8


def test_more_faces_than_an_engine_answers_by_itself(portrait, engine):
    """Twelve faces: AnalyzeFace answers ten, DetectFace as many as are wanted."""
    small = np.array(Image.fromarray(portrait).resize((96, 96)))
    crowd = png(np.tile(small, (3, 4, 1)))
    assert engine.max_faces == 10
    found = boxes({"Image": crowd, "MaxFaceNum": 120}, engine)
    assert len(found) == 12
    assert len(boxes({"Image": crowd, "MaxFaceNum": 11}, engine)) == 11
    assert engine.max_faces == 10
    assert len(engine.analyze(np.tile(small, (3, 4, 1)))) == 10
    areas = [width * height for _, _, width, height in found]
    assert areas == sorted(areas, reverse=True)
    with pytest.raises(faceshape.FaceShapeError):
        engine.with_max_faces(0)


def request_for(image, module=sdk, **fields):
    request = module.DetectFaceRequest()
    request.Image = image
    for name, value in fields.items():
        setattr(request, name, value)
    return request


def test_the_client_takes_and_returns_the_sdks_models(image):
    client = IaiClient(engine=Faces(square(50, 100, 60, 80)))
    response = client.DetectFace(request_for(image))
    assert isinstance(response, sdk.DetectFaceResponse)
    assert isinstance(
        response.FaceInfos[0].FaceQualityInfo.Completeness, sdk.FaceQualityCompleteness
    )
    face = json.loads(response.to_json_string())["FaceInfos"][0]
    assert face == {"X": 50, "Y": 76, "Width": 60, "Height": 104, **NOT_COMPUTED}
    with pytest.raises(TencentCloudSDKException) as caught:
        client.DetectFace(request_for(image, NeedFaceAttributes=1))
    assert caught.value.code == "UnsupportedOperation.UnknowMethod"
    assert len(caught.value.requestId) == 36


def test_light_models_read_and_write_as_the_sdks(image):
    answer = detect_face({"Image": image}, Faces(square(50, 100, 60, 80)))["Response"]
    ours, theirs = light_models.DetectFaceResponse(), sdk.DetectFaceResponse()
    for response in (ours, theirs):
        response.from_json_string(json.dumps(answer))
    assert ours.to_json_string() == theirs.to_json_string()
    assert ours.FaceInfos[0].FaceAttributesInfo.Hair.Color == 0
    assert isinstance(ours.FaceInfos[0].FaceAttributesInfo, light_models.FaceAttributesInfo)
    texts = [
        request_for(image, module, MaxFaceNum=3).to_json_string() for module in (light_models, sdk)
    ]
    assert texts[0] == texts[1]
