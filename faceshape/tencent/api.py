"""The actions as functions: a request's parameters in, the response's JSON object out."""

import logging
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from faceshape.core.contract import GROUPS
from faceshape.errors import FaceShapeError, ModelError, NoFaceError
from faceshape.tencent.error_codes import DOCUMENT_CODES, Message
from faceshape.tencent.limits import DOCUMENT_LIMITS, MOST_FACES
from faceshape.tencent.parameters import (
    AnalyzeFaceParameters,
    DetectFaceParameters,
    Language,
    PictureParameters,
    parse_analyze_face,
    parse_detect_face,
    parse_language,
    parse_request,
)
from faceshape.tencent.picture import picture_bytes
from faceshape.tencent.protocol_errors import FaceTooSmallError, ProtocolError
from faceshape.tencent.rectangles import face_rectangles
from faceshape.types import FaceShape, Mode
from faceshape.vision.image import RGBImage, load_image

if TYPE_CHECKING:
    from faceshape.tencent.fetch import FetchPolicy

__all__ = [
    "Engine",
    "Response",
    "analyze_face",
    "answer",
    "default_engine",
    "detect_face",
    "error_response",
    "face_response",
    "respond",
]

Response = dict[str, dict[str, Any]]
"""What the cloud answers: ``{"Response": {...}}``."""

_logger = logging.getLogger(__name__)
_default_engine: "Engine | None" = None
_default_engine_lock = threading.Lock()


class Engine(Protocol):
    """What is asked of an engine here; `faceshape.FaceShapeEngine` is one."""

    def analyze(
        self, image: RGBImage, mode: Mode = Mode.ALL, rotate: bool = False
    ) -> Sequence[FaceShape]:
        """Return the faces of a picture (H, W, 3), the largest first."""
        ...


def analyze_face(
    params: Mapping[str, object], engine: Engine | None = None, urls: "FetchPolicy | None" = None
) -> Response:
    """Answer an AnalyzeFace request as the cloud does.

    Args:
        params: the parameters of the API document, section 2. Of the common ones, Action and
            Version are checked if present, and Language chooses the language of error messages:
            "zh-CN", the default, or "en-US".
        engine: what finds the faces; None is one for all callers, loaded at the first request.
        urls: how pictures are downloaded; None refuses every ``Url``.

    Returns:
        ``{"Response": {...}}``, with ``Error`` inside if something was wrong. A bad request never
        raises, and neither does an engine that fails: that is FailedOperation.ServerError.
    """
    return _answered(parse_analyze_face, params, engine, urls)


def detect_face(
    params: Mapping[str, object], engine: Engine | None = None, urls: "FetchPolicy | None" = None
) -> Response:
    """Answer a DetectFace request as the cloud does, but for attributes and quality.

    Each face has a rectangle (see `faceshape.tencent.rectangles`), the largest first. Its
    attributes and its quality are the meaningless ones that the vendor's example shows for a
    request without them. A request that wants them, NeedFaceAttributes=1 or
    NeedQualityDetection=1, is answered UnsupportedOperation.UnknowMethod.

    Args:
        params: the parameters of the API document; the common ones as for `analyze_face`.
        engine: as for `analyze_face`. One that has ``with_max_faces`` finds as many faces as
            MaxFaceNum says, any other what its ``analyze`` returns.
        urls: as for `analyze_face`.

    Returns:
        As `analyze_face`; it never raises either.
    """
    return _answered(parse_detect_face, params, engine, urls)


def respond(
    params: Mapping[str, object], engine: Engine | None = None, urls: "FetchPolicy | None" = None
) -> Response:
    """Answer a request of any action by what its parameter Action says."""
    return _answered(parse_request, params, engine, urls)


def answer(
    request: PictureParameters,
    picture: bytes,
    engine: Engine | None,
    language: Language,
    turn: AbstractContextManager[object],
) -> Response:
    """Answer a valid request whose picture, a file's bytes, is at hand; it never raises either.

    Args:
        request: from `faceshape.tencent.parameters.parse_request`; its picture is not looked at.
        picture: the bytes of the picture's file.
        engine: as for `analyze_face`.
        language: of error messages.
        turn: entered when the picture is decoded, for as long as the engine is used.
    """
    return _guarded(lambda: _response_to(request, picture, engine, turn), language)


def face_response(
    faces: Sequence[FaceShape], size: tuple[int, ...], model_version: str = "3.0"
) -> Response:
    """Return what the cloud answers when all was well.

    Args:
        faces: at least one, in the order of the answer.
        size: (height, width) of the upright picture, pixels.
        model_version: echoed as FaceModelVersion.

    Raises:
        NoFaceError: there are no faces.
        ModelError: a landmark is not finite.
    """
    if not faces:
        raise NoFaceError("there is no face in the picture")
    return _response(size, "FaceShapeSet", [_face(face) for face in faces], model_version)


def error_response(error: FaceShapeError, language: str) -> Response:
    """Return what the cloud answers when something was wrong; Chinese unless "en-US"."""
    if not isinstance(error, ProtocolError) and error.code not in DOCUMENT_CODES:
        error = FaceShapeError()  # of an engine of somebody else's
    words = _message(error)
    return {
        "Response": {
            "RequestId": _request_id(),
            "Error": {
                "Code": error.code,
                "Message": words.english if language == "en-US" else words.chinese,
            },
        }
    }


