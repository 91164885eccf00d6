"""``faceshape track``: a video's faces as lines and drawn on it; nothing heavy until it runs."""

import json
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TextIO

import click

from faceshape.cli.console import say
from faceshape.cli.outputs import refuse_overwriting

if TYPE_CHECKING:
    from faceshape.video.files import VideoReader, VideoWriter
    from faceshape.video.tracker import TrackedFace, Tracker
    from faceshape.vision.image import RGBImage

__all__ = ["track"]

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.argument(
    "video", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path)
)
@click.option("--jsonl", type=_FILE, help="The JSONL file; standard output if absent.")
@click.option("--draw", type=_FILE, help="Also save the video with the faces drawn on it.")
@click.option(
    "--mode", type=click.Choice(["all", "largest"]), default="all", help="Which faces to follow."
)
@click.option("--rotate", is_flag=True, help="Faces of any roll, not only about upright ones.")
@click.option(
    "--detector", type=click.Choice(["auto", "onnx", "dlib"]), default="auto", show_default=True
)
@click.option(
    "--detect-every",
    type=click.FloatRange(min=0, min_open=True),
    default=1.0,
    show_default=True,
    help="Seconds between two looks for new faces.",
)
@click.option("--no-smoothing", is_flag=True, help="Leave the points as they are found.")
@click.option(
    "--threads", type=click.IntRange(min=1), help="At most so many; all that may be used if absent."
)
def track(
    video: Path,
    jsonl: Path | None,
    draw: Path | None,
    mode: str,
    rotate: bool,
    detector: Literal["auto", "onnx", "dlib"],
    detect_every: float,
    no_smoothing: bool,
    threads: int | None,
) -> None:
    """Follow the faces of a VIDEO (- is standard input): one line of JSON for each frame.

    {"frame": 0, "seconds": 0.0, "faces": [{"id": 1, "presence": ..., "box": [x0, y0, x1, y1],
    "roll": ..., "shape": {"FaceProfile": [{"X": ..., "Y": ...}, ...], ...}}, ...]}

    The shape is laid out as in AnalyzeFace's FaceShapeSet, with fractions of pixels. A summary goes
    to standard error. A face keeps its id while it is followed, and when it is found again near its
    place within a second.
    """
    import cv2

    from faceshape.engine import FaceShapeEngine
    from faceshape.errors import FaceShapeError
    from faceshape.processors import usable_processors
    from faceshape.types import Mode
    from faceshape.video.one_euro import Smoothing
    from faceshape.video.tracker import Tracker

    refuse_overwriting(
        {
            "--jsonl" if jsonl else "standard output": jsonl,
            **({"--draw": draw} if draw else {}),
        },
        [str(video)],
    )
    threads = threads or usable_processors()
    cv2.setNumThreads(threads)  # for the whole process, which is ours
    try:
        tracker = Tracker(
            FaceShapeEngine(detector, threads),
            mode=Mode[mode.upper()],
            rotate=rotate,
            smoothing=None if no_smoothing else Smoothing(),
            detect_every=detect_every,
        )
        with _as_file(video) as file:
            summary = _track(file, tracker, jsonl, draw)
    except FaceShapeError as error:
        raise click.ClickException(str(error)) from error
    say(summary)


@contextmanager
def _as_file(video: Path) -> Iterator[Path]:
    """Give a file that can be read at any place: a copy of what comes through a pipe."""
    if str(video) != "-" and stat.S_ISREG(video.stat().st_mode):
        yield video
        return
    with tempfile.TemporaryDirectory(prefix="faceshape-track-") as folder:
        copy = Path(folder, "video")
        with copy.open("wb") as file:
            if str(video) == "-":
                shutil.copyfileobj(sys.stdin.buffer, file)
            else:
                with video.open("rb") as pipe:
                    shutil.copyfileobj(pipe, file)
        yield copy


def _track(video: Path, tracker: "Tracker", jsonl: Path | None, draw: Path | None) -> str:
    """Write the answers for all frames and return the summary."""
    from tqdm import tqdm

    from faceshape.video.files import VideoReader, VideoWriter

    with ExitStack() as stack:
        reader = stack.enter_context(VideoReader(video))
        drawing = stack.enter_context(VideoWriter(draw, reader.rate)) if draw else None
        lines = stack.enter_context(_open_jsonl(jsonl))
        # None: only on a terminal. There it would be torn apart by answers on the same terminal.
        quiet = True if jsonl is None and sys.stdout.isatty() else None
        progress = stack.enter_context(
            tqdm(total=reader.announced or None, unit="frame", file=sys.stderr, disable=quiet)
        )
        tally = _Tally(reader)
        for number, (seconds, pixels) in enumerate(reader):
            faces = tracker.update(pixels, seconds)
            lines.write(_line(number, seconds, faces) + "\n")
            lines.flush()  # whoever follows the file sees whole lines
            if drawing:
                _draw(drawing, pixels, faces)
            tally.add(seconds, faces)
            progress.update()
    return tally.summary()


@contextmanager
def _open_jsonl(path: Path | None) -> Iterator[TextIO]:
    if path is None:
        yield sys.stdout
        return
    # There is nothing to lose in a pipe.
    mode: Literal["w", "x"] = "w" if path.exists() and not path.is_file() else "x"
    try:
        file = path.open(mode, encoding="ascii", newline="\n")
    except FileExistsError as error:
        message = f"{path} is there already: remove it, or name another"
        raise click.ClickException(message) from error
    with file:
        yield file


def _line(number: int, seconds: float, faces: "list[TrackedFace]") -> str:
    entries = [_entry(each) for each in faces]
    return json.dumps({"frame": number, "seconds": round(seconds, 4), "faces": entries})


def _entry(tracked: "TrackedFace") -> dict[str, Any]:
    from faceshape.core.contract import GROUPS

    face = tracked.face
    places = _rounded(face.points, 2)
    return {
        "id": tracked.id,
        "presence": round(face.presence, 4),
        "box": _rounded(face.box, 2),
        "roll": round(face.roll, 2),
        "shape": {
            group: [{"X": x, "Y": y} for x, y in places[rows]] for group, rows in GROUPS.items()
        },
    }


def _rounded(values: Any, digits: int) -> Any:
    # In double precision: rounded single ones would be written with all their digits.
    return values.astype(float).round(digits).tolist()


def _draw(drawing: "VideoWriter", pixels: "RGBImage", faces: "list[TrackedFace]") -> None:
    from faceshape.draw import overlay, write_names

    shapes = [each.face for each in faces]
    drawing.write(write_names(overlay(pixels, shapes), shapes, [str(each.id) for each in faces]))


@dataclass(slots=True)
class _Tally:
    reader: "VideoReader"
    started: float = field(default_factory=time.perf_counter)
    frames: int = 0
    empty: int = 0
    last: float = 0.0
    ids: set[int] = field(default_factory=set)

    def add(self, seconds: float, faces: "list[TrackedFace]") -> None:
        self.frames += 1
        self.empty += not faces
        self.last = seconds
        self.ids.update(each.id for each in faces)

    def summary(self) -> str:
        took = time.perf_counter() - self.started
        announced = self.reader.announced
        of = f" of {announced} announced" if self.frames < announced else ""
        return (
            f"frames {self.frames}{of} ({self.empty} without a face), last at {self.last:.2f} s, "
            f"faces {len(self.ids)}, {self.frames / took:.1f} frames/s"
        )
