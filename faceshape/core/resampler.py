"""The vectorised core: from dense curves to points that are uniform in arc length.

A layout consists of *runs*. The curve under a run is a cubic spline through its control points;
its length is measured by Gaussian quadrature between *nodes*, and the places of the samples
between two nodes follow from both places and tangents there. All of it is linear algebra on blocks
of faces whose arrays are allocated once: fresh memory costs more than what is computed in it.

A point is a complex number here, x + iy: it moves in one piece, and its absolute value is a length.
"""

import threading
from collections.abc import Iterable, Mapping
from functools import cache
from itertools import groupby
from typing import NamedTuple, TypeAlias, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from faceshape.core.arrays import numbers
from faceshape.core.splines import spline_slope_weights, spline_weights
from faceshape.core.topology import Topology
from faceshape.errors import ShapeError

__all__ = ["Run", "resample_onto"]

# Pieces between nodes that every curve is cut into. More make the points more exact and take
# longer.
_PIECES = 10
# Intervals between control points that a piece may span; a longer one would miss their turns.
_MOST_INTERVALS = 2

# Curves of up to so many control points are padded to one number of them and evaluated together.
_FEW_CONTROLS = 12

# The two points of the quadrature over a piece, t from 0 to 1; each has half the weight.
_INNER_POINTS = (0.5 - 12**-0.5, 0.5 + 12**-0.5)

# Faces worked on at once, at most: enough to hide what the calls cost, few enough for the caches,
# and no power of two, by which columns would lie in one place of the caches.
_BLOCK = 240

# Multiplications in one product of matrices, at most. OpenBLAS starts threads above it
# (SMP_THRESHOLD_MIN · GEMM_MULTITHREAD_THRESHOLD), which here cost more than they give, and very
# much more where the cores have other work.
_PRODUCT = 2**18

# Instead of a speed or a length of zero, to divide by.
_STANDSTILL = np.float32(1e-20)

_Points: TypeAlias = NDArray[np.complex64]
_Floats: TypeAlias = NDArray[np.float32]


class Run(NamedTuple):
    """A stretch between two anchors whose points are uniform in arc length.

    Attributes:
        curve: the curve of a topology (`faceshape.core.topology.CURVES`) that the run lies on.
        targets: the output row of each sample; −1 marks an end that belongs to another run.
    """

    curve: str
    targets: tuple[int, ...]


