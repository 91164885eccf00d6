"""How many cores a measurement may use."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import cv2

__all__ = ["on_cores", "use_one_core"]


def use_one_core() -> None:
    """Keep this process and the ones it starts on one core, where the system allows it."""
    cv2.setNumThreads(1)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


@contextmanager
def on_cores(count: int) -> Iterator[None]:
    """Keep this thread, those it starts and OpenCV on so many cores, where the system allows it."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(count)
    affine = hasattr(os, "sched_setaffinity")
    cores = os.sched_getaffinity(0) if affine else set()
    if affine:
        os.sched_setaffinity(0, sorted(cores)[-count:])
    try:
        yield
    finally:
        cv2.setNumThreads(before)
        if affine:
            os.sched_setaffinity(0, cores)
