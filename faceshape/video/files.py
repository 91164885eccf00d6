"""Video files, read and written frame by frame; OpenCV's wheels carry the FFmpeg that does it."""

import math
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import cv2

from faceshape.errors import FaceShapeError
from faceshape.vision.image import RGBImage

__all__ = ["VideoError", "VideoReader", "VideoWriter"]

# What can be written by every build of OpenCV that PyPI has. H.264 cannot: its encoder is not free.
_CODECS = {".avi": "MJPG", ".m4v": "mp4v", ".mkv": "mp4v", ".mov": "mp4v", ".mp4": "mp4v"}
# For files that do not say how many frames a second they have.
_USUAL_RATE = 25.0


class VideoError(FaceShapeError):
    """A video cannot be read or written."""

    code = "FailedOperation.ImageDecodeFailed"


class VideoReader:
    """The frames of a video file, with their times; close it, or use it in a ``with``.

    Attributes:
        rate: frames per second, on average.
        announced: how many frames the file says it has, 0 if it does not; an estimate.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Open the file.

        Raises:
            VideoError: it is not there, or no video that can be decoded.
        """
        if not Path(path).is_file():
            raise VideoError(f"{path} is not a file")
        self._path = path
        self._capture = cv2.VideoCapture(_opencv_path(path), cv2.CAP_FFMPEG)
        if not self._capture.isOpened():
            raise VideoError(f"{path} is not a video that can be decoded")
        # Upright as the phone says; OpenCV 4.11 leaves it on its side when it is not asked.
        self._capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        self.rate: float = rate if 0 < rate < 1000 else _USUAL_RATE
        self.announced: int = max(0, int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)))

    def __iter__(self) -> Iterator[tuple[float, RGBImage]]:
        """Return the time in seconds and the pixels, RGB (H, W, 3), of each frame.

        A file that is damaged further on ends there. Times always grow: a frame whose time the
        file does not say, or says to be earlier, comes one interval after the one before.

        Raises:
            VideoError: there is not a single frame.
        """
        seconds = -math.inf
        while True:
            there, bgr = self._capture.read()
            if not there:
                break
            stated = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            seconds = stated if stated > seconds else seconds + 1 / self.rate
            pixels: RGBImage = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB).astype("u1", copy=False)
            yield seconds, pixels
        if seconds == -math.inf:
            raise VideoError(f"no frame of {self._path} can be decoded")

    def close(self) -> None:
        """Let go of the file."""
        self._capture.release()

    def __enter__(self) -> "VideoReader":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class VideoWriter:
    """A video file with a constant frame rate, without sound; close it, or use it in a ``with``.

    The first frame sets the size, an odd side less one, as the codecs ask for; later frames of
    another size are scaled to it. Without a frame there is no file.
    """

    def __init__(self, path: str | os.PathLike[str], rate: float) -> None:
        """Take where to write, MJPEG for .avi, MPEG-4 for .mp4, .m4v, .mov and .mkv, and the rate.

        Raises:
            VideoError: another extension.
        """
        self._path = Path(path)
        if self._path.suffix.lower() not in _CODECS:
            raise VideoError(f"{path}: a video can be written as {', '.join(_CODECS)}")
        self._rate = rate
        self._frames = 0
        self._writer: cv2.VideoWriter | None = None
        self._size = (0, 0)

    def write(self, frame: RGBImage) -> None:
        """Append a frame (H, W, 3).

        Raises:
            VideoError: the file cannot be written.
        """
        height, width = frame.shape[:2]
        if self._writer is None:
            self._size = (width, height)
            codec = cv2.VideoWriter.fourcc(*_CODECS[self._path.suffix.lower()])
            self._writer = cv2.VideoWriter(
                _opencv_path(self._path), cv2.CAP_FFMPEG, codec, self._rate, self._size
            )
            if not self._writer.isOpened():
                raise VideoError(f"cannot write {self._path}")
        if (width, height) != self._size:
            frame = cv2.resize(frame, self._size, interpolation=cv2.INTER_AREA).astype("u1")
        self._writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
        self._frames += 1

    def close(self) -> None:
        """Finish the file.

        Raises:
            VideoError: it is not complete, because the disk is full for example.
        """
        if self._writer is None:
            return
        self._writer.release()
        with VideoReader(self._path) as made:  # OpenCV itself reports no failure
            if made.announced < 0.99 * self._frames - 1:  # some files only have their length
                raise VideoError(f"only a part of {self._path} could be written")

    def __enter__(self) -> "VideoWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        elif self._writer is not None:  # what is there stays, but is not what matters now
            self._writer.release()


def _opencv_path(path: str | os.PathLike[str]) -> str:
    name = os.fspath(path)
    try:
        name.encode()
    except UnicodeEncodeError as error:  # OpenCV 5.0 dies of it
        raise VideoError(f"{name!r}: the name of a video must be text") from error
    return name
