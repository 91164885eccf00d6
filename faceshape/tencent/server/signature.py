"""The cloud's request signatures: TC3-HMAC-SHA256, and HmacSHA256 and HmacSHA1 of API 2017.

Tencent's SDKs differ in two things, and both are accepted: most take the service of the credential
scope from the endpoint ("127" for 127.0.0.1:8360), and the one for Node.js signs the Host header
without its port. A signature that was seen once is accepted again while its timestamp is fresh, as
the cloud does.
"""

import base64
import hashlib
import hmac
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from types import MappingProxyType
from typing import NamedTuple

from faceshape.tencent.protocol_errors import (
    InvalidAuthorizationError,
    MissingCommonParameterError,
    ParameterTypeError,
    SecretIdNotFoundError,
    SignatureExpiredError,
    SignatureFailureError,
    TokenFailureError,
)

__all__ = ["SignatureVerifier", "Tc3Claim", "form_signature", "tc3_signature"]

_WINDOW = 300  # seconds that a timestamp may be off
_UNSIGNED = "UNSIGNED-PAYLOAD"
_REQUIRED_HEADERS = frozenset({"content-type", "host"})
# The SDKs sign two or three headers and need some 200 characters for all of it.
_LONGEST_AUTHORIZATION, _MOST_SIGNED_HEADERS = 4096, 64
_AUTHORIZATION = re.compile(
    r"TC3-HMAC-SHA256\s+Credential=(?P<id>[^/,\s]*)/(?P<date>\d{4}-\d\d-\d\d)/(?P<service>[^/,\s]+)"
    r"/tc3_request,\s*SignedHeaders=(?P<headers>[^,\s]+),\s*Signature=(?P<signature>[0-9a-fA-F]{64})",
    re.ASCII,
)
_LONGEST_SHOWN = 100  # characters of a stranger's words in the log
_HOST_WITH_PORT = re.compile(r"(?P<host>.*[^:]):[0-9]{1,5}")


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
        service: of the credential scope: "iai", or what the SDK takes from its endpoint.
    """
    scope = _Scope(_utc_date(timestamp), service)
    payload_hash = hashlib.sha256(payload).hexdigest()
    return scope.signature(scope.key(secret_key), method, query, headers, payload_hash, timestamp)


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


class _Scope(NamedTuple):
    """A credential scope: what a signature is good for."""

    date: str
    service: str

    def __str__(self) -> str:
        return f"{self.date}/{self.service}/tc3_request"

    def key(self, secret_key: str) -> bytes:
        """Return the key that signs within this scope."""
        key = f"TC3{secret_key}".encode()
        for part in (self.date, self.service, "tc3_request"):
            key = hmac.digest(key, part.encode("latin-1"), "sha256")
        return key

    def signature(
        self,
        key: bytes,
        method: str,
        query: str,
        headers: Sequence[tuple[str, str]],
        payload_hash: str,
        timestamp: int,
    ) -> str:
        canonical_headers = "".join(f"{name}:{value}\n" for name, value in headers)
        signed_headers = ";".join(name for name, _ in headers)
        canonical_request = "\n".join(
            (method, "/", query, canonical_headers, signed_headers, payload_hash)
        )
        hashed = hashlib.sha256(canonical_request.encode("latin-1")).hexdigest()
        to_sign = f"TC3-HMAC-SHA256\n{timestamp}\n{self}\n{hashed}"
        return hmac.new(key, to_sign.encode("latin-1"), "sha256").hexdigest()


class Tc3Claim(NamedTuple):
    """What the head of a request says of its signature, plausible but not yet verified."""

    secret_key: str
    scope: _Scope
    signed_headers: tuple[tuple[str, str], ...]
    signature: str
    timestamp: int
    unsigned_payload: bool


class SignatureVerifier:
    """Checks the signatures of requests against known keys."""

    def __init__(
        self,
        secrets: Mapping[str, str],
        clock: Callable[[], float] = time.time,
        tokens: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Remember the keys.

        Args:
            secrets: SecretId → SecretKey.
            clock: returns Unix seconds.
            tokens: SecretId → the token that requests with temporary keys must carry. Where none
                is configured, tokens are ignored.
        """
        self._secrets = dict(secrets)
        self._tokens = dict(tokens)
        self._clock = clock

    def check_tc3(
        self, method: str, query: str, headers: Mapping[str, str], body: bytes | bytearray
    ) -> None:
        """Accept a request that is signed with TC3-HMAC-SHA256, or raise.

        Args:
            method: GET or POST.
            query: the query string exactly as sent.
            headers: name in lower case → value as sent.
            body: as sent.

        Raises:
            InvalidAuthorizationError: the Authorization header is absent or malformed.
            MissingCommonParameterError, ParameterTypeError: the timestamp is.
            SignatureExpiredError, SecretIdNotFoundError, SignatureFailureError, TokenFailureError:
                as they say. The error's ``reason`` is for the server's log.
        """
        claim = self.check_tc3_head(headers)
        payload = (
            _UNSIGNED.encode() if claim.unsigned_payload else body if method == "POST" else b""
        )
        payload_hash = hashlib.sha256(payload).hexdigest()
        key = claim.scope.key(claim.secret_key)
        for signed in _spellings(claim.signed_headers):
            expected = claim.scope.signature(
                key,
                method,
                query if method == "GET" else "",
                signed,
                payload_hash,
                claim.timestamp,
            )
            if hmac.compare_digest(expected, claim.signature):
                return
        raise SignatureFailureError(
            reason=f"scope {_shown(str(claim.scope))}, host {_shown(headers['host'])}, "
            f"X-TC-Timestamp {claim.timestamp}, {len(body)} bytes: "
            "the key, or something that was signed, is another"
        )

    def check_tc3_head(self, headers: Mapping[str, str]) -> Tc3Claim:
        """Return what a request's head claims if that can be true of any body, or raise.

        Args:
            headers: name in lower case → value as sent.

        Raises:
            As `check_tc3`, but for what only the whole request can tell.
        """
        secret_id, scope, names, signature = _parse_authorization(headers.get("authorization"))
        timestamp = self._fresh(headers.get("x-tc-timestamp"), "X-TC-Timestamp")
        secret_key = self._secret_key(secret_id)
        self._check_token(secret_id, headers.get("x-tc-token"))
        if scope.date != _utc_date(timestamp):
            raise SignatureFailureError(
                reason=f"the scope's date is {scope.date}, X-TC-Timestamp {timestamp} is of "
                f"{_utc_date(timestamp)} in UTC"
            )
        for name in names:
            if name not in headers:
                raise SignatureFailureError(reason=f"the signed header {_shown(name)} is absent")
        return Tc3Claim(
            secret_key,
            scope,
            tuple((name, headers[name].strip()) for name in names),
            signature,
            timestamp,
            headers.get("x-tc-content-sha256") == _UNSIGNED,
        )

    def check_form(self, method: str, host: str, parameters: Mapping[str, str]) -> None:
        """Accept parameters that are signed with HmacSHA256 or HmacSHA1, or raise.

        Args:
            method: GET or POST.
            host: the Host header as sent.
            parameters: those of the form or the query, decoded.

        Raises:
            MissingCommonParameterError: Timestamp, Nonce, SecretId or Signature is absent.
            ParameterTypeError: Timestamp is malformed.
            SignatureExpiredError, SecretIdNotFoundError, SignatureFailureError, TokenFailureError:
                as they say. The error's ``reason`` is for the server's log.
        """
        # The Ruby SDK's base64 ends in a newline.
        given = parameters.get("Signature", "").strip()
        for name in ("SecretId", "Nonce", "Signature"):
            if not parameters.get(name, "").strip():
                raise MissingCommonParameterError(name)
        self._fresh(parameters.get("Timestamp"), "Timestamp")
        secret_key = self._secret_key(parameters["SecretId"])
        self._check_token(parameters["SecretId"], parameters.get("Token"))
        # Whatever else is named stands for HmacSHA1 (documentation of the common parameters).
        digest = "sha256" if parameters.get("SignatureMethod") == "HmacSHA256" else "sha1"
        expected = form_signature(secret_key, method, host, parameters, digest)
        if not hmac.compare_digest(expected.encode(), given.encode("utf-8", "surrogatepass")):
            raise SignatureFailureError(
                reason=f"Hmac{digest.upper()}, host {_shown(host)}, "
                f"Timestamp {parameters['Timestamp']}: "
                "the key, or something that was signed, is another"
            )

    def _secret_key(self, secret_id: str) -> str:
        if secret_id not in self._secrets:
            raise SecretIdNotFoundError(reason="the server was not given this SecretId")
        return self._secrets[secret_id]

    def _check_token(self, secret_id: str, token: str | None) -> None:
        wanted = self._tokens.get(secret_id)
        if wanted is None:
            return
        given = (token or "").encode("utf-8", "surrogatepass")
        if not hmac.compare_digest(wanted.encode(), given):
            raise TokenFailureError(
                reason="the token is another than the configured one" if token else "no token"
            )

    def _fresh(self, timestamp: str | None, name: str) -> int:
        if timestamp is None:
            raise MissingCommonParameterError(name)
        if re.fullmatch(r"[0-9]{1,12}", timestamp) is None:
            raise ParameterTypeError(name)
        late = self._clock() - int(timestamp)
        if abs(late) > _WINDOW:
            raise SignatureExpiredError(
                reason=f"{name} {timestamp} is {abs(late):.0f} s "
                f"{'behind' if late > 0 else 'ahead of'} the server's clock"
            )
        return int(timestamp)


