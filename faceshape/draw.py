"""Overlays: the 90 points drawn on the picture, each group in a colour of its own."""

from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

from faceshape.image import RGBImage
from faceshape.types import FaceShape

__all__ = ["GROUP_COLOURS", "overlay"]

GROUP_COLOURS: dict[str, tuple[int, int, int]] = {
    "FaceProfile": (86, 180, 233),
    "LeftEye": (0, 158, 115),
    "RightEye": (0, 158, 115),
    "LeftEyeBrow": (240, 228, 66),
    "RightEyeBrow": (240, 228, 66),
    "Mouth": (204, 121, 167),
    "Nose": (230, 159, 0),
    "LeftPupil": (213, 94, 0),
    "RightPupil": (213, 94, 0),
}
"""RGB; from Okabe & Ito's palette, which colour-blind people can tell apart."""

# What to join by lines, as members of a group; the rest of the group's points stand alone.
_LINES: dict[str, tuple[tuple[int, ...], ...]] = {
    "FaceProfile": (tuple(range(21)),),
    "LeftEye": ((*range(8), 0),),
    "RightEye": ((*range(8), 0),),
    "LeftEyeBrow": ((*range(8), 0),),
    "RightEyeBrow": ((*range(8), 0),),
    "Mouth": ((*range(12), 0), (0, *range(12, 17), 6, *range(17, 22), 0)),
    "Nose": ((1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 1),),
}
_SHIFT = 4  # fractional bits of OpenCV's drawing coordinates


def overlay(image: RGBImage, faces: Iterable[FaceShape]) -> RGBImage:
    """Return a copy of a picture (H, W, 3) RGB with the landmarks of its faces drawn on it.

    Lines and points grow with the face.
    """
    canvas: RGBImage = image.copy()
    for face in faces:
        size = float(np.ptp(face.points, axis=0).max())
        thickness = max(1, round(size / 250))
        radius = max(1.2, size / 110)
        for name, colour in GROUP_COLOURS.items():
            points = face.group(name)
            for line in _LINES.get(name, ()):
                pieces = [_fixed_point(points[list(line)])]
                cv2.polylines(canvas, pieces, False, colour, thickness, cv2.LINE_AA, _SHIFT)
            for centre in _fixed_point(points):
                where, extent = tuple(map(int, centre)), int(radius * 2**_SHIFT)
                cv2.circle(canvas, where, extent, colour, -1, cv2.LINE_AA, _SHIFT)
    return canvas


def _fixed_point(points: NDArray[np.float32]) -> NDArray[np.int32]:
    """Return points (K, 2) as OpenCV draws them: pixel centres at whole numbers."""
    fixed: NDArray[np.int32] = np.round((points - 0.5) * 2**_SHIFT).astype(np.int32)
    return fixed
