"""Contact sheets: the faces of many pictures, cut out, with their landmarks drawn on them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from faceshape.batch.captions import fit_caption
from faceshape.core.contract import GROUPS
from faceshape.draw import overlay
from faceshape.errors import ImageError
from faceshape.types import FaceShape
from faceshape.vision.crops import warp_crop
from faceshape.vision.geometry import apply_transforms, crop_transforms, enclosing_boxes
from faceshape.vision.image import RGBImage, load_image
from faceshape.vision.landmarker import eye_line_roll

__all__ = ["MOST_TILES", "ContactSheet"]

MOST_TILES = 100
"""How many faces a sheet shows at most."""

_SIDE = 160  # of a tile, pixels
_CAPTION = 16  # height of the strip below it
_COLUMNS = 10
_MARGIN = 1.3  # side of a tile in the picture, as a multiple of the landmarks' extent


class _Entry(NamedTuple):
    picture: int
    path: str
    points: NDArray[np.float32]  # (90, 2)


class ContactSheet:
    """Collects the faces of responses, at most 100 of them, spread evenly over all pictures.

    When there would be more it drops every second one and from then on takes half as many, so
    that it holds little however many pictures there are, and 51 faces at least once it dropped.
    """

    def __init__(self) -> None:
        self._entries: list[_Entry] = []
        self._pictures = 0
        self._seen = 0
        self._stride = 1

    def add(self, path: str, faces: Sequence[Mapping[str, Sequence[Mapping[str, int]]]]) -> None:
        """Take the faces of the next picture, as FaceShapeSet of the response has them."""
        self._pictures += 1
        for face in faces:
            if self._seen % self._stride == 0:
                self._entries.append(_Entry(self._pictures, path, _points(face)))
            self._seen += 1
            if len(self._entries) > MOST_TILES:
                self._entries = self._entries[::2]
                self._stride *= 2

    def render(self) -> RGBImage:
        """Return the sheet: RGB, rows of ten tiles with captions, each 160 × 176 pixels.

        A tile is the square around a face, upright as in the picture; its caption has the number
        of the picture, from 1, and the name of its file. A picture that can no longer be read
        leaves its tiles empty. Without any face there is one empty tile.
        """
        count = max(1, len(self._entries))
        columns, rows = min(count, _COLUMNS), -(-count // _COLUMNS)
        sheet = Image.new("RGB", (columns * _SIDE, rows * (_SIDE + _CAPTION)))
        draw = ImageDraw.Draw(sheet)
        for index, (entry, tile) in enumerate(_tiles(self._entries)):
            left, top = index % _COLUMNS * _SIDE, index // _COLUMNS * (_SIDE + _CAPTION)
            sheet.paste(Image.fromarray(tile), (left, top))
            name = f"{entry.picture}  {Path(entry.path).name}"
            caption, font = fit_caption(name, _SIDE - 6)
            middle = left + 3, top + _SIDE + _CAPTION / 2
            draw.text(middle, caption, "white", font, anchor="lm")
        return np.array(sheet)


def _points(face: Mapping[str, Sequence[Mapping[str, int]]]) -> NDArray[np.float32]:
    """Return the landmarks (90, 2) of a response: the centres of the pixels that it names."""
    pixels = [[point["X"], point["Y"]] for group in GROUPS for point in face[group]]
    points: NDArray[np.float32] = np.array(pixels, np.float32) + np.float32(0.5)
    return points


def _tiles(entries: Iterable[_Entry]) -> Iterator[tuple[_Entry, RGBImage]]:
    for path, of_picture in groupby(entries, key=attrgetter("path")):
        try:
            pixels = load_image(path)
        except (ImageError, OSError):  # gone since
            pixels = None
        for entry in of_picture:
            yield entry, _empty_tile() if pixels is None else _tile(pixels, entry.points)


def _empty_tile() -> RGBImage:
    return np.zeros((_SIDE, _SIDE, 3), np.uint8)


def _tile(pixels: RGBImage, points: NDArray[np.float32]) -> RGBImage:
    """Return the square (160, 160, 3) around landmarks (90, 2), with these drawn on it."""
    boxes = enclosing_boxes(points[None])
    [transform] = transforms = crop_transforms(boxes, [0.0], _SIDE, _MARGIN)
    moved = apply_transforms(transforms, points[None])[0].astype(np.float32)
    face = FaceShape(
        points=moved,
        dense=moved,
        box=enclosing_boxes(moved[None])[0],
        score=float("nan"),  # a response has neither score nor presence
        presence=float("nan"),
        roll=float(eye_line_roll(moved[None])[0]),
    )
    return overlay(warp_crop(pixels, transform, _SIDE), [face])
