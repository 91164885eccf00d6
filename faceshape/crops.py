"""Crops: squares of a picture, turned, scaled and mirrored as a transform says.

A crop goes on beyond the picture's border in black, and is never squeezed to fit into it.
"""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from faceshape.geometry import apply_transforms, enclosing_boxes, invert_transforms, pixel_matrix
from faceshape.image import RGBImage

__all__ = ["cut_crops", "warp_crop"]


def cut_crops(image: RGBImage, transforms: NDArray[np.float64], side: int) -> NDArray[np.uint8]:
    """Cut square crops (N, side, side, 3) out of one picture, black beyond its border.

    Args:
        image: (H, W, 3).
        transforms: (N, 2, 3) similarities from the picture to the crops, mirrored ones too.
        side: of the crops, pixels.
    """
    crops = np.zeros((len(transforms), side, side, 3), np.uint8)
    for crop, transform in zip(crops, transforms, strict=True):
        _warp_onto(crop, image, transform)
    return crops


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
    canvas = np.zeros((side, side, 3), np.uint8) if border is None else border.copy()
    _warp_onto(canvas, image, transform)
    return canvas


def _warp_onto(canvas: RGBImage, image: RGBImage, transform: NDArray[np.float64]) -> None:
    side = len(canvas)
    image, transform = _reduced(image, transform, side)
    cv2.warpAffine(
        image,
        pixel_matrix(transform),
        (side, side),
        dst=canvas,
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_TRANSPARENT,
    )


def _reduced(
    image: RGBImage, transform: NDArray[np.float64], side: int
) -> tuple[RGBImage, NDArray[np.float64]]:
    """Halve the part of a picture that a crop needs until sampling it no longer aliases."""
    height, width = image.shape[:2]
    scale = math.hypot(transform[0, 0], transform[0, 1])
    # No side may vanish, however large the crop is that somebody asks for.
    halvings = min(-math.log2(scale), math.log2(min(height, width)))
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
