"""The engine: picture in, faces with 90 landmarks out; the stages in their order."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from faceshape.core.arrays import numbers
from faceshape.errors import ParameterError, ShapeError
from faceshape.types import Detections, FaceShape, Mode
from faceshape.vision.choice import FaceChooser
from faceshape.vision.confirmation import LEAST_PRESENCE, PRESENCE_ALONE, Confirmation
from faceshape.vision.detector import (
    AllFinds,
    CoarseLook,
    Detector,
    DlibDetector,
    OnnxDetector,
    RotationSearch,
    Search,
    UprightFaces,
)
from faceshape.vision.geometry import box_area
from faceshape.vision.image import Channels, ImageSource, load_image
from faceshape.vision.landmarker import Landmarker
from faceshape.vision.light import lit
from faceshape.vision.networks import CPU_ONLY, OnnxModel, Provider, model_entry, present_providers
from faceshape.vision.pyramid import Pyramid

__all__ = ["LEAST_PRESENCE", "FaceShapeEngine"]

# Of boxes, in pixels: as far as float32 tells places apart, and sides that crops can be cut from.
_FARTHEST = 1e7
_THINNEST = 1e-12

# A search is asked if the largest face seems to be so many times what that search may overlook.
_LIKELY_TO_SETTLE = 1.5

# Whom `detect` asks, by whether turned faces are wanted.
_Detectors = Mapping[bool, Detector]
# Who is asked for candidates, one after another until nothing larger can have been overlooked: by
# whether turned faces are wanted, and by mode.
_Passes = Mapping[tuple[bool, Mode], tuple[Search, ...]]


class FaceShapeEngine:
    """Finds faces and their 90 landmarks; safe to share between threads.

    It can be pickled, copied and inherited by a fork: the models are opened anew, in the process
    where the copy is used.
    """

    def __init__(
        self,
        detector: Literal["auto", "onnx", "dlib"] = "auto",
        threads: int | None = None,
        smallest_face: float = 20.0,
        score_threshold: float | None = None,
        max_faces: int | None = 10,
        providers: Sequence[Provider] | None = None,
    ) -> None:
        """Load the models once and verify them.

        Args:
            detector: "onnx" is our own network, "dlib" dlib's HOG, "auto" the better: our own.
            threads: that one call may use in the networks, at least 1; None takes all processors
                that the affinity and the control groups of this process grant. OpenCV's threads are
                one setting for the whole process, which is left to you: `cv2.setNumThreads`.
            smallest_face: longer side in pixels of the smallest face that is looked for, brow to
                chin; with our own detector small faces cost time. dlib ends at 40 by itself.
            score_threshold: the least score in the detector's own unit, whatever presence says;
                None is its default, with which score and presence decide together.
            max_faces: how many faces `analyze` answers at most; None answers all.
            providers: onnxruntime's execution providers, the preferred first: names, or pairs of
                name and options. None is the CPU. One that is not there is warned of.

        Raises:
            ParameterError: no such detector, threads or max_faces below 1, a number that is not
                positive, or providers that are not as above.
            ModelError: a model is missing or is not the one that the manifest names.
        """
        if detector not in ("auto", "onnx", "dlib"):
            raise ParameterError(f"no detector is called {detector!r}; there are auto, onnx, dlib")
        if threads is not None and threads < 1:
            raise ParameterError(f"threads must be at least 1, not {threads}")
        if not 0 < smallest_face < np.inf:
            raise ParameterError(f"smallest_face must be a number of pixels, not {smallest_face}")
        if score_threshold is not None and not np.isfinite(score_threshold):
            raise ParameterError(f"score_threshold must be a number, not {score_threshold}")
        if max_faces is not None and max_faces < 1:
            raise ParameterError(f"max_faces must be at least 1 or None, not {max_faces}")
        self.max_faces = max_faces
        self._arguments = {
            "detector": detector,
            "threads": threads,
            "smallest_face": smallest_face,
            "score_threshold": score_threshold,
            "providers": providers,
        }
        present = present_providers(CPU_ONLY if providers is None else providers)
        confirmation = PRESENCE_ALONE
        if detector == "dlib":
            self._detectors, self._passes = _dlib_passes(smallest_face, score_threshold)
        else:
            network = OnnxModel(model_entry("detector"), threads, present)
            own = OnnxDetector(network, smallest_face, score_threshold)
            self._detectors, self._passes = _own_passes(own)
            if score_threshold is None:
                confirmation = Confirmation.shipped(network.entry.facts)
        self._landmarker = Landmarker.shipped(threads, present)
        self._chooser = FaceChooser(self._landmarker, confirmation)

    def __getstate__(self) -> dict[str, Any]:
        return {**self._arguments, "max_faces": self.max_faces}

    def __setstate__(self, arguments: dict[str, Any]) -> None:
        FaceShapeEngine.__init__(self, **arguments)

    def warm_up(self) -> None:
        """Do now what would else make the first picture slower: load and allocate at first use.

        After a fork, in the child, it opens the models.
        """
        nothing = np.zeros((480, 640, 3), np.uint8)
        self.detect(nothing)
        self.landmarks(nothing, [[240, 160, 400, 320]])

    def analyze(
        self,
        image: ImageSource,
        mode: Mode = Mode.ALL,
        rotate: bool = False,
        *,
        channels: Channels = "rgb",
    ) -> list[FaceShape]:
        """Return the faces of a picture, the largest by its landmarks first.

        Args:
            image: a path, the bytes of a file, an open file, a picture of Pillow's or an array, RGB
                uint8 (H, W, 3) for example; all that `faceshape.vision.image.load_image` takes.
            mode: all faces, `max_faces` at most, or the largest one.
            rotate: answer faces of any roll, not only those within about 45 degrees of upright.
            channels: "rgb", or "bgr" for arrays in OpenCV's order.

        Returns:
            An empty list when there is no face.

        Raises:
            ImageError: the picture cannot be read; see `faceshape.vision.image.load_image`.
            ParameterError: mode is neither 0 nor 1, or the array is not a picture.
        """
        mode = _checked_mode(mode)
        pyramid = Pyramid(lit(load_image(image, channels=channels)))
        wanted = 1 if mode == Mode.LARGEST else self.max_faces
        faces: list[FaceShape] = []
        expected = float(np.prod(pyramid.size))  # area of the largest face
        for search in self._passes[bool(rotate), mode]:
            overlooked = search.overlooked_area(pyramid)
            if expected < _LIKELY_TO_SETTLE * overlooked:
                continue
            candidates = search.candidates(pyramid)
            expected = self._chooser.sure_area(candidates)
            if not (box_area(candidates.boxes) >= overlooked).any():
                continue  # none of these would settle it
            faces = self._chooser.choose(pyramid, candidates, wanted, bool(rotate)) or faces
            if faces and self._chooser.settled(candidates, faces[0], overlooked):
                break
        return faces

    def with_max_faces(self, max_faces: int | None) -> "FaceShapeEngine":
        """Return an engine that answers so many faces at most and shares this one's models.

        Raises:
            ParameterError: max_faces is below 1.
        """
        if max_faces is not None and max_faces < 1:
            raise ParameterError(f"max_faces must be at least 1 or None, not {max_faces}")
        other = copy.copy(self)
        other.max_faces = max_faces
        return other

    def detect(
        self, image: ImageSource, rotate: bool = False, *, channels: Channels = "rgb"
    ) -> Detections:
        """Return what the detector finds, the largest first, false alarms included.

        Args:
            image: as for `analyze`.
            rotate: as for `analyze`.
            channels: as for `analyze`.

        Raises:
            ImageError: the picture cannot be read.
            ParameterError: the array is not a picture.
        """
        pixels = lit(load_image(image, channels=channels))
        return _largest_first(self._detectors[bool(rotate)].detect(pixels))

    def landmarks(
        self,
        image: ImageSource,
        boxes: ArrayLike,
        roll: ArrayLike | None = None,
        *,
        channels: Channels = "rgb",
    ) -> NDArray[np.float32]:
        """Return the landmarks (N, 90, 2) of faces whose boxes are known, without detection.

        Args:
            image: as for `analyze`.
            boxes: (N, 4) x0 y0 x1 y1 in pixels, tight around brow to chin.
            roll: (N,) degrees, clockwise as seen; None: about upright.
            channels: as for `analyze`.

        Raises:
            ImageError: the picture cannot be read.
            ShapeError: boxes are not (N, 4) numbers, not within ten million pixels of the origin,
                or a side is under 1e-12 pixels; roll is not (N,) finite numbers.
        """
        pyramid = Pyramid(lit(load_image(image, channels=channels)))
        boxes, angles = _checked_boxes(boxes, roll)
        return self._landmarker.locate(pyramid, boxes, angles).points

    def shapes(
        self, image: ImageSource, found: Detections, *, channels: Channels = "rgb"
    ) -> list[FaceShape]:
        """Return the shape of each detection, in their order, without detection.

        None is left out: one whose `presence` is below `LEAST_PRESENCE` is probably no face.

        Args:
            image: as for `analyze`.
            found: from `detect`, or from an earlier picture of the same faces.
            channels: as for `analyze`.

        Raises:
            ImageError: the picture cannot be read.
            ShapeError: a box or a roll is not as for `landmarks`.
            ParameterError: `found` is something else.
        """
        if not isinstance(found, Detections):
            raise ParameterError(f"found is what detect returns, not {type(found).__name__}")
        pyramid = Pyramid(lit(load_image(image, channels=channels)))
        _checked_boxes(found.boxes, found.roll)
        return self._chooser.shapes(pyramid, found)


def _own_passes(own: OnnxDetector) -> tuple[_Detectors, _Passes]:
    """Find the largest face from coarse to fine: the fine look is taken where it may matter."""
    by_mode: dict[Mode, tuple[Search, ...]] = {
        Mode.ALL: (own,),
        Mode.LARGEST: (CoarseLook(own), CoarseLook(own, 192), own),
    }
    passes = {(rotate, mode): by_mode[mode] for rotate in (False, True) for mode in Mode}
    return {False: UprightFaces(own), True: own}, passes


def _dlib_passes(smallest_face: float, threshold: float | None) -> tuple[_Detectors, _Passes]:
    upright = DlibDetector(smallest_face, threshold)
    detectors: _Detectors = {False: upright, True: RotationSearch(upright)}
    passes = {
        (rotate, mode): (AllFinds(detector),)
        for rotate, detector in detectors.items()
        for mode in Mode
    }
    return detectors, passes


def _largest_first(found: Detections) -> Detections:
    return found[np.argsort(-box_area(found.boxes), kind="stable")]


def _checked_mode(mode: object) -> Mode:
    for known in Mode:
        if isinstance(mode, int) and mode == known:
            return known
    raise ParameterError("mode is 0 (all faces) or 1 (the largest)")


def _checked_boxes(
    boxes: ArrayLike, roll: ArrayLike | None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    boxes = numbers(boxes, "boxes").astype(np.float64)
    if boxes.size == 0:
        boxes = boxes.reshape(0, 4)
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ShapeError(f"boxes must be (N, 4), not {boxes.shape}")
    if not (np.abs(boxes) <= _FARTHEST).all():  # not true of NaN either
        raise ShapeError(f"boxes must be finite, and within {_FARTHEST:.0f} pixels of the origin")
    boxes = boxes.astype(np.float32)
    if not (boxes[:, 2:] - boxes[:, :2] >= _THINNEST).all():
        raise ShapeError("boxes must have x0 < x1 and y0 < y1, by 1e-12 pixels at least")
    angles = np.zeros(len(boxes)) if roll is None else numbers(roll, "roll").astype(np.float64)
    # More than that and float32 does not tell the degrees apart.
    if angles.shape != (len(boxes),) or not (np.abs(angles) <= _FARTHEST).all():
        raise ShapeError(f"roll must be {len(boxes)} finite angles, not {angles.shape}")
    return boxes, angles.astype(np.float32)
