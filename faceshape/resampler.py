"""The vectorised core: from dense curves to points that are uniform in arc length.

A layout consists of *runs*. The curve under a run is a cubic spline through its control points;
its length is measured by Gauss–Lobatto quadrature between *nodes*, and the places of the samples
between two nodes follow from both places and tangents there. All of it is linear algebra on blocks
of faces whose arrays are allocated once: fresh memory costs more than what is computed in it.
"""

import threading
from collections.abc import Iterable, Mapping
from functools import cache
from itertools import groupby
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from faceshape.errors import ShapeError
from faceshape.splines import spline_slope_weights, spline_weights
from faceshape.topology import Topology

__all__ = ["Run", "resample_onto"]

# Pieces between nodes that a curve shall have, about: where there are fewer between its control
# points, these are cut. More make the points more exact and take longer.
_PIECES = 8

# Curves of fewer pieces are padded to one number of them and worked on together.
_MANY_PIECES = 12

# The inner points of the quadrature over a piece, t from 0 to 1. They have weight 5/12, the ends
# 1/12.
_INNER_POINTS = (0.5 - 0.05**0.5, 0.5 + 0.05**0.5)

# Faces worked on at once, at most: enough to hide what the calls cost, few enough for the caches.
_BLOCK = 256

# Multiplications in one product of matrices, at most. OpenBLAS starts threads above it
# (SMP_THRESHOLD_MIN · GEMM_MULTITHREAD_THRESHOLD), which here cost more than they give, and very
# much more where the cores have other work.
_PRODUCT = 2**18

# Instead of a speed or a length of zero, to divide by.
_STANDSTILL = np.float32(1e-20)


