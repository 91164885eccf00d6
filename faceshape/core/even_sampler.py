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

from faceshape.core.block_sampler import FEW_FACES, PRODUCT, BlockSampler, floats, points
from faceshape.core.layout import Curve, Floats, Layout, Points, padded
from faceshape.core.splines import spline_weights

__all__ = ["EvenSampler", "suits"]

# How far a sample may be from its start, in distances of two starts; and by which share of that
# the second order may change it.
_FARTHEST = 0.25
# Intervals between control points from one start to the next, at most: the quadrature spans them.
_MOST_INTERVALS = 2

# Faces worked on at once, at most: enough to hide what the calls cost, few enough for the caches,
# and no power of two, by which columns would lie in one place of the caches.
_BLOCK = 304


class _Quadrature(NamedTuple):
    """How the length of a stretch between two starts is measured, t from 0 to 1."""

    places: NDArray[np.float64]  # without that of its end, 1
    weights: NDArray[np.float64]


_BOOLE = _Quadrature(np.arange(4) / 4, np.array([7, 32, 12, 32, 7]) / 90)
_LOBATTO = _Quadrature(np.array([0.0, 0.5 - 20**-0.5, 0.5 + 20**-0.5]), np.array([1, 5, 5, 1]) / 12)
# So many stretches are short enough for fewer places.
_MANY_STRETCHES = 8


class _Bundle(NamedTuple):
    """L curves with up to S samples each and up to K control points.

    A curve has R rows: half the second derivatives at its S starts, its slopes there and at the
    V − S other places of the quadrature, and its places at the starts; the rest is padding. A curve
    with fewer samples or places has its last one several times.
    """

    targets: tuple[int, ...]  # L · S, −1 for a sample that is there already
    control_rows: NDArray[np.intp]  # (L, K)
    basis: Floats  # (L, parts, R / parts, K): no product is too large
    # From the V speeds to how far the samples are from their starts, and to half the negative
    # changes of speed there.
    measure: Floats  # (L, 2 S, V)

    @property
    def samples(self) -> int:
        """S, of each curve."""
        return int(self.measure.shape[1]) // 2

    @property
    def multiplications(self) -> int:
        """In the largest product of matrices, for one face."""
        return max(2 * int(self.basis[0, 0].size), int(self.measure[0].size))


@cache
def suits(layout: Layout) -> bool:
    """Say whether it is worth trying on a layout."""
    return layout.topology.evenly_spaced and all(
        len(curve.rows) - 1 <= _MOST_INTERVALS * (len(curve.targets) + 1) for curve in layout.curves
    )


@cache
def _bundles(layout: Layout, few_faces: bool) -> tuple[_Bundle, ...]:
    def kind(curve: Curve) -> tuple[bool, int]:
        return curve.has_many_controls, 0 if few_faces else len(curve.targets)

    return tuple(_bundle(list(members)) for _, members in groupby(layout.curves, kind))


