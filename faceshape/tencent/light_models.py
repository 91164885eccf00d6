"""The SDK's model classes and its exception, for machines on which the SDK is not installed.

They have the same attributes and methods. Unlike the SDK's they are plain objects that know their
fields; a key that is no field is ignored when reading.
"""

import json
from collections.abc import Mapping
from typing import Any, ClassVar

__all__ = [
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
    "TencentCloudSDKException",
]


class TencentCloudSDKException(Exception):  # noqa: N818 - the SDK's name
    """What the SDK raises for everything.

    Attributes:
        code: the cloud's error code, or the name of the class of another exception.
        message: the cloud's message.
        requestId: of the answer, if there was one.
    """

    def __init__(
        self,
        code: str | None = None,
        message: str | None = None,
        requestId: str | None = None,  # noqa: N803 - the SDK's name
    ) -> None:
        super().__init__(code, message, requestId)
        self.code = code
        self.message = message
        self.requestId = requestId

    def __str__(self) -> str:
        return (
            f"[TencentCloudSDKException] code:{self.code} message:{self.message} "
            f"requestId:{self.requestId}"
        )

    def get_code(self) -> str | None:
        """Return the code."""
        return self.code

    def get_message(self) -> str | None:
        """Return the message."""
        return self.message

    def get_request_id(self) -> str | None:
        """Return the request's id."""
        return self.requestId


class _Model:
    """An object of the API: its fields are attributes, None until they are set."""

    _fields: ClassVar[Mapping[str, "type[_Model] | None"]] = {}
    """Name → class of the value, or of the items of a list; None for a plain value."""

    def __init__(self) -> None:
        self.headers: dict[str, str] | None = None
        for name in self._fields:
            setattr(self, name, None)

    def _serialize(self, allow_none: bool = False) -> dict[str, Any]:
        plain = {name: _plain(getattr(self, name), allow_none) for name in self._fields}
        return {name: value for name, value in plain.items() if allow_none or value is not None}

    def _deserialize(self, params: Mapping[str, Any]) -> None:
        for name, kind in self._fields.items():
            value = params.get(name)
            setattr(self, name, value if kind is None or value is None else _read(kind, value))

    def to_json_string(self, **options: Any) -> str:
        """Return the object as JSON text, absent fields as null."""
        return json.dumps(self._serialize(allow_none=True), **{"ensure_ascii": False, **options})

    def from_json_string(self, jsonStr: str) -> None:  # noqa: N803 - the SDK's name
        """Set the fields from JSON text."""
        self._deserialize(json.loads(jsonStr))

    def __repr__(self) -> str:
        return self.to_json_string()


def _plain(value: object, allow_none: bool) -> object:
    if isinstance(value, _Model):
        return value._serialize(allow_none)
    if isinstance(value, list):
        return [_plain(item, allow_none) for item in value]
    return value


def _read(
    kind: type[_Model], value: Mapping[str, Any] | list[Mapping[str, Any]]
) -> _Model | list[_Model]:
    if isinstance(value, list):
        return [_read_one(kind, item) for item in value]
    return _read_one(kind, value)


def _read_one(kind: type[_Model], value: Mapping[str, Any]) -> _Model:
    model = kind()
    model._deserialize(value)
    return model


class Point(_Model):
    """A place in the picture, in pixels."""

    _fields = {"X": None, "Y": None}  # noqa: RUF012 - typed in the base class
    X: int | None
    Y: int | None


class FaceShape(_Model):
    """The 90 points of a face, by groups."""

    _fields = dict.fromkeys(
        (
            "FaceProfile",
            "LeftEye",
            "RightEye",
            "LeftEyeBrow",
            "RightEyeBrow",
            "Mouth",
            "Nose",
            "LeftPupil",
            "RightPupil",
        ),
        Point,
    )
    FaceProfile: list[Point] | None
    LeftEye: list[Point] | None
    RightEye: list[Point] | None
    LeftEyeBrow: list[Point] | None
    RightEyeBrow: list[Point] | None
    Mouth: list[Point] | None
    Nose: list[Point] | None
    LeftPupil: list[Point] | None
    RightPupil: list[Point] | None