class Run(NamedTuple):
    """A stretch between two anchors whose points are uniform in arc length.

    Attributes:
        curve: the curve of a topology (`faceshape.topology.CURVES`) that the run lies on.
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
        (N, Q, 2) float32 in the same frame; see `faceshape.contract.resample` for degenerate
        input.

    Raises:
        ShapeError: dense is not (N, P, 2).
    """
    dense = np.asarray(dense, dtype=np.float32)
    if dense.ndim != 3 or dense.shape[1:] != (topology.points, 2):
        raise ShapeError(
            f"{topology.name} landmarks must be (N, {topology.points}, 2), not {dense.shape}"
        )
    points = np.empty((len(dense), count, 2), np.float32)
    if not len(dense):
        return points
    plan = _plan(topology, runs)
    blocks = -(-len(dense) // plan.most_faces)
    size = -(-len(dense) // blocks)
    sampler = _block_sampler(plan, size)
    with np.errstate(invalid="ignore"):  # coordinates that are not finite stay so, silently
        for block in range(blocks):
            # All blocks have one size; the last one overlaps the one before it.
            start = min(block * size, len(dense) - size)
            sampler.sample(dense[start : start + size], points[start : start + size])
    return points


# What is computed once for a topology and a layout -----------------------------------------------


class _Bundle(NamedTuple):
    """L curves of up to K control points that are evaluated together, at N nodes each.

    A curve has R = 4 · N − 2 rows: the N nodes; the N slopes there; and for each of the pieces
    between them five times the slope at its first, then at its second inner quadrature point.
    T samples are searched for on all L curves.
    """

    control_rows: NDArray[np.intp]  # (L, K)
    basis: NDArray[np.float32]  # (L, 2, R / 2, K) in halves
    until: NDArray[np.float32]  # (L, N, N − 1) sums what lies before each node
    sample_curves: NDArray[np.intp]  # (T,)
    sample_fractions: NDArray[np.float32]  # (T, 1) of the curve's length

    @property
    def row_count(self) -> int:
        """L · R."""
        curves, halves, rows, _ = self.basis.shape
        return int(curves * halves * rows)

    @property
    def node_count(self) -> int:
        """L · N."""
        curves, nodes, _ = self.until.shape
        return int(curves * nodes)


class _Plan(NamedTuple):
    """What resampling needs to know of a topology and a layout.

    C combined control points of up to S terms are appended to the P dense ones, which makes P + C
    rows. A anchors are taken from rows as they are; T samples are searched for on the curves. In
    `order` both, anchors first, are the Q points of the layout.
    """

    points: int  # P
    term_rows: NDArray[np.intp]  # (C, S)
    term_weights: NDArray[np.float32]  # (C, S, 1, 1)
    anchor_rows: NDArray[np.intp]  # (A,)
    bundles: tuple[_Bundle, ...]
    order: NDArray[np.intp]  # (Q,)
    most_faces: int  # to work on at once


class _Curve(NamedTuple):
    rows: tuple[int, ...]  # of its control points
    targets: tuple[int, ...]  # of its samples, the ends left out

    @property
    def cuts(self) -> int:
        """Into how many pieces each interval between two control points is cut."""
        return max(1, round(_PIECES / max(1, len(self.rows) - 1)))

    @property
    def pieces(self) -> int:
        """How many there are between its nodes."""
        return (len(self.rows) - 1) * self.cuts


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
    curves.sort(key=_has_many_pieces)
    targets = [target for _, target in anchors]
    targets += [target for curve in curves for target in curve.targets]
    places = {target: place for place, target in enumerate(targets)}  # runs may share their ends
    terms = max(map(len, combined), default=0)
    term_rows = [_padded(control, terms) for control in combined]
    weights = [_padded(control.values(), terms, padding=0.0) for control in combined]
    bundles = tuple(_bundle(list(alike)) for _, alike in groupby(curves, _has_many_pieces))
    products = [2 * bundle.basis[0, 0].size for bundle in bundles]  # for one face
    return _Plan(
        topology.points,
        np.array(term_rows, np.intp).reshape(len(combined), terms),
        np.array(weights, np.float32).reshape(len(combined), terms, 1, 1),
        np.array([row for row, _ in anchors], np.intp),
        bundles,
        np.array([places[target] for target in sorted(places)], np.intp),
        min(_BLOCK, max(1, _PRODUCT // max(products, default=1))),
    )


def _has_many_pieces(curve: _Curve) -> bool:
    return curve.pieces > _MANY_PIECES


def _bundle(curves: list[_Curve]) -> _Bundle:
    controls = max(len(curve.rows) for curve in curves)
    pieces = max(curve.pieces for curve in curves)
    basis = [_basis(curve, controls, pieces) for curve in curves]
    own = np.array([[[curve.pieces]] for curve in curves]) > np.arange(pieces)
    until = np.tri(pieces + 1, pieces, -1) * own / 12
    samples = [
        (place, number / (len(curve.targets) + 1))
        for place, curve in enumerate(curves)
        for number in range(1, len(curve.targets) + 1)
    ]
    return _Bundle(
        np.array([_padded(curve.rows, controls) for curve in curves], np.intp),
        np.array(basis, np.float32).reshape(len(curves), 2, -1, controls),
        until.astype(np.float32),
        np.array([place for place, _ in samples], np.intp),
        np.array([[fraction] for _, fraction in samples], np.float32),
    )


def _basis(curve: _Curve, controls: int, pieces: int) -> NDArray[np.float64]:
    """Return the matrix (R, K) from control points to a curve's rows, see `_Bundle`.

    Pieces that only others of its bundle have are without length, at its last control point.
    """
    own, cuts = len(curve.rows), curve.cuts
    piece, node = np.arange(curve.pieces), np.arange(curve.pieces + 1)
    basis = np.zeros((4 * pieces + 2, controls))
    starts = np.cumsum([pieces + 1, pieces + 1, pieces])
    places, slopes, *inner = np.split(basis[:, :own], starts)
    places[:, -1] = 1
    places[node] = spline_weights(node / cuts, own)
    slopes[node] = spline_slope_weights(node / cuts, own) / cuts
    for rows, point in zip(inner, _INNER_POINTS, strict=True):
        rows[piece] = 5 * spline_slope_weights((piece + point) / cuts, own) / cuts
    return basis


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


def _floats(*shape: int) -> NDArray[np.float32]:
    return np.empty(shape, np.float32)


class _BlockSampler:
    """Resamples blocks of n faces.

    The faces are on the last axis, where numpy's loops run over all of them at once, and x lies
    before y. Indices are valid; `take` is told a mode because without one it fills a copy first,
    in case they are not.
    """

    def __init__(self, plan: _Plan, faces: int) -> None:
        self.plan, self.faces = plan, faces
        samples = sum(len(bundle.sample_curves) for bundle in plan.bundles)
        self._dense = _floats(plan.points, 2, faces)
        # The anchors, then the samples.
        self._points = _floats(len(plan.anchor_rows) + samples, 2, faces)
        self._ordered = _floats(len(plan.order), 2, faces)
        self._rows = _floats(sum(bundle.row_count for bundle in plan.bundles), 2 * faces)
        self._ends = _floats(sum(bundle.node_count for bundle in plan.bundles), faces)
        self._pieces = np.empty((samples, faces), np.uint8)
        self._wanted = _floats(samples, faces)
        self._bundles: list[_BundleSampler] = []
        starts: list[NDArray[np.intp]] = [np.empty((3, 0), np.intp)]
        row = node = sample = 0
        for bundle in plan.bundles:
            nodes = bundle.until.shape[1]
            height = 4 * nodes - 2
            curves = bundle.sample_curves
            below = row + bundle.row_count, node + bundle.node_count, sample + len(curves)
            self._bundles.append(
                _BundleSampler(
                    bundle,
                    self._rows[row : below[0]],
                    self._ends[node : below[1]],
                    self._pieces[sample : below[2]],
                    self._wanted[sample : below[2]],
                )
            )
            first = row + height * curves
            starts.append(np.stack([first, first + nodes, node + nodes * curves]))
            row, node, sample = below
        # Places in the flat arrays, for each sample: its curve's first node, the slope there, and
        # the length up to there; and how far it is from one node to the next.
        self._steps = np.array([2 * faces, 2 * faces, faces])[:, None, None]
        self._starts = np.concatenate(starts, axis=1)[:, :, None] * self._steps + np.arange(faces)
        self._where = np.empty_like(self._starts)
        # (2, 2, 2, T, n): the node before and the one behind; x and y; place and slope.
        self._nodes = _floats(2, 2, 2, samples, faces)
        self._squares = _floats(2, 2, samples, faces)
        self._lengths = _floats(3, samples, faces)  # of the piece; speeds before and behind
        self._parts = _floats(2, samples, faces)  # of the length that are left, that are passed

    def sample(self, dense: NDArray[np.float32], points: NDArray[np.float32]) -> None:
        """Resample landmarks (n, P, 2) into points (n, Q, 2)."""
        plan, rows = self.plan, self._dense
        rows[:] = dense.transpose(1, 2, 0)
        if len(plan.term_rows):
            rows = np.concatenate([rows, (rows[plan.term_rows] * plan.term_weights).sum(axis=1)])
        anchors = len(plan.anchor_rows)
        rows.take(plan.anchor_rows, axis=0, out=self._points[:anchors], mode="clip")
        for bundle in self._bundles:
            bundle.measure(rows.reshape(len(rows), -1))
            bundle.find()
        if self._bundles:
            self._interpolate(self._points[anchors:].transpose(1, 0, 2))
        self._points.take(plan.order, axis=0, out=self._ordered, mode="clip")
        points[:] = self._ordered.transpose(2, 0, 1)

    def _interpolate(self, samples: NDArray[np.float32]) -> None:
        """Write the samples (2, T, n): cubics in arc length, with unit tangents at both nodes."""
        faces, where = self.faces, self._where
        np.multiply(self._pieces, self._steps, out=where)
        where += self._starts
        rows, ends = self._rows.ravel(), self._ends.ravel()
        for shift, node in enumerate(self._nodes.reshape(4, *where[:2].shape)):
            rows[shift * faces :].take(where[:2], out=node, mode="clip")
        (rest, part), (length, *_) = self._parts, self._lengths
        ends.take(where[2], out=rest, mode="clip")
        ends[faces:].take(where[2], out=length, mode="clip")
        length -= rest
        np.subtract(self._wanted, rest, out=part)

        (start, chord), slopes = self._nodes[:, :, 0], self._nodes[:, :, 1]
        squares = np.square(slopes, out=self._squares)
        speeds = np.add(squares[:, 0], squares[:, 1], out=self._lengths[1:])
        np.sqrt(speeds, out=speeds)
        np.maximum(self._lengths, _STANDSTILL, out=self._lengths)
        part /= length
        np.subtract(1, part, out=rest)

        chord -= start
        slopes *= np.divide(length, speeds, out=speeds)[:, None]  # tangents
        slopes -= chord
        slopes *= self._parts[:, None]
        np.subtract(slopes[0], slopes[1], out=samples)
        samples *= rest
        samples += chord
        samples *= part
        samples += start


class _BundleSampler:
    """A bundle's part of the work: where on which piece are its samples?"""

    def __init__(
        self,
        bundle: _Bundle,
        rows: NDArray[np.float32],
        ends: NDArray[np.float32],
        pieces: NDArray[np.uint8],
        wanted: NDArray[np.float32],
    ) -> None:
        """Take where to write.

        Args:
            bundle: the curves.
            rows: (L · R, 2 · n) see `_Bundle`.
            ends: (L · N, n) length of a curve up to each node.
            pieces: (T, n) the piece that a sample lies on.
            wanted: (T, n) the length up to it.
        """
        curves, halves, half, controls = bundle.basis.shape
        faces, nodes, samples = ends.shape[-1], bundle.until.shape[1], len(wanted)
        self._bundle = bundle
        self._pieces, self._wanted = pieces, wanted
        self._controls = _floats(curves, controls, 2 * faces)
        self._rows = rows.reshape(curves, halves, half, 2 * faces)
        self._slopes = rows.reshape(curves, halves * half, 2 * faces)[:, nodes:]
        self._squares = _floats(*self._slopes.shape)
        self._speeds = _floats(*self._slopes.shape[:2], faces)
        self._lengths = _floats(curves, nodes - 1, faces)
        self._ends = ends.reshape(curves, nodes, faces)
        self._sample_ends = _floats(samples, nodes, faces)
        self._passed = np.empty((samples, nodes - 2, faces), np.bool_)

    def measure(self, rows: NDArray[np.float32]) -> None:
        """Evaluate the curves at their nodes, and measure their length up to each."""
        bundle, squares, speeds, lengths = self._bundle, self._squares, self._speeds, self._lengths
        rows.take(bundle.control_rows, axis=0, out=self._controls, mode="clip")
        np.matmul(bundle.basis, self._controls[:, None], out=self._rows)
        np.square(self._slopes, out=squares)
        faces, pieces = speeds.shape[-1], lengths.shape[1]
        np.add(squares[..., :faces], squares[..., faces:], out=speeds)
        np.sqrt(speeds, out=speeds)
        np.add(speeds[:, :pieces], speeds[:, 1 : pieces + 1], out=lengths)
        lengths += speeds[:, pieces + 1 : -pieces]
        lengths += speeds[:, -pieces:]
        np.matmul(bundle.until, lengths, out=self._ends)  # faster than a cumulative sum

    def find(self) -> None:
        """Find the piece on which each sample lies."""
        bundle, ends = self._bundle, self._sample_ends
        self._ends.take(bundle.sample_curves, axis=0, out=ends, mode="clip")
        np.multiply(bundle.sample_fractions, ends[:, -1], out=self._wanted)
        np.less_equal(ends[:, 1:-1], self._wanted[:, None], out=self._passed)
        passed = self._passed.view(np.uint8)
        np.add.reduce(passed, axis=1, dtype=np.uint8, out=self._pieces)
