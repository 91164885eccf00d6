"""Samples of any curves: the piece on which each one lies is searched for.

A curve's length is measured by Gaussian quadrature between *nodes*, and the places of the samples
between two nodes follow from both places and tangents there.
"""

from functools import cache
from itertools import groupby
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from faceshape.core.block_sampler import PRODUCT, STANDSTILL, BlockSampler, floats, points
from faceshape.core.layout import Curve, Floats, Layout, Points, padded
from faceshape.core.splines import spline_weights

__all__ = ["SearchSampler"]

# Pieces between nodes that every curve is cut into. More make the points more exact and take
# longer.
_PIECES = 10
# Intervals between control points that a piece may span; a longer one would miss their turns.
_MOST_INTERVALS = 2

# The two points of the quadrature over a piece, t from 0 to 1; each has half the weight.
_INNER_POINTS = (0.5 - 12**-0.5, 0.5 + 12**-0.5)

# Faces worked on at once, at most: as in `faceshape.core.even_sampler`, but more is kept for each.
_BLOCK = 240


class _Bundle(NamedTuple):
    """L curves of up to K control points that are evaluated together.

    A curve has R = 4 · N − 2 rows: its N nodes; the N slopes there; and half the slope at the
    first, then at the second quadrature point of each of the N − 1 pieces between them.
    """

    control_rows: NDArray[np.intp]  # (L, K)
    basis: Floats  # (L, 1, R, K), or (L, 2, R / 2, K) if one product would be too large

    @property
    def multiplications(self) -> int:
        """In one product of matrices, for one face."""
        return 2 * int(self.basis[0, 0].size)


class _Plan(NamedTuple):
    """What is computed once for C curves with T samples."""

    nodes: int  # N, of every curve
    bundles: tuple[_Bundle, ...]
    sample_curves: NDArray[np.intp]  # (T,)
    sample_fractions: Floats  # (T, 1) of the curve's length


@cache
def _plan(layout: Layout) -> _Plan:
    curves = layout.curves
    intervals = max(len(curve.rows) - 1 for curve in curves)
    pieces = max(_PIECES, -(-intervals // _MOST_INTERVALS))
    alike = groupby(curves, lambda curve: curve.has_many_controls)
    samples = [
        (place, number / (len(curve.targets) + 1))
        for place, curve in enumerate(curves)
        for number in range(1, len(curve.targets) + 1)
    ]
    return _Plan(
        pieces + 1,
        tuple(_bundle(list(members), pieces) for _, members in alike),
        np.array([place for place, _ in samples], np.intp),
        np.array([[fraction] for _, fraction in samples], np.float32),
    )


def _bundle(curves: list[Curve], pieces: int) -> _Bundle:
    controls = max(len(curve.rows) for curve in curves)
    control_rows = np.array([padded(curve.rows, controls) for curve in curves], np.intp)
    basis = np.zeros((len(curves), 1, 4 * pieces + 2, controls), np.float32)
    for rows, curve in zip(basis[:, 0], curves, strict=True):
        own = len(curve.rows)
        rows[:, :own] = _basis(own, pieces)
    bundle = _Bundle(control_rows, basis)
    if _BLOCK * bundle.multiplications <= PRODUCT:
        return bundle
    return _Bundle(control_rows, basis.reshape(len(curves), 2, -1, controls))


@cache
def _basis(controls: int, pieces: int) -> NDArray[np.float64]:
    """Return the matrix (R, K) from K control points to a curve's rows, see `_Bundle`."""
    span = (controls - 1) / pieces
    nodes = span * np.arange(pieces + 1)
    inner = [
        spline_weights(nodes[:-1] + span * point, controls, derivative=1) * span / 2
        for point in _INNER_POINTS
    ]
    at_nodes = [spline_weights(nodes, controls), spline_weights(nodes, controls, derivative=1)]
    return np.concatenate([*at_nodes, *inner])


class SearchSampler(BlockSampler):
    """Resamples curves whose control points lie anywhere."""

    def __init__(self, layout: Layout, faces: int) -> None:
        """Make the arrays for so many faces."""
        targets = [target for curve in layout.curves for target in curve.targets]
        super().__init__(layout, faces, targets)
        if not layout.curves:
            return
        plan = self._plan = _plan(layout)
        nodes, samples = plan.nodes, len(targets)
        rows = 4 * nodes - 2
        curves = len(layout.curves)
        self._rows = points(curves, rows, faces)
        self._evaluations: list[tuple[_Bundle, Points, Floats, Floats]] = []
        first = 0
        for bundle in plan.bundles:
            below = first + len(bundle.basis)
            chosen = points(*bundle.control_rows.shape, faces)
            results = self._rows[first:below]
            factors = chosen.view(np.float32)[:, None]
            products = results.view(np.float32).reshape(*bundle.basis.shape[:3], -1)
            self._evaluations.append((bundle, chosen, factors, products))
            first = below
        self._inner_slopes = self._rows[:, 2 * nodes :]
        self._inner_speeds = floats(curves, 2, nodes - 1, faces)
        self._lengths = floats(curves, nodes - 1, faces)
        self._until = np.tri(nodes, nodes - 1, -1, np.float32)  # sums what lies before each node
        self._ends = floats(curves, nodes, faces)  # the length of a curve up to each node
        self._sample_ends = floats(samples, nodes, faces)
        self._wanted = floats(samples, faces)  # the length up to a sample
        self._passed = np.empty((samples, nodes - 2, faces), np.bool_)
        self._pieces = np.empty((samples, faces), np.uint8)  # on which the samples lie

        # Places in the flat arrays of rows and of ends, for each sample: its curve's first node.
        starts = np.outer([rows * faces, nodes * faces], plan.sample_curves)
        self._starts = starts[:, :, None] + np.arange(faces)
        self._where = np.empty_like(self._starts)
        flat = self._rows.reshape(-1)
        self._node_rows = [flat[faces * step :] for step in (0, 1, nodes, nodes + 1)]
        self._node_ends = [self._ends.reshape(-1)[faces * step :] for step in (0, 1)]
        self._origin = points(samples, faces)
        self._terms = points(3, samples, faces)  # the chord, the slopes before and behind
        self._weights = np.zeros_like(self._terms)
        self._weight_parts = floats(3, samples, faces)
        self._speeds = floats(2, samples, faces)
        self._length, self._before, self._part, self._rest = floats(4, samples, faces)

    @staticmethod
    def most_faces(layout: Layout) -> int:
        """Return how many faces to work on at once."""
        if not layout.curves:
            return _BLOCK
        products = [bundle.multiplications for bundle in _plan(layout).bundles]
        return min(_BLOCK, max(1, PRODUCT // max(products)))

    def _sample_curves(self) -> NDArray[np.bool_]:
        self._measure()
        self._find()
        self._interpolate()
        return np.ones(self.faces, np.bool_)

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
        plan, ends = self._plan, self._sample_ends
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
        np.maximum(length, STANDSTILL, out=before)
        part /= before
        np.subtract(1, part, out=rest)
        speeds = np.abs(slopes, out=self._speeds)
        np.maximum(speeds, STANDSTILL, out=speeds)

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
