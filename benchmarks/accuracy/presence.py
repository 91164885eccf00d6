"""Does the presence score tell faces from background? Crops at the detector's scales."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from benchmarks.accuracy.faces import LabelledFaces, inexact_boxes
from benchmarks.result_table import Table
from faceshape.vision.geometry import box_area, box_iou
from faceshape.vision.image import RGBImage, load_image
from faceshape.vision.landmarker import Landmarker
from faceshape.vision.pyramid import Pyramid
from scripts.landmarks.data import scene_shards

_SMALLEST = 40  # sides of boxes, pixels: what the detector finds
_THRESHOLD = 0.9  # the engine's
_POSITION_ERROR, _SIZE_ERROR = 0.06, 0.05  # of a detector's box, standard deviations
_CROPS_PER_SCENE = 40
_CLEAR = 0.02  # of a background box may be covered by the surroundings of a face


def presence_table(faces: LabelledFaces, scenes: Path) -> Table:
    """Return how well presence separates faces from two kinds of background.

    Args:
        faces: the positives, in boxes with a detector's errors.
        scenes: folder with the ``scenes-*.npz``.
    """
    landmarker = Landmarker.shipped(threads=1)
    of_faces = _face_scores(landmarker, faces)
    rows = []
    for name, empty in (("scenes without a face", True), ("beside faces", False)):
        pairs = background_boxes(scenes, empty)
        scores = np.concatenate([_scores(landmarker, picture, boxes) for picture, boxes in pairs])
        rows.append((name, _summary(of_faces, scores)))
    note = (
        f"{len(faces)} validation faces (boxes off by {_POSITION_ERROR:.0%} in position and "
        f"{_SIZE_ERROR:.0%} in size) against random squares of {_SMALLEST} pixels and more, turned "
        "up to 30°, from the scenes that are held back. Squares beside faces are clear of all that "
        "a face detector suspects; a few may hide a face that it missed. "
        f"Refused and accepted: at the engine's threshold of {_THRESHOLD}."
    )
    columns = ["crops", "AUC", "faces refused, %", "background accepted, %"]
    return Table("Presence", note, columns, rows)


def _summary(faces: NDArray, background: NDArray) -> list[float | str]:
    return [
        str(len(background)),
        f"{area_under_roc(faces, background):.4f}",
        100 * float((faces < _THRESHOLD).mean()),
        100 * float((background >= _THRESHOLD).mean()),
    ]


def area_under_roc(positives: NDArray, negatives: NDArray) -> float:
    """Return the chance that a positive scores above a negative, ties counted half."""
    count = len(positives)
    ranks = rankdata(np.concatenate([positives, negatives]))[:count]
    return float((ranks.mean() - (count + 1) / 2) / len(negatives))


def _face_scores(landmarker: Landmarker, faces: LabelledFaces) -> NDArray[np.float32]:
    boxes = inexact_boxes(faces.boxes, _POSITION_ERROR, _SIZE_ERROR)
    return np.concatenate(
        [
            landmarker.locate(Pyramid(picture), box[None], [0.0]).presence
            for picture, box in zip(faces.pictures, boxes, strict=True)
        ]
    )


def _scores(landmarker: Landmarker, picture: RGBImage, boxes: NDArray) -> NDArray[np.float32]:
    roll = np.linspace(-30, 30, max(len(boxes), 1))[: len(boxes)]
    return landmarker.locate(Pyramid(picture), boxes, roll).presence


def background_boxes(folder: Path, empty: bool) -> Iterator[tuple[RGBImage, NDArray[np.float64]]]:
    """Give pictures with boxes (K, 4) that show no face.

    Args:
        folder: has the ``scenes-*.npz``.
        empty: held-back scenes in which nothing was detected; otherwise those with faces, beside
            them.
    """
    rng = np.random.default_rng(0)
    for shard, vacant, held_back in scene_shards(folder):
        jpeg, offset, scene = shard["jpeg"], shard["offset"], shard["scene"]
        faces = shard["box"].astype(np.float64) / 8
        for i in np.flatnonzero(held_back & (vacant == empty)):
            picture = load_image(jpeg[offset[i] : offset[i + 1]].tobytes())
            boxes = random_squares(picture.shape[:2], 4 * _CROPS_PER_SCENE, rng)
            clear = clear_of(boxes, faces[scene == i])
            yield picture, boxes[clear][:_CROPS_PER_SCENE]


def random_squares(
    size: tuple[int, int], count: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return boxes (count, 4) inside a picture (height, width), small ones as often as large."""
    height, width = size
    largest = max(min(height, width), _SMALLEST + 1)
    side = np.exp(rng.uniform(np.log(_SMALLEST), np.log(largest), (count, 1)))
    corner = rng.uniform(0, 1, (count, 2)) * np.maximum(np.array([width, height]) - side, 0)
    return np.concatenate([corner, corner + side], axis=1)


def clear_of(boxes: NDArray[np.float64], faces: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which boxes (N, 4) do not touch faces (M, 4) or what surrounds them."""
    if not len(faces):
        return np.ones(len(boxes), bool)
    reach = 0.3 * (faces[:, 2:] - faces[:, :2])
    around = np.concatenate([faces[:, :2] - reach, faces[:, 2:] + reach], axis=1)
    overlap = box_iou(boxes, around)
    areas = box_area(boxes)[:, None] + box_area(around)[None]
    shared = overlap * areas / (1 + overlap)
    return (shared <= _CLEAR * box_area(boxes)[:, None]).all(axis=1)
