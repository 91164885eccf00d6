"""The landmark regressor: upright crops → ONNX → dense points back in the picture's frame.

A face is looked at twice at least: by a small network on a crop around the detector's box, and by
the exact one on a crop that the landmarks of the first aligned and scaled, which removes what an
inexact box or roll costs. The exact one looks again where its crop was still far from what its own
landmarks ask for. Last comes a close look at the eyes (`faceshape.vision.eyes`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from faceshape.core.contract import GROUPS, resample
from faceshape.core.topology import Topology, load_topology
from faceshape.vision.crops import cut_crops
from faceshape.vision.eyes import EyeRefiner
from faceshape.vision.geometry import (
    aligned_transforms,
    apply_transforms,
    crop_transforms,
    line_roll,
    undo_similarities,
)
from faceshape.vision.image import RGBImage
from faceshape.vision.networks import CPU_ONLY, OnnxModel, Provider, model_entry

__all__ = ["DenseLandmarks", "Landmarker", "eye_line_roll"]

_MOST_LOOKS = 4
# How far a corner of the next crop may be off that of the last one, in sides of the crop, for the
# last one to be good enough.
_SETTLED = 0.05

_CORNERS = np.array([[[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]])

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
    """

    dense: NDArray[np.float32]
    points: NDArray[np.float32]
    presence: NDArray[np.float32]
    roll: NDArray[np.float32]


class Landmarker:
    """Finds the landmarks of faces whose boxes are known. Safe to share between threads."""

    def __init__(
        self, alignment: OnnxModel, landmarks: OnnxModel, eyes: OnnxModel | None = None
    ) -> None:
        """Take the crops' sides and margins and the topology from the models' manifest entries.

        Args:
            alignment: sees where the face is, and whether it is one.
            landmarks: sees its points.
            eyes: sees those of the eyes; None leaves them as `landmarks` sees them.
        """
        self._alignment, self._exact = _Regressor(alignment), _Regressor(landmarks)
        self.topology: Topology = load_topology(landmarks.entry.facts["topology"])
        self._left_corner = self.topology.indices("left_eye_lower")[0]
        self._right_corner = self.topology.indices("right_eye_lower")[0]
        self._margin: float = alignment.entry.facts["input"]["margin"]
        self._reach: float = landmarks.entry.facts["input"]["reach"]
        self._below: float = landmarks.entry.facts["input"]["below"]
        self._refiner = None if eyes is None else EyeRefiner(eyes, self.topology)

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
        names = ("alignment", "landmarks", "eyes")
        return cls(*(OnnxModel(model_entry(name), threads, providers) for name in names))

    def locate(self, image: RGBImage, boxes: ArrayLike, roll: ArrayLike) -> DenseLandmarks:
        """Return the landmarks of the faces in the given boxes.

        Args:
            image: (H, W, 3) RGB.
            boxes: (N, 4) x0 y0 x1 y1, tight around brow to chin.
            roll: (N,) degrees; a face may be off by 45 and more.
        """
        boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
        if not len(boxes):
            nobody, nothing = np.empty((0, self.topology.points, 2), np.float32), np.empty(0)
            points = resample(nobody, self.topology)
            return DenseLandmarks(nobody, points, nothing.astype("f4"), nothing.astype("f4"))
        rolls = np.broadcast_to(np.asarray(roll, np.float32), len(boxes))
        parts = [
            self._look(image, boxes[start : start + _BATCH], rolls[start : start + _BATCH])
            for start in range(0, len(boxes), _BATCH)
        ]
        dense, presence = map(np.concatenate, zip(*parts, strict=True))
        points = resample(dense, self.topology)
        return DenseLandmarks(dense, points, presence, eye_line_roll(points).astype(np.float32))

    def first_presence(
        self, image: RGBImage, boxes: ArrayLike, roll: ArrayLike
    ) -> NDArray[np.float32]:
        """Return what the first look alone makes of presence (N,), at a fifth of the cost.

        The presence that `locate` returns is not above it; for the arguments see there.
        """
        crops = crop_transforms(boxes, roll, self._alignment.side, self._margin)
        presence: NDArray[np.float32] = self._alignment.look(image, crops)[1]
        return presence

    def _look(
        self, image: RGBImage, boxes: NDArray[np.float32], roll: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return dense landmarks (N, P, 2) in the picture and presence (N,)."""
        crops = crop_transforms(boxes, roll, self._alignment.side, self._margin)
        first, presence = self._alignment.look(image, crops)
        crops = self._aligned_crops(first)
        dense, also_present = self._exact.look(image, crops)
        presence = np.minimum(presence, also_present)  # it takes both to see a face
        unsettled = np.arange(len(boxes))
        for _ in range(_MOST_LOOKS - 2):
            wanted = self._aligned_crops(dense[unsettled])
            off = _corner_shift(crops, wanted, self._exact.side) > _SETTLED
            if not off.any():
                break
            unsettled, crops = unsettled[off], wanted[off]
            dense[unsettled], _ = self._exact.look(image, crops)
        if self._refiner is not None:
            dense = self._refiner.refine(image, dense)
        return dense, presence

    def _aligned_crops(self, dense: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the transforms (N, 2, 3) to crops in which the given landmarks stand upright."""
        lines = dense[:, self._right_corner] - dense[:, self._left_corner]
        return aligned_transforms(dense, lines, self._exact.side, self._reach, self._below)


class _Regressor:
    """A network that sees the whole face."""

    def __init__(self, model: OnnxModel) -> None:
        self.side: int = model.entry.facts["input"]["side"]
        self._model = model

    def look(
        self, image: RGBImage, transforms: NDArray[np.float64]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return dense landmarks (N, P, 2) in the picture and presence (N,)."""
        in_crop, presence = self._model.run(cut_crops(image, transforms, self.side))
        dense = undo_similarities(transforms, in_crop * self.side)
        return dense.astype(np.float32), presence


def _corner_shift(
    crops: NDArray[np.float64], wanted: NDArray[np.float64], side: int
) -> NDArray[np.float64]:
    """Return how far (N,) the corners of one crop are off another's, in sides of the crop."""
    corners = side * _CORNERS
    there = apply_transforms(wanted, undo_similarities(crops, corners))
    x, y = (there - corners).transpose(2, 0, 1)
    farthest: NDArray[np.float64] = np.hypot(x, y).max(axis=1)
    return farthest / side


def eye_line_roll(points: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the angle (N,) in degrees of the line between the outer eye corners, clockwise."""
    return line_roll(points[:, GROUPS["LeftEye"].start], points[:, GROUPS["RightEye"].start])
