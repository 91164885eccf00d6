"""Every error that can happen on the device, provoked with the SDK's request through each way."""

import base64
import re
import time
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.iai.v20200303 import errorcodes

from faceshape.tencent import IaiClient
from faceshape.tencent import protocol_errors as protocol
from faceshape.tencent.error_codes import DOCUMENT_CODES
from faceshape.tencent.fetch import FetchPolicy

DOCUMENT = Path(__file__).parents[3] / "shared/seed/analyzeface-api.txt"

IN_PROCESS = "in process"
TC3_POST = "TC3 POST"
TC3_GET = "TC3 GET"
SHA256_POST = "HmacSHA256 POST"
SHA1_GET = "HmacSHA1 GET"
TRANSPORTS = (IN_PROCESS, TC3_POST, TC3_GET, SHA256_POST, SHA1_GET)
# Integers and texts cannot be told from each other in a form.
TYPED = (IN_PROCESS, TC3_POST)
LARGE = (IN_PROCESS, TC3_POST)

GIF = base64.b64encode(b"GIF89a" + bytes(64)).decode()
TRUNCATED = base64.b64encode(bytes.fromhex("ffd8ffe000104a464946")).decode()
WHITE = {"value": 255}
BLACK = {"value": 0}
URLS = FetchPolicy(allow_urls=True, timeout=1.0)

# name: parameters ("Image" may describe a picture to make), code, transports.
CASES = {
    "no face": ({"Image": BLACK}, "InvalidParameterValue.NoFaceInPhoto", TRANSPORTS),
    "not base64": ({"Image": "%%%"}, "FailedOperation.ImageDecodeFailed", TRANSPORTS),
    "wrong padding": ({"Image": "abcde"}, "FailedOperation.ImageDecodeFailed", TRANSPORTS),
    "not a picture": ({"Image": "aGVsbG8="}, "FailedOperation.ImageDecodeFailed", TRANSPORTS),
    "GIF": ({"Image": GIF}, "FailedOperation.ImageDecodeFailed", TRANSPORTS),
    "truncated": ({"Image": TRUNCATED}, "FailedOperation.ImageDecodeFailed", TRANSPORTS),
    "base64 too long": (
        {"Image": "A" * (5 * 1024 * 1024 + 1)},
        "FailedOperation.ImageSizeExceed",
        LARGE,
    ),
    "JPEG too wide": (
        {"Image": {"width": 4001, "kind": "JPEG"}},
        "FailedOperation.ImageResolutionExceed",
        TRANSPORTS,
    ),
    "PNG too tall": (
        {"Image": {"height": 2001}},
        "FailedOperation.ImageResolutionExceed",
        TRANSPORTS,
    ),
    "too small": (
        {"Image": {"height": 63}},
        "FailedOperation.ImageResolutionTooSmall",
        TRANSPORTS,
    ),
    "empty image": ({"Image": ""}, "InvalidParameterValue.ImageEmpty", TRANSPORTS),
    "blank image": ({"Image": " \n"}, "InvalidParameterValue.ImageEmpty", TRANSPORTS),
    "nothing": ({}, "MissingParameter.ErrorParameterEmpty", TRANSPORTS),
    "mode 2": ({"Image": WHITE, "Mode": 2}, "InvalidParameter.InvalidParameter", TRANSPORTS),
    "mode -1": ({"Image": WHITE, "Mode": -1}, "InvalidParameter.InvalidParameter", TRANSPORTS),
    "rotation 2": (
        {"Image": WHITE, "NeedRotateDetection": 2},
        "InvalidParameter.InvalidParameter",
        TRANSPORTS,
    ),
    "version 1.0": (
        {"Image": WHITE, "FaceModelVersion": "1.0"},
        "InvalidParameterValue.FaceModelVersionIllegal",
        TRANSPORTS,
    ),
    "version empty": (
        {"Image": WHITE, "FaceModelVersion": ""},
        "InvalidParameterValue.FaceModelVersionIllegal",
        TRANSPORTS,
    ),
    "mode text": ({"Image": WHITE, "Mode": "one"}, "InvalidParameter", TRANSPORTS),
    "mode digits as text": ({"Image": WHITE, "Mode": "1"}, "InvalidParameter", TYPED),
    "mode fraction": ({"Image": WHITE, "Mode": 1.0}, "InvalidParameter", TRANSPORTS),
    "mode true": ({"Image": WHITE, "Mode": True}, "InvalidParameter", TRANSPORTS),
    "image number": ({"Image": 5}, "InvalidParameter", TYPED),
    "url number": ({"Url": 5}, "InvalidParameter", TYPED),
    "version number": ({"Image": WHITE, "FaceModelVersion": 3.0}, "InvalidParameter", TYPED),
    "unknown parameter": ({"Image": WHITE, "XMaxFaceNum": 3}, "UnknownParameter", TRANSPORTS),
    "url scheme": (
        {"Url": "ftp://pictures.example/a.jpg"},
        "InvalidParameterValue.UrlIllegal",
        TRANSPORTS,
    ),
    "url malformed": ({"Url": "no url"}, "InvalidParameterValue.UrlIllegal", TRANSPORTS),
    "url private": (
        {"Url": "http://127.0.0.1:9/a.jpg"},
        "FailedOperation.ImageDownloadError",
        TRANSPORTS,
    ),
}