def resample_onto(
    dense: ArrayLike, topology: Topology, runs: tuple[Run, ...], count: int
) -> NDArray[np.float32]:
    """Resample dense landmarks into any layout that consists of runs.

    Args:
        dense: (N, P, 2) landmarks in the given topology.
        topology: the meaning of the P points.
        runs: the layout: which samples of which curve make its points.
        count: Q, the number of points of the layout; each must be a target of one run.

    Returns:
        (N, Q, 2) float32 in the same frame; see `faceshape.core.contract.resample` for degenerate
        input.

    Raises:
        ShapeError: dense is not (N, P, 2), or not of real numbers.
    """
    dense = numbers(dense, "landmarks")
    if dense.ndim != 3 or dense.shape[1:] != (topology.points, 2):
        raise ShapeError(
            f"{topology.name} landmarks must be (N, {topology.points}, 2), not {dense.shape}"
        )
    points = np.empty((len(dense), count, 2), np.float32)
    if not len(dense):
        return points
    # Points as complex numbers, (N, P) and (N, Q).
    # What is not finite, or too large to calculate with, stays so, silently.
    with np.errstate(invalid="ignore", over="ignore"):
        given = np.ascontiguousarray(dense, np.float32).view(np.complex64)[:, :, 0]
    found = points.view(np.complex64)[:, :, 0]
    plan = _plan(topology, runs)
    blocks = -(-len(dense) // plan.most_faces)
    size = -(-len(dense) // blocks)
    sampler = _block_sampler(plan, size)
    with np.errstate(invalid="ignore", over="ignore"):
        for block in range(blocks):
            # All blocks have one size; the last one overlaps the one before it.
            start = min(block * size, len(dense) - size)
            sampler.sample(given[start : start + size], found[start : start + size])
    return points


# What is computed once for a topology and a layout -----------------------------------------------


class _Bundle(NamedTuple):
    """L curves of up to K control points that are evaluated together.

    A curve has R = 4 · N − 2 rows: its N nodes; the N slopes there; and half the slope at the
    first, then at the second quadrature point of each of the N − 1 pieces between them.
    """

    control_rows: NDArray[np.intp]  # (L, K)
    basis: _Floats  # (L, 1, R, K), or (L, 2, R / 2, K) if one product would be too large

    @property
    def multiplications(self) -> int:
        """In one product of matrices, for one face."""
        return 2 * int(self.basis[0, 0].size)


class _Plan(NamedTuple):
    """What resampling needs to know of a topology and a layout.

    M combined control points of up to S terms are appended to the P dense ones, which makes P + M
    rows. A anchors are taken from rows as they are; T samples are searched for on the C curves of
    the bundles. In `order` both, anchors first, are the Q points of the layout.
    """

    points: int  # P
    term_rows: NDArray[np.intp]  # (M, S)
    term_weights: _Floats  # (M, S, 1)
    anchor_rows: NDArray[np.intp]  # (A,)
    nodes: int  # N, of every curve
    bundles: tuple[_Bundle, ...]
    sample_curves: NDArray[np.intp]  # (T,)
    sample_fractions: _Floats  # (T, 1) of the curve's length
    order: NDArray[np.intp]  # (Q,)
    most_faces: int  # to work on at once


class _Curve(NamedTuple):
    rows: tuple[int, ...]  # of its control points
    targets: tuple[int, ...]  # of its samples, the ends left out


@cache
def _plan(topology: Topology, runs: tuple[Run, ...]) -> _Plan:
    combined: list[Mapping[int, float]] = []
    anchors: list[tuple[int, int]] = []
    curves: list[_Curve] = []
    for run in runs:
        rows: list[int] = []
        for control in topology.curves[run.curve]:
            if len(control) == 1:
                rows.extend(control)
            else:
                rows.append(topology.points + len(combined))
                combined.append(control)
        anchors.append((rows[0], run.targets[0]))
        if len(run.targets) > 1:
            anchors.append((rows[-1], run.targets[-1]))
        if len(run.targets) > 2:
            curves.append(_Curve(tuple(rows), run.targets[1:-1]))
    anchors = [(row, target) for row, target in anchors if target >= 0]
    curves.sort(key=_has_many_controls)
    targets = [target for _, target in anchors]
    targets += [target for curve in curves for target in curve.targets]
    places = {target: place for place, target in enumerate(targets)}  # runs may share their ends
    terms = max(map(len, combined), default=0)
    term_rows = [_padded(control, terms) for control in combined]
    weights = [_padded(control.values(), terms, padding=0.0) for control in combined]
    intervals = max((len(curve.rows) - 1 for curve in curves), default=0)
    pieces = max(_PIECES, -(-intervals // _MOST_INTERVALS))
    alike = groupby(curves, _has_many_controls)
    bundles = tuple(_bundle(list(members), pieces) for _, members in alike)
    products = [bundle.multiplications for bundle in bundles]
    samples = [
        (place, number / (len(curve.targets) + 1))
        for place, curve in enumerate(curves)
        for number in range(1, len(curve.targets) + 1)
    ]
    return _Plan(
        topology.points,
        np.array(term_rows, np.intp).reshape(len(combined), terms),
        np.array(weights, np.float32).reshape(len(combined), terms, 1),
        np.array([row for row, _ in anchors], np.intp),
        pieces + 1,
        bundles,
        np.array([place for place, _ in samples], np.intp),
        np.array([[fraction] for _, fraction in samples], np.float32).reshape(-1, 1),
        np.array([places[target] for target in sorted(places)], np.intp),
        min(_BLOCK, max(1, _PRODUCT // max(products, default=1))),
    )


def _has_many_controls(curve: _Curve) -> bool:
    return len(curve.rows) > _FEW_CONTROLS


def _bundle(curves: list[_Curve], pieces: int) -> _Bundle:
    controls = max(len(curve.rows) for curve in curves)
    control_rows = np.array([_padded(curve.rows, controls) for curve in curves], np.intp)
    basis = np.zeros((len(curves), 1, 4 * pieces + 2, controls), np.float32)
    for rows, curve in zip(basis[:, 0], curves, strict=True):
        own = len(curve.rows)
        rows[:, :own] = _basis(own, pieces)
    bundle = _Bundle(control_rows, basis)
    if _BLOCK * bundle.multiplications <= _PRODUCT:
        return bundle
    return _Bundle(control_rows, basis.reshape(len(curves), 2, -1, controls))


@cache
def _basis(controls: int, pieces: int) -> NDArray[np.float64]:
    """Return the matrix (R, K) from K control points to a curve's rows, see `_Bundle`."""
    span = (controls - 1) / pieces
    nodes = span * np.arange(pieces + 1)
    inner = [
        spline_slope_weights(nodes[:-1] + span * point, controls) * span / 2
        for point in _INNER_POINTS
    ]
    at_nodes = [spline_weights(nodes, controls), spline_slope_weights(nodes, controls)]
    return np.concatenate([*at_nodes, *inner])


_Number = TypeVar("_Number", int, float)


def _padded(
    values: Iterable[_Number], length: int, padding: _Number | None = None
) -> list[_Number]:
    # Rows are padded with one of their own, so that a NaN elsewhere cannot get in by 0 · NaN.
    row = list(values)
    return row + [row[0] if padding is None else padding] * (length - len(row))


# What is done with a block of faces ---------------------------------------------------------------

_of_thread = threading.local()


def _block_sampler(plan: _Plan, faces: int) -> "_BlockSampler":
    """Return this thread's sampler, a new one where the last was for another plan or size."""
    sampler: _BlockSampler | None = getattr(_of_thread, "sampler", None)
    if sampler is None or sampler.plan is not plan or sampler.faces != faces:
        sampler = _of_thread.sampler = _BlockSampler(plan, faces)
    return sampler


class _BlockSampler:
    """Resamples blocks of n faces.

    The faces are on the last axis, where numpy's loops run over all of them at once. The arrays
    and all views of them are made once. Indices are valid; `take` is told a mode because without
    one it fills a copy first, in case they are not.
    """

    def __init__(self, plan: _Plan, faces: int) -> None:
        self.plan, self.faces = plan, faces
        nodes, samples = plan.nodes, len(plan.sample_curves)
        rows = 4 * nodes - 2
        curves = sum(len(bundle.basis) for bundle in plan.bundles)
        self._controls = _points(plan.points + len(plan.term_rows), faces)
        self._dense, self._combined = np.split(self._controls, [plan.points])
        self._points = _points(len(plan.anchor_rows) + samples, faces)
        self._anchors, self._samples = np.split(self._points, [len(plan.anchor_rows)])
        self._ordered = _points(len(plan.order), faces)

        self._rows = _points(curves, rows, faces)
        self._evaluations: list[tuple[_Bundle, _Points, _Floats, _Floats]] = []
        first = 0
        for bundle in plan.bundles:
            below = first + len(bundle.basis)
            chosen = _points(*bundle.control_rows.shape, faces)
            results = self._rows[first:below]
            factors = chosen.view(np.float32)[:, None]
            products = results.view(np.float32).reshape(*bundle.basis.shape[:3], -1)
            self._evaluations.append((bundle, chosen, factors, products))
            first = below
        self._inner_slopes = self._rows[:, 2 * nodes :]
        self._inner_speeds = _floats(curves, 2, nodes - 1, faces)
        self._lengths = _floats(curves, nodes - 1, faces)
        self._until = np.tri(nodes, nodes - 1, -1, np.float32)  # sums what lies before each node
        self._ends = _floats(curves, nodes, faces)  # the length of a curve up to each node
        self._sample_ends = _floats(samples, nodes, faces)
        self._wanted = _floats(samples, faces)  # the length up to a sample
        self._passed = np.empty((samples, nodes - 2, faces), np.bool_)
        self._pieces = np.empty((samples, faces), np.uint8)  # on which the samples lie

        # Places in the flat arrays of rows and of ends, for each sample: its curve's first node.
        starts = np.outer([rows * faces, nodes * faces], plan.sample_curves)
        self._starts = starts[:, :, None] + np.arange(faces)
        self._where = np.empty_like(self._starts)
        flat = self._rows.reshape(-1)
        self._node_rows = [flat[faces * step :] for step in (0, 1, nodes, nodes + 1)]
        self._node_ends = [self._ends.reshape(-1)[faces * step :] for step in (0, 1)]
        self._origin = _points(samples, faces)
        self._terms = _points(3, samples, faces)  # the chord, the slopes before and behind
        self._weights = np.zeros_like(self._terms)
        self._weight_parts = _floats(3, samples, faces)
        self._speeds = _floats(2, samples, faces)
        self._length, self._before, self._part, self._rest = _floats(4, samples, faces)

    def sample(self, dense: _Points, points: _Points) -> None:
        """Resample landmarks (n, P) into points (n, Q)."""
        plan = self.plan
        self._dense[:] = dense.T
        if len(plan.term_rows):
            terms = self._dense[plan.term_rows] * plan.term_weights
            np.add.reduce(terms, axis=1, out=self._combined)
        self._controls.take(plan.anchor_rows, axis=0, out=self._anchors, mode="clip")
        if plan.bundles:
            self._measure()
            self._find()
            self._interpolate()
        self._points.take(plan.order, axis=0, out=self._ordered, mode="clip")
        points[:] = self._ordered.T

    def _measure(self) -> None:
        """Evaluate the curves at their nodes, and measure their length up to each."""
        for bundle, chosen, factors, products in self._evaluations:
            self._controls.take(bundle.control_rows, axis=0, out=chosen, mode="clip")
            np.matmul(bundle.basis, factors, out=products)
        speeds = self._inner_speeds
        np.abs(self._inner_slopes, out=speeds.reshape(self._inner_slopes.shape))
        np.add(speeds[:, 0], speeds[:, 1], out=self._lengths)
        np.matmul(self._until, self._lengths, out=self._ends)  # faster than a cumulative sum

    def _find(self) -> None:
        """Find the piece on which each sample lies."""
        plan, ends = self.plan, self._sample_ends
        self._ends.take(plan.sample_curves, axis=0, out=ends, mode="clip")
        np.multiply(plan.sample_fractions, ends[:, -1], out=self._wanted)
        np.less_equal(ends[:, 1:-1], self._wanted[:, None], out=self._passed)
        np.add.reduce(self._passed.view(np.uint8), axis=1, dtype=np.uint8, out=self._pieces)

    def _interpolate(self) -> None:
        """Compute the samples: cubics in arc length, with unit tangents at both nodes."""
        faces, where = self.faces, self._where
        np.multiply(self._pieces, faces, out=where[1], dtype=np.intp)
        np.add(where[1], self._starts, out=where)
        origin, terms = self._origin, self._terms
        chord, slopes = terms[0], terms[1:]
        for rows, values in zip(self._node_rows, (origin, *terms), strict=True):
            rows.take(where[0], out=values, mode="clip")
        length, before, part, rest = self._length, self._before, self._part, self._rest
        for ends, values in zip(self._node_ends, (before, length), strict=True):
            ends.take(where[1], out=values, mode="clip")
        chord -= origin
        length -= before
        np.subtract(self._wanted, before, out=part)
        np.maximum(length, _STANDSTILL, out=before)
        part /= before
        np.subtract(1, part, out=rest)
        speeds = np.abs(slopes, out=self._speeds)
        np.maximum(speeds, _STANDSTILL, out=speeds)

        # With p passed of the piece and r left: chord · p² (1 + 2r), tangent before · p r² and
        # tangent behind · −p² r, a tangent being as long as the piece.
        along, *tangents = self._weight_parts
        np.multiply(length, part, out=before)
        before *= rest
        np.multiply(before, rest, out=tangents[0])
        np.multiply(before, part, out=tangents[1])
        np.negative(tangents[1], out=tangents[1])
        self._weight_parts[1:] /= speeds
        np.multiply(part, part, out=along)
        rest += rest
        rest += 1
        along *= rest
        self._weights.real = self._weight_parts
        terms *= self._weights
        np.add.reduce(terms, axis=0, out=self._samples)
        self._samples += origin


def _points(*shape: int) -> _Points:
    return np.empty(shape, np.complex64)


def _floats(*shape: int) -> _Floats:
    return np.empty(shape, np.float32)
