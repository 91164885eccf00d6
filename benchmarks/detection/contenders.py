"""The detectors that are compared, each behind faceshape's protocol `Detector`, on one thread.

The peers mark other parts of a face than faceshape does: dlib a square around the middle, those
that were trained on WIDER FACE forehead to chin. Each one's boxes are mapped to the landmarks'
extent by one `BoxConvention`, measured on training faces (calibrate_peer_boxes.py).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import dlib
import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy.contenders import open_session
from faceshape.types import Detections
from faceshape.vision.choice import FaceChooser
from faceshape.vision.confirmation import Confirmation
from faceshape.vision.detector import (
    CoarseLook,
    Detector,
    DlibDetector,
    OnnxDetector,
    RotationSearch,
    Search,
    UprightFaces,
)
from faceshape.vision.geometry import (
    boxes_along_roll,
    ellipse_boxes,
    line_roll,
    non_maximum_suppression,
)
from faceshape.vision.image import RGBImage
from faceshape.vision.landmarker import Landmarker
from faceshape.vision.light import lit
from faceshape.vision.networks import OnnxModel, manifest, model_entry
from faceshape.vision.pyramid import Pyramid

__all__ = [
    "SMALL",
    "AnalyzedFaces",
    "BoxConvention",
    "Calibrated",
    "Contender",
    "HogDetector",
    "RfbDetector",
    "ScrfdDetector",
    "YunetDetector",
    "dlib_contenders",
    "first_look_contenders",
    "open_detector",
    "own_contenders",
    "peer_contenders",
]


@dataclass(frozen=True)
class BoxConvention:
    """Where the landmarks' extent lies in a detector's box, in sides of that box, face upright.

    Attributes:
        shift: of the centre, to the right and down.
        extent: width and height.
    """

    shift: tuple[float, float]
    extent: tuple[float, float]

    def to_landmarks(self, boxes: NDArray, roll: NDArray) -> NDArray[np.float32]:
        """Map a detector's boxes (N, 4) to the landmarks' extent.

        The boxes stand upright whatever the roll (N,) is, so a face is taken to be turned by whole
        quarters.
        """
        centre, size, axes = _in_quarters(boxes, roll)
        centre = centre + ((size * self.shift)[:, None] @ axes)[:, 0]
        return _from_quarters(centre, size * self.extent, axes)

    def from_landmarks(self, boxes: NDArray, roll: NDArray) -> NDArray[np.float32]:
        """Undo `to_landmarks`."""
        centre, size, axes = _in_quarters(boxes, roll)
        size = size / self.extent
        centre = centre - ((size * self.shift)[:, None] @ axes)[:, 0]
        return _from_quarters(centre, size, axes)


def _in_quarters(
    boxes: NDArray, roll: NDArray
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return centres (N, 2), the faces' width and height (N, 2), their right and down (N, 2, 2)."""
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    turn = np.radians(90 * np.round(np.asarray(roll, np.float64) / 90))
    cosine, sine = np.cos(turn).round(), np.sin(turn).round()
    axes = np.stack([cosine, sine, -sine, cosine], axis=1).reshape(-1, 2, 2)
    size = (np.abs(axes) @ (boxes[:, 2:] - boxes[:, :2])[..., None])[..., 0]
    return (boxes[:, :2] + boxes[:, 2:]) / 2, size, axes


def _from_quarters(centre: NDArray, size: NDArray, axes: NDArray) -> NDArray[np.float32]:
    half = (np.abs(axes) @ size[..., None])[..., 0] / 2
    return np.concatenate([centre - half, centre + half], axis=1).astype(np.float32)


SMALL = 8
"""The smallest face, in pixels, of the contender that looks for small ones."""

# The least scores of the curves; what is below is almost all wrong.
_HOG_FLOOR, _NETWORK_FLOOR = -0.6, 0.02
_EVIDENCE_FLOOR = -2.0

# Looked at in one picture: with a low threshold a detector has thousands.
_MOST_CANDIDATES = 1000