@pytest.fixture(scope="module")
def server(serving, credential, request):
    """The port of one server for all cases; its engine is the module's."""
    from faceshape.tencent.server.app import ServerSettings

    conftest_stub = request.getfixturevalue("shared_stub")
    settings = ServerSettings(
        secrets={credential.secret_id: credential.secret_key},
        threads=2,
        request_timeout=60.0,
        urls=URLS,
    )
    with serving(settings, conftest_stub) as port:
        yield port


@pytest.fixture
def client(server, shared_stub, sdk_client, credential):
    """Transport, language → a client."""

    def build(transport, language="zh-CN"):
        if transport == IN_PROCESS:
            profile = sdk_client(server, language=language).profile
            return IaiClient(credential, "ap-guangzhou", profile, engine=shared_stub, urls=URLS)
        sign, method = transport.replace("TC3", "TC3-HMAC-SHA256").split()
        return sdk_client(server, sign=sign, method=method, language=language)

    return build


def ways():
    for name, (_, _, transports) in CASES.items():
        for transport in transports:
            yield pytest.param(name, transport, id=f"{name}, {transport}")


@pytest.mark.parametrize(("name", "transport"), list(ways()))
def test_code_and_message(name, transport, client, sdk_request, make_picture):
    fields, code, _ = CASES[name]
    fields = {
        key: make_picture(**value) if isinstance(value, dict) else value
        for key, value in fields.items()
    }
    messages = []
    for language in ("zh-CN", "en-US"):
        with pytest.raises(TencentCloudSDKException) as caught:
            client(transport, language).AnalyzeFace(sdk_request(**fields))
        assert caught.value.code == code
        assert caught.value.requestId
        messages.append(caught.value.message)
    chinese, english = messages
    assert any("一" <= character <= "鿿" for character in chinese)
    assert english.isascii()
    assert english
    if code in DOCUMENT_CODES and name != "url private":
        assert tuple(messages) == DOCUMENT_CODES[code]


def test_downloads_are_refused_by_default_in_clear_words(shared_stub, sdk_request):
    with pytest.raises(TencentCloudSDKException, match="请使用Image") as caught:
        IaiClient(engine=shared_stub).AnalyzeFace(sdk_request(Url="http://pictures.example/a"))
    assert caught.value.code == "FailedOperation.ImageDownloadError"


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_failing_engine(transport, client, shared_stub, sdk_request, make_picture, monkeypatch):
    monkeypatch.setattr(shared_stub, "action", lambda: 1 // 0)
    with pytest.raises(TencentCloudSDKException) as caught:
        client(transport).AnalyzeFace(sdk_request(Image=make_picture()))
    assert caught.value.code == "FailedOperation.ServerError"
    assert "division" not in caught.value.message


def test_a_slow_engine(settings, stub, serving, sdk_client, sdk_request, make_picture):
    stub.action = lambda: time.sleep(0.5)
    settings = replace(settings, request_timeout=0.1)
    with serving(settings, stub) as port:
        with pytest.raises(TencentCloudSDKException) as caught:
            sdk_client(port).AnalyzeFace(sdk_request(Image=make_picture()))
        assert caught.value.code == "FailedOperation.RequestTimeout"


COMMON_CODES = {  # those of the public list that are used
    "AuthFailure.InvalidAuthorization",
    "AuthFailure.SecretIdNotFound",
    "AuthFailure.SignatureExpire",
    "AuthFailure.SignatureFailure",
    "AuthFailure.TokenFailure",
    "InvalidAction",
    "InvalidParameter",
    "InvalidRequest",
    "MissingParameter",
    "NoSuchVersion",
    "RequestLimitExceeded",
    "RequestSizeLimitExceeded",
    "UnauthorizedOperation",
    "UnknownParameter",
    "UnsupportedProtocol",
}


def test_every_code_is_known_to_the_sdk_or_common():
    known = {value for name, value in vars(errorcodes).items() if name.isupper()} | COMMON_CODES
    used = {code for _, code, _ in CASES.values()}
    used |= {getattr(protocol, name).code for name in protocol.__all__}
    assert used <= known


def test_a_long_name_is_not_repeated_whole(client, sdk_request):
    with warnings.catch_warnings(), pytest.raises(TencentCloudSDKException) as caught:
        client(TC3_POST, "en-US").AnalyzeFace(sdk_request(**{"X" * 5000: 1}))
    assert caught.value.code == "UnknownParameter"
    assert len(caught.value.message) < 150


@pytest.mark.skipif(not DOCUMENT.exists(), reason="the API document is not in the repository")
def test_all_codes_of_the_document_are_there_word_for_word():
    section = DOCUMENT.read_text(encoding="utf-8").split("错误码 | 描述 |")[1]
    rows = dict(re.findall(r"^(\w+(?:\.\w+)?) \| (.+?) \|$", section, re.MULTILINE))
    assert rows == {code: message.chinese for code, message in DOCUMENT_CODES.items()}
    assert len(rows) == 71
