"""The tables on pictures that are hard in one respect (`benchmarks.detection.staged`)."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from benchmarks.detection.contenders import Contender, open_detector
from benchmarks.detection.measures import mean_side
from benchmarks.detection.pictures import TURNS, TestSet
from benchmarks.result_table import Table
from faceshape import FaceShapeEngine, Mode
from faceshape.types import Detections
from faceshape.vision.geometry import box_iou, wrap_degrees

__all__ = ["hard_table", "largest_table", "upside_down_table"]

_FOUND_IOU, _LARGEST_IOU = 0.5, 0.3
_AT_THE_FACE = 0.6  # distance of the centres, in mean sides of the face
_CONTRADICTS = 90.0  # degrees
_NEARLY_AS_LARGE = 0.97  # of the largest's area


def upside_down_table(contenders: Sequence[Contender], portraits: TestSet) -> Table:
    """Return how often a face is answered the wrong way up, alone or beside the right answer."""
    rows: list[tuple[str, list[float | str | None]]] = []
    for turn in ("upright", "180°"):
        angles = TURNS[turn](np.random.default_rng(0), len(portraits))
        turned = portraits.turned(angles)
        boxes = turned.boxes
        counts = {each.name: np.zeros(3) for each in contenders}
        for i, picture in enumerate(tqdm(turned.pictures, f"{turned.name} {turn}", disable=None)):
            [face] = range(*turned.faces_of(i).indices(len(boxes)))
            for each in contenders:
                found = _used(each, picture)
                right, wrong = _ways_up(found, boxes[face], float(turned.roll[face]))
                counts[each.name] += right, wrong, right and wrong
        shares = np.array([counts[each.name] for each in contenders]).T * 100 / len(turned)
        names = ("answered as it is, %", "answered the wrong way up, %", "of these beside, %")
        rows += [
            (f"{turn}: {name}", list(values)) for name, values in zip(names, shares, strict=True)
        ]
    note = (
        f"{len(portraits)} validation faces, the picture's longer side enlarged to 300 to 1,400 "
        "pixels, and the same turned by half a turn: what a detector answers there as upright is "
        "wrong. Detectors without keypoints call every face upright."
    )
    return Table(
        "Large portraits, upright and upside down", note, [each.name for each in contenders], rows
    )


def _used(contender: Contender, picture: NDArray[np.uint8]) -> Detections:
    """Return a contender's finds with the threshold that it is used with."""
    found = open_detector(contender, contender.threshold).detect(picture)
    return found[found.scores >= contender.threshold]


def _ways_up(found: Detections, face: NDArray[np.float32], roll: float) -> tuple[bool, bool]:
    """Return whether a face is among the finds as it is, and the wrong way up."""
    apart = np.abs(wrap_degrees(found.roll - roll))
    centres = (found.boxes[:, :2] + found.boxes[:, 2:]) / 2
    off = np.linalg.norm(centres - (face[:2] + face[2:]) / 2, axis=1) / mean_side(face)[0]
    right = (box_iou(found.boxes, face)[:, 0] >= _FOUND_IOU) & (apart <= _CONTRADICTS)
    wrong = (off < _AT_THE_FACE) & (apart > _CONTRADICTS)
    return bool(right.any()), bool(wrong.any())


def largest_table(
    contenders: Sequence[Contender], engines: Mapping[str, FaceShapeEngine], pictures: TestSet
) -> Table:
    """Return how often the face that is answered as the largest is the largest.

    Args:
        contenders: detectors, whose largest box is taken.
        engines: by the name of their detector; both modes.
        pictures: with several faces each, all labelled.
    """
    hits: dict[str, list[bool]] = {}
    for i, picture in enumerate(tqdm(pictures.pictures, pictures.name, disable=None)):
        boxes = pictures.boxes[pictures.faces_of(i)]
        answers = {each.name: _largest_box(_used(each, picture).boxes) for each in contenders}
        for name, engine in engines.items():
            for mode in Mode:
                faces = engine.analyze(picture, mode)
                extent = [[*f.points.min(axis=0), *f.points.max(axis=0)] for f in faces[:1]]
                answers[f"analyze, detector {name}, Mode {mode}"] = np.reshape(extent, (-1, 4))
        for name, answer in answers.items():
            hits.setdefault(name, []).append(_is_largest(answer, boxes))
    note = (
        f"{len(pictures)} pictures of two to eight faces, the largest 3 to 60 % larger than the "
        "next. Of a detector its largest box is taken; the first face of `analyze` in Mode 0, the "
        "only one in Mode 1."
    )
    rows = [(name, [100 * float(np.mean(each))]) for name, each in hits.items()]
    return Table("The largest face of a group", note, ["is the largest, %"], rows)


def _largest_box(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    return boxes[np.argsort(-mean_side(boxes), kind="stable")[:1]]


def _is_largest(answer: NDArray, boxes: NDArray[np.float32]) -> bool:
    """Return whether a box, or none, (K, 4) is at one of the largest boxes."""
    areas = mean_side(boxes) ** 2
    largest = boxes[areas >= _NEARLY_AS_LARGE * areas.max()]
    return len(answer) > 0 and bool((box_iou(answer, largest) >= _LARGEST_IOU).any())


def hard_table(contenders: Sequence[Contender], sets: Sequence[TestSet]) -> Table:
    """Return the recall on sets that are hard in one respect."""
    rows: list[tuple[str, list[float | str | None]]] = []
    for pictures in sets:
        boxes = pictures.boxes
        found = {each.name: 0 for each in contenders}
        for i, picture in enumerate(tqdm(pictures.pictures, pictures.name, disable=None)):
            faces = boxes[pictures.faces_of(i)]
            for each in contenders:
                overlaps = box_iou(_used(each, picture).boxes, faces)
                found[each.name] += int((overlaps >= _FOUND_IOU).any(axis=0).sum())
        recalls = [100 * found[each.name] / len(boxes) for each in contenders]
        rows.append((f"{pictures.name} ({len(boxes)} faces): recall, %", [*recalls]))
    note = (
        "Panoramas are 4,000 × 400 with eight faces of 85 pixels, close-ups the square of 1.3 "
        f"times the landmarks' extent. A face is found by a box of IoU {_FOUND_IOU}, with the "
        "score that each one is used with."
    )
    return Table("Hard pictures", note, [each.name for each in contenders], rows)
