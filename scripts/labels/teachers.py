"""The models that others published, as labellers: SCRFD, FaceMesh and PFLD-GhostOne.

Their files are no part of this repository. A teacher's noise is averaged out: each looks at a face
in several crops, half of them mirrored, which is worth more than any number of other crops.
"""

import json
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from faceshape.vision.crops import warp_crop
from faceshape.vision.geometry import (
    boxes_along_roll,
    crop_transforms,
    non_maximum_suppression,
    undo_similarities,
)
from faceshape.vision.image import RGBImage

_MESH_WORKER = Path(__file__).parents[2] / "benchmarks" / "mediapipe_worker.py"
_MESH_SIDE, _MESH_MARGINS = 256, (1.4, 1.7, 2.0)
_LEAST_MESHES = 2  # of the crops must show the face to FaceMesh
_FIVE_MESH = ((33, 133), (263, 362), (1,), (61,), (291,))  # eyes, nose, corners of the mouth
_SAME_FACE = 0.35  # eye distances that FaceMesh and the detector may be apart on these

_PFLD_SIDE, _PFLD_FIRST_MARGIN, _PFLD_MARGINS = 112, 1.2, (1.164, 1.236)
_PFLD_UPRIGHT = 15.0  # degrees up to which a face is not turned: it was trained on such faces

_SCRFD_SIDE, _SCRFD_STRIDES, _SCRFD_ANCHORS = 640, (8, 16, 32), 2
_SCRFD_IOU, _SCRFD_ENLARGES = 0.4, 2.0


@cache
def mirror(topology: str) -> NDArray[np.intp]:
    """Return the permutation (P,) that renames the points of a mirrored face."""
    path = Path(__file__).with_name("mirror.json")
    return np.array(json.loads(path.read_text(encoding="utf-8"))[topology])


@dataclass(frozen=True)
class Found:
    """Faces that SCRFD found.

    Attributes:
        boxes: (N, 4) x0 y0 x1 y1.
        scores: (N,), 0 to 1.
        five: (N, 5, 2) eyes, nose, corners of the mouth, image-left first.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    five: NDArray[np.float32]

    @property
    def roll(self) -> NDArray[np.float64]:
        """Degrees (N,) of the line between the eyes."""
        across, down = (self.five[:, 1] - self.five[:, 0]).T
        return np.degrees(np.arctan2(down, across))


def _session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


class Scrfd:
    """SCRFD-2.5G: boxes and five points."""

    def __init__(self, peers: Path) -> None:
        """Take the folder with ``scrfd_2.5g_kps.onnx``."""
        self._session = _session(peers / "scrfd_2.5g_kps.onnx")

    def detect(self, picture: RGBImage, least: float) -> Found:
        """Return the faces of a picture from a score on, the best first."""
        side = _SCRFD_SIDE
        scale = min(side / max(picture.shape[:2]), _SCRFD_ENLARGES)
        square = np.zeros((side, side, 3), np.uint8)
        way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=way)[:side, :side]
        square[: small.shape[0], : small.shape[1]] = small
        batch = ((square.astype(np.float32) - 127.5) / 128).transpose(2, 0, 1)[None]
        maps = self._session.run(None, {self._session.get_inputs()[0].name: batch})
        boxes, scores, five = [], [], []
        for level, stride in enumerate(_SCRFD_STRIDES):
            score, reach, points = (maps[level + 3 * kind][0] for kind in range(3))
            chosen = np.flatnonzero(score[:, 0] >= least)
            down, across = np.divmod(chosen // _SCRFD_ANCHORS, side // stride)
            centre = np.stack([across, down], axis=1) * float(stride)
            reach, points = reach[chosen] * stride, points[chosen] * stride
            boxes.append(np.concatenate([centre - reach[:, :2], centre + reach[:, 2:]], axis=1))
            scores.append(score[chosen, 0])
            five.append(centre[:, None] + points.reshape(-1, 5, 2))
        found = [np.concatenate(each) for each in (boxes, scores, five)]
        kept = non_maximum_suppression(found[0], found[1], _SCRFD_IOU)
        boxes, scores, five = (each[kept].astype(np.float32) for each in found)
        return Found(boxes / scale, scores, five / scale)


class Pfld:
    """PFLD-GhostOne: the 98 points of WFLW's layout, mean of four crops."""

    def __init__(self, peers: Path) -> None:
        """Take the folder with ``PFLD_GhostOne_112_1_opt_sim.onnx``."""
        self._session = _session(peers / "PFLD_GhostOne_112_1_opt_sim.onnx")

    def label(self, picture: RGBImage, box: NDArray, roll: float) -> NDArray[np.float64]:
        """Return the points (98, 2) of the face in a box.

        The crops lie around the points of a first look: crops that are tighter make chins short.
        """
        roll = roll if abs(roll) > _PFLD_UPRIGHT else 0.0
        first = self._look(picture, box[None], roll, _PFLD_FIRST_MARGIN, False)
        box = boxes_along_roll(first[None], [roll])
        looks = [
            self._look(picture, box, roll, margin, mirrored)
            for margin in _PFLD_MARGINS
            for mirrored in (False, True)
        ]
        return np.mean(looks, axis=0)

    def _look(
        self, picture: RGBImage, box: NDArray, roll: float, margin: float, mirrored: bool
    ) -> NDArray[np.float64]:
        side = _PFLD_SIDE
        transform = crop_transforms(box, [roll], side, margin)
        crop = warp_crop(picture, transform[0], side)
        if mirrored:
            crop = crop[:, ::-1]
        batch = np.ascontiguousarray(crop.transpose(2, 0, 1)[None], np.float32) / 255
        [points] = self._session.run(None, {"input": batch})
        points = points.reshape(98, 2).astype(float)
        if mirrored:
            points = (points * [-1, 1] + [1, 0])[mirror("wflw98")]
        return undo_similarities(transform, points[None] * side)[0]


