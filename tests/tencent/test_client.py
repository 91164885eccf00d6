import json
import subprocess
import sys

import pytest
from tencentcloud.common.abstract_model import AbstractModel
from tencentcloud.common.exception.tencent_cloud_sdk_exception import (
    TencentCloudSDKException as SdkException,
)
from tencentcloud.iai.v20200303 import models as sdk

from faceshape.tencent import IaiClient, light_models, models
from faceshape.tencent.api import analyze_face

MODELS = (
    "AnalyzeFaceRequest",
    "AnalyzeFaceResponse",
    "DetectFaceRequest",
    "DetectFaceResponse",
    "FaceAttributesInfo",
    "FaceHairAttributesInfo",
    "FaceInfo",
    "FaceQualityCompleteness",
    "FaceQualityInfo",
    "FaceShape",
    "Point",
)


@pytest.fixture
def answer(make_picture, stub):
    return analyze_face({"Image": make_picture()}, stub)["Response"]


def test_it_takes_and_returns_the_sdks_models(stub, make_picture, sdk_request, answer):
    client = IaiClient(None, "ap-guangzhou", engine=stub)
    response = client.AnalyzeFace(sdk_request(Image=make_picture()))
    assert isinstance(response, sdk.AnalyzeFaceResponse)
    assert isinstance(response, AbstractModel)
    assert isinstance(response.FaceShapeSet[0].Mouth[21], sdk.Point)
    expected = {**answer, "RequestId": response.RequestId}
    assert json.loads(response.to_json_string()) == expected


def test_it_takes_our_models_too(stub, make_picture):
    request = light_models.AnalyzeFaceRequest()
    request.Image = make_picture()
    request.Mode = 1
    assert len(IaiClient(engine=stub).AnalyzeFace(request).FaceShapeSet) == 1


def test_it_raises_the_sdks_exception(stub, sdk_request, make_picture):
    with pytest.raises(SdkException) as caught:
        IaiClient(engine=stub).AnalyzeFace(sdk_request(Image=make_picture(value=0)))
    assert caught.value.get_code() == "InvalidParameterValue.NoFaceInPhoto"
    assert caught.value.get_message() == "图片中没有人脸。"
    assert len(caught.value.get_request_id()) == 36


def test_what_is_no_request(stub):
    with pytest.raises(SdkException) as caught:
        IaiClient(engine=stub).AnalyzeFace({"Image": "x"})
    assert caught.value.code == "AttributeError"


def test_bytes_are_no_image(stub, sdk_request):
    with pytest.raises(SdkException) as caught:
        IaiClient(engine=stub).AnalyzeFace(sdk_request(Image=b"bytes"))
    assert caught.value.code == "InvalidParameter"


def test_a_request_can_be_used_again(stub, sdk_request, make_picture):
    request = sdk_request(Image=make_picture())
    before = dict(vars(request))
    client = IaiClient(engine=stub)
    first, second = client.AnalyzeFace(request), client.AnalyzeFace(request)
    assert vars(request) == before
    assert first.RequestId != second.RequestId


@pytest.mark.parametrize("name", MODELS)
def test_light_models_have_the_sdks_fields(name):
    ours, theirs = getattr(light_models, name)(), getattr(sdk, name)()
    assert ours._serialize(allow_none=True) == theirs._serialize(allow_none=True)
    assert ours.to_json_string() == theirs.to_json_string()
    assert ours._serialize() == theirs._serialize() == {}
    assert repr(ours) == repr(theirs)
    assert ours.headers is theirs.headers is None


def test_light_models_read_and_write_as_the_sdks(answer):
    ours, theirs = light_models.AnalyzeFaceResponse(), sdk.AnalyzeFaceResponse()
    for response in (ours, theirs):
        response.from_json_string(json.dumps(answer))
    assert ours.to_json_string() == theirs.to_json_string()
    assert ours.to_json_string(indent=1) == theirs.to_json_string(indent=1)
    assert ours.FaceShapeSet[1].Nose[12].X == theirs.FaceShapeSet[1].Nose[12].X
    assert isinstance(ours.FaceShapeSet[0], light_models.FaceShape)
    assert isinstance(ours.FaceShapeSet[0].LeftPupil[0], light_models.Point)


def test_light_requests_write_as_the_sdks():
    texts = []
    for module in (light_models, sdk):
        request = module.AnalyzeFaceRequest()
        request.Url = "http://图片.example/a.jpg"
        request.Mode = 1
        texts.append((request.to_json_string(), request._serialize()))
    assert texts[0] == texts[1]


def test_light_exception_is_the_sdks():
    ours, theirs = (
        kind("Code", "message", "id")
        for kind in (light_models.TencentCloudSDKException, SdkException)
    )
    assert str(ours) == str(theirs)
    for name in ("get_code", "get_message", "get_request_id"):
        assert getattr(ours, name)() == getattr(theirs, name)()
    for name in ("code", "message", "requestId"):
        assert getattr(ours, name) == getattr(theirs, name)
    assert str(light_models.TencentCloudSDKException()) == str(SdkException())


def test_models_are_the_sdks_where_it_is_installed():
    for name in (*MODELS, "TencentCloudSDKException"):
        assert getattr(models, name).__module__.startswith("tencentcloud.")


def test_without_the_sdk(make_picture):
    code = """
import sys
sys.modules["tencentcloud"] = None
from faceshape.tencent import FallbackIaiClient, FallbackPolicy, IaiClient, light_models, models
import numpy as np
from faceshape.types import FaceShape

class Engine:
    def analyze(self, image, mode=0, rotate=False):
        points = np.ones((90, 2), np.float32)
        return [FaceShape(points, points, points[:2].ravel(), 1.0, 1.0, 0.0)]

class Cloud:
    def AnalyzeFace(self, request):
        raise ConnectionResetError

request = models.AnalyzeFaceRequest()
assert type(request) is light_models.AnalyzeFaceRequest
request.Image = sys.argv[1]
local = IaiClient(engine=Engine())
response = local.AnalyzeFace(request)
print(type(response).__module__, len(response.FaceShapeSet[0].FaceProfile))
sourced = FallbackIaiClient(Cloud(), local).AnalyzeFace(request)
print(sourced.source, "ource" in sourced.to_json_string())
try:
    local.AnalyzeFace(models.AnalyzeFaceRequest())
except models.TencentCloudSDKException as error:
    print(error.code)
"""
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, make_picture()],
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.split() == [
        "faceshape.tencent.light_models",
        "21",
        "local",
        "False",
        "MissingParameter.ErrorParameterEmpty",
    ]
