"""Samples of curves whose control points lie about evenly along them: close by, so no search.

A curve's *starts* are where its samples would be if the control points lay exactly evenly. The
length of the curve up to a start says how far its sample is from it, and the second order's series
at the start leads there. Where the sample is too far for that, the face is left to the search
(`faceshape.core.search_sampler`).
"""

from functools import cache
from itertools import groupby
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from faceshape.core.block_sampler import BLOCK, PRODUCT, BlockSampler, floats, points
from faceshape.core.layout import Curve, Floats, Layout, Points, padded
from faceshape.core.splines import spline_weights

__all__ = ["EvenSampler"]

# How far a sample may be from its start, in distances of two starts; and by which share of that
# the second order may change it.
_FARTHEST = 0.25
# Intervals between control points from one start to the next, at most: the quadrature spans them.
_MOST_INTERVALS = 2

# Boole's rule over the stretch between two starts, t from 0 to 1.
_PLACES = np.array([0.0, 0.25, 0.5, 0.75])
_WEIGHTS = np.array([7, 32, 12, 32, 7]) / 90
# The slope at the third of five places, one unit apart.
_SLOPE_WEIGHTS = np.array([1, -8, 0, 8, -1]) / 12


class _Bundle(NamedTuple):
    """L curves with S samples each and up to K control points.

    A curve has R rows: half the second derivatives at its S starts, its slopes there and at the
    V − S other places of the quadrature, and its places at the starts; the rest is padding.
    """

    control_rows: NDArray[np.intp]  # (L, K)
    basis: Floats  # (L, parts, R / parts, K): no product is too large
    # From the V speeds to how far the samples are from their starts, and to half the negative
    # changes of speed there.
    measure: Floats  # (2 S, V)

    @property
    def samples(self) -> int:
        """S, of each curve."""
        return len(self.measure) // 2

    @property
    def multiplications(self) -> int:
        """In the largest product of matrices, for one face."""
        return max(2 * int(self.basis[0, 0].size), int(self.measure.size))


@cache
def suits(layout: Layout) -> bool:
    """Say whether it is worth trying on a layout."""
    return layout.topology.evenly_spaced and all(
        len(curve.rows) - 1 <= _MOST_INTERVALS * (len(curve.targets) + 1) for curve in layout.curves
    )


@cache
def _bundles(layout: Layout) -> tuple[_Bundle, ...]:
    alike = groupby(layout.curves, lambda curve: (curve.has_many_controls, len(curve.targets)))
    return tuple(_bundle(list(members)) for _, members in alike)


