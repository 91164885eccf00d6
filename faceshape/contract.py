"""The 90-point contract: its groups, its runs, and the resampler from any dense topology.

The layout is AnalyzeFace's (API document, section 1 and the sample of section 4). The document
names the groups and their counts; where the points lie within a group follows from published
outputs: a group consists of *runs* between anatomical anchors, and within a run the points are
uniform in arc length.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from types import MappingProxyType
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from faceshape.errors import ShapeError
from faceshape.topology import Topology, load_topology

__all__ = ["GROUPS", "MIRROR", "POINT_COUNT", "RUNS", "Run", "resample", "resample_onto"]

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


class Run(NamedTuple):
    """A stretch between two anchors whose points are uniform in arc length.

    Attributes:
        curve: the curve of a topology (`faceshape.topology.CURVES`) that the run lies on.
        targets: the output row of each sample; −1 marks an end that belongs to another run.
    """

    curve: str
    targets: tuple[int, ...]


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

# Intervals that a spline is cut into to measure its length. 32 keep the error of a chord below
# 0.05 % of the inter-ocular distance on the longest curve, half a jaw.
_INTERVALS = 32

# Faces worked on at once: what a block touches then stays in the processor's second-level cache.
_BLOCK = 128


def resample(dense: ArrayLike, topology: str | Topology) -> NDArray[np.float32]:
    """Resample dense landmarks into the 90-point contract.

    Each run is interpolated by a cubic spline through its own control points (parameter: their
    index, not-a-knot ends) and sampled uniformly in arc length, ends included.

    Args:
        dense: (N, P, 2) landmarks in any frame, P as the topology has it; N may be 0.
        topology: the meaning of the P points, or the name of one that comes with the package.

    Returns:
        (N, 90, 2) float32 in the same frame. A run whose control points coincide gives that one
        place; a run with a coordinate that is not finite gives NaN and leaves the others alone.

    Raises:
        ShapeError: dense is not (N, P, 2).
        TopologyError: there is no topology of that name.
    """
    topology = load_topology(topology) if isinstance(topology, str) else topology
    return resample_onto(dense, topology, RUNS, POINT_COUNT)


def resample_onto(
    dense: ArrayLike, topology: Topology, runs: tuple[Run, ...], count: int
) -> NDArray[np.float32]:
    """Resample dense landmarks into any layout that consists of runs.

    Args:
        dense: (N, P, 2) landmarks in the given topology.
        topology: the meaning of the P points.
        runs: the layout: which samples of which curve make its points.
        count: Q, the number of points of the layout; each must be a target of one run.

    Returns:
        (N, Q, 2) float32 in the same frame; see `resample` for degenerate input.

    Raises:
        ShapeError: dense is not (N, P, 2).
    """
    dense = np.asarray(dense, dtype=np.float32)
    if dense.ndim != 3 or dense.shape[1:] != (topology.points, 2):
        raise ShapeError(
            f"{topology.name} landmarks must be (N, {topology.points}, 2), not {dense.shape}"
        )
    plan = _plan(topology, runs)
    points = np.empty((len(dense), count, 2), np.float32)
    with np.errstate(invalid="ignore"):  # coordinates that are not finite stay so, silently
        for start in range(0, len(dense), _BLOCK):
            block = slice(start, start + _BLOCK)
            points[block] = _sample_block(dense[block], plan, count)
    return points


class _Plan(NamedTuple):
    """What resampling needs to know of a topology and a layout, computed once for both.

    C combined control points of up to S terms are appended to the P dense ones, which makes P + C
    rows. A anchors are taken from rows as they are. L curves of up to K control points are
    evaluated at M + 1 parameters, and T samples are searched for inside them.
    """

    term_rows: NDArray[np.intp]  # (C, S)
    term_weights: NDArray[np.float32]  # (C, S, 1, 1)
    anchor_rows: NDArray[np.intp]  # (A,)
    anchor_targets: NDArray[np.intp]  # (A,)
    curve_rows: NDArray[np.intp]  # (L, K)
    curve_basis: NDArray[np.float32]  # (L, M + 1, K)
    sample_curves: NDArray[np.intp]  # (T, 1)
    sample_fractions: NDArray[np.float32]  # (T, 1) of the curve's length
    sample_targets: NDArray[np.intp]  # (T,)


@cache
def _plan(topology: Topology, runs: tuple[Run, ...]) -> _Plan:
    combined: list[Mapping[int, float]] = []
    anchors: list[tuple[int, int]] = []
    curves: list[list[int]] = []
    samples: list[tuple[int, float, int]] = []
    for run in runs:
        rows: list[int] = []
        for control in topology.curves[run.curve]:
            if len(control) == 1:
                rows.extend(control)
            else:
                rows.append(topology.points + len(combined))
                combined.append(control)
        last = len(run.targets) - 1
        anchors.append((rows[0], run.targets[0]))
        if last > 0:
            anchors.append((rows[-1], run.targets[-1]))
        inner = [(len(curves), i / last, run.targets[i]) for i in range(1, last)]
        if inner:
            curves.append(rows)
            samples += inner
    anchors = [(row, target) for row, target in anchors if target >= 0]
    width = max(map(len, curves), default=0)
    terms = max(map(len, combined), default=0)
    term_rows = [_padded(control, terms) for control in combined]
    weights = [_padded(control.values(), terms, padding=0.0) for control in combined]
    curve_rows = [_padded(rows, width) for rows in curves]
    basis = [_spline_basis(len(rows), width) for rows in curves]
    return _Plan(
        np.array(term_rows, np.intp).reshape(len(combined), terms),
        np.array(weights, np.float32).reshape(len(combined), terms, 1, 1),
        np.array([row for row, _ in anchors], np.intp),
        np.array([target for _, target in anchors], np.intp),
        np.array(curve_rows, np.intp).reshape(len(curves), width),
        np.array(basis, np.float32).reshape(len(curves), _INTERVALS + 1, width),
        np.array([[curve] for curve, _, _ in samples], np.intp),
        np.array([[fraction] for _, fraction, _ in samples], np.float32),
        np.array([target for _, _, target in samples], np.intp),
    )


_Number = TypeVar("_Number", int, float)


def _padded(
    values: Iterable[_Number], length: int, padding: _Number | None = None
) -> list[_Number]:
    # Rows are padded with one of their own, so that a NaN elsewhere cannot get in by 0 · NaN.
    row = list(values)
    return row + [row[0] if padding is None else padding] * (length - len(row))


def _spline_basis(controls: int, width: int) -> NDArray[np.float64]:
    """Return the matrix (M + 1, width) that evaluates a spline through its control points."""
    from scipy.interpolate import CubicSpline  # costs a tenth of a second: only when needed

    parameters = np.linspace(0, controls - 1, _INTERVALS + 1)
    basis: NDArray[np.float64] = np.zeros((_INTERVALS + 1, width))
    if controls == 1:
        basis[:, 0] = 1
    else:
        basis[:, :controls] = CubicSpline(np.arange(controls), np.eye(controls))(parameters)
    return basis


def _sample_block(dense: NDArray[np.float32], plan: _Plan, count: int) -> NDArray[np.float32]:
    """Resample (n, P, 2) landmarks, with the faces on the last axis, where numpy is fastest."""
    rows = np.ascontiguousarray(dense.transpose(1, 2, 0))
    if len(plan.term_rows):
        rows = np.concatenate([rows, (rows[plan.term_rows] * plan.term_weights).sum(axis=1)])
    points = np.empty((count, 2, len(dense)), np.float32)
    points[plan.anchor_targets] = rows[plan.anchor_rows]
    if len(plan.sample_targets):
        points[plan.sample_targets] = _sample_curves(rows, plan)
    faces_first: NDArray[np.float32] = points.transpose(2, 0, 1)
    return faces_first


def _sample_curves(rows: NDArray[np.float32], plan: _Plan) -> NDArray[np.float32]:
    """Return the samples (T, 2, n) at their fractions of the curves' lengths."""
    faces = rows.shape[-1]
    curves, controls = plan.curve_rows.shape
    nodes = plan.curve_basis @ rows[plan.curve_rows].reshape(curves, controls, 2 * faces)
    nodes = nodes.reshape(curves, _INTERVALS + 1, 2, faces)
    steps = np.diff(nodes, axis=1)
    steps *= steps
    ends = np.zeros((curves, _INTERVALS + 1, faces), np.float32)  # length up to each node
    np.cumsum(np.sqrt(steps[:, :, 0] + steps[:, :, 1]), axis=1, out=ends[:, 1:])

    curve = plan.sample_curves
    wanted = plan.sample_fractions * ends[curve[:, 0], -1]
    passed = ends[curve[:, 0], 1:-1] <= wanted[:, None]
    interval = passed.view(np.uint8).sum(axis=1, dtype=np.uint8).astype(np.intp)
    face = np.arange(faces)
    before, after = ends[curve, interval, face], ends[curve, interval + 1, face]
    length = after - before
    part = np.divide(wanted - before, length, out=np.zeros_like(length), where=length > 0)
    start = nodes[curve, interval, :, face].transpose(0, 2, 1)
    end = nodes[curve, interval + 1, :, face].transpose(0, 2, 1)
    samples: NDArray[np.float32] = start + (end - start) * part[:, None]
    return samples
