"""Dark pictures are made as bright as those that the networks have learnt from."""

import cv2
import numpy as np

from faceshape.vision.image import RGBImage

__all__ = ["lit"]

# What the brightest hundredth of a picture has at least, of 255; and what is too dark to be one.
_BRIGHT_ENOUGH, _BLACK = 120.0, 2.0
_LOOKED_AT = 64  # about so many rows and columns tell how bright a picture is


def lit(image: RGBImage) -> RGBImage:
    """Return a picture (H, W, 3) itself, or a brighter one if it was taken in the dark.

    Levels are multiplied, so that the brightest hundredth of the pixels is in the middle of the
    scale; a picture with a lamp in it is left as it is.
    """
    step = max(1, min(image.shape[:2]) // _LOOKED_AT)
    red, green, blue = image[::step, ::step].transpose(2, 0, 1)
    place = int(0.99 * green.size)
    if np.count_nonzero(green >= _BRIGHT_ENOUGH) >= green.size - place:
        return image  # most often, and one colour tells
    levels = np.maximum(np.maximum(red, green), blue)
    top = float(np.partition(levels, place, axis=None)[place])
    if not _BLACK <= top < _BRIGHT_ENOUGH:
        return image
    table = np.minimum(np.arange(256) * (_BRIGHT_ENOUGH / top), 255).astype(np.uint8)
    return cv2.LUT(image, table).astype(np.uint8, copy=False)
