"""The parameters of AnalyzeFace: their types, defaults and allowed values."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from faceshape.errors import (
    EmptyImageError,
    FaceModelVersionError,
    MissingParameterError,
    ParameterError,
)
from faceshape.tencent.protocol_errors import (
    InvalidActionError,
    NoSuchVersionError,
    ParameterTypeError,
    UnknownParameterError,
)
from faceshape.types import Mode

__all__ = [
    "ACTION",
    "PARAMETERS",
    "VERSION",
    "AnalyzeFaceParameters",
    "Language",
    "parse_language",
    "parse_parameters",
]

ACTION = "AnalyzeFace"
VERSION = "2020-03-03"

Language = Literal["zh-CN", "en-US"]

PARAMETERS: Mapping[str, type[int] | type[str]] = MappingProxyType(
    {
        "Mode": int,
        "Image": str,
        "Url": str,
        "FaceModelVersion": str,
        "NeedRotateDetection": int,
    }
)
"""Name → JSON type, in the order of the API document."""

_logger = logging.getLogger(__name__)

# Common parameters that a call may carry beside its own.
_COMMON = ("Action", "Version", "Region", "Language")
_MODEL_VERSIONS = ("2.0", "3.0")


@dataclass(frozen=True, slots=True)
class AnalyzeFaceParameters:
    """A valid request.

    Attributes:
        mode: all faces or the largest.
        source: "Url" or "Image", whichever is used.
        picture: the URL, or the base64 text; not empty.
        model_version: "2.0" or "3.0"; only echoed.
        rotate: look for turned faces, too.
    """

    mode: Mode
    source: Literal["Url", "Image"]
    picture: str
    model_version: str
    rotate: bool


def parse_language(params: object) -> Language:
    """Return the language that a request wants its messages in, Chinese unless it is English."""
    try:
        wanted = params.get("Language") if isinstance(params, Mapping) else None
    except Exception:  # a mapping of somebody else's; the language is asked when all else failed
        _logger.debug("the parameters do not say their language", exc_info=True)
        wanted = None
    return "en-US" if type(wanted) is str and wanted == "en-US" else "zh-CN"


def parse_parameters(params: object) -> AnalyzeFaceParameters:
    """Check a request's parameters in the cloud's order: names, types, presence, values.

    Args:
        params: name → value, as in the request's JSON body. ``None`` counts as absent. The common
            parameters Action, Version, Region and Language may be among them.

    Raises:
        NoSuchVersionError, InvalidActionError: another API is meant.
        UnknownParameterError: there is no such parameter.
        ParameterTypeError: not an object, or a value of another type.
        MissingParameterError: neither Url nor Image.
        EmptyImageError: both that are there are empty.
        ParameterError, FaceModelVersionError: a value that is not allowed.
    """
    given = _given(params)
    _check_common(given)
    for name in given:
        if name not in PARAMETERS and name not in _COMMON:
            raise UnknownParameterError(name)
    for name, kind in PARAMETERS.items():
        # An exact type, because JSON's true and 1.0 are no integers for the cloud.
        if name in given and type(given[name]) is not kind:
            raise ParameterTypeError(name)
    source = _source(given)
    return AnalyzeFaceParameters(
        mode=Mode(_switch(given, "Mode")),
        source=source,
        picture=str(given[source]),
        model_version=_model_version(given),
        rotate=_switch(given, "NeedRotateDetection") == 1,
    )


def _given(params: object) -> Mapping[str, object]:
    if not isinstance(params, Mapping):
        raise ParameterTypeError("body")
    try:
        given = dict(params.items())
    except Exception as error:  # a mapping of somebody else's
        raise ParameterTypeError("body") from error
    if not all(type(name) is str for name in given):
        raise ParameterTypeError("body")
    return {name: value for name, value in given.items() if value is not None}


def _check_common(given: Mapping[str, object]) -> None:
    for name in _COMMON:
        # An exact type, because what is compared may answer anything, an array for example.
        if name in given and type(given[name]) is not str:
            raise ParameterTypeError(name)
    if given.get("Version", VERSION) != VERSION:
        raise NoSuchVersionError(str(given["Version"]))
    if given.get("Action", ACTION) != ACTION:
        raise InvalidActionError(str(given["Action"]))


def _source(given: Mapping[str, object]) -> Literal["Url", "Image"]:
    if given.get("Url"):
        return "Url"
    if given.get("Image"):
        return "Image"
    if "Url" in given or "Image" in given:
        raise EmptyImageError("Url and Image are empty")
    raise MissingParameterError("one of Url and Image is required")


def _switch(given: Mapping[str, object], name: str) -> Literal[0, 1]:
    value = given.get(name, 0)
    if value == 0:
        return 0
    if value == 1:
        return 1
    raise ParameterError(f"{name} is 0 or 1")


def _model_version(given: Mapping[str, object]) -> str:
    version = str(given.get("FaceModelVersion", "3.0"))
    if version not in _MODEL_VERSIONS:
        raise FaceModelVersionError(f"FaceModelVersion is 2.0 or 3.0, not {version[:16]!r}")
    return version
