"""The landmark regressor: upright crops → ONNX → dense points back in the picture's frame.

A face is looked at twice: on a crop around the detector's box, and on a second one that the
landmarks of the first aligned and scaled, which removes what an inexact box or roll costs.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from faceshape.contract import GROUPS, resample
from faceshape.geometry import (
    apply_transforms,
    crop_transforms,
    enclosing_boxes,
    invert_transforms,
    pixel_matrix,
)
from faceshape.image import RGBImage
from faceshape.models import OnnxModel
from faceshape.topology import Topology, load_topology

__all__ = ["DenseLandmarks", "Landmarker", "eye_line_roll", "warp_crop"]

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
            dense, presence = np.empty((0, self.topology.points, 2), np.float32), np.empty(0)
            points, angles = resample(dense, self.topology), np.empty(0)
        else:
            dense, presence = self._regress(image, self._transforms(boxes, roll))
            angles = eye_line_roll(resample(dense, self.topology))
            dense, _ = self._regress(image, self._aligned_transforms(dense, angles))
            points = resample(dense, self.topology)
            angles = eye_line_roll(points)
        return DenseLandmarks(
            dense, points, presence.astype(np.float32), angles.astype(np.float32)
        )

    def _transforms(self, boxes: NDArray[np.float32], roll: ArrayLike) -> NDArray[np.float64]:
        return crop_transforms(boxes, roll, self._side, self._margin)

    def _aligned_transforms(
        self, dense: NDArray[np.float32], roll: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the transforms (N, 2, 3) to crops in which the given landmarks stand upright."""
        unit = np.tile([-0.5, -0.5, 0.5, 0.5], (len(dense), 1))
        turns = crop_transforms(unit, roll, 1, 1.0)  # about the origin, no change of scale
        boxes = enclosing_boxes(apply_transforms(turns, dense))
        centres = boxes.reshape(-1, 2, 2).mean(axis=1, keepdims=True)
        half = (boxes[:, 2:] - boxes[:, :2]) / 2
        middle = apply_transforms(invert_transforms(turns), centres)[:, 0]
        return self._transforms(np.concatenate([middle - half, middle + half], axis=1), roll)

    def _regress(
        self, image: RGBImage, transforms: NDArray[np.float64]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return dense landmarks (N, P, 2) in the picture and presence (N,)."""
        crops = np.stack([warp_crop(image, each, self._side) for each in transforms])
        outputs = [
            self._model.run(crops[start : start + _BATCH])
            for start in range(0, len(crops), _BATCH)
        ]
        in_crop = np.concatenate([landmarks for landmarks, _ in outputs]) * self._side
        dense = apply_transforms(invert_transforms(transforms), in_crop).astype(np.float32)
        return dense, np.concatenate([presence for _, presence in outputs])


def eye_line_roll(points: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the angle (N,) in degrees of the line between the outer eye corners, clockwise."""
    line = points[:, GROUPS["RightEye"].start] - points[:, GROUPS["LeftEye"].start]
    return np.degrees(np.arctan2(line[:, 1], line[:, 0]))


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
    halvings = int(np.floor(-np.log2(np.hypot(*transform[0, :2]))))
    if halvings < 1:
        return image, transform
    corners = np.array([[[0, 0], [side, 0], [0, side], [side, side]]], float)
    x0, y0, x1, y1 = enclosing_boxes(apply_transforms(invert_transforms(transform[None]), corners))[
        0
    ]
    step = 2**halvings
    height, width = image.shape[:2]
    left, top = (int(np.clip(low // step * step, 0, size)) for low, size in ((x0, width), (y0, height)))
    right, bottom = (
        int(np.clip(-(-high // step) * step, 0, size)) for high, size in ((x1, width), (y1, height))
    )
    part = image[top:bottom, left:right]
    if not part.size:
        return image, transform
    shift = transform[:, :2] @ [left, top]
    moved = np.column_stack([transform[:, :2], transform[:, 2] + shift])
    small = cv2.resize(part, None, fx=1 / step, fy=1 / step, interpolation=cv2.INTER_AREA)
    return small, moved * [[step, step, 1], [step, step, 1]]
