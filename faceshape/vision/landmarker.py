"""The landmark regressor: upright crops → ONNX → dense points back in the picture's frame.

A face is looked at twice at least: by a small network on a crop around the detector's box, once
more where that was far off; and by the exact one on a crop that the landmarks of the first aligned
and scaled, which removes what an inexact box or roll costs. Where it sees no face, both look again
around a smaller and a larger box. The exact one looks again where its crop was still far from what
its own landmarks ask for. Last come close looks at eyes and mouth (`faceshape.vision.close_look`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from faceshape.core.contract import (
    GROUPS,
    POINT_COUNT,
    RUNS,
    interocular_distance,
    resample,
)
from faceshape.core.topology import Topology, load_topology
from faceshape.vision.close_look import CloseLooks
from faceshape.vision.confirmation import DOUBTFUL_PRESENCE
from faceshape.vision.crops import cut_crops
from faceshape.vision.geometry import (
    aligned_similarities,
    corner_shifts,
    crop_similarities,
    line_roll,
    similarity_transforms,
    undo_pairs,
)
from faceshape.vision.networks import CPU_ONLY, OnnxModel, Provider, model_entry
from faceshape.vision.pyramid import Pyramid

__all__ = ["DenseLandmarks", "Landmarker", "eye_line_roll"]

_MOST_LOOKS = 4
# How far a corner of the next crop may be off that of the last one, in sides of the crop, for the
# last one to be good enough.
_SETTLED = 0.05
# The same for the alignment's crop, beyond which it looks again.
_FAR_OFF = 0.2
# A box may be too large or too small: by so much it is changed where no face was seen.
_OTHER_SIZES = (0.75, 1.4)

# Faces worked on at once: larger batches gain no speed and only cost memory.
_BATCH = 16


@dataclass(frozen=True, slots=True, eq=False)
class DenseLandmarks:
    """What the regressor says of N faces.

    Attributes:
        dense: (N, P, 2) float32 in the picture's pixels, in the landmarker's topology.
        points: (N, 90, 2) float32, the same in the order of the contract.
        presence: (N,) float32, 0 to 1, how sure it is that there is a face.
        roll: (N,) float32 degrees of the line between the outer eye corners, clockwise as seen.
        confidence: (N, 90) float32, how far each point is expected to be off, in % of the distance
            of the outer eye corners; None if the network does not say.
    """

    dense: NDArray[np.float32]
    points: NDArray[np.float32]
    presence: NDArray[np.float32]
    roll: NDArray[np.float32]
    confidence: NDArray[np.float32] | None = None


class Landmarker:
    """Finds the landmarks of faces whose boxes are known. Safe to share between threads."""

    def __init__(self, alignment: OnnxModel, landmarks: OnnxModel, *close_looks: OnnxModel) -> None:
        """Take the crops' sides and margins and the topology from the models' manifest entries.

        Args:
            alignment: sees where the face is, and whether it is one.
            landmarks: sees its points.
            close_looks: see those of the eyes or of the mouth; without one they remain as
                `landmarks` sees them.
        """
        self._alignment, self._exact = _Regressor(alignment), _Regressor(landmarks)
        self.topology: Topology = load_topology(landmarks.entry.facts["topology"])
        self._left_corner = self.topology.indices("left_eye_lower")[0]
        self._right_corner = self.topology.indices("right_eye_lower")[0]
        self._margin: float = alignment.entry.facts["input"]["margin"]
        self._reach: float = landmarks.entry.facts["input"]["reach"]
        self._below: float = landmarks.entry.facts["input"]["below"]
        factors: Mapping[str, float] | None = landmarks.entry.facts.get("confidence")
        self._expected = None if factors is None else _ExpectedErrors(self.topology, factors)
        self._close_looks = CloseLooks(close_looks, self.topology)

    @classmethod
    def shipped(
        cls, threads: int | None = None, providers: Sequence[Provider] = CPU_ONLY
    ) -> "Landmarker":
        """Return one with all of the models that come with the package.

        Args:
            threads: as for `faceshape.vision.networks.OnnxModel`.
            providers: the same.

        Raises:
            ModelError: a model is missing or is not the one that the manifest names.
        """
        names = ("alignment", "landmarks", "eyes", "mouth")
        return cls(*(OnnxModel(model_entry(name), threads, providers) for name in names))

    def locate(
        self,
        pyramid: Pyramid,
        boxes: ArrayLike,
        roll: ArrayLike,
        least_presence: ArrayLike = 0.0,
    ) -> DenseLandmarks:
        """Return the landmarks of the faces in the given boxes.

        Args:
            pyramid: the picture.
            boxes: (N, 4) x0 y0 x1 y1, tight around brow to chin.
            roll: (N,) degrees; a face may be off by 45 and more.
            least_presence: (N,) or one for all; a find that turns out to have less has the
                landmarks of an exact look, which saves those that never settle the rest.
        """
        boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
        if not len(boxes):
            nobody = np.empty((0, self.topology.points, 2), np.float32)
            nothing = np.empty(0, np.float32)
            points = resample(nobody, self.topology)
            confidence = None if self._expected is None else np.empty(points.shape[:2], np.float32)
            return DenseLandmarks(nobody, points, nothing, nothing, confidence)
        rolls = np.full(len(boxes), roll, np.float32)
        least = np.full(len(boxes), least_presence, np.float32)
        batches = [slice(start, start + _BATCH) for start in range(0, len(boxes), _BATCH)]
        parts = [self._look(pyramid, boxes[some], rolls[some], least[some]) for some in batches]
        dense, presence, spread = map(np.concatenate, zip(*parts, strict=True))
        points = resample(dense, self.topology)
        confidence = None if self._expected is None else self._expected(spread, points)
        roll = eye_line_roll(points).astype(np.float32)
        return DenseLandmarks(dense, points, presence, roll, confidence)

    def first_presence(
        self, pyramid: Pyramid, boxes: ArrayLike, roll: ArrayLike
    ) -> NDArray[np.float32]:
        """Return what the first look makes of presence (N,), at a part of the cost.

        It is less sure than what `locate` returns; for the arguments see there.
        """
        crops = self._first_crops(boxes, roll, 1.0)
        presence: NDArray[np.float32] = self._alignment.look(pyramid, crops)[1]
        return presence

    def _look(
        self,
        pyramid: Pyramid,
        boxes: NDArray[np.float32],
        roll: NDArray[np.float32],
        least_presence: NDArray[np.float32],
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Return dense landmarks (N, P, 2), presence (N,) and spread (N, P or 0) in pixels."""
        aligned, _ = self._set_right(pyramid, self._first_crops(boxes, roll, 1.0))
        looks = _Looks(aligned, *self._exact.look(pyramid, aligned))
        unsure = np.flatnonzero(looks.presence < np.maximum(least_presence, DOUBTFUL_PRESENCE))
        if len(unsure):
            likely, others = self._other_crops(pyramid, boxes[unsure], roll[unsure])
            if len(likely):
                again = _Looks(others, *self._exact.look(pyramid, others))
                looks.improve(unsure[likely], again)
        aligned, dense, presence, spread = looks
        present = np.flatnonzero(presence >= least_presence)
        if not len(present):
            return dense, presence, spread
        unsettled = present
        for _ in range(_MOST_LOOKS - 2):
            wanted = self._aligned(dense[unsettled])
            off = corner_shifts(aligned[unsettled], wanted, self._exact.side) > _SETTLED
            if not off.any():
                break
            unsettled = unsettled[off]
            aligned[unsettled] = wanted[off]
            crops = aligned[unsettled]
            dense[unsettled], _, spread[unsettled] = self._exact.look(pyramid, crops)
        dense[present] = self._close_looks.refine(pyramid, dense[present])
        return dense, presence, spread

    def _other_crops(
        self, pyramid: Pyramid, boxes: NDArray[np.float32], roll: NDArray[np.float32]
    ) -> tuple[NDArray[np.intp], NDArray[np.complex128]]:
        """Return what boxes of another size lead to, of several the one with the most presence.

        Returns:
            Which boxes (K,) may hold a face in another size, and the similarities (K, 2) to the
            exact network's crops.
        """
        crops = [self._first_crops(boxes, roll, size) for size in _OTHER_SIZES]
        aligned, presence = self._set_right(pyramid, np.concatenate(crops))
        by_size = presence.reshape(len(crops), -1)
        best = by_size.argmax(axis=0) * len(boxes) + np.arange(len(boxes))
        likely = np.flatnonzero(presence[best] >= DOUBTFUL_PRESENCE)
        return likely, aligned[best[likely]]

    def _first_crops(
        self, boxes: ArrayLike, roll: ArrayLike, size: float
    ) -> NDArray[np.complex128]:
        """Return the similarities (N, 2) to the alignment's crops around boxes times a size."""
        return crop_similarities(boxes, roll, self._alignment.side, size * self._margin)

    def _set_right(
        self, pyramid: Pyramid, crops: NDArray[np.complex128]
    ) -> tuple[NDArray[np.complex128], NDArray[np.float32]]:
        """Look with the alignment in some crops (N, 2).

        Returns:
            The similarities (N, 2) to the exact network's crops, and presence (N,).
        """
        first, presence, _ = self._alignment.look(pyramid, crops)
        aligned = self._aligned(first)
        # As crops for the alignment, which sees better what stands upright in the middle.
        better = aligned * (self._alignment.side / self._exact.side)
        far = corner_shifts(crops, better, self._alignment.side) > _FAR_OFF
        if far.any():
            again, _, _ = self._alignment.look(pyramid, better[far])
            aligned[far] = self._aligned(again)
        return aligned, presence

    def _aligned(self, dense: NDArray[np.float32]) -> NDArray[np.complex128]:
        """Return the similarities (N, 2) to crops in which the given landmarks stand upright."""
        lines = dense[:, self._right_corner] - dense[:, self._left_corner]
        return aligned_similarities(dense, lines, self._exact.side, self._reach, self._below)


