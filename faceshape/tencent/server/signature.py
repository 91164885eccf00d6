"""The cloud's request signatures: TC3-HMAC-SHA256, and HmacSHA256 and HmacSHA1 of API 2017.

A signature that was seen once is accepted again while its timestamp is fresh, as the cloud does.
"""

import base64
import hashlib
import hmac
import re
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from typing import NamedTuple

from faceshape.tencent.protocol_errors import (
    InvalidAuthorizationError,
    MissingCommonParameterError,
    ParameterTypeError,
    SecretIdNotFoundError,
    SignatureExpiredError,
    SignatureFailureError,
)

__all__ = ["SignatureVerifier", "form_signature", "tc3_signature"]

_SERVICE = "iai"
_WINDOW = 300  # seconds that a timestamp may be off
_UNSIGNED = "UNSIGNED-PAYLOAD"
_REQUIRED_HEADERS = frozenset({"content-type", "host"})
_AUTHORIZATION = re.compile(
    r"TC3-HMAC-SHA256\s+Credential=(?P<id>[^/,\s]*)/(?P<date>\d{4}-\d\d-\d\d)/(?P<service>[a-z0-9]+)"
    r"/tc3_request,\s*SignedHeaders=(?P<headers>[^,\s]+),\s*Signature=(?P<signature>[0-9a-fA-F]{64})"
)


