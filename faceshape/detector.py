"""The detector stage: where in a picture are faces, and how far are they turned?"""

import threading
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from faceshape.geometry import non_maximum_suppression, turn_boxes, wrap_degrees
from faceshape.image import RGBImage
from faceshape.types import Detections

__all__ = ["Detector", "DlibDetector", "RotationSearch"]


class Detector(Protocol):
    """Anything that finds faces. Must be safe to share between threads."""

    def detect(self, image: RGBImage) -> Detections:
        """Return the faces of a picture (H, W, 3) in its pixels, best score first.

        Boxes are tight around brow to chin: the landmarks' extent. They may reach outside.
        """
        ...


class DlibDetector:
    """dlib's HOG detector of upright faces (Dalal & Triggs 2005; King 2015). Needs no weights.

    The detector itself sees faces from 80 pixels on. Small pictures are enlarged, twice at the
    most, which brings that down to 40; large ones are reduced, which bounds the time.
    """

    # The long side that dlib works on: a picture of 640 × 480 is doubled to it.
    _WORKING_SIDE = 1280
    _LARGEST_ENLARGEMENT = 2.0
    # From dlib's square to the landmarks' extent: shift of the centre and size, in sides of the
    # square; medians over the training faces (scripts/calibrate_dlib_boxes.py).
    _SHIFT = (0.0, 0.086)
    _EXTENT = (0.92, 0.90)

    def __init__(self, threshold: float = -0.3) -> None:
        """Take the least score.

        dlib's own default is 0. Below it are more faces that are turned, dark or masked, and more
        false alarms, which the regressor's presence score tells apart.
        """
        self._threshold = threshold
        self._local = threading.local()  # a dlib detector must not run in two threads at once

    def detect(self, image: RGBImage) -> Detections:
        """Return the upright faces of a picture; see `Detector`."""
        scale = min(self._WORKING_SIDE / max(image.shape[:2]), self._LARGEST_ENLARGEMENT)
        way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        working = cv2.resize(image, None, fx=scale, fy=scale, interpolation=way)
        found, scores, _ = self._hog().run(working, 0, self._threshold)
        if not len(found):
            return Detections.none()
        corners = np.array([(r.left(), r.top(), r.right() + 1, r.bottom() + 1) for r in found])
        boxes = self._landmark_extent(corners / scale)
        return Detections(boxes, np.array(scores, np.float32), np.zeros(len(boxes), np.float32))

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
