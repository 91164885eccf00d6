"""The models that are compared, each as a function from pictures and boxes to the 90 points.

All of them get the same boxes, tight around brow to chin, and go through the same resampler.
"""

import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from faceshape import FaceShapeEngine
from faceshape.core.contract import POINT_COUNT, resample
from faceshape.vision.crops import warp_crop
from faceshape.vision.geometry import box_iou, crop_transforms, undo_similarities
from faceshape.vision.image import RGBImage
from faceshape.vision.networks import OnnxModel, model_entry

# The peers' crops, as multiples of the box's longer side: the best on training faces, see
# tune_peer_crops.py.
PFLD_MARGIN = 1.2
FACE_MESH_MARGIN = 2.0
DLIB_MARGIN, DLIB_SHIFT = 1.05, -0.08

NETWORKS = ("alignment", "landmarks", "eyes", "mouth")
"""Of which our landmarks come."""

_PFLD_FILE = "PFLD_GhostOne_112_1_opt_sim.onnx"
_PFLD_SIDE = 112
_FACE_MESH_SIDE = 256
_WORKER = Path(__file__).resolve().parents[1] / "mediapipe_worker.py"
_SAME_FACE_IOU = 0.3
_REPETITIONS = 300


class Located(NamedTuple):
    """What a model says of N faces.

    Attributes:
        points: (N, 90, 2) in the picture; NaN where it found no face.
        milliseconds: (N,) for each of them, everything from the decoded picture on.
    """

    points: NDArray[np.float32]
    milliseconds: NDArray[np.float64]


class Contender(Protocol):
    """A model in the comparison.

    Attributes:
        name: the head of its column.
        megabytes: of its files; None until they are known.
    """

    name: str
    megabytes: float | None

    def locate(self, pictures: Sequence[RGBImage], boxes: NDArray[np.float32]) -> Located:
        """Return the landmarks of one face in each of N pictures, boxes (N, 4)."""
        ...

    def network_milliseconds(self) -> NDArray[np.float64] | None:
        """Return the times (K,) of the network alone on one face; None: cannot be taken apart."""
        ...


def open_session(path: Path) -> onnxruntime.InferenceSession:
    """Open a peer's ONNX file on the CPU with one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


class GivenBoxes:
    """Ours, without detection."""

    name = "faceshape"

    def __init__(self, engine: FaceShapeEngine) -> None:
        """Take an engine with one thread."""
        self._engine = engine
        self.megabytes: float | None = _megabytes(*NETWORKS)

    def locate(self, pictures: Sequence[RGBImage], boxes: NDArray[np.float32]) -> Located:
        """See `Contender`."""
        points, times = _empty(len(boxes))
        for i, picture in enumerate(pictures):
            started = time.perf_counter()
            points[i] = self._engine.landmarks(picture, boxes[i : i + 1])[0]
            times[i] = time.perf_counter() - started
        return Located(points, 1000 * times)

    def network_milliseconds(self) -> NDArray[np.float64]:
        """See `Contender`; one pass, of which the engine makes several."""
        entry = model_entry("landmarks")
        model, side = OnnxModel(entry, threads=1), entry.facts["input"]["side"]
        crop = np.random.default_rng(0).integers(0, 256, (1, side, side, 3), np.uint8)
        return _times(lambda: model.run(crop))


class EndToEnd:
    """Ours with its own detector, which sees the whole picture and no box."""

    def __init__(self, engine: FaceShapeEngine, name: str = "faceshape, own detector") -> None:
        """Take an engine with one thread and the head of its column."""
        self._engine, self.name = engine, name
        self.megabytes: float | None = _megabytes(*NETWORKS)

    def locate(self, pictures: Sequence[RGBImage], boxes: NDArray[np.float32]) -> Located:
        """See `Contender`; the boxes only tell which of the faces found is meant."""
        points, times = _empty(len(boxes))
        for i, picture in enumerate(pictures):
            started = time.perf_counter()
            faces = self._engine.analyze(picture)
            times[i] = time.perf_counter() - started
            if faces:
                overlaps = box_iou(boxes[i], [face.box for face in faces])[0]
                if overlaps.max() > _SAME_FACE_IOU:
                    points[i] = faces[int(overlaps.argmax())].points
        return Located(points, 1000 * times)

    def network_milliseconds(self) -> None:
        """See `Contender`."""
        return


class PfldGhostOne:
    """PFLD-GhostOne, 98 points of WFLW's layout, on a square crop of 112 × 112."""

    name = "PFLD-GhostOne"

    def __init__(self, folder: Path, margin: float = PFLD_MARGIN) -> None:
        """Take the folder with its ONNX file and the margin of its crop."""
        path = folder / _PFLD_FILE
        self._session = open_session(path)
        self._margin = margin
        self.megabytes: float | None = path.stat().st_size / 1e6

    def locate(self, pictures: Sequence[RGBImage], boxes: NDArray[np.float32]) -> Located:
        """See `Contender`."""
        points, times = _empty(len(boxes))
        for i, picture in enumerate(pictures):
            started = time.perf_counter()
            transforms = crop_transforms(boxes[i], 0.0, _PFLD_SIDE, self._margin)
            crop = warp_crop(picture, transforms[0], _PFLD_SIDE)
            dense = self._regress(crop).reshape(1, 98, 2) * _PFLD_SIDE
            dense = undo_similarities(transforms, dense)
            points[i] = resample(dense, "wflw98")[0]
            times[i] = time.perf_counter() - started
        return Located(points, 1000 * times)

    def network_milliseconds(self) -> NDArray[np.float64]:
        """See `Contender`."""
        crop = np.random.default_rng(0).integers(0, 256, (_PFLD_SIDE, _PFLD_SIDE, 3), np.uint8)
        return _times(lambda: self._regress(crop))

    def _regress(self, crop: RGBImage) -> NDArray[np.float32]:
        batch = crop.transpose(2, 0, 1)[None].astype(np.float32) / 255
        return self._session.run(None, {"input": batch})[0]