# Medians over training faces, printed by: calibrate_peer_boxes.py --data DATA --peers PEERS; the
# shifts to the side, of which none is a hundredth, are left out.
CONVENTIONS = {
    "HOG": BoxConvention((0.0, 0.090), (0.910, 0.886)),
    "YuNet": BoxConvention((0.0, 0.126), (1.009, 0.728)),
    "RFB-320": BoxConvention((0.0, 0.135), (1.010, 0.713)),
    "SCRFD-500M": BoxConvention((0.0, 0.127), (1.009, 0.722)),
}


class Calibrated:
    """A detector whose boxes are mapped to the landmarks' extent."""

    def __init__(self, detector: Detector, convention: BoxConvention) -> None:
        """Take a detector with boxes of its own convention."""
        self._detector, self._convention = detector, convention

    def detect(self, image: RGBImage) -> Detections:
        """See `Detector`."""
        found = self._detector.detect(image)
        boxes = self._convention.to_landmarks(found.boxes, found.roll)
        return Detections(boxes, found.scores, found.roll)


@cache
def _hog() -> Any:  # dlib has no types, and takes a second to open it
    return dlib.get_frontal_face_detector()


class HogDetector:
    """dlib's HOG detector as it comes; boxes are dlib's squares."""

    def __init__(self, least_score: float, upsampling: int) -> None:
        """Take the least score and how often the picture is doubled before the search."""
        self._hog = _hog()
        self._least_score, self._upsampling = least_score, upsampling

    def detect(self, image: RGBImage) -> Detections:
        """See `Detector`."""
        found, scores, _ = self._hog.run(image, self._upsampling, self._least_score)
        boxes = [(r.left(), r.top(), r.right() + 1, r.bottom() + 1) for r in found]
        return _best_first(np.array(boxes, np.float32), np.array(scores, np.float32))


class YunetDetector:
    """YuNet at the picture's own size, by OpenCV; boxes are forehead to chin."""

    _OVERLAP = 0.3  # OpenCV's own

    def __init__(self, path: Path, least_score: float) -> None:
        """Take the ONNX file and the least score."""
        self._network = cv2.FaceDetectorYN.create(
            str(path), "", (320, 320), least_score, self._OVERLAP, _MOST_CANDIDATES
        )

    def detect(self, image: RGBImage) -> Detections:
        """See `Detector`."""
        self._network.setInputSize(image.shape[1::-1])
        found = self._network.detect(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1]
        if found is None:
            return Detections.none()
        boxes = np.concatenate([found[:, :2], found[:, :2] + found[:, 2:4]], axis=1)
        return _best_first(boxes, found[:, 14], line_roll(found[:, 4:6], found[:, 6:8]))


class AnalyzedFaces:
    """What `analyze` answers of all faces; a score is the evidence, a box the landmarks' extent."""

    def __init__(self, search: Search, least_evidence: float, rotate: bool) -> None:
        """Take the search, how much evidence is enough, and whether turned faces are wanted."""
        self._search, self._rotate = search, rotate
        self._confirmation = replace(_own_confirmation(), least_evidence=least_evidence)
        self._chooser = FaceChooser(_own_landmarker(), self._confirmation)

    def detect(self, image: RGBImage) -> Detections:
        """See `Detector`."""
        pyramid = Pyramid(lit(image))
        found = self._search.candidates(pyramid)
        faces = self._chooser.choose(pyramid, found, None, self._rotate)
        if not faces:
            return Detections.none()
        roll = np.array([face.roll for face in faces])
        upright = boxes_along_roll(np.stack([face.dense for face in faces]), roll)
        centres, sizes = (upright[:, :2] + upright[:, 2:]) / 2, upright[:, 2:] - upright[:, :2]
        evidence = self._confirmation.evidence(
            [face.score for face in faces], [face.presence for face in faces]
        )
        return _best_first(ellipse_boxes(centres, sizes, roll), evidence, roll)


