import base64
import io
import json
import subprocess
import sys
import uuid

import numpy as np
import pytest
from PIL import Image

import faceshape
from faceshape.core.contract import GROUPS
from faceshape.errors import FaceShapeError, NoFaceError
from faceshape.tencent import api
from faceshape.tencent.api import analyze_face, face_response
from faceshape.types import Mode

COUNTS = {
    "FaceProfile": 21,
    "LeftEye": 8,
    "RightEye": 8,
    "LeftEyeBrow": 8,
    "RightEyeBrow": 8,
    "Mouth": 22,
    "Nose": 13,
    "LeftPupil": 1,
    "RightPupil": 1,
}


def code_of(response):
    return response["Response"]["Error"]["Code"]


@pytest.fixture
def image(make_picture):
    return make_picture(80, 64)


def test_response_has_the_documents_fields_in_its_order(image, stub):
    response = analyze_face({"Image": image}, stub)["Response"]
    assert list(response) == [
        "ImageWidth",
        "ImageHeight",
        "FaceShapeSet",
        "FaceModelVersion",
        "RequestId",
    ]
    assert (response["ImageWidth"], response["ImageHeight"]) == (80, 64)
    assert response["FaceModelVersion"] == "3.0"
    for face in response["FaceShapeSet"]:
        assert {name: len(points) for name, points in face.items()} == COUNTS
        assert list(face) == list(COUNTS)


def test_request_id_is_a_fresh_lower_case_uuid(image, stub):
    answers = [analyze_face(params, stub) for params in ({"Image": image}, {"Image": image}, {})]
    ids = [answer["Response"]["RequestId"] for answer in answers]
    assert len(set(ids)) == 3
    for text in ids:
        assert str(uuid.UUID(text)) == text
        assert uuid.UUID(text).version == 4


def test_points_are_the_pixels_that_contain_them_also_outside_the_picture(image, stub):
    [face] = analyze_face({"Image": image, "Mode": 1}, stub)["Response"]["FaceShapeSet"]
    expected = np.floor(stub.analyze(np.ones((1, 1, 3)), Mode.LARGEST)[0].points)
    for name, rows in GROUPS.items():
        assert [[point["X"], point["Y"]] for point in face[name]] == expected[rows].tolist()
        assert all(type(value) is int for point in face[name] for value in point.values())
    assert face["RightPupil"][0]["X"] > 80  # not clipped


def test_negative_coordinates_round_down(face):
    moved = np.zeros((90, 2), np.float32)
    moved[0] = [-0.25, -1.0]
    shape = type(face)(moved, face.dense, face.box, 1.0, 1.0, 0.0)
    [answer] = face_response([shape], (64, 64))["Response"]["FaceShapeSet"]
    assert answer["FaceProfile"][0] == {"X": -1, "Y": -1}


@pytest.mark.parametrize(
    ("params", "mode", "rotate"),
    [
        ({}, Mode.ALL, False),
        ({"Mode": 0, "NeedRotateDetection": 0}, Mode.ALL, False),
        ({"Mode": 1}, Mode.LARGEST, False),
        ({"NeedRotateDetection": 1}, Mode.ALL, True),
        ({"Mode": None, "NeedRotateDetection": None}, Mode.ALL, False),
    ],
)
def test_mode_and_rotation_reach_the_engine(image, stub, params, mode, rotate):
    faces = analyze_face({"Image": image, **params}, stub)["Response"]["FaceShapeSet"]
    [call] = stub.calls
    assert (call.mode, call.rotate, call.shape) == (mode, rotate, (64, 80, 3))
    assert len(faces) == (2 if mode is Mode.ALL else 1)


@pytest.mark.parametrize("version", ["2.0", "3.0"])
def test_model_version_is_echoed(image, stub, version):
    response = analyze_face({"Image": image, "FaceModelVersion": version}, stub)
    assert response["Response"]["FaceModelVersion"] == version


@pytest.mark.parametrize("kind", ["PNG", "BMP", "JPEG"])
def test_formats(make_picture, stub, kind):
    response = analyze_face({"Image": make_picture(kind=kind)}, stub)["Response"]
    assert "Error" not in response


def test_size_is_that_of_the_upright_picture(stub):
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    Image.new("RGB", (100, 70), "white").save(buffer, "JPEG", exif=exif)
    image = base64.b64encode(buffer.getvalue()).decode()
    response = analyze_face({"Image": image}, stub)["Response"]
    assert (response["ImageWidth"], response["ImageHeight"]) == (70, 100)


def test_limits_are_inclusive(make_picture, stub):
    for width, height, kind in ((4000, 64, "JPEG"), (2000, 64, "PNG"), (64, 2000, "BMP")):
        response = analyze_face({"Image": make_picture(width, height, kind=kind)}, stub)["Response"]
        assert (response["ImageWidth"], response["ImageHeight"]) == (width, height)


