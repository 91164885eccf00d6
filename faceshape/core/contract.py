"""The 90-point contract: its groups, its runs, and the resampler from any dense topology.

The layout is AnalyzeFace's (API document, section 1 and the sample of section 4). The document
names the groups and their counts; where the points lie within a group follows from published
outputs: a group consists of *runs* between anatomical anchors, and within a run the points are
uniform in arc length.
"""

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from faceshape.core.layout import Layout, Run, layout_of
from faceshape.core.resampler import resample_layout, resample_onto
from faceshape.core.topology import Topology, load_topology

__all__ = [
    "GROUPS",
    "MIRROR",
    "POINT_COUNT",
    "RUNS",
    "Run",
    "interocular_distance",
    "resample",
    "resample_onto",
]

POINT_COUNT = 90

_COUNTS = {
    "FaceProfile": 21,
    "LeftEye": 8,
    "RightEye": 8,
    "LeftEyeBrow": 8,
    "RightEyeBrow": 8,
    "Mouth": 22,
    "Nose": 13,
    "LeftPupil": 1,
    "RightPupil": 1,
}
_ENDS = np.cumsum(list(_COUNTS.values())).tolist()

GROUPS: Mapping[str, slice] = MappingProxyType(
    {
        name: slice(end - count, end)
        for (name, count), end in zip(_COUNTS.items(), _ENDS, strict=True)
    }
)
"""Group name → its rows in a (90, 2) array of points, in the order of the API document."""


def _run(curve: str, group: str, *members: int) -> Run:
    start = GROUPS[group].start
    return Run(curve, tuple(member if member < 0 else start + member for member in members))


RUNS: tuple[Run, ...] = (
    _run("profile_left", "FaceProfile", *range(11)),
    _run("profile_right", "FaceProfile", -1, *range(11, 21)),
    _run("left_eye_lower", "LeftEye", 0, 1, 2, 3, 4),
    _run("left_eye_upper", "LeftEye", -1, 5, 6, 7, -1),
    _run("right_eye_lower", "RightEye", 0, 1, 2, 3, 4),
    _run("right_eye_upper", "RightEye", -1, 5, 6, 7, -1),
    _run("left_brow_lower", "LeftEyeBrow", 0, 1, 2, 3, 4),
    _run("left_brow_upper", "LeftEyeBrow", -1, 5, 6, 7, -1),
    _run("right_brow_lower", "RightEyeBrow", 0, 1, 2, 3, 4),
    _run("right_brow_upper", "RightEyeBrow", -1, 5, 6, 7, -1),
    _run("outer_lip_lower_left", "Mouth", 0, 1, 2, 3),
    _run("outer_lip_lower_right", "Mouth", -1, 4, 5, 6),
    _run("outer_lip_upper_right", "Mouth", -1, 7, 8),
    _run("outer_lip_peak_right", "Mouth", -1, 9),
    _run("outer_lip_peak_left", "Mouth", -1, 10),
    _run("outer_lip_upper_left", "Mouth", -1, 11, -1),
    _run("inner_lip_lower_left", "Mouth", -1, 12, 13, 14),
    _run("inner_lip_lower_right", "Mouth", -1, 15, 16, -1),
    _run("inner_lip_upper_right", "Mouth", -1, 17, 18, 19),
    _run("inner_lip_upper_left", "Mouth", -1, 20, 21, -1),
    _run("nose_tip", "Nose", 0),
    _run("nose_side_left", "Nose", 1, 2, 3, 4),
    _run("nose_side_right", "Nose", -1, 12, 11, 10),
    _run("nose_wing_left", "Nose", -1, 5, 6),
    _run("nose_wing_right", "Nose", -1, 9, 8),
    _run("nose_base", "Nose", 7),
    _run("left_pupil", "LeftPupil", 0),
    _run("right_pupil", "RightPupil", 0),
)

# Mirror partners inside a group whose mirror image is itself; eyes, brows and pupils swap whole.
_MOUTH_MIRROR = [6, 5, 4, 3, 2, 1, 0, 11, 10, 9, 8, 7, 16, 15, 14, 13, 12, 21, 20, 19, 18, 17]
_NOSE_MIRROR = [0, 1, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2]


def _mirror_permutation() -> NDArray[np.intp]:
    rows = np.arange(POINT_COUNT)
    mirrored: NDArray[np.intp] = rows.copy()
    mirrored[GROUPS["FaceProfile"]] = rows[GROUPS["FaceProfile"]][::-1]
    for left, right in (
        ("LeftEye", "RightEye"),
        ("LeftEyeBrow", "RightEyeBrow"),
        ("LeftPupil", "RightPupil"),
    ):
        mirrored[GROUPS[left]] = rows[GROUPS[right]]
        mirrored[GROUPS[right]] = rows[GROUPS[left]]
    mirrored[GROUPS["Mouth"]] = rows[GROUPS["Mouth"]][_MOUTH_MIRROR]
    mirrored[GROUPS["Nose"]] = rows[GROUPS["Nose"]][_NOSE_MIRROR]
    mirrored.setflags(write=False)
    return mirrored


MIRROR: NDArray[np.intp] = _mirror_permutation()
"""Permutation (90,): ``points_of_the_mirrored_face[MIRROR]`` is in contract order again."""


def interocular_distance(points: ArrayLike) -> NDArray[np.float32]:
    """Return the distance (...) between the outer eye corners of points (..., 90, 2).

    It is the unit in which landmark errors are given (300-W; Sagonas et al. 2013).
    """
    points = np.asarray(points, np.float32)
    line = points[..., GROUPS["RightEye"].start, :] - points[..., GROUPS["LeftEye"].start, :]
    distance: NDArray[np.float32] = np.hypot(line[..., 0], line[..., 1])
    return distance


def resample(dense: ArrayLike, topology: str | Topology) -> NDArray[np.float32]:
    """Resample dense landmarks into the 90-point contract.

    Each run is interpolated by a cubic spline through its own control points (parameter: their
    index, not-a-knot ends) and sampled uniformly in arc length, ends included. On real faces the
    points are exact to 0.2 % of the inter-ocular distance.

    Args:
        dense: (N, P, 2) landmarks in any frame, P as the topology has it; N may be 0.
        topology: the meaning of the P points, or the name of one that comes with the package.

    Returns:
        (N, 90, 2) float32 in the same frame. A run whose control points coincide gives that one
        place; a run with a coordinate that is not finite gives NaN and leaves the others alone.
        Coordinates beyond 1e35 may be too large to calculate with, and count as not finite.

    Raises:
        ShapeError: dense is not (N, P, 2), or not of real numbers.
        TopologyError: there is no topology of that name.
    """
    topology = topology if isinstance(topology, Topology) else load_topology(str(topology))
    return resample_layout(dense, _layout(topology))


@cache
def _layout(topology: Topology) -> Layout:
    return layout_of(topology, RUNS)  # which looks at all runs to find it
