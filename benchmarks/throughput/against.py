"""This tree beside another revision of the repository, in one run: a regression is a ratio.

Both run in processes of their own, by turns, and what counts is the time of the processor, which
others that use the machine change little.
"""

import io
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, TypeAlias

import click
import numpy as np
from numpy.typing import NDArray

from benchmarks.result_table import Table
from benchmarks.throughput.pictures import group_picture, jpeg
from faceshape import FaceShapeEngine
from faceshape.bench import spread

__all__ = ["against_table"]

_HERE = Path(__file__).resolve().parents[2]
_WORKER = Path(__file__).with_name("revision_worker.py")
_FACES = 10_000  # of the resampler
_BATCH = 16  # of the landmarks
_SIDES = ("before", "now")

_FIRST_ANSWER = (
    "import sys, time; sys.path.insert(0, sys.argv[1]); import faceshape;"
    "faceshape.FaceShapeEngine(threads=1).analyze(sys.argv[2]);"
    "print(1000 * time.process_time())"
)

_CALLS = {
    "resample 1": "`resample`, one face",
    "resample 100": "`resample`, 100 faces",
    f"resample {_FACES}": f"`resample`, {_FACES:,} faces",
    "landmarks 1": "`engine.landmarks`, one face",
    f"landmarks {_BATCH}": f"`engine.landmarks`, {_BATCH} faces",
}

_Times: TypeAlias = Mapping[str, NDArray[np.float64]]  # side → milliseconds (rounds,)


def against_table(revision: str, rounds: int) -> Table:
    """Return the processor's milliseconds of another revision and of this tree.

    Args:
        revision: anything that git takes for one.
        rounds: of each call, and processes for the first answer.

    Raises:
        click.BadParameter: git knows no such revision here.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        roots = dict(zip(_SIDES, (folder / "before", _HERE), strict=True))
        _extract(revision, roots["before"])
        times = _call_times(roots, folder, rounds)
        times["process start to first answer"] = _first_answer_times(roots, folder, rounds)
    rows = []
    for what, sides in times.items():
        ratio = float(np.median(sides["before"] / sides["now"]))
        rows.append((what, [*(spread(sides[side]) for side in _SIDES), ratio]))
    note = (
        f"Milliseconds of the processor, one thread, {rounds} rounds by turns in processes of "
        "their own: median (10th–90th percentile); the ratio is the median of the rounds'."
    )
    return Table(f"Against {revision}", note, [*_SIDES, "× as fast"], rows)


def _extract(revision: str, target: Path) -> None:
    command = ["git", "-C", str(_HERE), "archive", revision, "faceshape", "models"]
    archive = subprocess.run(command, check=False, capture_output=True)
    if archive.returncode:
        raise click.BadParameter(archive.stderr.decode(errors="replace").strip())
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        files.extractall(target, filter="data")


def _call_times(roots: Mapping[str, Path], folder: Path, rounds: int) -> dict[str, _Times]:
    source = folder / "inputs.npz"
    _write_inputs(source)
    rows = {name: {side: np.empty(rounds) for side in roots} for name in _CALLS}
    with ExitStack() as stack:
        workers = {side: stack.enter_context(_worker(root, source)) for side, root in roots.items()}
        for round_ in range(rounds):
            for name, sides in rows.items():
                for side, worker in workers.items():
                    sides[side][round_] = _ask(worker, name)
    return {_CALLS[name]: sides for name, sides in rows.items()}


def _write_inputs(target: Path) -> None:
    picture = group_picture((640, 480), 1)
    [face] = FaceShapeEngine(threads=1).analyze(picture)
    noise = np.random.default_rng(0).normal(0, 0.3, (_FACES, *face.dense.shape))
    dense = (face.dense + noise).astype(np.float32)
    np.savez(target, picture=picture, boxes=np.tile(face.box, (_BATCH, 1)), dense=dense)


@contextmanager
def _worker(root: Path, source: Path) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, str(_WORKER), str(root), str(source)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as worker:
        _read(worker)
        yield worker
        _pipe(worker.stdin).close()


def _ask(worker: "subprocess.Popen[str]", name: str) -> float:
    request = _pipe(worker.stdin)
    request.write(f"{name}\n")
    request.flush()
    return float(_read(worker))


def _read(worker: "subprocess.Popen[str]") -> str:
    line = _pipe(worker.stdout).readline()
    if not line:
        raise RuntimeError(f"{worker.args} ended")
    return line


def _pipe(pipe: IO[str] | None) -> IO[str]:
    if pipe is None:
        raise RuntimeError("the process was started without a pipe")
    return pipe


def _first_answer_times(roots: Mapping[str, Path], folder: Path, rounds: int) -> _Times:
    photo = folder / "first.jpg"
    photo.write_bytes(jpeg(group_picture((640, 480), 1)))
    times = {side: np.empty(rounds + 1) for side in roots}
    # What is installed is compiled; here the first round does it.
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(folder / "compiled")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    for round_ in range(rounds + 1):
        for side, root in roots.items():
            command = [sys.executable, "-c", _FIRST_ANSWER, str(root), str(photo)]
            run = subprocess.run(command, check=True, capture_output=True, env=environment)
            times[side][round_] = float(run.stdout)
    return {side: milliseconds[1:] for side, milliseconds in times.items()}
