"""Overlays: the 90 points drawn on the picture, each group in a colour of its own."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from faceshape.types import FaceShape
from faceshape.vision.image import Channels, ImageSource, RGBImage, load_image

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont, ImageFont

__all__ = ["GROUP_COLOURS", "GROUP_CURVES", "overlay", "portrait_png", "write_names"]

GROUP_COLOURS: dict[str, tuple[int, int, int]] = {
    "FaceProfile": (86, 180, 233),
    "LeftEye": (0, 158, 115),
    "RightEye": (0, 114, 178),
    "LeftEyeBrow": (240, 228, 66),
    "RightEyeBrow": (230, 159, 0),
    "Mouth": (204, 121, 167),
    "Nose": (213, 94, 0),
    "LeftPupil": (255, 255, 255),
    "RightPupil": (192, 255, 192),
}
"""RGB; Okabe & Ito's palette, which colour-blind people can tell apart, with white and a mint that
is as far from the others in the eyes of each of them as these are from each other."""

_LIDS = ((0, 1, 2, 3, 4), (4, 5, 6, 7, 0))
GROUP_CURVES: dict[str, tuple[tuple[int, ...], ...]] = {
    "FaceProfile": (tuple(range(21)),),
    "LeftEye": _LIDS,
    "RightEye": _LIDS,
    "LeftEyeBrow": _LIDS,
    "RightEyeBrow": _LIDS,
    "Mouth": (
        (0, 1, 2, 3, 4, 5, 6),
        (6, 7, 8, 9, 10, 11, 0),
        (0, 12, 13, 14, 15, 16, 6),
        (6, 17, 18, 19, 20, 21, 0),
    ),
    "Nose": ((1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12), (12, 1)),
}
"""What to join by smooth curves, as members of a group; where two meet there may be a corner. The
rest of the group's points stand alone."""

_PIECES = 8  # straight ones that a curve is drawn with from point to point
_SHIFT = 4  # fractional bits of OpenCV's drawing coordinates
_LEAST_FONT = 8  # pixels; smaller ones cannot be read
_PORTRAIT_SIDE, _PORTRAIT_MARGIN = 320, 0.06  # pixels; a share of them on each side


def overlay(
    image: ImageSource,
    faces: Iterable[FaceShape],
    indices: bool = False,
    *,
    channels: Channels = "rgb",
) -> RGBImage:
    """Return a picture, RGB (H, W, 3), with the landmarks of its faces drawn on it.

    Lines, points and numbers grow with the face.

    Args:
        image: what the faces were found in; all that `faceshape.vision.image.load_image` takes. It
            is not changed.
        faces: what to draw.
        indices: write beside each point its number in its group, from 0; they can be told apart on
            faces of 400 pixels and more.
        channels: of an array that is handed in, "rgb" or "bgr"; what is returned is RGB.

    Raises:
        ImageError: the picture cannot be read.
        ParameterError: the array is not a picture.
    """
    faces = list(faces)
    canvas: RGBImage = np.array(load_image(image, channels=channels))
    for face in faces:
        _draw_curves(canvas, face)
    if indices:
        canvas = _with_indices(canvas, faces)
    for face in faces:  # on top, because they say where the landmarks are
        _draw_points(canvas, face)
    return canvas


def portrait_png(face: FaceShape) -> bytes:
    """Return a PNG file of a face's landmarks alone, on black; they must be finite."""
    from PIL import Image

    least, most = face.points.min(axis=0), face.points.max(axis=0)
    scale = _PORTRAIT_SIDE * (1 - 2 * _PORTRAIT_MARGIN) / max(float((most - least).max()), 1e-3)
    shift = _PORTRAIT_SIDE / 2 - scale * (least + most) / 2
    alone = replace(face, points=face.points * scale + shift)
    black = np.zeros((_PORTRAIT_SIDE, _PORTRAIT_SIDE, 3), np.uint8)
    file = BytesIO()
    Image.fromarray(overlay(black, [alone])).save(file, "PNG")
    return file.getvalue()


