"""How a head is turned: yaw, pitch and roll from landmarks, by a fit to a mean face.

The mean face is a shape in three dimensions (``models/mean_face.json``) of those points that move
little when a face does: eyes, brows and nose. It is fitted by a scaled orthographic projection:
the least squares affine map from the mean face to the points, then the rotation nearest to it
(DeMenthon & Davis 1995, the first step of POS).

The frame is that of a camera, right-handed: x to the right, y down, z into the picture. A head that
looks into the camera, as people in portraits do on average, has three zeros. Seen from the camera,
positive roll turns the head clockwise, positive yaw turns the nose to the left of the picture,
positive pitch turns it down. The head is turned by pitch first, then yaw, then roll.
"""

import json
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from faceshape.core.arrays import numbers
from faceshape.core.contract import POINT_COUNT
from faceshape.errors import ModelError, ShapeError
from faceshape.resources import models_directory

__all__ = ["HeadPose", "head_pose", "mean_face", "pose_rotation"]


_TOO_FAR = float(np.finfo(np.float32).max)


class HeadPose(NamedTuple):
    """Three angles in degrees; their signs are those of `faceshape.core.pose`."""

    yaw: float
    pitch: float
    roll: float


def head_pose(points: ArrayLike) -> NDArray[np.float32]:
    """Return how heads are turned.

    Args:
        points: (N, 90, 2) landmarks in the order of the contract, in pixels.

    Returns:
        (N, 3) float32: yaw, pitch and roll in degrees. Yaw lies within ±90, the others within
        ±180. NaN where a landmark that is used is not finite as a float32, or where all of them
        coincide.

    Raises:
        ShapeError: points are not (N, 90, 2), or not of real numbers.
    """
    points = numbers(points, "points").astype(np.float64)
    if points.ndim != 3 or points.shape[1:] != (POINT_COUNT, 2):
        raise ShapeError(f"points must be (N, {POINT_COUNT}, 2), not {points.shape}")
    rows, shape = mean_face()
    with np.errstate(invalid="ignore", over="ignore"):
        seen = points[:, rows] - points[:, rows[:1]]
    spread = np.abs(seen).max(axis=(1, 2))
    usable = (spread > 0) & (spread < _TOO_FAR)  # neither is true of NaN
    seen = np.where(usable[:, None, None], seen, shape[:, :2])
    seen = seen - seen.mean(axis=1, keepdims=True)
    affine = seen.transpose(0, 2, 1) @ (shape @ np.linalg.inv(shape.T @ shape))
    left, _, right = np.linalg.svd(affine, full_matrices=False)
    axes = left @ right  # the first two rows of the nearest rotation
    yaw = np.arcsin(np.clip(-_cross(axes, 0), -1, 1))
    pitch = np.arctan2(_cross(axes, 1), _cross(axes, 2))
    roll = np.arctan2(axes[:, 1, 0], axes[:, 0, 0])
    angles = np.degrees(np.stack([yaw, pitch, roll], axis=1))
    return np.where(usable[:, None], angles, np.nan).astype(np.float32)


def pose_rotation(pose: ArrayLike) -> NDArray[np.float64]:
    """Return the rotations (..., 3, 3) of yaw, pitch and roll (..., 3) in degrees.

    A rotation takes a point of the head, as it is when it looks into the camera, into the camera's
    frame.
    """
    yaw, pitch, roll = np.moveaxis(np.radians(np.asarray(pose, np.float64)), -1, 0)
    return _turn(roll, 2) @ _turn(yaw, 1) @ _turn(pitch, 0)


@cache
def mean_face() -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return the rows (K,) of the contract that are used and the mean face (K, 3), centred.

    Its unit is the distance of the outer eye corners, its frame the camera's.

    Raises:
        ModelError: the file is missing or malformed.
    """
    path = models_directory() / "mean_face.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        rows, shape = np.array(content["rows"], np.intp), np.array(content["shape"], np.float64)
        shape = shape.reshape(len(rows), 3)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"cannot read {path}: {error!r}") from error
    return rows, shape - shape.mean(axis=0)


def _cross(axes: NDArray[np.float64], component: int) -> NDArray[np.float64]:
    """Return a component (N,) of the third row of rotations whose first two rows are given."""
    i, j = (component + 1) % 3, (component + 2) % 3
    third: NDArray[np.float64] = axes[:, 0, i] * axes[:, 1, j] - axes[:, 0, j] * axes[:, 1, i]
    return third


def _turn(angle: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """Return the rotations (..., 3, 3) by angles (...) about a coordinate axis, right-handed."""
    matrix = np.zeros((*np.shape(angle), 3, 3))
    i, j = (axis + 1) % 3, (axis + 2) % 3
    matrix[..., axis, axis] = 1
    matrix[..., i, i] = matrix[..., j, j] = np.cos(angle)
    matrix[..., j, i] = np.sin(angle)
    matrix[..., i, j] = -matrix[..., j, i]
    return matrix
