"""Which finds are one face: those with the same eyes, or with nearly the same box.

A detector may see a face twice, the second time upside down with the mouth on the forehead: the
boxes of the two overlap little, their eyes are the same. Every stage that has to answer a face once
asks here.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from faceshape.core.contract import GROUPS
from faceshape.types import Detections, FaceShape
from faceshape.vision.geometry import box_iou, enclosing_boxes, first_of_each, wrap_degrees

__all__ = ["Places", "distinct", "distinct_shapes", "same_faces", "turned_against"]

_SAME_BOX_IOU = 0.4
# How far the eyes of two finds may be apart, in the mean, in distances of the eyes.
_SAME_EYES = 0.65
# The least unit of that, in sides of the box: in profile the eyes' distance shrinks to nothing.
_LEAST_UNIT = 0.25
# Where the eyes of a face are in its box, to the right and down of the centre, in the box's mean
# side; medians over the training faces. For detectors that do not tell.
_USUAL_EYES = np.array([[-0.23, -0.307], [0.23, -0.307]])
# From which difference of their roll on two finds contradict each other, degrees.
_TURNED = 90.0


class Places:
    """Where N finds are: boxes (N, 4) and eyes (N, 2, 2), in pixels."""

    def __init__(self, boxes: ArrayLike, eyes: ArrayLike) -> None:
        """Take the boxes (N, 4) and the eyes (N, 2, 2)."""
        self.boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
        self.eyes = np.asarray(eyes, np.float64).reshape(-1, 2, 2)

    @classmethod
    def of_detections(cls, found: Detections) -> "Places":
        """Return where detections are; eyes that their detector does not tell are estimated."""
        told = found.keypoints[:, :2]
        known = np.isfinite(told).all(axis=(1, 2), keepdims=True)
        return cls(found.boxes, np.where(known, told, _usual_eyes(found.boxes, found.roll)))

    @classmethod
    def of_shapes(cls, faces: Sequence[FaceShape]) -> "Places":
        """Return where shapes are: the extents and the eyes of their landmarks."""
        if not faces:
            return cls([], [])
        points = np.stack([face.points for face in faces])
        eyes = [points[:, GROUPS[name]].mean(axis=1) for name in ("LeftEye", "RightEye")]
        return cls(enclosing_boxes(points), np.stack(eyes, axis=1))


def same_faces(places: Places, others: Places) -> NDArray[np.bool_]:
    """Return which finds (N, M) of two lists are one face, whatever their roll."""
    overlap = box_iou(places.boxes, others.boxes) > _SAME_BOX_IOU
    mine, theirs = places.eyes[:, None], others.eyes[None]
    apart = [
        np.linalg.norm(mine - paired, axis=3).mean(axis=2)
        for paired in (theirs, theirs[:, :, ::-1])
    ]
    unit = np.maximum(_units(places)[:, None], _units(others)[None])
    same: NDArray[np.bool_] = overlap | (np.minimum(*apart) < _SAME_EYES * unit)
    return same


def turned_against(roll: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return of which finds (N, N) with a roll (N,) in degrees each says that the other is wrong.

    Two of one face whose rolls are a quarter turn or more apart cannot both be right.
    """
    against: NDArray[np.bool_] = np.abs(wrap_degrees(roll[:, None] - roll[None])) > _TURNED
    return against


def distinct(places: Places, preference: ArrayLike) -> NDArray[np.intp]:
    """Return the indices (K,) of the finds to keep, each face once, the preferred first.

    Args:
        places: of N finds.
        preference: (N,), more is better.
    """
    if len(places.boxes) < 2:
        return np.arange(len(places.boxes))
    order = np.argsort(-np.asarray(preference, np.float64).reshape(-1), kind="stable")
    return order[first_of_each(same_faces(places, places)[np.ix_(order, order)])]


def distinct_shapes(faces: Sequence[FaceShape], preference: ArrayLike) -> NDArray[np.intp]:
    """Return what `distinct` does, of shapes by their landmarks."""
    if len(faces) < 2:  # most often; where they are need not be known
        return np.arange(len(faces))
    return distinct(Places.of_shapes(faces), preference)


def _units(places: Places) -> NDArray[np.float64]:
    """Return the distances (N,) of the eyes, not less than a share of the box."""
    distance = np.linalg.norm(places.eyes[:, 1] - places.eyes[:, 0], axis=1)
    unit: NDArray[np.float64] = np.maximum(distance, _LEAST_UNIT * _mean_sides(places.boxes))
    return unit


def _usual_eyes(boxes: NDArray[np.float32], roll: NDArray[np.float32]) -> NDArray[np.float64]:
    angle = np.radians(roll.astype(np.float64))
    cosine, sine = np.cos(angle), np.sin(angle)
    turns = np.stack([cosine, sine, -sine, cosine], axis=1).reshape(-1, 2, 2)  # right, down
    centres = (boxes[:, None, :2] + boxes[:, None, 2:]) / 2
    eyes: NDArray[np.float64] = centres + _mean_sides(boxes)[:, None, None] * (
        _USUAL_EYES[None] @ turns
    )
    return eyes


def _mean_sides(boxes: NDArray[np.floating]) -> NDArray[np.float64]:
    sides: NDArray[np.float64] = (boxes[:, 2:] - boxes[:, :2]).astype(np.float64).mean(axis=1)
    return sides
