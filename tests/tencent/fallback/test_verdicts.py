import http.client
import json

import httpx
import pytest
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.iai.v20200303 import errorcodes

from faceshape.tencent.error_codes import DOCUMENT_CODES
from faceshape.tencent.fallback.verdicts import Verdict, judge, judge_unwrapped

EXPECTED = {
    Verdict.UNAVAILABLE: [
        "ClientNetworkError",
        "ServerNetworkError",
        "ConnectionError",
        "ChunkedEncodingError",
        "ContentDecodingError",
        "JSONDecodeError",
        "UnicodeDecodeError",
        "KeyError",
        "TypeError",
        "AttributeError",
        "InternalError",
        "InternalError.DbError",
        "ServiceUnavailable",
        "ResponseSizeLimitExceeded",
        "FailedOperation.ServerError",
        "FailedOperation.RequestTimeout",
        "FailedOperation.RpcFail",
        "FailedOperation.UnKnowError",
    ],
    Verdict.THROTTLED: [
        "RequestLimitExceeded",
        "RequestLimitExceeded.UinLimitExceeded",
        "RequestLimitExceeded.IPLimitExceeded",
        "FailedOperation.RequestLimitExceeded",
    ],
    Verdict.SUSPENDED: [
        "ResourceUnavailable",
        "ResourceUnavailable.InArrears",
        "ResourceUnavailable.LowBalance",
        "ResourcesSoldOut.ChargeStatusException",
        "ResourceInsufficient",
        "LimitExceeded",
        "ActionOffline",
        "InvalidAction",
        "NoSuchVersion",
        "NoSuchProduct",
        "UnsupportedOperation.UnknowMethod",
    ],
    Verdict.PICTURE: [
        "FailedOperation",
        "FailedOperation.ImageFacedetectFailed",
        "FailedOperation.ImageDownloadError",
    ],
    Verdict.UNAUTHORIZED: [
        "AuthFailure",
        "AuthFailure.SignatureExpire",
        "AuthFailure.SecretIdNotFound",
        "UnauthorizedOperation",
        "IpInBlacklist",
        "IpNotInWhitelist",
    ],
    Verdict.REQUEST: [
        "InvalidParameter",
        "InvalidParameter.InvalidParameter",
        "InvalidParameterValue.NoFaceInPhoto",
        "InvalidParameterValue.ImageEmpty",
        "MissingParameter.ErrorParameterEmpty",
        "UnknownParameter",
        "InvalidRequest",
        "RequestSizeLimitExceeded",
        "UnsupportedProtocol",
        "UnsupportedRegion",
        "LimitExceeded.ErrorFaceNumExceed",
        "FailedOperation.ImageDecodeFailed",
        "FailedOperation.ImageSizeExceed",
        "FailedOperation.ImageResolutionExceed",
        "FailedOperation.ImageResolutionTooSmall",
        "FailedOperation.FaceSizeTooSmall",
        "ClientError",
        "ClientError.Something",
        "InvalidCredential",
        "SomethingNew",
    ],
}


@pytest.mark.parametrize(
    ("code", "verdict"), [(code, verdict) for verdict, codes in EXPECTED.items() for code in codes]
)
def test_codes(code, verdict):
    assert judge(TencentCloudSDKException(code, "message")) is verdict


@pytest.mark.parametrize(
    "message", ["[...] ClientParamsError x", "Failed to parse: http://", "Invalid URL 'x'"]
)
def test_misuse_of_the_client_is_not_the_networks(message):
    assert judge(TencentCloudSDKException("ClientNetworkError", message)) is Verdict.REQUEST


def test_messages_may_be_bytes():
    error = TencentCloudSDKException("ServerNetworkError", b"<html>\xff")
    assert judge(error) is Verdict.UNAVAILABLE


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (TimeoutError(), Verdict.UNAVAILABLE),
        (ConnectionResetError(), Verdict.UNAVAILABLE),
        (OSError(5, "io"), Verdict.UNAVAILABLE),
        (http.client.RemoteDisconnected(), Verdict.UNAVAILABLE),
        (ZeroDivisionError(), Verdict.REQUEST),
        (TypeError(), Verdict.REQUEST),  # not wrapped by the SDK: a bug on this side
    ],
)
def test_other_exceptions(error, verdict):
    assert judge(error) is verdict


def test_no_value_of_a_parameter_is_the_clouds_fault():
    codes = {value for name, value in vars(errorcodes).items() if name.isupper()}
    for code in codes | set(DOCUMENT_CODES):
        if code.startswith(("InvalidParameter", "MissingParameter")):
            assert judge(TencentCloudSDKException(code)) is Verdict.REQUEST


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (httpx.ConnectError("refused"), Verdict.UNAVAILABLE),
        (httpx.ReadTimeout("slow"), Verdict.UNAVAILABLE),
        (httpx.RemoteProtocolError("cut off"), Verdict.UNAVAILABLE),
        (httpx.ProxyError("down"), Verdict.UNAVAILABLE),
        (httpx.DecodingError("gzip"), Verdict.UNAVAILABLE),
        (httpx.TooManyRedirects("circle"), Verdict.UNAVAILABLE),
        (httpx.UnsupportedProtocol("htp"), Verdict.REQUEST),
        (httpx.LocalProtocolError("header"), Verdict.REQUEST),
        (httpx.InvalidURL("no URL"), Verdict.REQUEST),
        (json.JSONDecodeError("no JSON", "", 0), Verdict.UNAVAILABLE),
        (UnicodeDecodeError("utf-8", b"", 0, 1, "no text"), Verdict.UNAVAILABLE),
        (KeyError("Response"), Verdict.UNAVAILABLE),
        (TypeError(), Verdict.UNAVAILABLE),
        (TimeoutError(), Verdict.UNAVAILABLE),
        (RuntimeError("the client has been closed"), Verdict.REQUEST),
        (ZeroDivisionError(), Verdict.REQUEST),
        (TencentCloudSDKException("InternalError", ""), Verdict.UNAVAILABLE),
        (TencentCloudSDKException("RequestLimitExceeded", ""), Verdict.THROTTLED),
        (TencentCloudSDKException("InvalidParameter", ""), Verdict.REQUEST),
    ],
)
def test_what_the_client_of_asyncio_lets_through(error, verdict):
    assert judge_unwrapped(error) is verdict
