"""How far landmarks are from labels: errors per face and the numbers that sum them up.

A face that a model did not find has NaN landmarks; it is a failure, and no mean counts it.
"""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from faceshape.core.contract import GROUPS, Run, resample_onto
from faceshape.core.topology import Topology, load_topology

FAILURE = 8.0
"""Per cent of the inter-ocular distance above which a face counts as failed."""


def _rows(*names: str) -> NDArray[np.intp]:
    return np.concatenate([np.arange(90)[GROUPS[name]] for name in names])


PARTS: Mapping[str, NDArray[np.intp]] = MappingProxyType(
    {
        "FaceProfile": _rows("FaceProfile"),
        "eyes": _rows("LeftEye", "RightEye"),
        "brows": _rows("LeftEyeBrow", "RightEyeBrow"),
        "Mouth": _rows("Mouth"),
        "Nose": _rows("Nose"),
        "pupils": _rows("LeftPupil", "RightPupil"),
    }
)
"""Groups of the contract, left and right taken together → their rows."""


def point_errors(
    found: NDArray[np.float32], labels: NDArray[np.float32], scale: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return the error (N, K) of each point, both (N, K, 2), in % of a length (N,)."""
    return 100 * np.linalg.norm(found - labels, axis=2) / scale[:, None]


def contour_errors(
    found: NDArray[np.float32], contour: NDArray[np.float32], scale: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return how far points (N, K, 2) are off a polyline (N, M, 2) as (N, K), in % of (N,)."""
    start = contour[:, None, :-1]
    step = np.diff(contour, axis=1)[:, None]
    offset = found[:, :, None] - start
    part = (offset * step).sum(axis=3) / np.maximum((step**2).sum(axis=3), 1e-9)
    foot = offset - np.clip(part, 0, 1)[..., None] * step
    return 100 * np.linalg.norm(foot, axis=3).min(axis=2) / scale[:, None]


def mean_over_found(errors: NDArray[np.float32]) -> float:
    """Return the mean of errors (N,) or (N, K); NaN if there is none at all."""
    finite = errors[np.isfinite(errors)]
    return float(finite.mean()) if finite.size else float("nan")


def median_over_found(face_errors: NDArray[np.float32]) -> float:
    """Return the median of errors (N,); NaN if there is none at all."""
    finite = face_errors[np.isfinite(face_errors)]
    return float(np.median(finite)) if finite.size else float("nan")


def share_above(face_errors: NDArray[np.float32], limit: float = FAILURE) -> float:
    """Return the per cent of the faces (N,) whose error is above a limit or that were missed."""
    return 100 * float(np.mean(~(face_errors <= limit)))


def missed(face_errors: NDArray[np.float32]) -> float:
    """Return the per cent of the faces (N,) that were not found."""
    return 100 * float(np.mean(~np.isfinite(face_errors)))


def area_under_curve(face_errors: NDArray[np.float32], limit: float = FAILURE) -> float:
    """Return the area under the cumulative error curve up to a limit, 0 to 1.

    The share of faces below an error e, integrated over e from 0 to the limit, over the limit:
    exactly the mean of what each face leaves of the limit.
    """
    left = np.clip(1 - np.nan_to_num(face_errors, nan=np.inf) / limit, 0, 1)
    return float(left.mean())


def marked_rows(topology: Topology) -> NDArray[np.intp]:
    """Return the rows of the 90 points whose groups a layout marks rather than derives."""
    return _rows(*(name for name in GROUPS if name not in topology.derived))


# Where iBUG's points lie on the contract's curves, in 24ths of the curve's length.
_ON_CURVES: Mapping[str, Mapping[int, int]] = {
    "profile_left": {0: 0, 1: 3, 2: 6, 3: 9, 4: 12, 5: 15, 6: 18, 7: 21, 8: 24},
    "profile_right": {9: 3, 10: 6, 11: 9, 12: 12, 13: 15, 14: 18, 15: 21, 16: 24},
    "left_brow_upper": {21: 3, 20: 8, 19: 13, 18: 18, 17: 24},
    "right_brow_upper": {22: 3, 23: 8, 24: 13, 25: 18, 26: 24},
    "left_eye_lower": {36: 0, 41: 8, 40: 16, 39: 24},
    "left_eye_upper": {38: 8, 37: 16},
    "right_eye_lower": {45: 0, 46: 8, 47: 16, 42: 24},
    "right_eye_upper": {43: 8, 44: 16},
    "outer_lip_lower_left": {48: 0, 59: 8, 58: 16, 57: 24},
    "outer_lip_lower_right": {56: 8, 55: 16, 54: 24},
    "outer_lip_upper_right": {53: 12, 52: 24},
    "outer_lip_peak_right": {51: 24},
    "outer_lip_peak_left": {50: 24},
    "outer_lip_upper_left": {49: 12},
    "inner_lip_lower_left": {60: 3, 67: 16, 66: 24},
    "inner_lip_lower_right": {65: 8, 64: 21},
    "inner_lip_upper_right": {63: 16, 62: 24},
    "inner_lip_upper_left": {61: 8},
}
_SAMPLES = Run("", tuple(range(25)))


def as_ibug68(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return iBUG's 68 points (N, 68, 2) of faces in contract order (N, 90, 2)."""
    contract = load_topology("contract90")
    out = np.empty((len(points), 68, 2), np.float32)
    for curve, places in _ON_CURVES.items():
        fine = resample_onto(points, contract, (_SAMPLES._replace(curve=curve),))
        out[:, list(places)] = fine[:, list(places.values())]
    nose = points[:, GROUPS["Nose"]]
    root, tip, base = nose[:, 1], nose[:, 0], nose[:, 7]
    for row, part in zip(range(27, 31), np.linspace(0, 1, 4), strict=True):
        out[:, row] = root + part * (tip - root)
    # The inverse of what models/topologies/ibug68.json says of the base.
    for row, side in ((31, nose[:, 6]), (35, nose[:, 8])):
        out[:, row] = (side - 0.13 * tip + 0.26 * base) / 1.13
    out[:, 33] = base
    out[:, 32], out[:, 34] = (out[:, 31] + base) / 2, (out[:, 35] + base) / 2
    return out
