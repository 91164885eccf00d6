"""One side of a comparison of revisions: ``python revision_worker.py ROOT INPUT`` answers on stdin.

ROOT holds the package that is measured, so nothing else of this repository is imported. INPUT is
an ``.npz``: `picture` (H, W, 3), `boxes` (N, 4) of its faces and `dense` (M, 166, 2). A line is
the name of a call; the answer is how many milliseconds of the processor it took, once.
"""

import os
import sys
import time
from collections.abc import Callable
from functools import partial

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy loads
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

_LEAST_SECONDS = 0.05  # of one measurement; what is shorter is done so often


def main(root: str, source: str) -> None:
    """Answer names of calls until the input ends."""
    sys.path.insert(0, root)
    calls = _calls(source)
    repeats = {name: _repeats(call) for name, call in calls.items()}
    print("ready", flush=True)
    for line in sys.stdin:
        name = line.strip()
        seconds = _seconds(calls[name], repeats[name])
        print(1000 * seconds / repeats[name], flush=True)


def _calls(source: str) -> dict[str, Callable[[], object]]:
    import cv2

    from faceshape import FaceShapeEngine, resample

    cv2.setNumThreads(1)
    engine = FaceShapeEngine(threads=1)
    with np.load(source) as inputs:
        picture, boxes, dense = inputs["picture"], inputs["boxes"], inputs["dense"]
    calls: dict[str, Callable[[], object]] = {
        f"resample {count}": partial(resample, dense[:count], "dense166")
        for count in (1, 100, len(dense))
    }
    for count in (1, len(boxes)):
        calls[f"landmarks {count}"] = partial(engine.landmarks, picture, boxes[:count])
    return calls


def _repeats(call: Callable[[], object]) -> int:
    call()
    return max(1, round(_LEAST_SECONDS / max(_seconds(call, 1), 1e-6)))


def _seconds(call: Callable[[], object], repeats: int) -> float:
    started = time.process_time()
    for _ in range(repeats):
        call()
    return time.process_time() - started


if __name__ == "__main__":
    main(*sys.argv[1:])
