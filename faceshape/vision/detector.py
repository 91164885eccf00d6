"""The detector stage: where in a picture are faces, and how far are they turned?"""

import math
import threading
from functools import lru_cache
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from faceshape.types import Detections
from faceshape.vision.confirmation import log_odds
from faceshape.vision.geometry import (
    box_iou,
    ellipse_boxes,
    first_of_each,
    line_roll,
    turn_boxes,
    wrap_degrees,
)
from faceshape.vision.image import RGBImage
from faceshape.vision.networks import OnnxModel
from faceshape.vision.pyramid import Pyramid
from faceshape.vision.same_face import Places, distinct, same_faces, turned_against

__all__ = [
    "UPRIGHT",
    "AllFinds",
    "CoarseLook",
    "Detector",
    "DlibDetector",
    "OnnxDetector",
    "RotationSearch",
    "Search",
    "UprightFaces",
]

UPRIGHT = 50.0
"""Up to which roll, in degrees, a find may be an upright face.

A face is upright up to 45 degrees, but a detector's roll may be off by some.
"""


class Detector(Protocol):
    """Anything that finds faces. Must be safe to share between threads."""

    def detect(self, image: RGBImage) -> Detections:
        """Return the faces of a picture (H, W, 3) in its pixels, best score first.

        Boxes are tight around brow to chin: the landmarks' extent. They may reach outside.
        """
        ...


class Search(Protocol):
    """Anything that finds what may be a face, for a closer look."""

    def candidates(self, pyramid: Pyramid) -> Detections:
        """Return what may be a face of a picture, best score first.

        That goes down to scores at which most are false alarms. A face may come twice, as seen
        upright and as seen upside down, where the scores are not clearly for one of them.
        """
        ...

    def overlooked_area(self, pyramid: Pyramid) -> float:
        """Return how large a face may be, in pixels, and not be among the candidates.

        Infinite if this search would spare nothing: the next one is to be asked at once.
        """
        ...