def default_engine() -> Engine:
    """Return the engine that all callers without one of their own share, loading it once.

    Raises:
        ModelError: a model is missing or is not the one that the manifest names.
    """
    global _default_engine
    with _default_engine_lock:
        if _default_engine is None:
            from faceshape.engine import FaceShapeEngine  # loads OpenCV and dlib: when needed

            _default_engine = FaceShapeEngine()
        return _default_engine


def _answered(
    parse: Callable[[object], PictureParameters],
    params: Mapping[str, object],
    engine: Engine | None,
    urls: "FetchPolicy | None",
) -> Response:
    def work() -> Response:
        request = parse(params)
        return _response_to(request, picture_bytes(request, urls), engine, nullcontext())

    return _guarded(work, parse_language(params))


def _guarded(work: Callable[[], Response], language: Language) -> Response:
    try:
        return work()
    except FaceShapeError as error:
        if isinstance(error, ModelError):
            _logger.exception("the engine failed")
        return error_response(error, language)
    except Exception:  # an engine of somebody else's may raise anything; see the promise above
        _logger.exception("the engine failed")
        return error_response(FaceShapeError(), language)


def _response_to(
    request: PictureParameters,
    picture: bytes,
    engine: Engine | None,
    turn: AbstractContextManager[object],
) -> Response:
    pixels = load_image(picture, DOCUMENT_LIMITS)
    engine = engine or default_engine()
    match request:
        case AnalyzeFaceParameters():
            return _analyze(request, pixels, engine, turn)
        case DetectFaceParameters():
            return _detect(request, pixels, engine, turn)
    raise TypeError(f"{type(request).__name__} belongs to no action")


def _analyze(
    request: AnalyzeFaceParameters,
    pixels: RGBImage,
    engine: Engine,
    turn: AbstractContextManager[object],
) -> Response:
    with turn:
        faces = engine.analyze(pixels, mode=request.mode, rotate=request.rotate)
    return face_response(faces[:MOST_FACES], pixels.shape[:2], request.model_version)


def _detect(
    request: DetectFaceParameters,
    pixels: RGBImage,
    engine: Engine,
    turn: AbstractContextManager[object],
) -> Response:
    if request.most_faces > MOST_FACES and hasattr(engine, "with_max_faces"):
        engine = engine.with_max_faces(request.most_faces)
    mode = Mode.LARGEST if request.most_faces == 1 else Mode.ALL
    with turn:
        faces = engine.analyze(pixels, mode=mode, rotate=request.rotate)
    boxes = _large_boxes(faces, request.smallest_face)[: request.most_faces]
    return _response(
        pixels.shape[:2], "FaceInfos", [_face_info(box) for box in boxes], request.model_version
    )


def _large_boxes(faces: Sequence[FaceShape], smallest: int) -> list[list[int]]:
    """Return the boxes x, y, width, height of faces of some size, the largest first."""
    if not faces:
        raise NoFaceError("there is no face in the picture")
    boxes = face_rectangles(faces)
    boxes = boxes[boxes[:, 2:].min(axis=1) >= smallest]
    if not len(boxes):
        raise FaceTooSmallError
    ordered: list[list[int]] = boxes[np.argsort(-boxes[:, 2:].prod(axis=1), kind="stable")].tolist()
    return ordered


def _response(
    size: tuple[int, ...], name: str, faces: list[dict[str, Any]], model_version: str
) -> Response:
    height, width = size
    return {
        "Response": {
            "ImageWidth": width,
            "ImageHeight": height,
            name: faces,
            "FaceModelVersion": model_version,
            "RequestId": _request_id(),
        }
    }


def _message(error: FaceShapeError) -> Message:
    if isinstance(error, ProtocolError):
        return Message(*(text.format(detail=error.detail) for text in error.message))
    return DOCUMENT_CODES[error.code]


def _face_info(box: list[int]) -> dict[str, Any]:
    """Return a face of DetectFace; what was not computed has the values of the vendor's example."""
    parts = ("Eyebrow", "Eye", "Nose", "Cheek", "Mouth", "Chin")
    return {
        **dict(zip(("X", "Y", "Width", "Height"), box, strict=True)),
        "FaceAttributesInfo": {
            "Gender": 0,
            "Age": 0,
            "Expression": 0,
            "Hat": False,
            "Glass": False,
            "EyeOpen": True,
            "Mask": False,
            "Hair": {"Length": 0, "Bang": 0, "Color": 0},
            "Pitch": 0,
            "Yaw": 0,
            "Roll": 0,
            "Beauty": 0,
        },
        "FaceQualityInfo": {
            "Score": 0,
            "Sharpness": 0,
            "Brightness": 0,
            "Completeness": dict.fromkeys(parts, 0),
        },
    }


def _face(face: FaceShape) -> dict[str, Any]:
    if not np.isfinite(face.points).all():
        raise ModelError("the landmarks are not finite")
    # The pixel that contains the point. Points outside the picture stay outside, as the cloud's.
    pixels = np.floor(face.points).astype(int).tolist()
    return {group: [{"X": x, "Y": y} for x, y in pixels[rows]] for group, rows in GROUPS.items()}


def _request_id() -> str:
    return str(uuid.uuid4())
