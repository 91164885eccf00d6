"""The process in a `faceshape.fleet.sandbox.Sandbox`: pictures come in, answers go out.

Started as ``python -m faceshape.fleet.child SETTINGS``, SETTINGS being JSON.
"""

import io
import json
import logging
import os
import signal
import sys
from pathlib import Path
from typing import IO

import cv2
import numpy as np

from faceshape.core.pose import head_pose
from faceshape.engine import FaceShapeEngine
from faceshape.errors import FaceShapeError, ImageDecodeError, NoFaceError
from faceshape.fleet.sandbox import Picture, PictureAnswer, read_message, write_message
from faceshape.fleet.settings import FleetSettings
from faceshape.mode import Mode
from faceshape.tencent.api import error_response, face_response
from faceshape.tencent.limits import MOST_FACES
from faceshape.types import FaceShape
from faceshape.vision.image import load_image

__all__ = ["main"]

_logger = logging.getLogger(__name__)

# The parent kills a child that is late. If the parent is dead, the kernel does, this much later.
_GRACE_SECONDS = 10.0


def main() -> None:
    """Answer pictures until the parent closes the pipe, even if by its death."""
    settings = FleetSettings.from_mapping(json.loads(sys.argv[1]))
    pictures, answers = sys.stdin.buffer, _private_output()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the parent ends the child
    cv2.setNumThreads(1)
    try:
        engine = FaceShapeEngine(
            settings.detector,
            threads=1,
            smallest_face=settings.smallest_face,
            max_faces=settings.max_faces,
        )
        engine.analyze(np.zeros((64, 64, 3), np.uint8))  # what is loaded late is loaded now
    except FaceShapeError as error:
        write_message(answers, error)
        return
    _limit_memory(settings.memory_mib)
    try:
        write_message(answers, None)
        while True:
            picture = read_message(pictures)
            _set_alarm(settings.picture_seconds + _GRACE_SECONDS)
            write_message(answers, answer(engine, picture, settings))
            _set_alarm(0)
    except (EOFError, BrokenPipeError):
        return


def answer(engine: FaceShapeEngine, picture: Picture, settings: FleetSettings) -> PictureAnswer:
    """Return what the engine says of a picture."""
    try:
        pixels = load_image(picture)
        faces = engine.analyze(pixels, Mode(settings.mode), settings.rotate)
    except FaceShapeError as error:
        return PictureAnswer.failed(error, settings)
    except MemoryError:
        greedy = FaceShapeError(f"needs more than {settings.memory_mib} MiB of memory")
        return PictureAnswer.failed(greedy, settings)
    except OSError as error:
        unreadable = ImageDecodeError(f"cannot be read: {error.strerror}")
        return PictureAnswer.failed(unreadable, settings)
    except Exception as error:  # whatever it is, the other pictures are to be answered
        _logger.exception("the engine failed")
        return PictureAnswer.failed(FaceShapeError(repr(error)), settings)
    height, width = pixels.shape[:2]
    points = np.array([face.points for face in faces], np.float32).reshape(-1, 90, 2)
    return PictureAnswer(
        size=(width, height),
        points=points,
        boxes=np.array([face.box for face in faces], np.float32).reshape(-1, 4),
        scores=np.array([face.score for face in faces], np.float32),
        presence=np.array([face.presence for face in faces], np.float32),
        roll=np.array([face.roll for face in faces], np.float32),
        pose=head_pose(points),
        response=_response(faces, (height, width)) if settings.cloud_json else None,
    )


def _response(faces: list[FaceShape], size: tuple[int, int]) -> str:
    try:
        response = face_response(faces[:MOST_FACES], size)
    except NoFaceError as error:
        response = error_response(error, "en-US")
    return json.dumps(response)


def _private_output() -> IO[bytes]:
    """Return standard output, and let what others print go to standard error instead."""
    private = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return io.BufferedWriter(private.detach())


def _limit_memory(mebibytes: int | None) -> None:
    """Let this process take so much more than it has now, where the system can say and limit it."""
    statm = Path("/proc/self/statm")
    if sys.platform == "win32" or mebibytes is None or not statm.exists():
        return
    import resource

    pages = int(statm.read_text(encoding="ascii").split()[0])
    most = pages * resource.getpagesize() + mebibytes * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _set_alarm(seconds: float) -> None:
    if sys.platform != "win32":
        signal.setitimer(signal.ITIMER_REAL, seconds)  # its default ends the process


if __name__ == "__main__":
    main()