class OnnxDetector:
    """Our own network: finds faces of any roll in one pass and tells the roll and five keypoints.

    It looks at one to three copies of a picture. The fine one is reduced so far that the smallest
    wanted face is just large enough for the network. Its longer side is at least 32 times as long
    as that (384 pixels) where the picture has them, which costs little; its area is at most that
    of 960 × 540, which bounds the time: a panorama keeps its pixels. Only where faces below 20
    pixels are wanted may it be enlarged, at most twice. Each coarser copy is for the faces that are
    too large for the network in the one before.
    """

    # Faces above this size in one copy are the next one's: from there on the network is unsure and
    # sees faces upside down.
    _LARGEST_INSIDE = 150.0
    _LEAST_FINE_SIDE, _MOST_FINE_AREA = 32, 960 * 540  # the side in smallest faces
    # A face of which the picture has few pixels needs more of them inside the copy: from smallest
    # faces of 20 down to those of 8 pixels its size there grows to so many times what it was.
    _SMALL, _SMALL_GAIN, _MOST_ENLARGED = (8.0, 20.0), (1.6, 1.0), 2.0
    _COARSE_SHARE = 0.385  # of the finer copy's sides
    # From which size on, in pixels of a coarse copy, its faces count: where head and shoulders of
    # a small face may look like a face, the finer copy is to be believed.
    _LEAST_COARSE = 48.0
    # Of cells' boxes: of one face, and near enough for the mean to be better than either.
    _SAME_CELLS_IOU, _AGREEING_IOU = 0.4, 0.6
    # By how much surer, in log-odds, one of two that contradict each other is right at once.
    _SURELY_RIGHT = 4.0
    _MOST_CANDIDATES = 500  # before suppression, so that no picture takes forever
    _SIZE_UNIT = 4.0  # strides that a logarithm of 0 stands for
    _PAIRS = 7  # of numbers, a cell's geometry: centre, size and five keypoints

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
            threshold: the least score of `detect`, 0 to 1, and of the candidates, too; None: both
                are what the manifest has.
        """
        facts = model.entry.facts
        self._model = model
        self._strides = tuple(facts["strides"])
        self._smallest_face = smallest_face
        self._smallest_inside: float = facts["smallest_face"]  # in pixels of the fine copy
        gain = float(np.interp(smallest_face, self._SMALL, self._SMALL_GAIN))
        self._wanted_scale = min(gain * self._smallest_inside / smallest_face, self._MOST_ENLARGED)
        self._threshold = facts["threshold"] if threshold is None else threshold
        self._least_score = facts["least_score"] if threshold is None else threshold

    def detect(self, image: RGBImage) -> Detections:
        """Return the faces of a picture; see `Detector`."""
        return self.sure(self.candidates(Pyramid(image)))

    def candidates(self, pyramid: Pyramid) -> Detections:
        """Return what may be a face; see `Search`."""
        height, width = pyramid.size
        least = min(self._LEAST_FINE_SIDE * self._smallest_inside / max(height, width), 1.0)
        most = math.sqrt(self._MOST_FINE_AREA / (height * width))
        scale = min(max(self._wanted_scale, least), most)
        smallest, passes = self._smallest_face, []
        while True:
            last = scale * min(height, width) <= self._LARGEST_INSIDE
            largest = np.inf if last else self._LARGEST_INSIDE / scale
            passes.append(self._finds(pyramid, scale, smallest, largest))
            if last:
                return self._hypotheses(np.concatenate(passes))
            scale *= self._COARSE_SHARE
            smallest = max(self._smallest_face, self._LEAST_COARSE / scale)

    def overlooked_area(self, pyramid: Pyramid) -> float:
        """Return 0: everything that is wanted is looked for."""
        return 0.0

    def candidates_at(self, pyramid: Pyramid, scale: float, smallest: float) -> Detections:
        """Return the candidates that one copy shows.

        Args:
            pyramid: the picture.
            scale: of the copy, at most 1.
            smallest: longer side of a face in the copy, pixels.
        """
        least = max(self._smallest_face, smallest / scale)
        return self._hypotheses(self._finds(pyramid, scale, least, np.inf))

    def sure(self, candidates: Detections) -> Detections:
        """Return the candidates that the score alone is enough for, each face once."""
        found = candidates[candidates.scores >= self._threshold]
        return found[distinct(Places.of_detections(found), found.scores)]

    def _hypotheses(self, found: NDArray[np.float32]) -> Detections:
        """Return each face once, or twice where two of its finds contradict each other."""
        found = found[np.argsort(-found[:, 0], kind="stable")[: self._MOST_CANDIDATES]]
        boxes, roll = _boxes_and_roll(found)
        overlaps = box_iou(boxes, boxes)
        overlaps[turned_against(roll)] = 0
        kept = first_of_each(overlaps > self._SAME_CELLS_IOU)
        # The cells about a face's middle are about equally right: their mean is better than one.
        share = np.where(overlaps[kept] > self._AGREEING_IOU, found[:, 0], 0)
        share /= share.sum(axis=1, keepdims=True)
        means = share @ found
        scores = found[kept, 0]
        boxes, roll = _boxes_and_roll(means)
        faces = Detections(boxes, scores, roll, means[:, 5:].reshape(-1, 5, 2))
        if len(faces) < 2:
            return faces
        odds, places = log_odds(scores), Places.of_detections(faces)
        undecided = np.abs(odds[:, None] - odds[None]) < self._SURELY_RIGHT
        undecided &= turned_against(roll)
        return faces[first_of_each(same_faces(places, places) & ~undecided)]

    def _finds(
        self, pyramid: Pyramid, scale: float, smallest: float, largest: float
    ) -> NDArray[np.float32]:
        """Return what one copy shows of faces whose longer side is within limits.

        Rows (K, 15) of numbers that may be averaged, in the picture's pixels: the score,
        the centre's x and y, the logarithms of width and height, x and y of five keypoints.
        """
        copy, shrunk = _scaled_copy(pyramid, scale)
        scores, geometry = (output[0] for output in self._model.run(copy[None]))
        likely = np.flatnonzero(scores >= self._least_score)
        centres, strides = (each[likely] for each in _cells(copy.shape[:2], self._strides))
        values = geometry[likely].reshape(-1, self._PAIRS, 2)
        pixels = strides / shrunk  # of the picture, in a stride
        found = np.empty((len(likely), 1 + 2 * self._PAIRS), np.float32)
        found[:, 0] = scores[likely]
        pairs = found[:, 1:].reshape(values.shape)
        # All but the sizes are places; these are overwritten.
        np.multiply(values, pixels[:, None], out=pairs)
        pairs += (centres / shrunk)[:, None]
        sizes = pairs[:, 1] = values[:, 1].clip(-4, 4) + np.log(self._SIZE_UNIT * pixels)
        size = sizes.max(axis=1)
        within: NDArray[np.float32] = found[(size >= np.log(smallest)) & (size < np.log(largest))]
        return within


def _boxes_and_roll(
    found: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the boxes (K, 4) and the roll (K,) of rows (K, 15) or of their means."""
    roll = line_roll(found[:, 5:7], found[:, 7:9]).astype(np.float32)
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