def test_url_wins_over_image(image, stub):
    params = {"Image": image, "Url": "http://pictures.example/a.jpg"}
    assert code_of(analyze_face(params, stub)) == "FailedOperation.ImageDownloadError"
    assert "Error" not in analyze_face({**params, "Url": ""}, stub)["Response"]


def test_common_parameters_may_come_along(image, stub):
    params = {
        "Image": image,
        "Action": "AnalyzeFace",
        "Version": "2020-03-03",
        "Region": "ap-guangzhou",
        "Language": "en-US",
    }
    assert "Error" not in analyze_face(params, stub)["Response"]
    assert code_of(analyze_face({**params, "Action": "DetectFace"}, stub)) == "InvalidAction"
    assert "Error" not in analyze_face({**params, "Version": "2018-03-01"}, stub)["Response"]
    assert code_of(analyze_face({**params, "Version": "2019-01-01"}, stub)) == "NoSuchVersion"


@pytest.mark.parametrize("params", [None, [], "text", 5, {1: 2}, {"Mode": {}}, {"Url": ["a"]}])
def test_no_request_raises(params, stub):
    assert code_of(analyze_face(params, stub)) in ("InvalidParameter", "UnknownParameter")
    assert stub.calls == []


def test_order_of_checks(image, stub):
    wrong = {
        "Version": "1",
        "Action": "B",
        "Foo": 1,
        "Image": 5,
        "FaceModelVersion": "9",
    }
    expected = ["NoSuchVersion", "InvalidAction", "UnknownParameter", "InvalidParameter"]
    for name, code in zip(("Version", "Action", "Foo", "Image"), expected, strict=True):
        assert code_of(analyze_face(wrong, stub)) == code
        del wrong[name]
    assert code_of(analyze_face(wrong, stub)) == "MissingParameter.ErrorParameterEmpty"
    wrong["Image"] = "%%%"
    assert code_of(analyze_face(wrong, stub)) == "InvalidParameterValue.FaceModelVersionIllegal"
    del wrong["FaceModelVersion"]
    assert code_of(analyze_face(wrong, stub)) == "FailedOperation.ImageDecodeFailed"


def test_words_of_the_document_and_english(make_picture, stub):
    black = {"Image": make_picture(value=0)}
    error = analyze_face(black, stub)["Response"]["Error"]
    assert error == {
        "Code": "InvalidParameterValue.NoFaceInPhoto",
        "Message": "图片中没有人脸。",
    }
    english = analyze_face({**black, "Language": "en-US"}, stub)["Response"]["Error"]
    assert english["Message"] == "There is no face in the photo."
    unknown = analyze_face({"Foo": 1, "Language": "en-US"}, stub)["Response"]["Error"]
    assert unknown["Message"] == "The parameter `Foo` is not recognized."


def test_engine_that_fails_is_a_logged_server_error(image, stub, caplog):
    def fail():
        raise ZeroDivisionError("a bug")

    stub.action = fail
    response = analyze_face({"Image": image}, stub)
    assert code_of(response) == "FailedOperation.ServerError"
    assert "a bug" not in json.dumps(response)
    [record] = caplog.records
    assert record.exc_info is not None
    assert "a bug" in caplog.text


def test_landmarks_that_are_not_finite_are_a_server_error(image, stub, monkeypatch, caplog):
    faces = stub.analyze(np.ones((1, 1, 3)))
    faces[1].points[7] = np.nan
    monkeypatch.setattr(stub, "analyze", lambda *_, **__: faces)
    assert code_of(analyze_face({"Image": image}, stub)) == "FailedOperation.ServerError"
    assert "not finite" in caplog.text


def test_face_response_without_faces():
    with pytest.raises(NoFaceError):
        face_response([], (64, 64))


