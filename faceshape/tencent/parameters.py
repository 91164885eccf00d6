"""The parameters of AnalyzeFace and DetectFace: their types, defaults and allowed values."""

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
from faceshape.tencent.limits import MOST_DETECTED_FACES
from faceshape.tencent.protocol_errors import (
    FaceCountError,
    InvalidActionError,
    NoSuchVersionError,
    NotComputedError,
    ParameterTypeError,
    UnknownParameterError,
)
from faceshape.types import Mode

__all__ = [
    "ACTIONS",
    "AnalyzeFaceParameters",
    "DetectFaceParameters",
    "Language",
    "PictureParameters",
    "parse_action",
    "parse_analyze_face",
    "parse_detect_face",
    "parse_language",
    "parse_request",
]

Language = Literal["zh-CN", "en-US"]

ACTIONS: Mapping[str, Mapping[str, type[int] | type[str]]] = MappingProxyType(
    {
        "AnalyzeFace": MappingProxyType(
            {
                "Mode": int,
                "Image": str,
                "Url": str,
                "FaceModelVersion": str,
                "NeedRotateDetection": int,
            }
        ),
        "DetectFace": MappingProxyType(
            {
                "MaxFaceNum": int,
                "MinFaceSize": int,
                "Image": str,
                "Url": str,
                "NeedFaceAttributes": int,
                "NeedQualityDetection": int,
                "FaceModelVersion": str,
                "NeedRotateDetection": int,
            }
        ),
    }
)
"""Action → its parameters: name → JSON type, in the order of the API document."""

_logger = logging.getLogger(__name__)

# The two versions have the same fields in both actions.
_VERSIONS = ("2020-03-03", "2018-03-01")
# Common parameters that a call may carry beside its own.
_COMMON = ("Action", "Version", "Region", "Language")
_MODEL_VERSIONS = ("2.0", "3.0")
_SMALLEST_FACE = 34  # pixels, where a request says nothing


@dataclass(frozen=True, slots=True)
class PictureParameters:
    """What every valid request about a picture has.

    Attributes:
        source: "Url" or "Image", whichever is used.
        picture: the URL, or the base64 text; not empty.
        model_version: "2.0" or "3.0"; only echoed.
        rotate: look for turned faces, too.
    """

    source: Literal["Url", "Image"]
    picture: str
    model_version: str
    rotate: bool


@dataclass(frozen=True, slots=True)
class AnalyzeFaceParameters(PictureParameters):
    """A valid request of AnalyzeFace.

    Attributes:
        mode: all faces or the largest.
    """

    mode: Mode


@dataclass(frozen=True, slots=True)
class DetectFaceParameters(PictureParameters):
    """A valid request of DetectFace.

    Attributes:
        most_faces: 1 to 120.
        smallest_face: pixels that a face's box has at least in width and in height.
    """

    most_faces: int
    smallest_face: int


def parse_language(params: object) -> Language:
    """Return the language that a request wants its messages in, Chinese unless it is English."""
    return "en-US" if _text(params, "Language") == "en-US" else "zh-CN"


def parse_action(params: object) -> str:
    """Return the action that a request names, or nothing."""
    return _text(params, "Action")


def parse_analyze_face(params: object) -> AnalyzeFaceParameters:
    """Check a request of AnalyzeFace in the cloud's order: names, types, presence, values.

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
    given = _given(params, "AnalyzeFace")
    source = _source(given)
    return AnalyzeFaceParameters(
        mode=Mode(_switch(given, "Mode")),
        source=source,
        picture=str(given[source]),
        model_version=_model_version(given),
        rotate=_switch(given, "NeedRotateDetection") == 1,
    )


def parse_detect_face(params: object) -> DetectFaceParameters:
    """Check a request of DetectFace as `parse_analyze_face` does one of AnalyzeFace.

    Raises:
        FaceCountError: more faces are asked for than the document allows.
        NotComputedError: attributes or quality are asked for.
        As `parse_analyze_face`.
    """
    given = _given(params, "DetectFace")
    source = _source(given)
    request = DetectFaceParameters(
        most_faces=_positive(given, "MaxFaceNum", 1),
        smallest_face=_positive(given, "MinFaceSize", _SMALLEST_FACE),
        source=source,
        picture=str(given[source]),
        model_version=_model_version(given),
        rotate=_switch(given, "NeedRotateDetection") == 1,
    )
    if request.most_faces > MOST_DETECTED_FACES:
        raise FaceCountError(str(MOST_DETECTED_FACES))
    for name in ("NeedFaceAttributes", "NeedQualityDetection"):
        if given.get(name) == 1:  # the document: all other values stand for 0
            raise NotComputedError(name)
    return request


def parse_request(params: object) -> AnalyzeFaceParameters | DetectFaceParameters:
    """Check a request of the action that it names, AnalyzeFace if it names none.

    Raises:
        As `parse_analyze_face` and `parse_detect_face`.
    """
    parse = parse_detect_face if parse_action(params) == "DetectFace" else parse_analyze_face
    return parse(params)


def _text(params: object, name: str) -> str:
    """Return a parameter, or nothing if it is absent or no text; this never fails."""
    try:
        value = params.get(name) if isinstance(params, Mapping) else None
    except Exception:  # a mapping of somebody else's; whoever checks it will say so
        _logger.debug("the parameters do not say their %s", name, exc_info=True)
        return ""
    return value if type(value) is str else ""


def _given(params: object, action: str) -> Mapping[str, object]:
    """Return the parameters that are there, once their names and types were found good."""
    given = _present(params)
    for name in _COMMON:
        # An exact type, because what is compared may answer anything, an array for example.
        if name in given and type(given[name]) is not str:
            raise ParameterTypeError(name)
    if given.get("Version", _VERSIONS[0]) not in _VERSIONS:
        raise NoSuchVersionError(str(given["Version"]))
    if given.get("Action", action) != action:
        raise InvalidActionError(str(given["Action"]))
    kinds = ACTIONS[action]
    for name in given:
        if name not in kinds and name not in _COMMON:
            raise UnknownParameterError(name)
    for name, kind in kinds.items():
        # An exact type, because JSON's true and 1.0 are no integers for the cloud.
        if name in given and type(given[name]) is not kind:
            raise ParameterTypeError(name)
    return given


def _present(params: object) -> Mapping[str, object]:
    if not isinstance(params, Mapping):
        raise ParameterTypeError("body")
    try:
        items = dict(params.items())
    except Exception as error:  # a mapping of somebody else's
        raise ParameterTypeError("body") from error
    if not all(type(name) is str for name in items):
        raise ParameterTypeError("body")
    return {name: value for name, value in items.items() if value is not None}


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


def _positive(given: Mapping[str, object], name: str, default: int) -> int:
    value = given.get(name, default)
    if not isinstance(value, int) or value < 1:
        raise ParameterError(f"{name} is at least 1")
    return value


def _model_version(given: Mapping[str, object]) -> str:
    version = str(given.get("FaceModelVersion", "3.0"))
    if version not in _MODEL_VERSIONS:
        raise FaceModelVersionError(f"FaceModelVersion is 2.0 or 3.0, not {version[:16]!r}")
    return version
