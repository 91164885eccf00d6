"""What can be wrong with a call before the picture is looked at, with the cloud's common codes.

These codes belong to every API of the cloud, so AnalyzeFace's own document does not list them;
the messages say what the public list of common error codes says. ``{detail}`` is the parameter,
the header or the value in question.
"""

from typing import ClassVar

from faceshape.errors import DownloadError, FaceShapeError
from faceshape.tencent.error_codes import DOCUMENT_CODES, Message

__all__ = [
    "BusyError",
    "DeadlineError",
    "FaceCountError",
    "FaceTooSmallError",
    "ForeignPageError",
    "InvalidActionError",
    "InvalidAuthorizationError",
    "InvalidRequestError",
    "MissingCommonParameterError",
    "NoSuchVersionError",
    "NotComputedError",
    "ParameterTypeError",
    "ProtocolError",
    "RequestSizeError",
    "SecretIdNotFoundError",
    "SignatureExpiredError",
    "SignatureFailureError",
    "TokenFailureError",
    "UnknownParameterError",
    "UnsupportedProtocolError",
    "UrlsDisabledError",
]

# A caller's own words are repeated to him no longer than this.
_LONGEST_DETAIL = 64


class ProtocolError(FaceShapeError):
    """The base of the errors with common codes.

    Attributes:
        message: templates in both languages.
        reason: what exactly was wrong, for the server's log alone; never a key.
    """

    message: ClassVar[Message]

    def __init__(self, detail: str = "", *, reason: str = "") -> None:
        # Half a surrogate pair, which JSON may hold, is no text that could be sent.
        text = detail[:_LONGEST_DETAIL].encode("utf-8", "backslashreplace").decode("utf-8")
        super().__init__(text)
        self.reason = reason


class UnsupportedProtocolError(ProtocolError):
    """The HTTP method is neither GET nor POST."""

    code = "UnsupportedProtocol"
    message = Message(
        "HTTP(S)请求协议错误,只支持GET和POST请求。",
        "The HTTP(S) request is not supported: only GET and POST are.",
    )


class RequestSizeError(ProtocolError):
    """The request has more bytes than its way of signing allows."""

    code = "RequestSizeLimitExceeded"
    message = Message(
        "请求包超过限制大小。上限为{detail}字节。",
        "The request is too large: at most {detail} bytes are allowed.",
    )


class InvalidRequestError(ProtocolError):
    """The body is of a kind that no action here takes."""

    code = "InvalidRequest"
    message = Message(
        "请求体格式错误: 不支持的Content-Type `{detail}`。",
        "The format of the request body is wrong: the Content-Type `{detail}` is not supported.",
    )


class ParameterTypeError(ProtocolError):
    """A parameter has the wrong JSON type, or the body cannot be parsed."""

    code = "InvalidParameter"
    message = Message(
        "参数错误: `{detail}` 的格式或类型不正确。",
        "The format or the type of `{detail}` is not valid.",
    )


class UnknownParameterError(ProtocolError):
    """The action has no parameter of that name."""

    code = "UnknownParameter"
    message = Message("未知参数 `{detail}`。", "The parameter `{detail}` is not recognized.")


class MissingCommonParameterError(ProtocolError):
    """A parameter that every API needs is absent."""

    code = "MissingParameter"
    message = Message(
        "缺少参数 `{detail}`。", "The request is missing the required parameter `{detail}`."
    )


class InvalidActionError(ProtocolError):
    """The action is none that is answered here."""

    code = "InvalidAction"
    message = Message("接口 `{detail}` 不存在。", "The action `{detail}` does not exist.")


class NoSuchVersionError(ProtocolError):
    """The version is none of iai's."""

    code = "NoSuchVersion"
    message = Message("接口版本 `{detail}` 不存在。", "The version `{detail}` does not exist.")


class InvalidAuthorizationError(ProtocolError):
    """The Authorization header is absent or does not have the form of the standard."""

    code = "AuthFailure.InvalidAuthorization"
    message = DOCUMENT_CODES["AuthFailure.InvalidAuthorization"]


class SecretIdNotFoundError(ProtocolError):
    """The SecretId is not one that the server was given."""

    code = "AuthFailure.SecretIdNotFound"
    message = Message("密钥不存在。", "The SecretId is not found.")


class SignatureExpiredError(ProtocolError):
    """The timestamp lies too far from the server's clock."""

    code = "AuthFailure.SignatureExpire"
    message = Message(
        "签名过期。Timestamp和服务器时间相差不得超过五分钟。",
        "The signature has expired: the timestamp may differ from the server's clock by at most "
        "five minutes.",
    )


class SignatureFailureError(ProtocolError):
    """The signature is not the one that the request and the key give."""

    code = "AuthFailure.SignatureFailure"
    message = Message(
        "签名错误。", "The signature is wrong: check how it was computed, and the SecretKey."
    )


class FaceCountError(ProtocolError):
    """More faces are asked for than one answer has."""

    code = "LimitExceeded.ErrorFaceNumExceed"
    message = DOCUMENT_CODES["LimitExceeded.ErrorFaceNumExceed"]


class FaceTooSmallError(ProtocolError):
    """There are faces, but all of them are smaller than MinFaceSize."""

    code = "FailedOperation.FaceSizeTooSmall"
    message = DOCUMENT_CODES["FailedOperation.FaceSizeTooSmall"]


class NotComputedError(ProtocolError):
    """The cloud would compute what there is no model for here; ``detail`` names the parameter."""

    code = "UnsupportedOperation.UnknowMethod"
    message = Message(
        DOCUMENT_CODES["UnsupportedOperation.UnknowMethod"].chinese
        + "本服务不计算人脸属性与质量,请将 `{detail}` 设为0。",
        DOCUMENT_CODES["UnsupportedOperation.UnknowMethod"].english
        + " Attributes and quality are not computed here: set `{detail}` to 0.",
    )


class TokenFailureError(ProtocolError):
    """The token is not the one that belongs to the temporary key."""

    code = "AuthFailure.TokenFailure"
    message = Message("Token错误。", "The token is wrong.")


class ForeignPageError(ProtocolError):
    """Signatures are not checked here, and the request comes from a page of somebody else's."""

    code = "UnauthorizedOperation"
    message = Message(
        "未授权操作: 本服务不校验签名,不接受来自其他网页的请求 (`{detail}`)。",
        "The operation is not allowed: signatures are not checked here, and the header `{detail}` "
        "tells of a request from a web page that is not this server's.",
    )


class BusyError(ProtocolError):
    """More requests wait than the server is allowed to hold."""

    code = "RequestLimitExceeded"
    message = Message("请求的次数超过了频率限制。", "There are too many requests at a time.")


class DeadlineError(ProtocolError):
    """The answer was not there in time."""

    code = "FailedOperation.RequestTimeout"
    message = DOCUMENT_CODES["FailedOperation.RequestTimeout"]


class UrlsDisabledError(ProtocolError, DownloadError):
    """Pictures are not downloaded here: the caller did not allow it."""

    message = Message(
        DOCUMENT_CODES[DownloadError.code].chinese + "本服务未开启Url下载,请使用Image。",
        DOCUMENT_CODES[DownloadError.code].english
        + " Downloads are switched off here: send Image instead of Url.",
    )
