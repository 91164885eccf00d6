"""How well detections agree with labelled faces: matching, precision, recall, average precision.

As PASCAL VOC (2010 and later) and COCO have it: greedy by score, one detection a face. Two kinds of
face count neither way: those whose label is not trusted, and those of another size than asked for.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from faceshape.vision.geometry import box_area, box_iou

FALSE, IGNORED = -1, -2
"""What a detection is that finds no labelled face; the latter counts neither way."""

_DOUBTFUL_IOU = 0.2  # boxes of faces that are not trusted are coarse
_APART_IOU = 0.1  # below it a detection means another face


def match(
    boxes: ArrayLike,
    scores: ArrayLike,
    faces: ArrayLike,
    counted: ArrayLike,
    iou: float = 0.5,
    unlabelled: ArrayLike = (0, 0, 0, 0),
) -> NDArray[np.intp]:
    """Return for each detection (N,) the face that it finds, FALSE or IGNORED.

    The best detection comes first and takes the free face that it overlaps most.

    Args:
        boxes: (N, 4) of the detections.
        scores: (N,) of the detections.
        faces: (M, 4) boxes of the labelled faces.
        counted: (M,) bool; what is left over and overlaps one of the others is IGNORED.
        iou: the least overlap.
        unlabelled: (4,) where there may be faces without label; what is left over, has its centre
            there and is clear of the counted faces is IGNORED.
    """
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    counted = np.asarray(counted, bool).reshape(-1)
    overlaps = box_iou(boxes, faces)
    free = np.where(counted, overlaps, 0.0)
    answer = np.full(len(boxes), FALSE, np.intp)
    for i in np.argsort(-np.asarray(scores, np.float64).reshape(-1), kind="stable"):
        best = int(free[i].argmax()) if len(counted) else 0
        if len(counted) and free[i, best] >= iou:
            answer[i] = best
            free[:, best] = 0.0
    x0, y0, x1, y1 = np.asarray(unlabelled, np.float64)
    x, y = (boxes[:, :2] + boxes[:, 2:]).T / 2
    elsewhere = (x >= x0) & (x < x1) & (y >= y0) & (y < y1)
    elsewhere &= (overlaps[:, counted] < _APART_IOU).all(axis=1)
    doubtful = (overlaps[:, ~counted] >= _DOUBTFUL_IOU).any(axis=1)
    answer[(answer == FALSE) & (elsewhere | doubtful)] = IGNORED
    return answer


@dataclass(frozen=True)
class Curve:
    """Precision and recall at every threshold that changes them, the highest first.

    Attributes:
        thresholds: (K,) a detection counts from this score on.
        precision: (K,) 0 to 1.
        recall: (K,) 0 to 1, rising; NaN where there is no face.
    """

    thresholds: NDArray[np.float64]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]

    @classmethod
    def of(cls, scores: ArrayLike, correct: ArrayLike, total: int) -> "Curve":
        """Return the curve of detections.

        Args:
            scores: (N,), more is surer.
            correct: (N,) bool, the detection finds a face that no better one found.
            total: how many faces there are.
        """
        scores = np.asarray(scores, np.float64).reshape(-1)
        order = np.argsort(-scores, kind="stable")
        scores, hits = scores[order], np.cumsum(np.asarray(correct, bool).reshape(-1)[order])
        # Detections of the same score come or go together.
        last = np.flatnonzero(np.append(np.diff(scores) != 0, True)[: len(scores)])
        recall = hits[last] / total if total else np.full(len(last), np.nan)
        return cls(scores[last], hits[last] / (last + 1), recall)

    def average_precision(self) -> float:
        """Return the area under the curve, 0 to 1, at each recall the best precision from there."""
        best = np.maximum.accumulate(self.precision[::-1])[::-1]
        return float((np.diff(self.recall, prepend=0.0) * best).sum())

    def at(self, threshold: float) -> tuple[float, float]:
        """Return precision (NaN of nothing) and recall of the scores from a threshold on."""
        kept = int(np.searchsorted(-self.thresholds, -threshold, side="right"))
        if kept == 0:
            return float("nan"), 0.0
        return float(self.precision[kept - 1]), float(self.recall[kept - 1])

    def least_threshold(self, precision: float) -> float:
        """Return the lowest threshold that keeps a precision; infinity if none does."""
        kept = np.flatnonzero(self.precision >= precision)
        return float(self.thresholds[kept[-1]]) if len(kept) else float("inf")

    def recall_at_precision(self, precision: float) -> float:
        """Return the highest recall with at least that precision, 0 if there is none."""
        return self.at(self.least_threshold(precision))[1]


@dataclass(frozen=True)
class Verdicts:
    """What became of the detections in a set of pictures; sizes are the geometric mean's sides.

    Attributes:
        scores: (N,) of the detections.
        sizes: (N,) of the detections, pixels.
        found: (N,) the face of the set, FALSE or IGNORED.
        picture: (N,) in which picture.
        face_sizes: (F,) of all faces of the set, pixels.
        counted: (F,) bool.
    """

    scores: NDArray[np.float64]
    sizes: NDArray[np.float64]
    found: NDArray[np.intp]
    picture: NDArray[np.intp]
    face_sizes: NDArray[np.float64]
    counted: NDArray[np.bool_]

    def curve(self, smallest: float = 0.0, largest: float = np.inf) -> Curve:
        """Return precision and recall on the faces of some sizes, ``smallest <= size < largest``.

        A detection that finds a face of another size counts neither way, nor does a false one of
        another size.
        """
        wanted = (self.face_sizes >= smallest) & (self.face_sizes < largest) & self.counted
        hit = self.found >= 0
        correct = np.zeros(len(hit), bool)
        correct[hit] = wanted[self.found[hit]]
        wrong = (self.found == FALSE) & (self.sizes >= smallest) & (self.sizes < largest)
        kept = correct | wrong
        return Curve.of(self.scores[kept], correct[kept], int(wanted.sum()))

    def false_alarms(self) -> NDArray[np.intp]:
        """Return which detections are FALSE, best score first."""
        wrong = np.flatnonzero(self.found == FALSE)
        return wrong[np.argsort(-self.scores[wrong], kind="stable")]


def mean_side(boxes: ArrayLike) -> NDArray[np.float64]:
    """Return the geometric mean (N,) of the sides of boxes (N, 4)."""
    sides: NDArray[np.float64] = np.sqrt(box_area(boxes))
    return sides


def joined(parts: Sequence[Verdicts]) -> Verdicts:
    """Return the verdicts of several sets as those of one."""
    faces = np.cumsum([0, *(len(part.face_sizes) for part in parts)])
    pictures = np.cumsum([0, *(part.picture.max(initial=-1) + 1 for part in parts)])
    numbered = [
        np.where(part.found >= 0, part.found + first, part.found)
        for part, first in zip(parts, faces, strict=False)
    ]
    places = [part.picture + first for part, first in zip(parts, pictures, strict=False)]

    def column(name: str) -> NDArray:
        return np.concatenate([getattr(part, name) for part in parts])

    return Verdicts(
        scores=column("scores"),
        sizes=column("sizes"),
        found=np.concatenate(numbered),
        picture=np.concatenate(places),
        face_sizes=column("face_sizes"),
        counted=column("counted"),
    )
