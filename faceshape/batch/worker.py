"""What a worker process of a batch does; the process that started it loads none of this."""

import logging
import stat
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import cv2

from faceshape.batch.answer import BatchResult
from faceshape.engine import FaceShapeEngine
from faceshape.errors import FaceShapeError, ImageDecodeError, ParameterError
from faceshape.mode import Mode
from faceshape.tencent.api import error_response, face_response
from faceshape.tencent.limits import DOCUMENT_LIMITS
from faceshape.tencent.parameters import Language
from faceshape.vision.image import LOCAL_LIMITS, ImageLimits, RGBImage, load_image

if TYPE_CHECKING and sys.platform == "win32":
    from multiprocessing.connection import PipeConnection as Connection
else:
    from multiprocessing.connection import Connection

__all__ = ["Connection", "serve"]

_logger = logging.getLogger(__name__)


def serve(
    connection: "Connection[Any, Any]",
    mode: Mode,
    rotate: bool,
    detector: Literal["auto", "onnx", "dlib"],
    language: Language,
    cloud_limits: bool,
) -> None:
    """Answer paths until the other side closes, even if by its death.

    The first message says that the worker has started (None) or why it could not (the error).

    Args:
        connection: paths come in, and what `BatchResult` has beside the path goes out.
        mode: as for `faceshape.FaceShapeEngine.analyze`.
        rotate: the same.
        detector: as for `faceshape.FaceShapeEngine`.
        language: of the error messages.
        cloud_limits: whether the limits are the cloud's or our own.
    """
    cv2.setNumThreads(1)
    try:
        engine = FaceShapeEngine(detector, threads=1)
    except FaceShapeError as error:
        connection.send(error)
        return
    limits = DOCUMENT_LIMITS if cloud_limits else LOCAL_LIMITS
    with suppress(EOFError, OSError):
        connection.send(None)
        while True:
            result = _answer(engine, connection.recv(), limits, mode, rotate, language)
            # Not the path, which may be long: who waits to hand over a large message while he is
            # being handed one waits for ever.
            connection.send((result.json, result.detail, result.face_count, result.error))


def _answer(
    engine: FaceShapeEngine,
    path: str,
    limits: ImageLimits,
    mode: Mode,
    rotate: bool,
    language: Language,
) -> BatchResult:
    try:
        pixels = _load(path, limits)
        faces = engine.analyze(pixels, mode, rotate)
        return BatchResult.of(path, face_response(faces, pixels.shape[:2]))
    except FaceShapeError as error:
        return _refusal(path, error, language)
    except Exception as error:  # whatever it is, the other pictures are to be answered
        _logger.exception("%s: the engine failed", path)
        return _refusal(path, FaceShapeError(repr(error)), language)


def _load(path: str, limits: ImageLimits) -> RGBImage:
    # Who reads a pipe waits for somebody to write into it; devices may have no end.
    if _is_stream(path):
        raise ImageDecodeError("neither file nor folder")
    try:
        return load_image(path, limits)
    except OSError as error:
        raise ImageDecodeError(f"cannot be read: {error.strerror or error}") from error
    except ParameterError as error:  # not a path
        raise ImageDecodeError(str(error)) from error


def _is_stream(path: str) -> bool:
    try:
        mode = Path(path).stat().st_mode
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _refusal(path: str, error: FaceShapeError, language: Language) -> BatchResult:
    return BatchResult.of(path, error_response(error, language), str(error))