class Dlib68:
    """dlib's predictor of 68 points, which the package face_recognition uses."""

    name = "dlib 68"

    def __init__(self, model: Path, margin: float = DLIB_MARGIN, shift: float = DLIB_SHIFT) -> None:
        """Take its file and how its squares lie about boxes; see `tune_peer_crops`."""
        import dlib

        self._predict = dlib.shape_predictor(str(model))
        self._rectangle = dlib.rectangle
        self._margin, self._shift = margin, shift
        self.megabytes: float | None = model.stat().st_size / 1e6

    def locate(self, pictures: Sequence[RGBImage], boxes: NDArray[np.float32]) -> Located:
        """See `Contender`."""
        points, times = _empty(len(boxes))
        for i, picture in enumerate(pictures):
            started = time.perf_counter()
            extent = boxes[i, 2:] - boxes[i, :2]
            middle = (boxes[i, :2] + boxes[i, 2:]) / 2 + [0, self._shift * extent[1]]
            half = self._margin * extent.max() / 2
            square = np.concatenate([middle - half, middle + half]).round().astype(int)
            marks = self._predict(picture, self._rectangle(*square.tolist())).parts()
            dense = np.array([[(mark.x + 0.5, mark.y + 0.5) for mark in marks]], np.float32)
            points[i] = resample(dense, "ibug68")[0]
            times[i] = time.perf_counter() - started
        return Located(points, 1000 * times)

    def network_milliseconds(self) -> None:
        """See `Contender`; there is no network."""
        return


@dataclass
class FaceMesh:
    """MediaPipe's FaceMesh with attention in static mode, in an interpreter of its own.

    It detects by itself, on a crop with context around the box.

    Attributes:
        python: the interpreter that has MediaPipe.
        margin: side of the crop, as a multiple of the box's longer side.
    """

    python: Path
    margin: float = FACE_MESH_MARGIN
    name: str = "FaceMesh"
    megabytes: float | None = None

    def locate(self, pictures: Sequence[RGBImage], boxes: NDArray[np.float32]) -> Located:
        """See `Contender`."""
        side = _FACE_MESH_SIDE
        transforms = crop_transforms(boxes, np.zeros(len(boxes)), side, self.margin)
        crops = np.empty((len(boxes), side, side, 3), np.uint8)
        points, ours = _empty(len(boxes))
        for i, picture in enumerate(pictures):
            started = time.perf_counter()
            crops[i] = warp_crop(picture, transforms[i], side)
            ours[i] = time.perf_counter() - started
        landmarks, milliseconds = self._run_worker(crops)
        for i in range(len(boxes)):
            started = time.perf_counter()
            dense = undo_similarities(transforms[i : i + 1], landmarks[i : i + 1] * side)
            points[i] = resample(dense, "mesh478")[0]
            ours[i] += time.perf_counter() - started
        return Located(points, milliseconds + 1000 * ours)

    def network_milliseconds(self) -> None:
        """See `Contender`."""
        return

    def _run_worker(
        self, crops: NDArray[np.uint8]
    ) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder, "crops.npz"), Path(folder, "result.npz")
            np.savez(source, crops=crops)
            command = [str(self.python), str(_WORKER), str(source), str(target)]
            subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
            with np.load(target) as result:
                self.megabytes = float(result["megabytes"])
                return result["landmarks"], result["milliseconds"]


def _megabytes(*models: str) -> float:
    return sum(model_entry(name).path.stat().st_size for name in models) / 1e6


def _empty(count: int) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    return np.full((count, POINT_COUNT, 2), np.nan, np.float32), np.empty(count)


def _times(run: Callable[[], object]) -> NDArray[np.float64]:
    """Return the milliseconds (K,) of a function, called K times after a warm-up."""
    times = []
    for _ in range(_REPETITIONS + 20):
        started = time.perf_counter()
        run()
        times.append(time.perf_counter() - started)
    return 1000 * np.array(times[20:])
