"""The vectorised core beside the naive one in the same run: ``pytest benchmarks/throughput -n0``.

A guard by ratio. pytest-benchmark does not measure in several processes, so this folder is not
among the suite's; the suite runs it in a process of its own (tests/benchmarks).
"""

from time import perf_counter

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage import data

from benchmarks.throughput.naive_resampler import resample_naively
from faceshape import FaceShapeEngine, resample
from faceshape.core.topology import load_topology

_TOPOLOGY = load_topology("dense166")
_ROUNDS = 5
# It is about ten times as much on idle cores.
_LEAST_RATIO = 150
_NAIVE_FACES = 5


@pytest.fixture(scope="module")
def dense() -> NDArray[np.float32]:
    """Real landmarks (5000, 166, 2), each with its own jitter."""
    [face] = FaceShapeEngine(threads=1).analyze(data.astronaut()[:256, 96:352])
    noise = np.random.default_rng(0).normal(0, 0.3, (5000, *face.dense.shape))
    return (face.dense + noise).astype(np.float32)


def test_large_batches_are_many_times_as_fast_as_the_naive_version(benchmark, dense):
    """Both are measured by turns, so that the ratio holds on a busy machine, too."""
    naive: list[float] = []

    def naive_in_turn() -> None:
        started = perf_counter()
        resample_naively(dense[:_NAIVE_FACES], _TOPOLOGY)
        naive.append((perf_counter() - started) / _NAIVE_FACES)

    found = benchmark.pedantic(
        resample, (dense, _TOPOLOGY), setup=naive_in_turn, rounds=_ROUNDS, warmup_rounds=1
    )
    expected = resample_naively(dense[:_NAIVE_FACES], _TOPOLOGY)
    assert np.abs(found[:_NAIVE_FACES] - expected).max() < 0.5  # pixels; it measures chords
    ratio = np.median(naive) / (benchmark.stats.stats.median / len(dense))
    benchmark.extra_info["times as fast"] = round(ratio)
    assert ratio >= _LEAST_RATIO
