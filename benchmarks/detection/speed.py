"""How long detection takes: every contender on the same pictures, by turns, on one thread."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage import data

from benchmarks.detection.contenders import Contender, open_detector
from benchmarks.result_table import Table
from faceshape import FaceShapeEngine, Mode
from faceshape.bench import by_turns, spread
from faceshape.vision.image import RGBImage

__all__ = ["engine_speed_table", "portrait", "speed_table"]

_SIZES = ((320, 240), (640, 480), (1280, 720))
_REFERENCES = ("YuNet", "HOG")
_ENGINE_SIZE = (640, 480)


def portrait(size: tuple[int, int]) -> RGBImage:
    """Return the astronaut's upper part as (width, height)."""
    picture = cv2.resize(data.astronaut(), (size[0], size[0]), interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(picture[: size[1]])


def speed_table(contenders: Sequence[Contender], repetitions: int) -> Table:
    """Return milliseconds a picture, beside the references that are among the contenders."""
    references = [each.name for each in contenders if each.name in _REFERENCES]
    columns = ["megabytes"]
    cells: dict[str, list[float | str | None]] = {c.name: [c.megabytes] for c in contenders}
    for size in _SIZES:
        picture, head = portrait(size), f"{size[0]} × {size[1]}"
        calls = {
            each.name: partial(open_detector(each, each.threshold).detect, picture)
            for each in contenders
        }
        times = by_turns(calls, repetitions)
        columns += [f"{head}: ms", *(f"{head}: to {name}" for name in references)]
        for name, milliseconds in times.items():
            cells[name] += [spread(milliseconds), *_ratios(milliseconds, times, references)]
    note = (
        f"The astronaut, one face, {repetitions} rounds in which each has its turn, one thread: "
        "median (10th–90th percentile), and the median as a multiple of the reference's. "
        "Everything from RGB pixels to boxes. RFB-320 and SCRFD always work at 320 × 240 and 640 × "
        "640; dlib's detector has no file of its own."
    )
    return Table("Speed of detection", note, columns, list(cells.items()))


def engine_speed_table(engines: Mapping[str, FaceShapeEngine], repetitions: int) -> Table:
    """Return what turned faces (NeedRotateDetection) cost and what the largest face alone saves.

    Args:
        engines: by the name of their detector, with one thread.
        repetitions: rounds.
    """
    picture = portrait(_ENGINE_SIZE)
    ways: dict[str, dict[str, Any]] = {
        "Mode 0": {"mode": Mode.ALL},
        "Mode 0, rotate": {"mode": Mode.ALL, "rotate": True},
        "Mode 1": {"mode": Mode.LARGEST},
        "Mode 1, rotate": {"mode": Mode.LARGEST, "rotate": True},
    }
    calls = {
        f"{name}, {way}": partial(engine.analyze, picture, **options)
        for name, engine in engines.items()
        for way, options in ways.items()
    }
    times = by_turns(calls, repetitions)
    rows: list[tuple[str, list[float | str | None]]] = []
    for name in engines:
        plain = f"{name}, {next(iter(ways))}"
        rows += [
            (call, [spread(times[call]), *_ratios(times[call], times, [plain])])
            for call in (f"{name}, {way}" for way in ways)
        ]
    note = (
        "All of `analyze`, landmarks included, by detector; the astronaut in "
        f"{_ENGINE_SIZE[0]} × {_ENGINE_SIZE[1]}, whose face is a quarter of the picture's height."
    )
    return Table("Speed of the engine", note, ["ms", "to Mode 0"], rows)


def _ratios(
    milliseconds: NDArray[np.float64],
    times: Mapping[str, NDArray[np.float64]],
    references: Sequence[str],
) -> list[float]:
    return [float(np.median(milliseconds) / np.median(times[name])) for name in references]
