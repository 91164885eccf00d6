"""The landmark regressor: upright crops → ONNX → dense points back in the picture's frame.

A face is looked at twice at least: on a crop around the detector's box, and on a second one that
the landmarks of the first aligned and scaled, which removes what an inexact box or roll costs. It
is looked at again where the second crop was still far from what its own landmarks ask for.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from faceshape.contract import GROUPS, resample
from faceshape.geometry import (
    apply_transforms,
    boxes_along_roll,
    crop_transforms,
    enclosing_boxes,
    invert_transforms,
    line_roll,
    pixel_matrix,
)
from faceshape.image import RGBImage
from faceshape.models import OnnxModel
from faceshape.topology import Topology, load_topology

__all__ = ["DenseLandmarks", "Landmarker", "eye_line_roll", "warp_crop"]

_MOST_LOOKS = 4
# How far a corner of the next crop may be off that of the last one, in sides of the crop, for the
# last one to be good enough.
_SETTLED = 0.05

# Faces of one run of the network: larger batches gain no speed and only cost memory.
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

    def __init__(self, model: OnnxModel) -> None:
        """Take the crop's side and margin and the topology from the model's manifest entry."""
        facts = model.entry.facts
        self.topology: Topology = load_topology(facts["topology"])
        self._left_corner = self.topology.indices("left_eye_lower")[0]
        self._right_corner = self.topology.indices("right_eye_lower")[0]
        self._model = model
        self._side: int = facts["input"]["side"]
        self._margin: float = facts["input"]["margin"]

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
        first, presence = self._regress(image, self._transforms(boxes, roll))
        crops = self._aligned_transforms(first)
        dense, _ = self._regress(image, crops)
        unsettled = np.arange(len(boxes))
        for _ in range(_MOST_LOOKS - 2):
            wanted = self._aligned_transforms(dense[unsettled])
            off = self._corner_shift(crops, wanted) > _SETTLED
            if not off.any():
                break
            unsettled, crops = unsettled[off], wanted[off]
            dense[unsettled], _ = self._regress(image, crops)
        points = resample(dense, self.topology)
        return DenseLandmarks(dense, points, presence, eye_line_roll(points).astype(np.float32))

    def _transforms(self, boxes: ArrayLike, roll: ArrayLike) -> NDArray[np.float64]:
        return crop_transforms(boxes, roll, self._side, self._margin)

    def _aligned_transforms(self, dense: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the transforms (N, 2, 3) to crops in which the given landmarks stand upright."""
        roll = line_roll(dense[:, self._left_corner], dense[:, self._right_corner])
        return self._transforms(boxes_along_roll(dense, roll), roll)

    def _corner_shift(
        self, crops: NDArray[np.float64], wanted: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return how far (N,) the corners of one crop are off another's, in sides of the crop."""
        side = self._side
        corners = np.tile([[0, 0], [side, 0], [0, side], [side, side]], (len(crops), 1, 1))
        there = apply_transforms(wanted, apply_transforms(invert_transforms(crops), corners))
        farthest: NDArray[np.float64] = np.linalg.norm(there - corners, axis=2).max(axis=1)
        return farthest / side

    def _regress(
        self, image: RGBImage, transforms: NDArray[np.float64]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return dense landmarks (N, P, 2) in the picture and presence (N,)."""
        crops = np.stack([warp_crop(image, each, self._side) for each in transforms])
        outputs = [
            self._model.run(crops[start : start + _BATCH]) for start in range(0, len(crops), _BATCH)
        ]
        in_crop = np.concatenate([landmarks for landmarks, _ in outputs]) * self._side
        dense = apply_transforms(invert_transforms(transforms), in_crop).astype(np.float32)
        return dense, np.concatenate([presence for _, presence in outputs])


def eye_line_roll(points: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the angle (N,) in degrees of the line between the outer eye corners, clockwise."""
    return line_roll(points[:, GROUPS["LeftEye"].start], points[:, GROUPS["RightEye"].start])


def warp_crop(
    image: RGBImage,
    transform: NDArray[np.float64],
    side: int,
    border: RGBImage | None = None,
) -> RGBImage:
    """Cut one square crop (side, side, 3) out of a picture.

    Args:
        image: (H, W, 3).
        transform: (2, 3) similarity from the picture to the crop.
        side: of the crop, pixels.
        border: (side, side, 3), seen where the picture ends; black if None.
    """
    image, transform = _reduced(image, transform, side)
    canvas = np.zeros((side, side, 3), np.uint8) if border is None else border.copy()
    cv2.warpAffine(
        image,
        pixel_matrix(transform),
        (side, side),
        dst=canvas,
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_TRANSPARENT,
    )
    return canvas


def _reduced(
    image: RGBImage, transform: NDArray[np.float64], side: int
) -> tuple[RGBImage, NDArray[np.float64]]:
    """Halve the part of a picture that a crop needs until sampling it no longer aliases."""
    height, width = image.shape[:2]
    # No side may vanish, however large the crop is that somebody asks for.
    halvings = min(-np.log2(np.hypot(*transform[0, :2])), np.log2(min(height, width)))
    if halvings < 1:
        return image, transform
    step = 2 ** int(halvings)
    corners = np.array([[[0, 0], [side, 0], [0, side], [side, side]]])
    box = enclosing_boxes(apply_transforms(invert_transforms(transform[None]), corners))[0]
    outwards = np.array([np.floor(box[:2] / step), np.ceil(box[2:] / step)]) * step
    (left, top), (right, bottom) = np.clip(outwards, 0, [width, height]).astype(int).tolist()
    part = image[top:bottom, left:right]
    if min(part.shape[:2]) < step:  # hardly touches the picture: there is nothing to see
        return image, transform
    small = cv2.resize(part, None, fx=1 / step, fy=1 / step, interpolation=cv2.INTER_AREA)
    linear = transform[:, :2]
    offset = transform[:, 2] + linear @ [left, top]
    return small.astype(np.uint8, copy=False), np.column_stack([linear * step, offset])
