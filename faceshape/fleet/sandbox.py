"""A process of its own that decodes and analyses: what goes wrong in there costs one picture.

The child is started by ``python -m faceshape.fleet.child``, not by multiprocessing, whose spawn
imports the caller's ``__main__``: in a notebook, in Spark and in Ray that is somebody else's.
Messages are pickles behind their length, on the child's standard input and output.
"""

import json
import logging
import os
import pickle
import struct
import subprocess
import sys
import threading
from contextlib import suppress
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from faceshape.errors import FaceShapeError, ModelError
from faceshape.fleet.settings import FleetSettings
from faceshape.tencent.api import error_response
from faceshape.tencent.protocol_errors import DeadlineError

__all__ = ["Picture", "PictureAnswer", "Sandbox", "read_message", "write_message"]

Picture = str | bytes
"""A local path, or the bytes of a picture file."""

# A child may die without fault of its picture, for want of memory for example.
_ATTEMPTS = 2
_START_SECONDS = 120.0
_HEAD = struct.Struct("<Q")

_logger = logging.getLogger(__name__)


class PictureAnswer(NamedTuple):
    """What became of one picture.

    Attributes:
        size: (width, height) of the upright picture; None if it could not be read.
        points: (N, 90, 2) float32, the largest face first.
        boxes: (N, 4) float32.
        scores, presence, roll: (N,) float32.
        pose: (N, 3) float32 yaw, pitch and roll.
        error: the cloud's code and, in English, what was wrong; None if all was well. A picture
            without a face is no error.
        response: AnalyzeFace's as JSON, if the settings ask for it.
    """

    size: tuple[int, int] | None
    points: NDArray[np.float32]
    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    presence: NDArray[np.float32]
    roll: NDArray[np.float32]
    pose: NDArray[np.float32]
    error: tuple[str, str] | None = None
    response: str | None = None

    @classmethod
    def failed(cls, error: FaceShapeError, settings: FleetSettings) -> "PictureAnswer":
        """Return the answer for a picture with which something was wrong."""
        none = np.empty(0, np.float32)
        points, boxes, pose = none.reshape(0, 90, 2), none.reshape(0, 4), none.reshape(0, 3)
        response = json.dumps(error_response(error, "en-US")) if settings.cloud_json else None
        why = error.code, str(error)
        return cls(None, points, boxes, none, none, none, pose, why, response)


class Sandbox:
    """Analyses pictures in a child process, one at a time; close it, or use it in a ``with``.

    The child starts with the first picture, and is replaced when it dies or is too slow.
    """

    def __init__(self, settings: FleetSettings) -> None:
        """Take what stays the same for all pictures."""
        self._settings = settings
        self._child: subprocess.Popen[bytes] | None = None
        self._closed = False

    def analyze(self, picture: Picture) -> PictureAnswer:
        """Return what became of one picture; whatever is wrong with it is in the answer.

        Raises:
            FaceShapeError: the child cannot start, because a model is missing for example; or the
                sandbox was closed meanwhile.
        """
        how = ""
        for _ in range(_ATTEMPTS):
            child = self._running()
            try:
                write_message(_pipe(child.stdin), picture)
                answer: PictureAnswer = _receive(child, self._settings.picture_seconds)
            except TimeoutError:
                self._end()
                late = DeadlineError(f"took longer than {self._settings.picture_seconds:g} s")
                return PictureAnswer.failed(late, self._settings)
            except (EOFError, OSError):
                how = f"the process ended with exit code {child.wait()}"
                _logger.warning("%s", how)
                self._end()
            else:
                return answer
        return PictureAnswer.failed(FaceShapeError(how), self._settings)

    def close(self) -> None:
        """End the child, also from another thread than the one that waits for it."""
        self._closed = True
        self._end()

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _running(self) -> "subprocess.Popen[bytes]":
        if self._closed:
            raise FaceShapeError("the sandbox is closed")
        if self._child is None:
            command = [sys.executable, "-m", "faceshape.fleet.child", self._settings.to_json()]
            self._child = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            )
            try:
                started = _receive(self._child, _START_SECONDS)
            except (EOFError, OSError) as error:
                self._end()
                raise ModelError("the child process could not start; see its output") from error
            if isinstance(started, FaceShapeError):
                self._end()
                raise started
        return self._child

    def _end(self) -> None:
        if self._child is not None:
            child, self._child = self._child, None
            child.kill()
            child.wait()
            for pipe in (child.stdin, child.stdout):
                with suppress(OSError):  # what was on the way to a dead child is lost
                    _pipe(pipe).close()


def write_message(stream: IO[bytes], message: object) -> None:
    """Write one message."""
    content = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    stream.write(_HEAD.pack(len(content)))
    stream.write(content)
    stream.flush()


def read_message(stream: IO[bytes]) -> Any:
    """Read one message.

    Raises:
        EOFError: the other side is closed.
    """
    head = stream.read(_HEAD.size)
    if len(head) < _HEAD.size:
        raise EOFError
    content = stream.read(_HEAD.unpack(head)[0])
    return pickle.loads(content)


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None  # both were asked for
    return stream


def _receive(child: "subprocess.Popen[bytes]", seconds: float) -> Any:
    """Return the child's next message.

    Raises:
        TimeoutError: it does not come in time; the child must be ended.
        EOFError: the child has ended.
    """
    # A timer that kills ends the blocking read, on every system: pipes cannot be waited for on
    # Windows.
    late = threading.Event()

    def give_up() -> None:
        late.set()
        child.kill()

    timer = threading.Timer(seconds, give_up)
    timer.daemon = True
    timer.start()
    try:
        return read_message(_pipe(child.stdout))
    except (EOFError, pickle.UnpicklingError):
        if late.is_set():
            raise TimeoutError from None
        raise EOFError from None
    finally:
        timer.cancel()