def tc3_signature(
    secret_key: str,
    *,
    method: str,
    query: str,
    headers: Sequence[tuple[str, str]],
    payload: bytes,
    timestamp: int,
    service: str,
) -> str:
    """Return the TC3-HMAC-SHA256 signature of a request, in hexadecimal.

    Args:
        secret_key: the key that belongs to the request's SecretId.
        method: GET or POST.
        query: the query string exactly as sent; empty for POST.
        headers: the signed ones in their order, names in lower case, values without outer space.
        payload: the body; ``b"UNSIGNED-PAYLOAD"`` when it is not signed.
        timestamp: Unix seconds; the date of the signature is theirs, in UTC.
        service: "iai" for AnalyzeFace.
    """
    canonical_headers = "".join(f"{name}:{value}\n" for name, value in headers)
    signed_headers = ";".join(name for name, _ in headers)
    canonical_request = "\n".join(
        (method, "/", query, canonical_headers, signed_headers, hashlib.sha256(payload).hexdigest())
    )
    date = datetime.fromtimestamp(timestamp, timezone.utc).strftime("%Y-%m-%d")
    hashed = hashlib.sha256(canonical_request.encode("latin-1")).hexdigest()
    to_sign = f"TC3-HMAC-SHA256\n{timestamp}\n{date}/{service}/tc3_request\n{hashed}"
    key = f"TC3{secret_key}".encode()
    for part in (date, service, "tc3_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.new(key, to_sign.encode(), "sha256").hexdigest()


def form_signature(
    secret_key: str, method: str, host: str, parameters: Mapping[str, str], digest: str
) -> str:
    """Return the HmacSHA256 or HmacSHA1 signature of a form, in base64.

    Args:
        secret_key: the key that belongs to the form's SecretId.
        method: GET or POST.
        host: the Host header as sent.
        parameters: all parameters, decoded; Signature itself is left out.
        digest: "sha256" or "sha1".
    """
    pairs = {
        name.replace("_", "."): value for name, value in parameters.items() if name != "Signature"
    }
    query = "&".join(f"{name}={pairs[name]}" for name in sorted(pairs))
    to_sign = f"{method}{host}/?{query}".encode("utf-8", "surrogatepass")
    return base64.b64encode(hmac.digest(secret_key.encode(), to_sign, digest)).decode()


class _Authorization(NamedTuple):
    secret_id: str
    date: str
    signed_headers: tuple[str, ...]
    signature: str


class SignatureVerifier:
    """Checks the signatures of requests against known keys."""

    def __init__(self, secrets: Mapping[str, str], clock: Callable[[], float] = time.time) -> None:
        """Remember the keys.

        Args:
            secrets: SecretId → SecretKey.
            clock: returns Unix seconds.
        """
        self._secrets = dict(secrets)
        self._clock = clock

    def check_tc3(self, method: str, query: str, headers: Mapping[str, str], body: bytes) -> None:
        """Accept a request that is signed with TC3-HMAC-SHA256, or raise.

        Args:
            method: GET or POST.
            query: the query string exactly as sent.
            headers: name in lower case → value as sent.
            body: as sent.

        Raises:
            InvalidAuthorizationError: the Authorization header is absent or malformed.
            MissingCommonParameterError, ParameterTypeError: the timestamp is.
            SignatureExpiredError, SecretIdNotFoundError, SignatureFailureError: as they say.
        """
        authorization = _parse_authorization(headers.get("authorization", ""))
        timestamp = self._fresh(headers.get("x-tc-timestamp"), "X-TC-Timestamp")
        secret_key = self._secret_key(authorization.secret_id)
        unsigned = headers.get("x-tc-content-sha256") == _UNSIGNED
        date = datetime.fromtimestamp(timestamp, timezone.utc).strftime("%Y-%m-%d")
        if authorization.date != date or not all(
            name in headers for name in authorization.signed_headers
        ):
            raise SignatureFailureError
        as_sent = [(name, headers[name].strip()) for name in authorization.signed_headers]
        # The documentation lower-cases the values, Tencent's own Python client does not.
        for signed in (as_sent, [(name, value.lower()) for name, value in as_sent]):
            expected = tc3_signature(
                secret_key,
                method=method,
                query=query if method == "GET" else "",
                headers=signed,
                payload=_UNSIGNED.encode() if unsigned else body if method == "POST" else b"",
                timestamp=timestamp,
                service=_SERVICE,
            )
            if hmac.compare_digest(expected, authorization.signature):
                return
        raise SignatureFailureError

    def check_form(self, method: str, host: str, parameters: Mapping[str, str]) -> None:
        """Accept parameters that are signed with HmacSHA256 or HmacSHA1, or raise.

        Args:
            method: GET or POST.
            host: the Host header as sent.
            parameters: those of the form or the query, decoded.

        Raises:
            MissingCommonParameterError: Timestamp, Nonce, SecretId or Signature is absent.
            ParameterTypeError: Timestamp is malformed.
            SignatureExpiredError, SecretIdNotFoundError, SignatureFailureError: as they say.
        """
        for name in ("SecretId", "Nonce", "Signature"):
            if not parameters.get(name):
                raise MissingCommonParameterError(name)
        self._fresh(parameters.get("Timestamp"), "Timestamp")
        secret_key = self._secret_key(parameters["SecretId"])
        # Whatever else is named stands for HmacSHA1 (documentation of the common parameters).
        digest = "sha256" if parameters.get("SignatureMethod") == "HmacSHA256" else "sha1"
        expected = form_signature(secret_key, method, host, parameters, digest)
        given = parameters["Signature"].encode("utf-8", "surrogatepass")
        if not hmac.compare_digest(expected.encode(), given):
            raise SignatureFailureError

    def _secret_key(self, secret_id: str) -> str:
        if secret_id not in self._secrets:
            raise SecretIdNotFoundError
        return self._secrets[secret_id]

    def _fresh(self, timestamp: str | None, name: str) -> int:
        if timestamp is None:
            raise MissingCommonParameterError(name)
        if re.fullmatch(r"[0-9]{1,12}", timestamp) is None:
            raise ParameterTypeError(name)
        if abs(self._clock() - int(timestamp)) > _WINDOW:
            raise SignatureExpiredError
        return int(timestamp)


def _parse_authorization(header: str) -> _Authorization:
    match = _AUTHORIZATION.fullmatch(header.strip())
    if match is None or match["service"] != _SERVICE:
        raise InvalidAuthorizationError
    names = tuple(match["headers"].lower().split(";"))
    if not _REQUIRED_HEADERS.issubset(names):
        raise InvalidAuthorizationError
    return _Authorization(match["id"], match["date"], names, match["signature"].lower())
