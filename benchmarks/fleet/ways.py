"""The same pictures through ``faceshape analyze`` and through chunks, local and on Ray."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.fleet.processes import Cost, cost_of
from faceshape.core.contract import GROUPS
from faceshape.fleet import plan

__all__ = ["ENGINES", "analyze", "analyze_agrees", "fleet", "read_answers"]

ENGINES = ("local", "ray")
_FACESHAPE = [sys.executable, "-m", "faceshape"]
_ATTEMPTS = 8
# Half a step of the coordinates in the answer files, and what float32 adds.
_ROUNDING = 1 / 64 + 1e-4


def analyze(pictures: Sequence[str], folder: Path, workers: int) -> tuple[Cost, Path]:
    """Run ``faceshape analyze``; return what it cost and its JSONL file, in a new folder."""
    listed, output = _listed(pictures, folder), folder / "answers.jsonl"
    command = ["analyze", "--list", str(listed), "--output", str(output)]
    return cost_of([*_FACESHAPE, *command, "--workers", str(workers)]), output


def fleet(engine: str, pictures: Sequence[str], folder: Path, workers: int) -> tuple[Cost, Path]:
    """Run as many chunks as workers with an engine of `ENGINES`; return what it cost, and OUT.

    The plan, which is made once for all pictures, is not counted.
    """
    out = folder / "out"
    plan(str(_listed(pictures, folder)), str(out), chunk=-(-len(pictures) // workers))
    command = [*_FACESHAPE, "fleet", "run", str(out), "--engine", engine]
    if engine == "ray":
        # A cluster of its own, with as many processors as the others get.
        processors = json.dumps({"CPU": workers})
        environment = {"RAY_ADDRESS": "local", "RAY_OVERRIDE_RESOURCES": processors}
        return _cost_once_it_starts(command, environment), out
    return cost_of([*command, "--workers", str(workers)]), out


def read_answers(out: Path) -> pa.Table:
    """Return the answers of a run, in the order of its plan."""
    return pa.concat_tables(pq.read_table(path) for path in sorted((out / "answers").iterdir()))


def analyze_agrees(jsonl: Path, answers: pa.Table) -> bool:
    """Return whether both have the same pictures with the same points.

    The JSONL has the pixels that contain the points, the table points rounded to 1/32 pixel.
    """
    lines = [json.loads(line) for line in jsonl.read_text(encoding="ascii").splitlines()]
    if [line["Path"] for line in lines] != answers.column("path").to_pylist():
        return False
    rows = zip(lines, answers.column("faces").to_pylist(), strict=True)
    return all(_agree(_pixels(line["Response"]), _points(faces)) for line, faces in rows)


def _cost_once_it_starts(command: Sequence[str], environment: Mapping[str, str]) -> Cost:
    """Return what the run cost that did not fail: on a busy machine Ray may be too late to start.

    It gives some of its parts 15 s to start, which cannot be changed.
    """
    for _ in range(_ATTEMPTS - 1):
        with suppress(subprocess.CalledProcessError):
            return cost_of(command, environment)
    return cost_of(command, environment)


def _listed(pictures: Sequence[str], folder: Path) -> Path:
    folder.mkdir()
    listed = folder / "pictures.txt"
    listed.write_text("\n".join(pictures), encoding="utf-8")
    return listed


def _agree(pixels: np.ndarray, points: np.ndarray) -> bool:
    if pixels.shape != points.shape:
        return False
    inside = (points >= pixels - _ROUNDING) & (points <= pixels + 1 + _ROUNDING)
    return bool(inside.all())


def _pixels(response: dict) -> np.ndarray:
    """Return the pixels (faces, 90, 2) of a response; of none where it is an error."""
    pixels = np.empty((len(response.get("FaceShapeSet", ())), 90, 2), int)
    for number, face in enumerate(response.get("FaceShapeSet", ())):
        for group, rows in GROUPS.items():
            pixels[number, rows] = [(point["X"], point["Y"]) for point in face[group]]
    return pixels


def _points(faces: list[dict]) -> np.ndarray:
    return np.array([face["points"] for face in faces], float).reshape(-1, 90, 2)