def write_names(image: RGBImage, faces: Sequence[FaceShape], names: Sequence[str]) -> RGBImage:
    """Return a copy of a picture (H, W, 3) RGB with a name above each of its faces."""
    if not faces:
        return np.copy(image)
    canvas, draw = _pillow_canvas(image)
    for face, name in zip(faces, names, strict=True):
        (left, top), (right, _) = face.points.min(axis=0), face.points.max(axis=0)
        _write(draw, name, ((left + right) / 2, top), "mb", (255, 255, 255), _size(face) / 8)
    return np.array(canvas)


def _draw_curves(canvas: RGBImage, face: FaceShape) -> None:
    thickness = max(1, round(_size(face) / 250))
    for name, curves in GROUP_CURVES.items():
        points = face.group(name)
        pieces = [_fixed_point(_smooth_curve(points[list(curve)])) for curve in curves]
        colour = GROUP_COLOURS[name]
        cv2.polylines(canvas, pieces, False, colour, thickness, cv2.LINE_AA, _SHIFT)


def _draw_points(canvas: RGBImage, face: FaceShape) -> None:
    extent = int(_radius(face) * 2**_SHIFT)
    for name, colour in GROUP_COLOURS.items():
        for centre in _fixed_point(face.group(name)):
            where = tuple(map(int, centre))
            cv2.circle(canvas, where, extent, colour, -1, cv2.LINE_AA, _SHIFT)


def _with_indices(image: RGBImage, faces: Sequence[FaceShape]) -> RGBImage:
    canvas, draw = _pillow_canvas(image)
    for face in faces:
        font = max(_LEAST_FONT, _size(face) / 32)
        for name, colour in GROUP_COLOURS.items():
            points = face.group(name)
            outwards = points - points.mean(axis=0)
            length = np.linalg.norm(outwards, axis=1, keepdims=True)
            # A point alone in its group has its number on its right.
            way = np.where(length > 0, outwards, [1, 0]) / np.where(length > 0, length, 1)
            places = points + way * (_radius(face) + 0.5 * font)
            for number, place in enumerate(places.tolist()):
                _write(draw, str(number), tuple(place), "mm", colour, font)
    return np.array(canvas)


def _pillow_canvas(image: RGBImage) -> "tuple[Image, ImageDraw]":
    from PIL import Image, ImageDraw

    canvas = Image.fromarray(image)
    return canvas, ImageDraw.Draw(canvas)


def _write(
    draw: "ImageDraw",
    text: str,
    place: tuple[float, float],
    anchor: str,
    colour: tuple[int, int, int],
    size: float,
) -> None:
    """Write with a dark edge, which stands out from any background."""
    draw.text(
        place,
        text,
        fill=colour,
        font=_font(max(_LEAST_FONT, round(size))),
        anchor=anchor,
        stroke_width=max(1, round(size / 16)),
        stroke_fill=(0, 0, 0),
    )


@cache
def _font(size: int) -> "FreeTypeFont | ImageFont":
    from PIL.ImageFont import load_default

    return load_default(size)


def _smooth_curve(points: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the corners (M, 2) of a fine polygon along the spline through points (K, 2).

    Its parameter is centripetal (Lee 1989): points that are unevenly far apart make no bulges.
    """
    from scipy.interpolate import CubicSpline  # costs a tenth of a second: only when needed

    steps = np.sqrt(np.linalg.norm(np.diff(points, axis=0), axis=1))
    places = np.concatenate([[0], np.cumsum(np.maximum(steps, 1e-3))])  # points may coincide
    number = np.arange(len(points))
    fine = np.linspace(0, number[-1], _PIECES * number[-1] + 1)
    curve: NDArray[np.float64] = CubicSpline(places, points)(np.interp(fine, number, places))
    return curve


def _size(face: FaceShape) -> float:
    return float(np.ptp(face.points, axis=0).max())


def _radius(face: FaceShape) -> float:
    return max(1.2, _size(face) / 110)


def _fixed_point(points: NDArray[np.floating]) -> NDArray[np.int32]:
    """Return points (K, 2) as OpenCV draws them: pixel centres at whole numbers."""
    fixed: NDArray[np.int32] = np.round((points - 0.5) * 2**_SHIFT).astype(np.int32)
    return fixed
