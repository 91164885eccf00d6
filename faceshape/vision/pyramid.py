"""A picture and its copies of fewer pixels, each made once, when it is first asked for."""

import cv2

from faceshape.vision.image import RGBImage

__all__ = ["Pyramid", "halved"]


class Pyramid:
    """A picture whose levels have half as many rows and columns each. For one thread.

    Detector and landmark stage look at the same levels. Up from the second one they are reduced
    from the mean of the inner four of each 4 × 4 pixels: reading large pictures takes time, and
    this reads every second row alone. What is shown so much smaller has pixels to spare.
    """

    def __init__(self, image: RGBImage) -> None:
        """Take the picture (H, W, 3)."""
        self.image = image
        self._levels = {0: image}

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the picture."""
        height, width = self.image.shape[:2]
        return height, width

    def level(self, halvings: int) -> RGBImage:
        """Return the picture with half as many rows and columns, so many times.

        A last row or column that has no partner is left out.
        """
        if halvings not in self._levels:
            self._levels[halvings] = (
                _quarter(self.image) if halvings == 2 else halved(self.level(halvings - 1))
            )
        return self._levels[halvings]

    def part(self, rows: slice, columns: slice, halvings: int) -> RGBImage:
        """Return a part of a level.

        Args:
            rows: of the picture, from a multiple of ``2**halvings`` to one, or to the end.
            columns: the same.
            halvings: the level.
        """
        if halvings == 1 and 1 not in self._levels:  # all of it may be needed never again
            return halved(self.image[rows, columns])
        inside = tuple(
            slice(side.start >> halvings, side.stop >> halvings) for side in (rows, columns)
        )
        return self.level(halvings)[inside]


def halved(image: RGBImage) -> RGBImage:
    """Return the mean of each 2 × 2 pixels of a picture (H, W, 3)."""
    return _reduced(image, 2, cv2.INTER_AREA)


def _quarter(image: RGBImage) -> RGBImage:
    return _reduced(image, 4, cv2.INTER_LINEAR)  # which takes the inner four


def _reduced(image: RGBImage, step: int, way: int) -> RGBImage:
    height, width = (side // step for side in image.shape[:2])
    whole = image[: height * step, : width * step]
    return cv2.resize(whole, (width, height), interpolation=way).astype("u1", copy=False)
