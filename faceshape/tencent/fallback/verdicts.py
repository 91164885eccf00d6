"""What a failed call to the cloud says: about the cloud, about the account, about the request."""

from enum import Enum

__all__ = ["Verdict", "judge", "judge_unwrapped"]


class Verdict(Enum):
    """Who is to blame for a failure, and so what to do about it."""

    UNAVAILABLE = "unavailable"
    """The cloud: the same request would succeed on a healthy service."""
    THROTTLED = "throttled"
    """Too many requests: it will pass soon."""
    SUSPENDED = "suspended"
    """The account, or an action that is retired: it will not pass without somebody's help."""
    PICTURE = "picture"
    """The cloud's work on this one picture."""
    UNAUTHORIZED = "unauthorized"
    """The key, or the clock: to hide it would hide a leaked or an expired key."""
    REQUEST = "request"
    """The caller: any service would refuse the request."""


# "Family" stands for Family and all Family.Something that are not listed themselves.
_FAMILIES = {
    Verdict.UNAVAILABLE: (
        # The SDK names other exceptions than its own by their class.
        "AttributeError",
        "ChunkedEncodingError",
        "ClientNetworkError",
        "ConnectionError",
        "ContentDecodingError",
        "JSONDecodeError",
        "KeyError",
        "ServerNetworkError",
        "TypeError",
        "UnicodeDecodeError",
        "InternalError",
        "ResponseSizeLimitExceeded",
        "ServiceUnavailable",
    ),
    Verdict.THROTTLED: ("RequestLimitExceeded",),
    Verdict.SUSPENDED: (
        "ActionOffline",
        "InvalidAction",
        "NoSuchProduct",
        "NoSuchVersion",
        "ResourceInsufficient",
        "ResourceUnavailable",
        "ResourcesSoldOut",
    ),
    Verdict.UNAUTHORIZED: (
        "AuthFailure",
        "IpInBlacklist",
        "IpNotInWhitelist",
        "UnauthorizedOperation",
    ),
}
_CODES = {
    Verdict.UNAVAILABLE: (
        "FailedOperation.RequestTimeout",
        "FailedOperation.RpcFail",
        "FailedOperation.ServerError",
        "FailedOperation.UnKnowError",
    ),
    Verdict.THROTTLED: ("FailedOperation.RequestLimitExceeded",),
    Verdict.SUSPENDED: ("LimitExceeded", "UnsupportedOperation.UnknowMethod"),
    Verdict.PICTURE: (
        "FailedOperation",
        "FailedOperation.ImageDownloadError",
        "FailedOperation.ImageFacedetectFailed",
    ),
}
_BY_FAMILY = {code: verdict for verdict, codes in _FAMILIES.items() for code in codes}
_BY_CODE = {code: verdict for verdict, codes in _CODES.items() for code in codes}

# Classes by their names, for httpx need not be there.
_UNWRAPPED = frozenset(
    (
        "AttributeError",
        "DecodingError",
        "JSONDecodeError",
        "KeyError",
        "TooManyRedirects",
        "TransportError",
        "TypeError",
        "UnicodeDecodeError",
    )
)
_UNWRAPPED_MISUSES = frozenset(("LocalProtocolError", "UnsupportedProtocol"))

# What the SDK reports as a failure of the network, though the caller misused it.
_MISUSES = ("ClientParamsError", "Failed to parse", "Invalid URL")


def judge(error: Exception) -> Verdict:
    """Return who is to blame for a failed call.

    Args:
        error: the SDK's exception, told by its ``code``; or another one, an `OSError` being the
            network's.
    """
    code = getattr(error, "code", None)
    if not isinstance(code, str):
        return Verdict.UNAVAILABLE if isinstance(error, OSError) else Verdict.REQUEST
    message = str(getattr(error, "message", ""))
    if code == "ClientNetworkError" and any(misuse in message for misuse in _MISUSES):
        return Verdict.REQUEST
    family = code.partition(".")[0]
    return _BY_CODE.get(code) or _BY_FAMILY.get(family) or Verdict.REQUEST


def judge_unwrapped(error: Exception) -> Verdict:
    """Return who is to blame for a failed call of the SDK's client of asyncio.

    Args:
        error: as for `judge`. What the SDK's other client names in ``code``, this one lets through:
            the exceptions of httpx, and those that a garbled answer leads to.
    """
    names = [] if hasattr(error, "code") else [kind.__name__ for kind in type(error).__mro__]
    if not _UNWRAPPED.isdisjoint(names) and _UNWRAPPED_MISUSES.isdisjoint(names):
        return Verdict.UNAVAILABLE
    return judge(error)