@dataclass(frozen=True)
class Mesh:
    """What FaceMesh says of N faces.

    Attributes:
        points: (N, 478, 2), mean of the crops; NaN where it did not see the face.
        depth: (N, 478) in the picture's pixels.
        spread: (N,) mean distance of the crops' points from their mean, pixels.
    """

    points: NDArray[np.float32]
    depth: NDArray[np.float32]
    spread: NDArray[np.float32]


class FaceMesh:
    """MediaPipe's FaceMesh with attention, in an interpreter of its own; mean of six crops."""

    def __init__(self, python: Path) -> None:
        """Take the interpreter that has ``mediapipe==0.10.21``."""
        self._python = python

    def label(self, pictures: list[RGBImage], faces: Found) -> Mesh:
        """Return the meshes of one face in each of N pictures."""
        side, looks = _MESH_SIDE, len(_MESH_MARGINS)
        boxes, roll = np.repeat(faces.boxes, looks, axis=0), np.repeat(faces.roll, looks)
        transforms = np.concatenate(
            [
                crop_transforms(boxes[i : i + 1], roll[i : i + 1], side, _MESH_MARGINS[i % looks])
                for i in range(len(boxes))
            ]
        )
        crops = np.stack(
            [warp_crop(pictures[i // looks], each, side) for i, each in enumerate(transforms)]
        )
        both = np.concatenate([crops, crops[:, :, ::-1]])
        marks = self._run_worker(both)
        marks[len(crops) :, :, 0] = 1 - marks[len(crops) :, :, 0]
        marks[len(crops) :] = marks[len(crops) :][:, mirror("mesh478")]
        twice = np.concatenate([transforms, transforms])
        places = undo_similarities(twice, marks[..., :2] * side)
        pixels = side / np.hypot(*twice[:, 0, :2].T)
        found = np.concatenate([places, marks[..., 2:] * pixels[:, None, None]], axis=2)
        found = found.reshape(2, len(pictures), looks, *found.shape[1:])
        found = found.transpose(1, 0, 2, 3, 4).reshape(len(pictures), 2 * looks, *found.shape[3:])
        found[~self._of_this_face(found[..., :2], faces)] = np.nan
        return _mean_mesh(found)

    def _of_this_face(self, found: NDArray, faces: Found) -> NDArray[np.bool_]:
        """Return which meshes (N, L) are of the face that the detector found."""
        five = np.stack([found[:, :, list(each)].mean(axis=2) for each in _FIVE_MESH], axis=2)
        off = np.linalg.norm(five - faces.five[:, None], axis=3).mean(axis=2)
        size = (faces.boxes[:, 2:] - faces.boxes[:, :2]).max(axis=1)
        apart = np.linalg.norm(faces.five[:, 1] - faces.five[:, 0], axis=1)
        allowed = _SAME_FACE * np.maximum(apart, 0.2 * size) + 0.03 * size
        return off < allowed[:, None]

    def _run_worker(self, crops: NDArray[np.uint8]) -> NDArray[np.float64]:
        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder, "crops.npz"), Path(folder, "result.npz")
            np.savez(source, crops=crops)
            command = [str(self._python), str(_MESH_WORKER), str(source), str(target)]
            subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
            with np.load(target) as result:
                marks = [result["landmarks"], result["depth"][..., None]]
        return np.concatenate(marks, axis=2).astype(float)


def _mean_mesh(found: NDArray[np.float64]) -> Mesh:
    """Return the mean of the meshes (N, L, 478, 3) that are no NaN."""
    seen = np.isfinite(found[:, :, 0, 0])
    count = seen.sum(axis=1)
    total = np.where(seen[..., None, None], found, 0).sum(axis=1)
    mean = total / np.maximum(count, 1)[:, None, None]
    off = np.linalg.norm((found - mean[:, None])[..., :2], axis=3).mean(axis=2)
    spread = np.where(seen, off, 0).sum(axis=1) / np.maximum(count, 1)
    mean[count < _LEAST_MESHES] = np.nan
    spread[count < _LEAST_MESHES] = np.nan
    points, depth, spread = (e.astype(np.float32) for e in (mean[..., :2], mean[..., 2], spread))
    return Mesh(points, depth, spread)
