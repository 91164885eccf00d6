"""How fast it is here: the resampler on batches, and each stage on a picture.

What is compared is measured by turns, once a round, so that whatever else the machine does meets
all of it alike.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from faceshape.core.contract import POINT_COUNT, resample
from faceshape.core.topology import load_topology
from faceshape.engine import FaceShapeEngine
from faceshape.errors import ParameterError
from faceshape.types import Mode
from faceshape.vision.image import load_image

__all__ = ["BatchTimes", "by_turns", "resampler_times", "spread", "stage_times"]

_TOPOLOGY = "dense166"  # the regressor's
_FACES_A_ROUND = 20_000  # of the small batches; enough for a steady median
_MOST_ROUNDS = 200


def by_turns(
    calls: Mapping[str, Callable[[], object]], rounds: int
) -> dict[str, NDArray[np.float64]]:
    """Return the milliseconds (rounds,) of each call, after one round to warm up."""
    for call in calls.values():
        call()
    milliseconds = np.empty((rounds, len(calls)))
    for row in milliseconds:
        for place, call in enumerate(calls.values()):
            started = time.perf_counter()
            call()
            row[place] = 1000 * (time.perf_counter() - started)
    return dict(zip(calls, milliseconds.T, strict=True))


def spread(values: NDArray[np.float64]) -> str:
    """Return the median and the 10th and 90th percentile of numbers (K,)."""
    low, median, high = np.percentile(values, [10, 50, 90])
    return f"{median:.2f} ({low:.2f}–{high:.2f})"


class BatchTimes(NamedTuple):
    """The resampler on one size of batch.

    Attributes:
        faces: in the batch.
        resample: milliseconds (rounds,).
        copy: milliseconds (rounds,) of a plain copy that moves as many bytes as the resampler
            reads and writes: nothing that goes through memory can be faster.
    """

    faces: int
    resample: NDArray[np.float64]
    copy: NDArray[np.float64]

    @property
    def faces_per_second(self) -> float:
        """By the median."""
        return 1000 * self.faces / float(np.median(self.resample))

    @property
    def times_a_copy(self) -> float:
        """How many times as long as the copy it takes, by the medians."""
        return float(np.median(self.resample) / np.median(self.copy))


def resampler_times(most_faces: int, rounds: int) -> Iterator[BatchTimes]:
    """Measure `faceshape.resample` on batches of 1, 10, 100, … faces.

    Args:
        most_faces: the largest batch.
        rounds: of the large batches; the small ones take more.
    """
    dense = _lifelike(most_faces)
    copied = np.zeros((2, most_faces, dense.shape[1] + POINT_COUNT), np.float32)  # half of x and y
    faces = 1
    while faces <= most_faces:
        calls: dict[str, Callable[[], object]] = {
            "resample": partial(resample, dense[:faces], _TOPOLOGY),
            "copy": partial(np.copyto, copied[0, :faces], copied[1, :faces]),
        }
        times = by_turns(calls, max(rounds, min(_FACES_A_ROUND // faces, _MOST_ROUNDS)))
        yield BatchTimes(faces, times["resample"], times["copy"])
        faces *= 10


def _lifelike(count: int) -> NDArray[np.float32]:
    """Return landmarks that lie about as evenly as those of faces, whatever they show.

    Every curve is a straight line between places of chance, with some jitter.
    """
    topology, rng = load_topology(_TOPOLOGY), np.random.default_rng(0)
    dense = rng.normal(0, 100, (count, topology.points, 2))
    for curve in topology.curves:
        rows = list(topology.indices(curve))
        way = np.linspace(0, 1, len(rows))[:, None]
        dense[:, rows] = dense[:, rows[:1]] * (1 - way) + dense[:, rows[-1:]] * way
    dense += rng.normal(0, 0.3, dense.shape)
    return dense.astype(np.float32)


def stage_times(photo: bytes, threads: int, rounds: int) -> dict[str, NDArray[np.float64]]:
    """Measure each stage on the largest face of a picture, and the whole.

    Args:
        photo: a JPEG, PNG or BMP file.
        threads: that the networks and OpenCV may use.
        rounds: how often.

    Returns:
        Name of the stage → milliseconds (rounds,).

    Raises:
        ImageError: the picture cannot be read.
        ParameterError: it has no face; or threads is below 1.
    """
    engine = FaceShapeEngine(threads=threads)
    cv2.setNumThreads(threads)
    pixels = load_image(photo)
    faces = engine.analyze(pixels, Mode.LARGEST)
    if not faces:
        raise ParameterError("no face is found in the picture, so its stages cannot be measured")
    box, dense = faces[0].box[None], faces[0].dense[None]
    stages: dict[str, Callable[[], object]] = {
        "decode": partial(load_image, photo),
        "detect": partial(engine.detect, pixels),
        "landmarks": partial(engine.landmarks, pixels, box),
        "of these resample": partial(resample, dense, _TOPOLOGY),
        "the whole: analyze": partial(engine.analyze, photo, Mode.LARGEST),
    }
    return by_turns(stages, rounds)
