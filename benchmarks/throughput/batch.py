"""A folder of pictures through ``faceshape analyze``: what a second worker gives."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from skimage import data

from benchmarks.result_table import Table
from benchmarks.throughput.pictures import jpeg
from faceshape.bench import spread

__all__ = ["workers_table", "write_pictures"]

_SIZE = (640, 480)


def write_pictures(folder: Path, count: int) -> None:
    """Write so many different pictures: the astronaut, cut and scaled by chance, in 640 × 480."""
    rng = np.random.default_rng(0)
    photo = data.astronaut()
    for number in range(count):
        width = int(rng.integers(300, 500))
        height = width * _SIZE[1] // _SIZE[0]
        left = int(rng.integers(max(0, 290 - width), min(150, 512 - width) + 1))
        top = int(rng.integers(0, 10))
        part = photo[top : top + height, left : left + width]
        (folder / f"{number:04}.jpg").write_bytes(jpeg(cv2.resize(part, _SIZE)))


def workers_table(folder: Path, pictures: int, rounds: int) -> Table:
    """Return the seconds of a run with one and with two workers, by turns.

    Args:
        folder: empty; where to put the pictures.
        pictures: how many.
        rounds: runs with each.
    """
    write_pictures(folder, pictures)
    seconds: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(rounds):
        for workers, taken in seconds.items():
            started = time.perf_counter()
            answers = _analyze(folder, workers)
            taken.append(time.perf_counter() - started)
            if answers != pictures:
                raise RuntimeError(f"{answers} of {pictures} pictures were answered with a face")
    one = float(np.median(seconds[1]))
    rows = []
    for workers, taken in seconds.items():
        middle = float(np.median(taken))
        cells = [spread(np.array(taken)), f"{pictures / middle:.1f}", one / middle]
        rows.append((str(workers), cells))
    note = (
        f"`faceshape analyze FOLDER --workers N` on {pictures} JPEGs of 640 × 480 with one face "
        f"each, {rounds} runs by turns, start included."
    )
    return Table("Workers", note, ["s", "pictures/s", "× one worker"], rows)


def _analyze(folder: Path, workers: int) -> int:
    """Return how many pictures were answered with faces."""
    code = "from faceshape.cli.main import main; main()"
    command = [sys.executable, "-c", code, "analyze", str(folder), "--workers", str(workers)]
    # A file, because whoever reads along takes processor time, too.
    with tempfile.TemporaryFile("w+") as answers:
        subprocess.run(command, check=True, stdout=answers, stderr=subprocess.DEVNULL)
        answers.seek(0)
        return sum('"FaceShapeSet"' in line for line in answers)