def test_default_engine_is_loaded_once_by_many_threads(image, stub, monkeypatch):
    import threading

    loads = []

    class Loaded:
        def __init__(self):
            loads.append(self)
            self.analyze = stub.analyze

    monkeypatch.setattr(api, "_default_engine", None)
    monkeypatch.setattr("faceshape.engine.FaceShapeEngine", Loaded)
    answers = []
    threads = [
        threading.Thread(target=lambda: answers.append(analyze_face({"Image": image})))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(loads) == 1
    assert all("Error" not in answer["Response"] for answer in answers)
    assert len(answers) == 8


def test_a_missing_model_is_a_server_error(image, monkeypatch, caplog):
    from faceshape.errors import ModelError

    def fail():
        raise ModelError("landmarks.onnx is missing")

    monkeypatch.setattr(api, "_default_engine", None)
    monkeypatch.setattr("faceshape.engine.FaceShapeEngine", fail)
    assert code_of(analyze_face({"Image": image})) == "FailedOperation.ServerError"
    assert "landmarks.onnx is missing" in caplog.text


def test_real_engine(portrait, engine):
    buffer = io.BytesIO()
    Image.fromarray(portrait).save(buffer, "PNG")
    image = base64.b64encode(buffer.getvalue()).decode()
    response = faceshape.tencent.analyze_face({"Image": image, "Mode": 1}, engine)["Response"]
    [face] = response["FaceShapeSet"]
    assert {name: len(points) for name, points in face.items()} == COUNTS
    [expected] = engine.analyze(portrait, Mode.LARGEST)
    assert face["LeftPupil"] == [
        dict(zip("XY", np.floor(expected.group("LeftPupil")[0]).astype(int).tolist(), strict=True))
    ]
    left, right = face["LeftEye"], face["RightEye"]
    assert left[0]["X"] < face["LeftPupil"][0]["X"] < left[4]["X"]
    assert left[4]["X"] < right[4]["X"] < face["RightPupil"][0]["X"] < right[0]["X"]


def test_importing_the_package_loads_nothing_heavy():
    heavy = ("cv2", "dlib", "onnxruntime", "starlette", "uvicorn", "tencentcloud", "scipy")
    code = f"""
import sys, faceshape.tencent
assert 'analyze_face' in dir(faceshape.tencent)
faceshape.tencent.analyze_face({{}})
print(*[name for name in {heavy!r} if name in sys.modules])
"""
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == ""
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = faceshape.tencent.nothing


class Odd:
    """Refuses whatever it is asked."""

    def _refuse(self, *_):
        raise RuntimeError("no")

    __eq__ = __str__ = __repr__ = __bool__ = _refuse

    def __hash__(self):
        return 1


class OddText(str):
    __slots__ = ()

    def __eq__(self, other):
        raise RuntimeError("no")

    __hash__ = str.__hash__


def deep(levels=5_000):
    nested = []
    for _ in range(levels):
        nested = [nested]
    return nested


ODD = [
    np.array(["en-US", "zh-CN"]),
    np.array([]),
    np.int64(1),
    10**5000,
    -(10**5000),
    float("nan"),
    True,
    1.0,
    deep(),
    {"a": {}},
    b"1",
    Odd(),
    OddText("1"),
    object(),
    type,
    "\ud800",
    "{detail}",
]
NAMES = ["Mode", "Image", "Url", "FaceModelVersion", "NeedRotateDetection"]
COMMON = ["Action", "Version", "Region", "Language"]


@pytest.mark.parametrize("name", NAMES + COMMON)
def test_no_value_raises_or_is_the_servers_fault(image, stub, name):
    for value in ODD:
        answer = analyze_face({"Image": image, name: value}, stub)["Response"]
        json.dumps(answer, ensure_ascii=False).encode()
        if "Error" in answer:
            assert answer["Error"]["Code"] != "FailedOperation.ServerError"
            assert answer["Error"]["Message"]
        else:
            assert isinstance(value, str)
            assert name in ("Region", "Language")


@pytest.mark.parametrize("name", ["Mode", "NeedRotateDetection"])
def test_numbers_that_are_too_large_are_invalid(image, stub, name):
    for value in (2, -1, 2**64, 10**5000):
        answer = analyze_face({"Image": image, name: value}, stub)
        assert code_of(answer) == "InvalidParameter.InvalidParameter"


def test_a_language_that_is_an_array_is_invalid(image, stub):
    answer = analyze_face({"Image": image, "Language": np.array(["en-US", "zh-CN"])}, stub)
    assert code_of(answer) == "InvalidParameter"
    assert analyze_face({"Mode": 3, "Language": ["en-US"]}, stub)["Response"]["Error"]["Message"]


@pytest.mark.parametrize("name", [0, None, True, 1.5, ("a",), b"Image", Odd(), OddText("Image")])
def test_names_that_are_no_text(image, stub, name):
    assert code_of(analyze_face({name: image}, stub)) == "InvalidParameter"


@pytest.mark.parametrize("name", ["\ud800", "x" * 10_000, "{detail}", "%s", "Mode\0", ""])
def test_unknown_names_are_told_in_text_that_can_be_sent(image, stub, name):
    answer = analyze_face({"Image": image, name: 1}, stub)
    assert code_of(answer) == "UnknownParameter"
    json.dumps(answer, ensure_ascii=False).encode()


def test_mappings_that_fail(stub):
    class Fails(dict):
        def items(self):
            raise RuntimeError("no")

        def get(self, *_):
            raise RuntimeError("no")

    assert code_of(analyze_face(Fails(Image="x"), stub)) == "InvalidParameter"


def test_an_engine_with_an_error_of_its_own(image, stub):
    class OwnError(FaceShapeError):
        code = "Own.Code"

    def fail():
        raise OwnError("mine")

    stub.action = fail
    assert code_of(analyze_face({"Image": image}, stub)) == "FailedOperation.ServerError"
