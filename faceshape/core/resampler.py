"""The vectorised core: from dense curves to points that are uniform in arc length.

A layout consists of *runs*. The curve under a run is a cubic spline through its control points, and
where its points lie on it is found by linear algebra on blocks of faces: next to where they would
be on evenly spaced control points (`faceshape.core.even_sampler`), and by a search of the curve's
pieces where that is too far off (`faceshape.core.search_sampler`).
"""

import threading
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from faceshape.core.arrays import numbers
from faceshape.core.block_sampler import FEW_FACES, BlockSampler
from faceshape.core.even_sampler import EvenSampler, suits
from faceshape.core.layout import Layout, Points, Run, layout_of
from faceshape.core.search_sampler import SearchSampler
from faceshape.core.topology import Topology
from faceshape.errors import ShapeError

__all__ = ["resample_layout", "resample_onto"]

_Kind: TypeAlias = type[EvenSampler] | type[SearchSampler]


def resample_onto(
    dense: ArrayLike, topology: Topology, runs: tuple[Run, ...]
) -> NDArray[np.float32]:
    """Resample dense landmarks into any layout that consists of runs.

    Args:
        dense: (N, P, 2) landmarks in the given topology.
        topology: the meaning of the P points.
        runs: which samples of which curve make the Q points of the layout; each is the target of
            one run.

    Returns:
        (N, Q, 2) float32 in the same frame; see `faceshape.core.contract.resample` for degenerate
        input.

    Raises:
        ShapeError: dense is not (N, P, 2), or not of real numbers.
    """
    return resample_layout(dense, layout_of(topology, runs))


def resample_layout(dense: ArrayLike, layout: Layout) -> NDArray[np.float32]:
    """Do what `resample_onto` does, without looking for what is known of topology and runs."""
    dense = numbers(dense, "landmarks")
    if dense.ndim != 3 or dense.shape[1:] != (layout.topology.points, 2):
        raise ShapeError(
            f"{layout.topology.name} landmarks must be (N, {layout.topology.points}, 2), "
            f"not {dense.shape}"
        )
    points = np.empty((len(dense), layout.points, 2), np.float32)
    if not len(dense):
        return points
    # Points as complex numbers, (N, P) and (N, Q).
    found = points.view(np.complex64)[:, :, 0]
    # What is not finite, or too large to calculate with, stays so, silently.
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        given = np.ascontiguousarray(dense, np.float32).view(np.complex64)[:, :, 0]
        if suits(layout):
            exact = _sample(EvenSampler, layout, given, found)
            if not exact.all():
                found[~exact] = _searched(layout, given[~exact])
        else:
            _sample(SearchSampler, layout, given, found)
    return points


def _searched(layout: Layout, given: Points) -> Points:
    found = np.empty((len(given), layout.points), np.complex64)
    _sample(SearchSampler, layout, given, found)
    return found


def _sample(kind: _Kind, layout: Layout, given: Points, found: Points) -> NDArray[np.bool_]:
    """Resample landmarks (N, P) into points (N, Q), and return which faces (N,) are exact."""
    faces = len(given)
    blocks = 1 if faces <= FEW_FACES else -(-faces // kind.most_faces(layout))
    size = -(-faces // blocks)
    sampler = _thread_sampler(kind, layout, size)
    exact = np.empty(faces, np.bool_)
    for block in range(blocks):
        # All blocks have one size; the last one overlaps the one before it.
        start = min(block * size, faces - size)
        here = slice(start, start + size)
        exact[here] = sampler.sample(given[here], found[here])
    return exact


_of_thread = threading.local()


def _thread_sampler(kind: _Kind, layout: Layout, faces: int) -> BlockSampler:
    """Return this thread's sampler, a new one where the last was for another layout or size."""
    sampler: BlockSampler | None = getattr(_of_thread, kind.__name__, None)
    if sampler is None or sampler.layout is not layout or sampler.faces != faces:
        sampler = kind(layout, faces)
        setattr(_of_thread, kind.__name__, sampler)
    return sampler