class RfbDetector:
    """Ultra-Light-Fast RFB-320 at 320 × 240; boxes are forehead to chin."""

    _SIZE = (320, 240)
    _OVERLAP = 0.3  # its repository's

    def __init__(self, path: Path, least_score: float) -> None:
        """Take the ONNX file and the least score."""
        self._session, self._least_score = open_session(path), least_score

    def detect(self, image: RGBImage) -> Detections:
        """See `Detector`."""
        small = cv2.resize(image, self._SIZE).astype(np.float32)
        batch = ((small - 127) / 128).transpose(2, 0, 1)[None]
        scores, boxes = self._session.run(["scores", "boxes"], {"input": batch})
        sure = np.flatnonzero(scores[0, :, 1] >= self._least_score)
        boxes = boxes[0, sure] * np.tile(image.shape[1::-1], 2)
        scores = scores[0, sure, 1]
        kept = _suppressed(boxes, scores, self._OVERLAP)
        return _best_first(boxes[kept], scores[kept])


class ScrfdDetector:
    """SCRFD with keypoints at 640 × 640; boxes are forehead to chin.

    A picture is enlarged twice at the most: it loses faces that fill its square.
    """

    _SIDE = 640
    _LARGEST_ENLARGEMENT = 2.0
    _OVERLAP = 0.4  # its repository's
    _ANCHORS = 2

    def __init__(self, path: Path, least_score: float) -> None:
        """Take the ONNX file and the least score."""
        self._session, self._least_score = open_session(path), least_score

    def detect(self, image: RGBImage) -> Detections:
        """See `Detector`; the picture is scaled into the square's upper left corner."""
        side = self._SIDE
        scale = min(side / max(image.shape[:2]), self._LARGEST_ENLARGEMENT)
        size = [max(1, round(scale * old)) for old in image.shape[1::-1]]
        square = np.zeros((side, side, 3), np.uint8)
        square[: size[1], : size[0]] = cv2.resize(image, size)
        batch = cv2.dnn.blobFromImage(square, 1 / 128, mean=(127.5, 127.5, 127.5))
        maps = self._session.run(None, {"images": batch})
        boxes, scores, eyes = (
            np.concatenate(parts) for parts in zip(*self._levels(maps), strict=True)
        )
        kept = _suppressed(boxes, scores, self._OVERLAP)
        roll = line_roll(eyes[kept, :2], eyes[kept, 2:])
        return _best_first(boxes[kept] / scale, scores[kept], roll)

    def _levels(self, maps: list[NDArray]) -> Any:
        """Give boxes (K, 4), scores (K,) and eyes (K, 4) of each stride."""
        for level, stride in enumerate((8, 16, 32)):
            scores, distances, keypoints = (maps[level + part][0] for part in (0, 3, 6))
            sure = np.flatnonzero(scores[:, 0] >= self._least_score)
            cell = sure // self._ANCHORS
            width = self._SIDE // stride
            centre = np.stack([cell % width, cell // width], axis=1) * float(stride)
            reach = distances[sure] * stride
            boxes = np.concatenate([centre - reach[:, :2], centre + reach[:, 2:]], axis=1)
            yield boxes, scores[sure, 0], np.tile(centre, 2) + keypoints[sure, :4] * stride


def _suppressed(boxes: NDArray, scores: NDArray, iou: float) -> NDArray[np.intp]:
    """Return which boxes (N, 4) to keep; only the best ones are looked at, as OpenCV does it."""
    best = np.argsort(-scores, kind="stable")[:_MOST_CANDIDATES]
    return best[non_maximum_suppression(boxes[best], scores[best], iou)]


def _best_first(boxes: NDArray, scores: NDArray, roll: NDArray | None = None) -> Detections:
    roll = np.zeros(len(boxes)) if roll is None else roll
    return Detections(boxes.reshape(-1, 4), scores, roll)[np.argsort(-scores, kind="stable")]


@dataclass(frozen=True)
class Contender:
    """A detector in the comparison.

    Attributes:
        name: the head of its column.
        open: makes it, given the least score that it answers.
        threshold: the least score that it is used with.
        floor: the least score for curves, well below.
        megabytes: of its file; None if it has none.
    """

    name: str
    open: Callable[[float], Detector]
    threshold: float
    floor: float
    megabytes: float | None


@cache
def open_detector(contender: Contender, least_score: float) -> Detector:
    """Open a contender once for each least score."""
    return contender.open(least_score)


def own_contenders() -> list[Contender]:
    """Return faceshape's own detector; nothing as long as the package has no model of it.

    Upright faces (what NeedRotateDetection = 0 asks for), those of any roll, upright ones down to
    `SMALL` pixels, where the engine's default ends at 20, and what `analyze` makes of the
    candidates with the landmarks' help, without and with NeedRotateDetection.
    """
    if "detector" not in manifest():
        return []
    model = _own_model()

    def own(least: float, smallest_face: float = 20.0) -> OnnxDetector:
        return OnnxDetector(model, smallest_face, least)

    ways: dict[str, Callable[[float], Detector]] = {
        "faceshape": lambda least: UprightFaces(own(least)),
        "faceshape, rotate": own,
        f"faceshape, from {SMALL} px": lambda least: UprightFaces(own(least, SMALL)),
    }
    used, size = model.entry.facts["threshold"], model.entry.path.stat().st_size / 1e6
    alone = [Contender(name, way, used, _NETWORK_FLOOR, size) for name, way in ways.items()]
    least_score, enough = model.entry.facts["least_score"], _own_confirmation().least_evidence
    analyzed = [
        Contender(
            name,
            lambda least, rotate=rotate: AnalyzedFaces(own(least_score), least, rotate),
            enough,
            _EVIDENCE_FLOOR,
            None,
        )
        for name, rotate in (("analyze", False), ("analyze, rotate", True))
    ]
    return alone + analyzed


def first_look_contenders() -> list[Contender]:
    """Return our look for large faces alone, the first one for Mode 1: to be timed."""
    return [
        replace(
            each,
            name="faceshape, first look",
            open=lambda least: CoarseLook(OnnxDetector(_own_model(), threshold=least)),
        )
        for each in own_contenders()[:1]
    ]


@cache
def _own_model() -> OnnxModel:
    return OnnxModel(model_entry("detector"), threads=1)


def _own_confirmation() -> Confirmation:
    return Confirmation.shipped(model_entry("detector").facts)


@cache
def _own_landmarker() -> Landmarker:
    return Landmarker.shipped(threads=1)


def dlib_contenders() -> list[Contender]:
    """Return dlib's HOG as it comes, enlarged once, and as faceshape uses it for any roll."""

    def hog(upsampling: int) -> Callable[[float], Detector]:
        return lambda least: Calibrated(HogDetector(least, upsampling), CONVENTIONS["HOG"])

    return [
        Contender("HOG", hog(0), 0.0, _HOG_FLOOR, None),
        Contender("HOG ×2", hog(1), 0.0, _HOG_FLOOR, None),
        Contender(
            "HOG, rotate",
            lambda least: RotationSearch(DlibDetector(threshold=least)),
            -0.3,
            _HOG_FLOOR,
            None,
        ),
    ]


def peer_contenders(folder: Path) -> list[Contender]:
    """Return the peers whose files are in a folder.

    Raises:
        FileNotFoundError: one is missing.
    """
    return [
        _peer("YuNet", YunetDetector, folder / "yunet_n_640_640.onnx", 0.6),
        _peer("RFB-320", RfbDetector, folder / "version-RFB-320.onnx", 0.7),
        _peer("SCRFD-500M", ScrfdDetector, folder / "scrfd_500m_kps.onnx", 0.5),
    ]


def _peer(
    name: str, kind: Callable[[Path, float], Detector], path: Path, threshold: float
) -> Contender:
    return Contender(
        name,
        lambda least: Calibrated(kind(path, least), CONVENTIONS[name]),
        threshold,
        _NETWORK_FLOOR,
        path.stat().st_size / 1e6,
    )