def _scaled_copy(pyramid: Pyramid, scale: float) -> tuple[RGBImage, NDArray[np.float32]]:
    """Return a picture scaled and with black to the next multiples of 32, and by how much (2,)."""
    # Halved as often as possible, then interpolated: as good as a mean over fractions of pixels.
    halvings = max(0, int(math.log2(min(1 / scale, *pyramid.size))))
    image = pyramid.level(halvings)
    height, width = image.shape[:2]
    rest = scale * 2**halvings
    inner = (max(1, round(width * rest)), max(1, round(height * rest)))
    copy = np.zeros((-(-inner[1] // 32) * 32, -(-inner[0] // 32) * 32, 3), np.uint8)
    way = cv2.INTER_CUBIC if rest > 1 else cv2.INTER_LINEAR
    cv2.resize(image, inner, copy[: inner[1], : inner[0]], interpolation=way)
    step = 2**halvings
    return copy, np.array([inner[0] / (width * step), inner[1] / (height * step)], np.float32)


class CoarseLook:
    """The faces that fill a good part of the picture, at a small part of the whole cost.

    They are looked for in a copy of their own.
    """

    _LONGEST = 1.87  # longer side of the copy in shorter ones; beyond it the area is bounded
    _LARGEST_SCALE = 0.75  # above it the whole picture costs hardly more
    _SMALLEST_INSIDE = 12.0
    # Mean side from which on no face in the copy is overlooked, so that the largest one is among
    # those that were found.
    _SURE_INSIDE = 15.0

    def __init__(self, detector: OnnxDetector, lines: int = 96) -> None:
        """Take the detector that looks, and how many pixels the copy's shorter side has at most."""
        self._detector, self._lines = detector, lines

    def detect(self, image: RGBImage) -> Detections:
        """Return the large faces of a picture; see `Detector`."""
        return self._detector.sure(self.candidates(Pyramid(image)))

    def candidates(self, pyramid: Pyramid) -> Detections:
        """Return what may be a large face; see `Search`."""
        return self._detector.candidates_at(pyramid, self._scale(pyramid), self._SMALLEST_INSIDE)

    def overlooked_area(self, pyramid: Pyramid) -> float:
        """See `Search`."""
        scale = self._scale(pyramid)
        return math.inf if scale > self._LARGEST_SCALE else (self._SURE_INSIDE / scale) ** 2

    def _scale(self, pyramid: Pyramid) -> float:
        height, width = pyramid.size
        by_area = self._lines * math.sqrt(self._LONGEST / (height * width))
        return min(1.0, self._lines / min(height, width), by_area)


class AllFinds:
    """The search that takes a detector at its word."""

    def __init__(self, detector: Detector) -> None:
        """Take the detector."""
        self._detector = detector

    def candidates(self, pyramid: Pyramid) -> Detections:
        """See `Search`."""
        return self._detector.detect(pyramid.image)

    def overlooked_area(self, pyramid: Pyramid) -> float:
        """See `Search`."""
        return 0.0


class UprightFaces:
    """Of the faces that a detector finds those that may be upright."""

    def __init__(self, detector: Detector) -> None:
        """Take the detector of faces of any roll."""
        self._detector = detector

    def detect(self, image: RGBImage) -> Detections:
        """Return the upright faces of a picture; see `Detector`."""
        found = self._detector.detect(image)
        return found[np.abs(found.roll) <= UPRIGHT]


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
        return found[distinct(Places.of_detections(found), preference)]

    def _detect_turned(self, image: RGBImage, turns: int) -> Detections:
        found = self._detector.detect(np.ascontiguousarray(np.rot90(image, turns)))
        boxes = turn_boxes(found.boxes, turns, image.shape[:2])
        # Turning the picture anticlockwise makes those upright that were turned clockwise.
        roll = wrap_degrees(found.roll + 90.0 * turns).astype(np.float32)
        return Detections(boxes, found.scores, roll)
