"""The detector stage: where in a picture are faces, and how far are they turned?"""

import threading
from functools import lru_cache
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from faceshape.types import Detections
from faceshape.vision.geometry import (
    box_iou,
    ellipse_boxes,
    first_of_each,
    non_maximum_suppression,
    turn_boxes,
    wrap_degrees,
)
from faceshape.vision.image import RGBImage
from faceshape.vision.networks import OnnxModel

__all__ = [
    "Detector",
    "DlibDetector",
    "FirstLook",
    "OnnxDetector",
    "RotationSearch",
    "UprightFaces",
]


class Detector(Protocol):
    """Anything that finds faces. Must be safe to share between threads."""

    def detect(self, image: RGBImage) -> Detections:
        """Return the faces of a picture (H, W, 3) in its pixels, best score first.

        Boxes are tight around brow to chin: the landmarks' extent. They may reach outside.
        """
        ...


class OnnxDetector:
    """Our own network: finds faces of any roll in one pass and tells the roll.

    It looks at two copies of a picture. The fine one is reduced so far that the smallest wanted
    face is just large enough for the network; its longer side is at least 416 pixels where the
    picture has them, which costs little, and at most 1024, which bounds the time. The coarse one is
    reduced further, for the faces that are too large for the network there. Nothing is ever
    enlarged.

    The first look for large faces alone has a copy of its own, of 120 pixels' height.
    """

    _SMALLEST_INSIDE, _LARGEST_INSIDE = 13.0, 240.0  # pixels of a copy
    _FINE_SIDES = (416, 1024)
    _COARSE_SHARE = 0.385  # of the fine copy; from 416 it leads to 160, a multiple of 32
    # From which size on, in pixels of the coarse copy, its faces count: where head and shoulders of
    # a small face may look like a face, the fine copy is to be believed.
    _LEAST_COARSE = 48.0
    # The first look's copy: its shorter and its longer side at most, and the smallest face in it.
    _FIRST_LOOK_SIDES, _LEAST_IN_FIRST_LOOK = (120, 224), 20.0
    _SAME_FACE_IOU, _AGREEING_IOU = 0.4, 0.6
    _MOST_CANDIDATES = 500  # before suppression, so that no picture takes forever
    _SIZE_UNIT = 4.0  # strides that a logarithm of 0 stands for

    def __init__(
        self, model: OnnxModel, smallest_face: float = 20.0, threshold: float | None = None
    ) -> None:
        """Take the network and what is a face.

        Args:
            model: with uint8 RGB (1, H, W, 3) in, both sides multiples of 32; out come, for all C
                cells of its strides, row by row and the finest first, the scores (1, C) and the
                geometry (1, C, 14): the centre's offset from the cell's, the logarithm of width and
                height along the roll, and the offsets of eyes, nose and mouth corners, image-left
                first, all in strides.
            smallest_face: its longer side in pixels of the picture.
            threshold: the least score, 0 to 1; None is the one that the manifest has.
        """
        self._model = model
        self._strides = tuple(model.entry.facts["strides"])
        self._smallest_face = smallest_face
        self._threshold = model.entry.facts["threshold"] if threshold is None else threshold

    def detect(self, image: RGBImage) -> Detections:
        """Return the faces of a picture; see `Detector`."""
        longest = max(image.shape[:2])
        least, most = self._FINE_SIDES
        wanted = longest * self._SMALLEST_INSIDE / self._smallest_face
        side = min(max(wanted, least), most, longest)
        passes = [self._candidates(image, side / longest, self._smallest_face)]
        if side > self._LARGEST_INSIDE:
            coarse = self._COARSE_SHARE * side / longest
            passes.append(self._candidates(image, coarse, self._LEAST_COARSE / coarse))
        return self._distinct(passes)

    def detect_large(self, image: RGBImage) -> Detections:
        """Return the faces that are large enough to be found in the first look's copy alone."""
        scale = min(1.0, *np.divide(self._FIRST_LOOK_SIDES, sorted(image.shape[:2])).tolist())
        smallest = max(self._smallest_face, self._LEAST_IN_FIRST_LOOK / scale)
        return self._distinct([self._candidates(image, scale, smallest)])

    def _distinct(self, passes: list[NDArray[np.float32]]) -> Detections:
        """Return each face once, of candidates from several copies of a picture."""
        found = np.concatenate(passes)
        found = found[np.argsort(-found[:, 0], kind="stable")[: self._MOST_CANDIDATES]]
        scores, boxes = found[:, 0], _boxes_and_roll(found)[0]
        overlaps = box_iou(boxes, boxes)
        kept = first_of_each(overlaps > self._SAME_FACE_IOU)
        # The cells about a face's middle are about equally right: their mean is better than one.
        share = np.where(overlaps[kept] > self._AGREEING_IOU, scores, 0)
        share /= share.sum(axis=1, keepdims=True)
        boxes, roll = _boxes_and_roll(share @ found)
        return Detections(boxes, scores[kept], roll)

    def _candidates(self, image: RGBImage, scale: float, smallest: float) -> NDArray[np.float32]:
        """Return what one copy shows of faces whose longer side is `smallest` at least.

        Rows (K, 7) of numbers that may be averaged, in the picture's pixels: the score,
        the centre's x and y, the logarithms of width and height, the line from eye to eye.
        """
        copy, shrunk = _reduced_copy(image, scale)
        scores, geometry = (output[0] for output in self._model.run(copy[None]))
        likely = np.flatnonzero(scores >= self._threshold)
        centres, strides = (each[likely] for each in _cells(copy.shape[:2], self._strides))
        values = geometry[likely]
        found = np.empty((len(likely), 7), np.float32)
        found[:, 0] = scores[likely]
        found[:, 1:3] = (centres + values[:, :2] * strides) / shrunk
        found[:, 3:5] = values[:, 2:4].clip(-4, 4) + np.log(self._SIZE_UNIT * strides / shrunk)
        found[:, 5:7] = (values[:, 6:8] - values[:, 4:6]) * (strides / shrunk)
        large: NDArray[np.float32] = found[found[:, 3:5].max(axis=1) >= np.log(smallest)]
        return large


