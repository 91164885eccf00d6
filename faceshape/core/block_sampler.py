"""Blocks of faces, resampled in arrays made once: fresh memory costs more than the work."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from faceshape.core.layout import Floats, Layout, Points

__all__ = ["FEW_FACES", "PRODUCT", "STANDSTILL", "BlockSampler", "floats", "points"]

# Up to so many faces the number of calls counts more than that of the numbers in them.
FEW_FACES = 8

# Multiplications in one product of matrices, at most. OpenBLAS starts threads above it
# (SMP_THRESHOLD_MIN · GEMM_MULTITHREAD_THRESHOLD), which here cost more than they give, and very
# much more where the cores have other work.
PRODUCT = 2**18

# Instead of a speed or a length of zero, to divide by.
STANDSTILL = np.float32(1e-20)


class BlockSampler(ABC):
    """Resamples blocks of n faces.

    The faces are on the last axis, where numpy's loops run over all of them at once. The arrays
    and all views of them are made once. Indices are valid; `take` is told a mode because without
    one it fills a copy first, in case they are not.
    """

    def __init__(self, layout: Layout, faces: int, targets: Sequence[int]) -> None:
        """Make the arrays.

        Args:
            layout: what to resample, and onto what.
            faces: n.
            targets: T, the points that the samples of the curves are, in the sampler's own order;
                −1 is none.
        """
        self.layout, self.faces = layout, faces
        self._given = points(faces, layout.topology.points)
        self._controls = points(layout.topology.points + len(layout.term_rows), faces)
        self._dense, self._combined = np.split(self._controls, [layout.topology.points])
        self._points = points(len(layout.anchor_rows) + len(targets), faces)
        self._anchors, self._samples = np.split(self._points, [len(layout.anchor_rows)])
        # Runs may share their ends, so that a point may be there twice.
        places = {target: row for row, target in enumerate([*layout.anchor_targets, *targets])}
        self._order = np.array([places[target] for target in range(layout.points)], np.intp)
        self._ordered = points(layout.points, faces)

    @staticmethod
    @abstractmethod
    def most_faces(layout: Layout) -> int:
        """Return how many faces to work on at once, if there are more than a few."""

    def sample(self, dense: Points, found: Points) -> NDArray[np.bool_]:
        """Resample landmarks (n, P) into points (n, Q), and return which faces (n,) are exact."""
        layout = self.layout
        self._given[:] = dense  # what is in the caches is transposed three times as fast
        self._dense[:] = self._given.T
        if len(layout.term_rows):
            terms = self._dense[layout.term_rows] * layout.term_weights
            np.add.reduce(terms, axis=1, out=self._combined)
        self._controls.take(layout.anchor_rows, axis=0, out=self._anchors, mode="clip")
        exact = self._sample_curves() if layout.curves else np.ones(self.faces, np.bool_)
        self._points.take(self._order, axis=0, out=self._ordered, mode="clip")
        found[:] = self._ordered.T
        return exact

    @abstractmethod
    def _sample_curves(self) -> NDArray[np.bool_]:
        """Compute the samples (T, n), and return for which faces (n,) they are exact."""


def points(*shape: int) -> Points:
    """Return an array whose content is not set."""
    return np.empty(shape, np.complex64)


def floats(*shape: int) -> Floats:
    """Return an array whose content is not set."""
    return np.empty(shape, np.float32)
