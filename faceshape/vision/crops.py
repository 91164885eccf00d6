"""Crops: squares of a picture, turned, scaled and mirrored as a transform says.

A crop goes on beyond the picture's border in black, and is never squeezed to fit into it.
"""

import math
import os

import cv2
import numpy as np
from numpy.typing import NDArray

from faceshape.vision.geometry import pixel_matrix
from faceshape.vision.image import RGBImage
from faceshape.vision.pyramid import Pyramid

__all__ = ["cut_crops", "warp_crop"]


def cut_crops(pyramid: Pyramid, transforms: NDArray[np.float64], side: int) -> NDArray[np.uint8]:
    """Cut square crops (N, side, side, 3) out of one picture, black beyond its border.

    Args:
        pyramid: the picture.
        transforms: (N, 2, 3) similarities from the picture to the crops, mirrored ones too.
        side: of the crops, pixels.
    """
    canvases = np.zeros((len(transforms), side, side, 4), np.uint8)
    if not len(transforms):
        return canvases[..., :3]
    for canvas, transform in zip(canvases, transforms, strict=True):
        _warp_onto(canvas, pyramid, transform)
    crops = cv2.cvtColor(canvases.reshape(-1, side, 4), cv2.COLOR_RGBA2RGB)
    return crops.reshape(-1, side, side, 3).astype(np.uint8, copy=False)


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
    crop = np.zeros((side, side, 3), np.uint8) if border is None else border.copy()
    canvas = cv2.cvtColor(crop, cv2.COLOR_RGB2RGBA).astype(np.uint8, copy=False)
    _warp_onto(canvas, Pyramid(image), transform)
    cv2.cvtColor(canvas, cv2.COLOR_RGBA2RGB, dst=crop)
    return crop


def _warp_onto(canvas: NDArray[np.uint8], pyramid: Pyramid, transform: NDArray[np.float64]) -> None:
    """Draw a picture as a transform says, where it is; its last channel means nothing.

    OpenCV interpolates four channels in half the time that it takes for three.

    Args:
        canvas: (side, side, 4).
        pyramid: the picture.
        transform: (2, 3) from the picture to the canvas.
    """
    side = len(canvas)
    (a, b, x), (c, d, y) = transform.tolist()
    height, width = pyramid.size
    # Halved until sampling it no longer aliases; but no side may vanish, however large the crop is
    # that somebody asks for.
    square = a * a + b * b  # of the scale
    wanted = min(-math.log2(square) / 2, math.log2(min(height, width)))
    halvings = max(0, int(wanted))
    step = 2**halvings
    # The part of the picture that the crop needs, with one more pixel for the interpolation.
    reach = side / 2 * (abs(a) + abs(b)) / square + step
    across, down = side / 2 - x, side / 2 - y
    left, right = _span((a * across + c * down) / square, reach, width, step)
    top, bottom = _span((b * across + d * down) / square, reach, height, step)
    if min(bottom - top, right - left) < step:  # hardly touches the picture: nothing to see
        return
    part = pyramid.part(slice(top, bottom), slice(left, right), halvings)
    from_part = [
        [a * step, b * step, a * left + b * top + x],
        [c * step, d * step, c * left + d * top + y],
    ]
    cv2.warpAffine(
        cv2.cvtColor(part, cv2.COLOR_RGB2RGBA),
        pixel_matrix(from_part),
        (side, side),
        dst=canvas,
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_TRANSPARENT,
    )


def _span(middle: float, reach: float, end: int, step: int) -> tuple[int, int]:
    """Return the multiples of a step around what is in reach of a place, between 0 and the end."""
    low = math.floor((middle - reach) / step) * step
    high = math.ceil((middle + reach) / step) * step
    return min(max(low, 0), end), min(max(high, 0), end)


class _OpenCVAtForks:
    """Ends OpenCV's threads before a fork, and lets both processes have new ones after it.

    A child has none of its parent's threads, but finds the locks that they held closed for ever.
    """

    def __init__(self) -> None:
        self._threads = cv2.getNumThreads()

    def before(self) -> None:
        self._threads = cv2.getNumThreads()
        cv2.setNumThreads(1)  # waits for what they are doing

    def after(self) -> None:
        cv2.setNumThreads(self._threads)


if hasattr(os, "register_at_fork"):  # not on Windows
    _at_forks = _OpenCVAtForks()
    os.register_at_fork(
        before=_at_forks.before, after_in_parent=_at_forks.after, after_in_child=_at_forks.after
    )
