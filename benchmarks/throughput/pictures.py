"""Pictures to measure speed on: one to ten faces of any size, all of them the astronaut's."""

import io
import math

import cv2
import numpy as np
from PIL import Image
from skimage import data

from faceshape.vision.image import RGBImage

__all__ = ["group_picture", "jpeg"]


def group_picture(size: tuple[int, int], faces: int) -> RGBImage:
    """Return a picture of (width, height) with so many heads in rows, as large as they fit."""
    width, height = size
    columns = min(range(1, faces + 1), key=lambda count: -_side(size, faces, count))
    side = _side(size, faces, columns)
    head = cv2.resize(data.astronaut()[:256, 96:352], (side, side), interpolation=cv2.INTER_AREA)
    picture = np.full((height, width, 3), 128, np.uint8)
    for place in range(faces):
        row, column = divmod(place, columns)
        picture[row * side : (row + 1) * side, column * side : (column + 1) * side] = head
    return picture


def _side(size: tuple[int, int], faces: int, columns: int) -> int:
    return min(size[0] // columns, size[1] // math.ceil(faces / columns))


def jpeg(picture: RGBImage) -> bytes:
    """Return a picture as the bytes of a JPEG file."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=90)
    return file.getvalue()
