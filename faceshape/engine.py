"""The engine: picture in, faces with 90 landmarks out; the stages in their order."""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from faceshape.detector import Detector, DlibDetector, RotationSearch
from faceshape.errors import ParameterError, ShapeError
from faceshape.geometry import box_area
from faceshape.image import ImageSource, RGBImage, load_image
from faceshape.landmarker import Landmarker
from faceshape.models import OnnxModel, model_entry
from faceshape.types import Detections, FaceShape, Mode

__all__ = ["MAX_FACES", "FaceShapeEngine"]

MAX_FACES = 10
"""How many faces are answered at most (API document, section 2, Mode)."""

# Presence below which a detection is taken for a false alarm. Faces of the validation split have
# 0.99 and more, so there is room for worse ones.
_LEAST_PRESENCE = 0.9


class FaceShapeEngine:
    """Finds faces and their 90 landmarks; safe to share between threads."""

    def __init__(
        self, detector: Literal["auto", "dlib"] = "auto", threads: int | None = None
    ) -> None:
        """Load the models once and verify them.

        Args:
            detector: "dlib" is dlib's HOG; "auto" the best there is, at present the same.
            threads: that one call may use in the network, at least 1; None takes all cores.

        Raises:
            ParameterError: no such detector, or threads below 1.
            ModelError: a model is missing or is not the one that the manifest names.
        """
        if detector not in ("auto", "dlib"):
            raise ParameterError(f"no detector is called {detector!r}; there are auto, dlib")
        if threads is not None and threads < 1:
            raise ParameterError(f"threads must be at least 1, not {threads}")
        self._upright: Detector = DlibDetector()
        self._turned: Detector = RotationSearch(self._upright)
        self._landmarker = Landmarker(OnnxModel(model_entry("landmarks"), threads))

    def analyze(
        self, image: ImageSource, mode: Mode = Mode.ALL, rotate: bool = False
    ) -> list[FaceShape]:
        """Return the faces of a picture, the largest first.

        Args:
            image: path, bytes of a JPEG, PNG or BMP file, or RGB uint8 (H, W, 3).
            mode: all faces, ten at most, or the largest one.
            rotate: look for faces that are turned by about 90, 180 or 270 degrees, too.

        Returns:
            An empty list when there is no face.

        Raises:
            ImageError: the picture cannot be read; see `faceshape.image.load_image`.
            ParameterError: mode is neither 0 nor 1, or the array is not a picture.
        """
        if mode not in tuple(Mode):
            raise ParameterError(f"mode is 0 (all faces) or 1 (the largest), not {mode!r}")
        pixels = load_image(image)
        found = self._detect(pixels, rotate)
        wanted = 1 if mode == Mode.LARGEST else MAX_FACES
        faces: list[FaceShape] = []
        # The largest detection may be a false alarm; those behind it are only looked at then.
        for start in range(0, len(found), wanted):
            faces += self._shape(pixels, found[start : start + wanted])
            if len(faces) >= wanted:
                break
        return faces[:wanted]

    def detect(self, image: ImageSource, rotate: bool = False) -> Detections:
        """Return what the detector finds, the largest first, false alarms included.

        Args:
            image: as for `analyze`.
            rotate: as for `analyze`.

        Raises:
            ImageError: the picture cannot be read.
            ParameterError: the array is not a picture.
        """
        return self._detect(load_image(image), rotate)

    def landmarks(
        self, image: ImageSource, boxes: ArrayLike, roll: ArrayLike | None = None
    ) -> NDArray[np.float32]:
        """Return the landmarks (N, 90, 2) of faces whose boxes are known, without detection.

        Args:
            image: as for `analyze`.
            boxes: (N, 4) x0 y0 x1 y1 in pixels, tight around brow to chin.
            roll: (N,) degrees, clockwise as seen; None: about upright.

        Raises:
            ImageError: the picture cannot be read.
            ShapeError: boxes are not (N, 4), not finite or without area; roll is not (N,).
        """
        pixels = load_image(image)
        boxes, angles = _checked_boxes(boxes, roll)
        return self._landmarker.locate(pixels, boxes, angles).points

    def _detect(self, pixels: RGBImage, rotate: bool) -> Detections:
        found = (self._turned if rotate else self._upright).detect(pixels)
        return found[np.argsort(-box_area(found.boxes), kind="stable")]

    def _shape(self, pixels: RGBImage, found: Detections) -> list[FaceShape]:
        located = self._landmarker.locate(pixels, found.boxes, found.roll)
        return [
            FaceShape(
                points=located.points[i],
                dense=located.dense[i],
                box=found.boxes[i],
                score=float(found.scores[i]),
                presence=float(located.presence[i]),
                roll=float(located.roll[i]),
            )
            for i in np.flatnonzero(located.presence >= _LEAST_PRESENCE)
        ]


def _checked_boxes(
    boxes: ArrayLike, roll: ArrayLike | None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    boxes = np.asarray(boxes, np.float32)
    if boxes.size == 0:
        boxes = boxes.reshape(0, 4)
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ShapeError(f"boxes must be (N, 4), not {boxes.shape}")
    if not np.isfinite(boxes).all() or not (boxes[:, 2:] > boxes[:, :2]).all():
        raise ShapeError("boxes must be finite, with x0 < x1 and y0 < y1")
    angles = np.zeros(len(boxes), np.float32) if roll is None else np.asarray(roll, np.float32)
    if angles.shape != (len(boxes),) or not np.isfinite(angles).all():
        raise ShapeError(f"roll must be {len(boxes)} finite angles, not {angles.shape}")
    return boxes, angles