def _parse_authorization(header: str | None) -> tuple[str, _Scope, tuple[str, ...], str]:
    """Return the SecretId, the scope, the names of the signed headers, and the signature."""
    if not header:
        raise InvalidAuthorizationError(reason="there is no Authorization header")
    if len(header) > _LONGEST_AUTHORIZATION:
        raise InvalidAuthorizationError(reason=f"Authorization has {len(header)} characters")
    match = _AUTHORIZATION.fullmatch(header.strip())
    if match is None:
        raise InvalidAuthorizationError(
            reason="Authorization is not TC3-HMAC-SHA256 "
            "Credential=ID/DATE/SERVICE/tc3_request, SignedHeaders=..., Signature=..."
        )
    names = tuple(match["headers"].lower().split(";"))
    if not _REQUIRED_HEADERS.issubset(names):
        raise InvalidAuthorizationError(reason="SignedHeaders lacks content-type or host")
    if len(names) > _MOST_SIGNED_HEADERS or len(set(names)) != len(names):
        raise InvalidAuthorizationError(
            reason=f"SignedHeaders has {len(names)} names, {len(set(names))} different ones"
        )
    scope = _Scope(match["date"], match["service"])
    return match["id"], scope, names, match["signature"].lower()


def _spellings(signed: Sequence[tuple[str, str]]) -> Iterator[Sequence[tuple[str, str]]]:
    """Yield the ways in which SDKs write the signed headers (name, value), each once."""
    without_port = [
        (name, _without_port(value) if name == "host" else value) for name, value in signed
    ]
    ways = [
        way
        for headers in (signed, without_port)
        # The documentation lower-cases the values, Tencent's own Python client does not.
        for way in (tuple(headers), tuple((name, value.lower()) for name, value in headers))
    ]
    return iter(dict.fromkeys(ways))


def _without_port(host: str) -> str:
    match = _HOST_WITH_PORT.fullmatch(host)
    return match["host"] if match else host


def _utc_date(timestamp: int) -> str:
    return datetime.fromtimestamp(timestamp, timezone.utc).strftime("%Y-%m-%d")


def _shown(text: str) -> str:
    """Return what a stranger sent as it may stand in a log: short, on one line."""
    return ascii(text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "...")
