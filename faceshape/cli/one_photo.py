"""``faceshape analyze`` for one photo: the response on standard output, an overlay beside it."""

import stat
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from faceshape.cli.console import put, say, to_json
from faceshape.cli.outputs import refuse_overwriting

if TYPE_CHECKING:
    from faceshape.types import FaceShape
    from faceshape.vision.image import RGBImage

__all__ = ["Overlay", "Question", "analyze_photo", "is_one_photo"]

_REFUSED = 1  # exit code: the answer is an error of the API; 2 is click's for a wrong command line


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked about a picture: all that the answer depends on.

    Attributes:
        mode: which faces.
        rotate: whether also faces that are not about upright.
        language: of error messages.
        detector: as for `faceshape.FaceShapeEngine`.
        cloud_limits: whether what the cloud refuses is refused.
    """

    mode: Literal["all", "largest"]
    rotate: bool
    language: Literal["zh-CN", "en-US"]
    detector: Literal["auto", "onnx", "dlib"]
    cloud_limits: bool


@dataclass(frozen=True, slots=True)
class Overlay:
    """Where to draw the landmarks, and whether with their numbers."""

    path: Path
    indices: bool


def is_one_photo(source: str) -> bool:
    """Say whether a source is a single picture: a file or a pipe that is there, or "-"."""
    if source == "-":
        return True
    try:
        return not stat.S_ISDIR(Path(source).stat().st_mode)
    except (OSError, ValueError):
        return False


def analyze_photo(
    photo: str, question: Question, threads: int | None, overlay: Overlay | None, pretty: bool
) -> None:
    """Print the response for one photo.

    Args:
        photo: a file, also one that can only be read once such as /dev/stdin; "-" is standard
            input.
        question: what is asked about it.
        threads: at most so many; None is all that may be used.
        overlay: what to draw, if anything.
        pretty: indent the JSON.

    Raises:
        click.exceptions.Exit: the response is an error.
        click.UsageError: the photo cannot be read, or would be overwritten.
        click.ClickException: the overlay cannot be written.
        OSError: standard output cannot be written.
    """
    import cv2

    from faceshape.engine import FaceShapeEngine
    from faceshape.errors import FaceShapeError
    from faceshape.processors import usable_processors
    from faceshape.tencent.api import error_response, face_response
    from faceshape.types import Mode

    threads = threads or usable_processors()
    cv2.setNumThreads(threads)  # for the whole process, which is ours
    drawn = {"--draw": overlay.path} if overlay else {}
    refuse_overwriting({"standard output": None, **drawn}, [photo])
    try:
        pixels = _read(photo, question.cloud_limits)
        engine = FaceShapeEngine(question.detector, threads)
        faces = engine.analyze(pixels, Mode[question.mode.upper()], question.rotate)
        response = face_response(faces, pixels.shape[:2])
    except FaceShapeError as error:
        say(f"{photo}: {error}")
        put(to_json(error_response(error, question.language), 2 if pretty else None))
        raise click.exceptions.Exit(_REFUSED) from error
    put(to_json(response, 2 if pretty else None))
    if overlay:
        _save(overlay, pixels, faces)


def _read(photo: str, cloud_limits: bool) -> "RGBImage":
    from faceshape.tencent.limits import DOCUMENT_LIMITS
    from faceshape.vision.image import load_image
    from faceshape.vision.limits import LOCAL_LIMITS

    limits = DOCUMENT_LIMITS if cloud_limits else LOCAL_LIMITS
    try:
        return load_image(sys.stdin.buffer if photo == "-" else photo, limits)
    except OSError as error:
        raise click.BadParameter(f"cannot read {photo}: {error}", param_hint="PHOTO") from error


def _save(overlay: Overlay, pixels: "RGBImage", faces: "Sequence[FaceShape]") -> None:
    from PIL import Image

    from faceshape import draw

    try:
        Image.fromarray(draw.overlay(pixels, faces, overlay.indices)).save(overlay.path, "PNG")
    except OSError as error:
        raise click.ClickException(f"cannot write {overlay.path}: {error}") from error
