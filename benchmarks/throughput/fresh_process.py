"""What a fresh process costs: the time to the first answer, and the most memory it takes."""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.result_table import Table
from benchmarks.throughput.pictures import group_picture, jpeg
from faceshape.bench import spread

__all__ = ["first_answer_table", "installed_table", "memory_table"]

_INSTALLED_SIZE = Path(__file__).with_name("installed_size.py")
_PHONE_PICTURE = (4000, 3000)  # twelve megapixels

_FIRST_ANSWER = """
import sys, time
started = time.perf_counter()
import faceshape
imported = time.perf_counter()
engine = faceshape.FaceShapeEngine()
created = time.perf_counter()
faces = engine.analyze(sys.argv[1])
answered = time.perf_counter()
print([imported - started, created - imported, answered - created, len(faces)], flush=True)
"""

# Linux counts the parent's memory into a child's ru_maxrss; VmHWM is the child's own.
_PEAK = """
import re, sys
from pathlib import Path
import faceshape
engine = faceshape.FaceShapeEngine()
def peak():
    status = Path("/proc/self/status")
    if status.exists():
        return int(re.search(r"VmHWM:\\s+(\\d+)", status.read_text())[1]) / 1024
    import resource
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
before = peak()
faces = engine.analyze(sys.argv[1])
print([before, peak(), len(faces)])
"""


def first_answer_table(folder: Path, rounds: int) -> Table:
    """Return the seconds from nothing to the first answer.

    Args:
        folder: where to put the picture.
        rounds: processes.
    """
    photo = folder / "first.jpg"
    photo.write_bytes(jpeg(group_picture((640, 480), 1)))
    empty, first, whole, parts = [], [], [], []
    for _ in range(rounds):
        started = time.perf_counter()
        _run("print([])")
        empty.append(time.perf_counter() - started)
        started = time.perf_counter()
        with subprocess.Popen(_command(_FIRST_ANSWER, photo), stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            parts.append(json.loads(process.stdout.readline())[:3])
            first.append(time.perf_counter() - started)
        whole.append(time.perf_counter() - started)
    imported, created, answered = np.transpose(parts)
    rows = [
        ("`python -c pass`", [spread(np.array(empty))]),
        ("`import faceshape`", [spread(imported)]),
        ("`FaceShapeEngine()`", [spread(created)]),
        ("first `analyze`", [spread(answered)]),
        ("start of the process to first answer", [spread(np.array(first))]),
        ("the whole process, its end included", [spread(np.array(whole))]),
    ]
    note = f"{rounds} fresh processes, a JPEG of 640 × 480 with one face, all cores."
    return Table("Cold start", note, ["s: median (10th–90th percentile)"], rows)


def memory_table(folder: Path) -> Table:
    """Return the most memory that a process takes up to the engine, and for large pictures."""
    rows: list[tuple[str, list[float | str]]] = []
    for faces in (1, 10):
        photo = folder / f"phone{faces}.jpg"
        photo.write_bytes(jpeg(group_picture(_PHONE_PICTURE, faces)))
        before, peak, found = _run(_PEAK, photo)
        rows.append((f"{faces} face{'s' * (faces > 1)}", [before, peak, f"{found:.0f}"]))
    note = (
        "A JPEG of 4000 × 3000 through `engine.analyze(path)` in a process of its own. Its pixels "
        "alone are 34 MiB, and Pillow's copy of them 46 MiB."
    )
    columns = ["MiB with the engine loaded", "MiB at most", "faces found"]
    return Table("Memory", note, columns, rows)


def installed_table(others: Sequence[tuple[str, Path]]) -> Table:
    """Return the megabytes of the package and of others with all that they need.

    Args:
        others: (distribution, interpreter that has it).
    """
    rows = []
    for name, python in [("faceshape", Path(sys.executable)), *others]:
        command = [str(python), str(_INSTALLED_SIZE), name]
        run = subprocess.run(command, check=True, capture_output=True, text=True)
        sizes = {each: size / 1e6 for each, size in json.loads(run.stdout).items()}
        largest = sorted(sizes, key=lambda each: -sizes[each])[:4]
        parts = ", ".join(f"{each} {sizes[each]:.0f}" for each in largest)
        rows.append((name, [sum(sizes.values()), sizes[name], str(len(sizes)), parts]))
    note = "Files of the distribution and of all it needs, extras and compiled caches left out."
    return Table("Installed", note, ["MB", "itself", "distributions", "largest"], rows)


def _run(code: str, *arguments: object) -> list[float]:
    run = subprocess.run(_command(code, *arguments), check=True, capture_output=True, text=True)
    numbers: list[float] = json.loads(run.stdout)
    return numbers


def _command(code: str, *arguments: object) -> list[str]:
    return [sys.executable, "-c", code, *map(str, arguments)]