def _bundle(curves: list[Curve]) -> _Bundle:
    samples = len(curves[0].targets)
    controls = max(len(curve.rows) for curve in curves)
    control_rows = np.array([padded(curve.rows, controls) for curve in curves], np.intp)
    stretches = samples + 1
    # In stretches: the starts, then the other places of the quadrature.
    every = np.append((np.arange(stretches)[:, None] + _PLACES).ravel(), stretches)
    is_start = np.isin(every, np.arange(1, stretches))
    starts, order = every[is_start], np.argsort(~is_start, kind="stable")
    rows = 2 * samples + len(every)
    parts = min(rows, -(-2 * rows * controls * BLOCK // PRODUCT))
    basis = np.zeros((len(curves), -(-rows // parts) * parts, controls), np.float32)
    for own_rows, curve in zip(basis, curves, strict=True):
        own = len(curve.rows)
        stretch = (own - 1) / stretches
        own_rows[:rows, :own] = np.concatenate(
            [
                spline_weights(stretch * starts, own, derivative=2) * stretch**2 / 2,
                spline_weights(stretch * every[order], own, derivative=1) * stretch,
                spline_weights(stretch * starts, own),
            ]
        )
    measure = np.array(_measure(samples)[:, order], np.float32)
    return _Bundle(control_rows, basis.reshape(len(curves), parts, -1, controls), measure)


def _measure(samples: int) -> NDArray[np.float64]:
    """Return the matrix (2 S, V) of `_Bundle.measure` for speeds in their order along the curve."""
    each, stretches = len(_PLACES), samples + 1
    lengths = np.zeros((stretches, stretches * each + 1))
    changes = np.zeros((samples, stretches * each + 1))
    for stretch, weights in enumerate(lengths):
        weights[stretch * each : (stretch + 1) * each + 1] = _WEIGHTS
    for sample, weights in enumerate(changes):
        middle = (sample + 1) * each
        weights[middle - 2 : middle + 3] = _SLOPE_WEIGHTS * each
    fractions = np.arange(1, stretches)[:, None] / stretches
    ahead = fractions * lengths.sum(axis=0) - lengths.cumsum(axis=0)[:-1]
    return np.concatenate([ahead, -changes / 2])


class _Work(NamedTuple):
    """The arrays of a bundle; many are views of one another."""

    bundle: _Bundle
    chosen: Points  # (L, K, n)
    chosen_floats: Floats  # (L, 1, K, 2 n)
    products: Floats  # (L, parts, R / parts, 2 n)
    slopes: Points  # (L, V, n)
    speeds: Floats  # (L, V, n)
    measured: Floats  # (L, 2 S, n)
    in_speeds: Floats  # (L, 2, S, n), what was measured
    start_speeds: Floats  # (L, 1, S, n)
    both: Floats  # (L, 2, S, n), the steps and the shares
    series: Points  # (L, 2, S, n), the factors of a move and of its square
    powers: Points  # (L, 2, S, n), these two
    terms: Points  # (L, 2, S, n), their products
    places: Points  # (L, S, n)
    samples: Points  # (L, S, n)


class EvenSampler(BlockSampler):
    """Resamples curves whose control points are about evenly spaced, without a search."""

    def __init__(self, layout: Layout, faces: int) -> None:
        """Make the arrays for so many faces."""
        super().__init__(layout, faces)
        # To each sample: a step from its start, and by which share the second order changes that.
        self._both = floats(2, layout.samples, faces)
        self._sizes = np.empty_like(self._both)
        self._powers = np.zeros((2, layout.samples, faces), np.complex64)
        self._terms = np.empty_like(self._powers)
        self._farthest = floats(faces)
        self._work: list[_Work] = []
        first = 0
        for bundle in _bundles(layout):
            below = first + len(bundle.basis) * bundle.samples
            self._work.append(self._arrays(bundle, slice(first, below)))
            first = below

    @staticmethod
    @cache
    def most_faces(layout: Layout) -> int:
        """Return how many faces to work on at once."""
        products = [bundle.multiplications for bundle in _bundles(layout)]
        return min(BLOCK, max(1, PRODUCT // max(products, default=1)))

    def _arrays(self, bundle: _Bundle, which: slice) -> _Work:
        """Return the arrays of a bundle whose samples are `which` of all."""
        curves, parts, rows, controls = bundle.basis.shape
        samples, speeds = bundle.samples, bundle.measure.shape[1]
        pairs = (2, curves, samples, self.faces)
        every = points(curves, parts * rows, self.faces)
        chosen = points(curves, controls, self.faces)
        lengths = floats(curves, speeds, self.faces)
        measured = floats(curves, 2 * samples, self.faces)
        return _Work(
            bundle,
            chosen,
            chosen.view(np.float32)[:, None],
            every.view(np.float32).reshape(curves, parts, rows, -1),
            every[:, samples : samples + speeds],
            lengths,
            measured,
            measured.reshape(curves, 2, samples, self.faces),
            lengths[:, None, :samples],
            self._both[:, which].reshape(pairs).swapaxes(0, 1),
            every[:, : 2 * samples].reshape(curves, 2, samples, self.faces)[:, ::-1],
            self._powers[:, which].reshape(pairs).swapaxes(0, 1),
            self._terms[:, which].reshape(pairs).swapaxes(0, 1),
            every[:, samples + speeds : 2 * samples + speeds],
            self._samples[which].reshape(pairs[1:]),
        )

    def _sample_curves(self) -> NDArray[np.bool_]:
        for work in self._work:
            self._controls.take(work.bundle.control_rows, axis=0, out=work.chosen, mode="clip")
            np.matmul(work.bundle.basis, work.chosen_floats, out=work.products)
            np.abs(work.slopes, out=work.speeds)
            np.matmul(work.bundle.measure, work.speeds, out=work.measured)
            np.divide(work.in_speeds, work.start_speeds, out=work.both)
        steps, shares = self._both
        shares *= steps
        np.abs(self._both, out=self._sizes)
        np.maximum.reduce(self._sizes, axis=(0, 1), out=self._farthest)
        shares *= steps
        steps += shares
        moves, squares = self._powers
        moves.real = steps
        steps *= steps
        squares.real = steps
        for work in self._work:
            np.multiply(work.series, work.powers, out=work.terms)
            np.copyto(work.samples, work.places)
        self._samples += self._terms[0]
        self._samples += self._terms[1]
        return self._farthest <= _FARTHEST