class _Looks(NamedTuple):
    """What the exact network saw of N faces.

    Attributes:
        crops: (N, 2) the similarities from the picture.
        dense: (N, P, 2) landmarks in the picture's pixels.
        presence: (N,).
        spread: (N, P or 0) pixels.
    """

    crops: NDArray[np.complex128]
    dense: NDArray[np.float32]
    presence: NDArray[np.float32]
    spread: NDArray[np.float32]

    def improve(self, which: NDArray[np.intp], others: "_Looks") -> None:
        """Put other looks at some faces (K,) in their place where those have more presence."""
        better = others.presence > self.presence[which]
        mine: tuple[NDArray[Any], ...] = self
        theirs: tuple[NDArray[Any], ...] = others
        for column, other in zip(mine, theirs, strict=True):
            column[which[better]] = other[better]


class _Regressor:
    """A network that sees the whole face."""

    def __init__(self, model: OnnxModel) -> None:
        self.side: int = model.entry.facts["input"]["side"]
        self._model = model

    def look(
        self, pyramid: Pyramid, pairs: NDArray[np.complex128]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Look at the crops of some similarities (N, 2).

        Returns:
            Dense landmarks (N, P, 2), presence (N,) and spread (N, P or 0), in the picture's
            pixels.
        """
        crops = cut_crops(pyramid, similarity_transforms(pairs), self.side)
        in_crop, presence, *spreads = self._model.run(crops)
        dense = undo_pairs(pairs, in_crop * self.side).astype(np.float32)
        if not spreads:
            return dense, presence, np.empty((len(dense), 0), np.float32)
        pixels = self.side / np.abs(pairs[:, :1])
        return dense, presence, spreads[0] * pixels.astype(np.float32)


class _ExpectedErrors:
    """From what the network expects to be off to what people's labels say that it is."""

    def __init__(self, topology: Topology, factors: Mapping[str, float]) -> None:
        """Take the factors of the groups, from the manifest."""
        self._rows = np.zeros(POINT_COUNT, np.intp)
        for run in RUNS:
            indices = topology.indices(run.curve)
            places = np.linspace(0, len(indices) - 1, len(run.targets)).round().astype(int)
            for target, place in zip(run.targets, places, strict=True):
                if target >= 0:
                    self._rows[target] = indices[place]
        self._factors = np.ones(POINT_COUNT, np.float32)
        for group, factor in factors.items():
            self._factors[GROUPS[group]] = factor

    def __call__(
        self, spread: NDArray[np.float32], points: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Return how far points (N, 90, 2) are expected to be off (N, 90), in %."""
        distance = np.maximum(interocular_distance(points), np.float32(1e-3))
        expected: NDArray[np.float32] = spread[:, self._rows] * self._factors
        expected *= np.float32(100) / distance[:, None]
        return expected


def eye_line_roll(points: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the angle (N,) in degrees of the line between the outer eye corners, clockwise."""
    return line_roll(points[:, GROUPS["LeftEye"].start], points[:, GROUPS["RightEye"].start])