def _bundle(curves: list[Curve]) -> _Bundle:
    own = [_series(len(curve.rows), len(curve.targets)) for curve in curves]
    samples = max(len(each.places) for each in own)
    others = max(len(each.other_slopes) for each in own)
    controls = max(len(curve.rows) for curve in curves)
    rows = 3 * samples + others
    parts = min(rows, -(-2 * rows * controls * _BLOCK // PRODUCT))
    basis = np.zeros((len(curves), -(-rows // parts) * parts, controls), np.float32)
    measure = np.zeros((len(curves), 2 * samples, samples + others), np.float32)
    for to_rows, to_measure, each in zip(basis, measure, own, strict=True):
        count, width = each.places.shape
        sample = np.minimum(np.arange(samples), count - 1)
        other = count + np.minimum(np.arange(others), len(each.other_slopes) - 1)
        slopes = np.concatenate([each.start_slopes, each.other_slopes])
        to_rows[:samples, :width] = each.curvatures[sample]
        to_rows[samples : rows - samples, :width] = slopes[np.append(sample, other)]
        to_rows[rows - samples : rows, :width] = each.places[sample]
        weights = np.concatenate([each.ahead[sample], each.changes[sample]])
        to_measure[:, :count] = weights[:, :count]
        to_measure[:, samples : samples + len(each.other_slopes)] = weights[:, count:]
    return _Bundle(
        tuple(target for curve in curves for target in padded(curve.targets, samples, padding=-1)),
        np.array([padded(curve.rows, controls) for curve in curves], np.intp),
        basis.reshape(len(curves), parts, -1, controls),
        measure,
    )


class _Series(NamedTuple):
    """The matrices of a curve with K control points and S samples.

    The parameter is 0 at its beginning, 1 at its first start and so on.
    """

    curvatures: NDArray[np.float64]  # (S, K) half the second derivatives at the starts
    start_slopes: NDArray[np.float64]  # (S, K)
    other_slopes: NDArray[np.float64]  # (V − S, K)
    places: NDArray[np.float64]  # (S, K)
    # (S, V) from the speeds at the starts and the others: how far the samples are ahead of their
    # starts, and half the negative changes of speed there.
    ahead: NDArray[np.float64]
    changes: NDArray[np.float64]


@cache
def _series(controls: int, samples: int) -> _Series:
    stretches = samples + 1
    rule = _LOBATTO if stretches >= _MANY_STRETCHES else _BOOLE
    each = len(rule.places)
    every = np.append((np.arange(stretches)[:, None] + rule.places).ravel(), stretches)
    lengths = np.zeros((stretches, len(every)))
    changes = np.zeros((samples, len(every)))
    for stretch, weights in enumerate(lengths):
        weights[stretch * each : (stretch + 1) * each + 1] = rule.weights
    for start, weights in enumerate(changes, 1):
        near = slice(start * each - 2, start * each + 3)
        weights[near] = -_slope_weights(every[near] - start) / 2
    fractions = np.arange(1, stretches)[:, None] / stretches
    ahead = fractions * lengths.sum(axis=0) - lengths.cumsum(axis=0)[:-1]
    starts = np.arange(1, stretches)
    is_start = np.isin(np.arange(len(every)), starts * each)
    order = np.argsort(~is_start, kind="stable")
    scale = (controls - 1) / stretches
    slopes = scale * spline_weights(scale * every[order], controls, derivative=1)
    return _Series(
        scale**2 / 2 * spline_weights(scale * starts, controls, derivative=2),
        slopes[:samples],
        slopes[samples:],
        spline_weights(scale * starts, controls),
        ahead[:, order],
        changes[:, order],
    )


def _slope_weights(places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the weights (M,) of values at M places in the slope at 0 of the polynomial."""
    weights: NDArray[np.float64] = np.linalg.inv(np.vander(places, increasing=True))[1]
    return weights


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
        bundles = _bundles(layout, faces <= FEW_FACES)
        targets = [target for bundle in bundles for target in bundle.targets]
        super().__init__(layout, faces, targets)
        # To each sample: a step from its start, and by which share the second order changes that.
        self._both = floats(2, len(targets), faces)
        self._sizes = floats(2 * len(targets), faces)
        self._powers = np.zeros((2, len(targets), faces), np.complex64)
        self._terms = np.empty_like(self._powers)
        self._farthest = floats(faces)
        self._work: list[_Work] = []
        first = 0
        for bundle in bundles:
            below = first + len(bundle.targets)
            self._work.append(self._arrays(bundle, slice(first, below)))
            first = below

    @staticmethod
    @cache
    def most_faces(layout: Layout) -> int:
        """Return how many faces to work on at once."""
        products = [bundle.multiplications for bundle in _bundles(layout, False)]
        return min(_BLOCK, max(1, PRODUCT // max(products, default=1)))

    def _arrays(self, bundle: _Bundle, which: slice) -> _Work:
        """Return the arrays of a bundle whose samples are `which` of all."""
        curves, parts, rows, controls = bundle.basis.shape
        samples, speeds = bundle.samples, bundle.measure.shape[2]
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
        np.abs(self._both.reshape(self._sizes.shape), out=self._sizes)
        np.maximum.reduce(self._sizes, axis=0, out=self._farthest)
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