class AnalyzeFaceRequest(_Model):
    """The parameters of the API document, section 2."""

    _fields = dict.fromkeys(("Mode", "Image", "Url", "FaceModelVersion", "NeedRotateDetection"))
    Mode: int | None
    Image: str | None
    Url: str | None
    FaceModelVersion: str | None
    NeedRotateDetection: int | None


class AnalyzeFaceResponse(_Model):
    """The answer of the API document, section 3."""

    _fields = {  # noqa: RUF012 - typed in the base class
        "ImageWidth": None,
        "ImageHeight": None,
        "FaceShapeSet": FaceShape,
        "FaceModelVersion": None,
        "RequestId": None,
    }
    ImageWidth: int | None
    ImageHeight: int | None
    FaceShapeSet: list[FaceShape] | None
    FaceModelVersion: str | None
    RequestId: str | None


class FaceHairAttributesInfo(_Model):
    """The hair of a face."""

    _fields = dict.fromkeys(("Length", "Bang", "Color"))
    Length: int | None
    Bang: int | None
    Color: int | None


class FaceAttributesInfo(_Model):
    """The attributes of a face; without meaning unless they were asked for."""

    _fields = {  # noqa: RUF012 - typed in the base class
        "Gender": None,
        "Age": None,
        "Expression": None,
        "Glass": None,
        "Pitch": None,
        "Yaw": None,
        "Roll": None,
        "Beauty": None,
        "Hat": None,
        "Mask": None,
        "Hair": FaceHairAttributesInfo,
        "EyeOpen": None,
    }
    Gender: int | None
    Age: int | None
    Expression: int | None
    Glass: bool | None
    Pitch: int | None
    Yaw: int | None
    Roll: int | None
    Beauty: int | None
    Hat: bool | None
    Mask: bool | None
    Hair: FaceHairAttributesInfo | None
    EyeOpen: bool | None


class FaceQualityCompleteness(_Model):
    """How much of each part of a face can be seen."""

    _fields = dict.fromkeys(("Eyebrow", "Eye", "Nose", "Cheek", "Mouth", "Chin"))
    Eyebrow: int | None
    Eye: int | None
    Nose: int | None
    Cheek: int | None
    Mouth: int | None
    Chin: int | None


class FaceQualityInfo(_Model):
    """How good a face's picture is; without meaning unless it was asked for."""

    _fields = {  # noqa: RUF012 - typed in the base class
        "Score": None,
        "Sharpness": None,
        "Brightness": None,
        "Completeness": FaceQualityCompleteness,
    }
    Score: int | None
    Sharpness: int | None
    Brightness: int | None
    Completeness: FaceQualityCompleteness | None


class FaceInfo(_Model):
    """A face's rectangle in pixels, with what else DetectFace says of it."""

    _fields = {  # noqa: RUF012 - typed in the base class
        "X": None,
        "Y": None,
        "Width": None,
        "Height": None,
        "FaceAttributesInfo": FaceAttributesInfo,
        "FaceQualityInfo": FaceQualityInfo,
    }
    X: int | None
    Y: int | None
    Width: int | None
    Height: int | None
    FaceAttributesInfo: _Model | None  # of the class of that name
    FaceQualityInfo: _Model | None


class DetectFaceRequest(_Model):
    """The parameters of DetectFace."""

    _fields = dict.fromkeys(
        (
            "MaxFaceNum",
            "MinFaceSize",
            "Image",
            "Url",
            "NeedFaceAttributes",
            "NeedQualityDetection",
            "FaceModelVersion",
            "NeedRotateDetection",
        )
    )
    MaxFaceNum: int | None
    MinFaceSize: int | None
    Image: str | None
    Url: str | None
    NeedFaceAttributes: int | None
    NeedQualityDetection: int | None
    FaceModelVersion: str | None
    NeedRotateDetection: int | None


class DetectFaceResponse(_Model):
    """The answer of DetectFace."""

    _fields = {  # noqa: RUF012 - typed in the base class
        "ImageWidth": None,
        "ImageHeight": None,
        "FaceInfos": FaceInfo,
        "FaceModelVersion": None,
        "RequestId": None,
    }
    ImageWidth: int | None
    ImageHeight: int | None
    FaceInfos: list[FaceInfo] | None
    FaceModelVersion: str | None
    RequestId: str | None
