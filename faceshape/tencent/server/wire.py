"""An HTTP request of API 3.0 or API 2017 → the action that is called, and its parameters.

The checks are in this order: method, size, signature, parse, common parameters; what comes after
that is `faceshape.tencent.parameters`. A form is parsed first, for its signature is inside.
"""

import contextlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from faceshape.tencent.parameters import ACTIONS, Language, parse_language
from faceshape.tencent.protocol_errors import (
    InvalidRequestError,
    MissingCommonParameterError,
    ParameterTypeError,
    RequestSizeError,
    UnsupportedProtocolError,
)
from faceshape.tencent.server.signature import SignatureVerifier

__all__ = [
    "HttpRequest",
    "body_limit",
    "check_head",
    "encode",
    "first_values",
    "media_type",
    "read_call",
    "request_language",
]

_JSON = "application/json"
_FORM = "application/x-www-form-urlencoded"
# Bytes: a query, a form (both API 2017's and TC3's GET), a JSON body.
_QUERY_LIMIT = 32 * 1024
_HEADERS_LIMIT = 64 * 1024
_BODY_LIMITS = {_FORM: 1024 * 1024, _JSON: 10 * 1024 * 1024}
# Commas and opening brackets of a JSON body: a call has some ten parameters, and base64 has none.
# What has millions keeps Python's interpreter for itself while it is parsed.
_MOST_VALUES = 10_000

# Parameters that are integers in one action are in no other action something else.
_INTEGERS = frozenset(
    name for action in ACTIONS.values() for name, kind in action.items() if kind is int
)