def _boxes_and_roll(found: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the boxes (K, 4) and the roll (K,) of rows (K, 7) or of their means."""
    roll = np.degrees(np.arctan2(found[:, 6], found[:, 5]))
    return ellipse_boxes(found[:, 1:3], np.exp(found[:, 3:5]), roll), roll


@lru_cache(maxsize=16)
def _cells(
    size: tuple[int, int], strides: tuple[int, ...]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the centres (C, 2) and strides (C, 1) of the cells of a picture (height, width)."""
    centres, widths = [], []
    for stride in strides:
        rows, columns = np.mgrid[: size[0] // stride, : size[1] // stride].reshape(2, -1)
        centres.append((np.stack([columns, rows], axis=1) + 0.5) * stride)
        widths.append(np.full((rows.size, 1), stride))
    return np.concatenate(centres).astype(np.float32), np.concatenate(widths).astype(np.float32)


def _reduced_copy(image: RGBImage, scale: float) -> tuple[RGBImage, NDArray[np.float32]]:
    """Return a picture reduced and with black to the next multiples of 32, and by how much (2,)."""
    # Halved as often as possible, then interpolated: many times as fast as a mean over fractions of
    # pixels, and next to the same. Halving leaves out the last row or column of an odd number.
    halvings = int(np.log2(min(1 / scale, *image.shape[:2])))
    for _ in range(halvings):
        height, width = (side // 2 for side in image.shape[:2])
        even = image[: height * 2, : width * 2]
        image = cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA).astype(
            np.uint8, copy=False
        )
    height, width = image.shape[:2]
    rest = scale * 2**halvings
    inner = (max(1, round(width * rest)), max(1, round(height * rest)))
    copy = np.zeros((-(-inner[1] // 32) * 32, -(-inner[0] // 32) * 32, 3), np.uint8)
    cv2.resize(image, inner, copy[: inner[1], : inner[0]], interpolation=cv2.INTER_LINEAR)
    shrunk = np.array(inner) / (width, height) / 2**halvings
    return copy, shrunk.astype(np.float32)


class FirstLook:
    """The faces that fill a good part of the picture, at a small part of the whole cost."""

    def __init__(self, detector: OnnxDetector) -> None:
        """Take the detector whose coarse copy is looked at."""
        self._detector = detector

    def detect(self, image: RGBImage) -> Detections:
        """Return the large faces of a picture; see `Detector`."""
        return self._detector.detect_large(image)


class UprightFaces:
    """Of the faces that a detector finds those with a roll of at most 45 degrees."""

    def __init__(self, detector: Detector) -> None:
        """Take the detector of faces of any roll."""
        self._detector = detector

    def detect(self, image: RGBImage) -> Detections:
        """Return the upright faces of a picture; see `Detector`."""
        found = self._detector.detect(image)
        return found[np.abs(found.roll) <= 45]


class DlibDetector:
    """dlib's HOG detector of upright faces (Dalal & Triggs 2005; King 2015). Needs no weights.

    The detector itself sees faces from 80 pixels on. Small pictures are enlarged, twice at the
    most, which brings that down to 40; large ones are reduced, which bounds the time.
    """

    # The long side that dlib works on: a picture of 640 × 480 is doubled to it.
    _WORKING_SIDE = 1280
    _LARGEST_ENLARGEMENT = 2.0
    # From dlib's square to the landmarks' extent: shift of the centre and size, in sides of the
    # square; medians over the training faces (scripts/detector/calibrate_dlib_boxes.py).
    _SHIFT = (0.0, 0.086)
    _EXTENT = (0.92, 0.90)

    # dlib's own least score is 0. Below it are more faces that are turned, dark or masked, and more
    # false alarms, which the regressor's presence score tells apart.
    _THRESHOLD = -0.3

    def __init__(self, smallest_face: float = 0.0, threshold: float | None = None) -> None:
        """Take the longer side of the smallest face in pixels and the least score.

        Smaller faces are not searched for faster: they are left out of the answer.
        """
        self._smallest_face = smallest_face
        self._threshold = self._THRESHOLD if threshold is None else threshold
        self._local = threading.local()  # a dlib detector must not run in two threads at once

    def detect(self, image: RGBImage) -> Detections:
        """Return the upright faces of a picture; see `Detector`."""
        scale = min(self._WORKING_SIDE / max(image.shape[:2]), self._LARGEST_ENLARGEMENT)
        way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        if min(image.shape[:2]) * scale < 1:  # a line: nothing would be left of its shorter side
            return Detections.none()
        working = cv2.resize(image, None, fx=scale, fy=scale, interpolation=way)
        found, scores, _ = self._hog().run(working, 0, self._threshold)
        if not len(found):
            return Detections.none()
        corners = np.array([(r.left(), r.top(), r.right() + 1, r.bottom() + 1) for r in found])
        boxes = self._landmark_extent(corners / scale)
        sides: NDArray[np.float32] = (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
        everything = Detections(boxes, np.float32(scores), np.zeros(len(boxes), np.float32))
        return everything[sides >= self._smallest_face]

    def _hog(self) -> Any:  # dlib has no types
        if not hasattr(self._local, "hog"):
            import dlib

            self._local.hog = dlib.get_frontal_face_detector()
        return self._local.hog

    def _landmark_extent(self, squares: NDArray[np.float64]) -> NDArray[np.float32]:
        side = squares[:, 2:] - squares[:, :2]
        centre = (squares[:, :2] + squares[:, 2:]) / 2 + side * self._SHIFT
        half = side * self._EXTENT / 2
        return np.concatenate([centre - half, centre + half], axis=1).astype(np.float32)


class RotationSearch:
    """Finds faces of any roll with a detector of upright ones: four passes, a quarter turn apart.

    Of several finds in one place the best score stays; the upright one is preferred by a margin,
    so that a face that is found without turning is answered as if there had been no search.
    """

    _UPRIGHT_MARGIN = 0.5
    _SAME_FACE_IOU = 0.3

    def __init__(self, detector: Detector) -> None:
        """Take the detector that sees each of the four turned pictures."""
        self._detector = detector

    def detect(self, image: RGBImage) -> Detections:
        """Return the faces of a picture; see `Detector`."""
        passes = [self._detect_turned(image, turns) for turns in range(4)]
        found = Detections(
            np.concatenate([each.boxes for each in passes]),
            np.concatenate([each.scores for each in passes]),
            np.concatenate([each.roll for each in passes]),
        )
        preference = found.scores + self._UPRIGHT_MARGIN * (np.abs(found.roll) < 45)
        return found[non_maximum_suppression(found.boxes, preference, self._SAME_FACE_IOU)]

    def _detect_turned(self, image: RGBImage, turns: int) -> Detections:
        found = self._detector.detect(np.ascontiguousarray(np.rot90(image, turns)))
        boxes = turn_boxes(found.boxes, turns, image.shape[:2])
        # Turning the picture anticlockwise makes those upright that were turned clockwise.
        roll = wrap_degrees(found.roll + 90.0 * turns).astype(np.float32)
        return Detections(boxes, found.scores, roll)