# Header → common parameter, of API 3.0.
_COMMON_HEADERS = {
    "x-tc-action": "Action",
    "x-tc-version": "Version",
    "x-tc-region": "Region",
    "x-tc-language": "Language",
}
# Parameters of a signed form that say nothing about the call.
_FORM_ENVELOPE = frozenset(
    {"Nonce", "RequestClient", "SecretId", "Signature", "SignatureMethod", "Timestamp", "Token"}
)
_INTEGER = re.compile(r"-?[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """What came over the wire.

    Attributes:
        method: as sent.
        query: the raw query string, without the question mark.
        headers: name in lower case → value.
        body: as sent.
    """

    method: str
    query: str
    headers: Mapping[str, str]
    body: bytes | bytearray


def first_values(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return an ASGI scope's headers; of those that come several times, the first counts."""
    known: dict[str, str] = {}
    for name, value in headers:
        known.setdefault(name.decode("latin-1").lower(), value.decode("latin-1"))
    return known


def encode(response: Mapping[str, Any]) -> bytes:
    """Return the JSON text of an answer."""
    return json.dumps(response, separators=(",", ":")).encode("ascii")


def request_language(
    headers: Mapping[str, str], query: str = "", body: bytes | bytearray = b""
) -> Language:
    """Return the language of the messages: a header's in API 3.0, a parameter's in API 2017."""
    if "x-tc-language" in headers:
        return parse_language({"Language": headers["x-tc-language"]})
    for text in (query, body if media_type(headers) == _FORM else b""):
        with contextlib.suppress(ParameterTypeError):
            if language := _parse_form(text).get("Language"):
                return parse_language({"Language": language})
    return parse_language({})


def media_type(headers: Mapping[str, str]) -> str:
    """Return the Content-Type without its parameters, in lower case."""
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def body_limit(method: str, content: str) -> int:
    """Return how many bytes the body of a request of that media type may have.

    Raises:
        UnsupportedProtocolError: the method is neither GET nor POST.
        InvalidRequestError: a body of that type is not taken.
    """
    if method == "GET":
        return _QUERY_LIMIT
    if method != "POST":
        raise UnsupportedProtocolError
    if content not in _BODY_LIMITS:
        raise InvalidRequestError(content)
    return _BODY_LIMITS[content]


def check_head(method: str, headers: Mapping[str, str], verifier: SignatureVerifier | None) -> int:
    """Return how many bytes a request's body may have, if its head is one of a good request.

    Args:
        method: as sent.
        headers: name in lower case → value.
        verifier: None accepts any signature, and none.

    Raises:
        UnsupportedProtocolError, InvalidRequestError: see `body_limit`.
        RequestSizeError: a larger body is announced, or the headers are longer than any client's.
        ProtocolError: the body cannot make the signature a good one.
    """
    limit = body_limit(method, media_type(headers))
    if sum(len(name) + len(value) for name, value in headers.items()) > _HEADERS_LIMIT:
        raise RequestSizeError(str(_HEADERS_LIMIT))
    announced = headers.get("content-length", "")
    if announced.isdecimal() and int(announced[:20]) > limit:
        raise RequestSizeError(str(limit))
    if verifier is not None and method == "POST" and media_type(headers) == _JSON:
        verifier.check_tc3_head(headers)
    return limit


def read_call(request: HttpRequest, verifier: SignatureVerifier | None) -> Mapping[str, Any]:
    """Return what a request asks for: the action's parameters, and Action, Version and Language.

    Args:
        request: its method, and the size of its body, have passed `body_limit`.
        verifier: None accepts any signature, and none.

    Raises:
        RequestSizeError: the query is too long.
        ParameterTypeError: the body, the query or a common parameter cannot be parsed.
        ProtocolError: the signature is not good; see `SignatureVerifier`.
        MissingCommonParameterError: the action or the version is absent.
    """
    if len(request.query) > _QUERY_LIMIT:
        raise RequestSizeError(str(_QUERY_LIMIT))
    if request.method == "POST" and media_type(request.headers) == _JSON:
        common = _signed_by_headers(request, verifier)
        return {**_parse_json(request.body), **common}
    form = _parse_form(request.query if request.method == "GET" else request.body)
    # Also with an Authorization header: SDK clients leave stale ones on reused requests.
    if "Signature" in form or request.method == "POST":
        return _signed_by_parameters(request, form, verifier)
    return {**_with_integers(form), **_signed_by_headers(request, verifier)}


def _signed_by_headers(
    request: HttpRequest, verifier: SignatureVerifier | None
) -> Mapping[str, str]:
    """Return the common parameters, which are headers, once the signature was found good."""
    if verifier is not None:
        verifier.check_tc3(request.method, request.query, request.headers, request.body)
    common = {
        name: request.headers[header]
        for header, name in _COMMON_HEADERS.items()
        if header in request.headers
    }
    _require(common, "Version", "X-TC-Version")
    _require(common, "Action", "X-TC-Action")
    return common


def _signed_by_parameters(
    request: HttpRequest, form: Mapping[str, str], verifier: SignatureVerifier | None
) -> Mapping[str, Any]:
    if verifier is not None:
        verifier.check_form(request.method, request.headers.get("host", ""), form)
    _require(form, "Version", "Version")
    _require(form, "Action", "Action")
    content = {name: value for name, value in form.items() if name not in _FORM_ENVELOPE}
    return _with_integers(content)


def _require(common: Mapping[str, str], name: str, sent_as: str) -> None:
    if not common.get(name):
        raise MissingCommonParameterError(sent_as)


def _parse_json(body: bytes | bytearray) -> Mapping[str, Any]:
    if sum(map(body.count, (b",", b"[", b"{"))) > _MOST_VALUES:
        raise ParameterTypeError("body")
    try:
        # Without parameters most SDKs send {}, Ruby's sends null, other clients send nothing.
        params = json.loads(body.decode("utf-8")) if body else {}
    except (ValueError, RecursionError) as error:
        raise ParameterTypeError("body") from error
    if params is None:
        return {}
    if not isinstance(params, dict):
        raise ParameterTypeError("body")
    return params


def _parse_form(text: str | bytes | bytearray) -> dict[str, str]:
    try:
        decoded = text if isinstance(text, str) else text.decode("ascii")
        pairs = parse_qsl(decoded, keep_blank_values=True, errors="strict", max_num_fields=64)
    except ValueError as error:
        raise ParameterTypeError("form") from error
    form = dict(pairs)
    if len(form) != len(pairs):
        raise ParameterTypeError("form")  # a name that comes twice
    return form


def _with_integers(form: Mapping[str, str]) -> dict[str, str | int]:
    """Return a form with its integers as such; what is no integer stays text and fails later."""
    return {
        name: int(value) if name in _INTEGERS and _INTEGER.fullmatch(value) else value
        for name, value in form.items()
    }
