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


def interocular_distance(points: ArrayLike) -> NDArray[np.float32]:
    """Return the distance (...) between the outer eye corners of points (..., 90, 2).

    It is the unit in which landmark errors are given (300-W; Sagonas et al. 2013).
    """
    points = np.asarray(points, np.float32)
    line = points[..., GROUPS["RightEye"].start, :] - points[..., GROUPS["LeftEye"].start, :]
    distance: NDArray[np.float32] = np.hypot(line[..., 0], line[..., 1])
    return distance


# Intervals that a spline is cut into to measure its length. 32 keep the error of a chord below
# 0.05 % of the inter-ocular distance on the longest curve, half a jaw.
_INTERVALS = 32

# Row i sums the first i intervals.
_UP_TO_NODE = np.tri(_INTERVALS + 1, _INTERVALS, -1, dtype=np.float32)

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
    work = _workspace(plan, min(len(dense), _BLOCK))
    with np.errstate(invalid="ignore"):  # coordinates that are not finite stay so, silently
        for start in range(0, len(dense), _BLOCK):
            block = dense[start : start + _BLOCK]
            if len(block) != work.lengths.shape[-1]:  # the last one is smaller
                work = _workspace(plan, len(block))
            _sample_block(block, plan, work, points[start : start + _BLOCK])
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


class _Workspace(NamedTuple):
    """The large intermediate arrays for a block of n faces.

    They are used again for every block: fresh memory costs more than what is computed in it.
    """

    controls: NDArray[np.float32]  # (L, K, 2 · n)
    nodes: NDArray[np.float32]  # (L, M + 1, 2 · n) the splines, evaluated
    steps: NDArray[np.float32]  # (L, M, 2 · n) from node to node
    lengths: NDArray[np.float32]  # (L, M, n) of the steps
    ends: NDArray[np.float32]  # (L, M + 1, n) length of the spline up to each node
    sample_ends: NDArray[np.float32]  # (T, M − 1, n) the same at inner nodes, for each sample
    passed: NDArray[np.bool_]  # (T, M − 1, n) whether the sample lies behind the node


def _workspace(plan: _Plan, faces: int) -> _Workspace:
    curves, controls = plan.curve_rows.shape
    samples = len(plan.sample_targets)
    return _Workspace(
        np.empty((curves, controls, 2 * faces), np.float32),
        np.empty((curves, _INTERVALS + 1, 2 * faces), np.float32),
        np.empty((curves, _INTERVALS, 2 * faces), np.float32),
        np.empty((curves, _INTERVALS, faces), np.float32),
        np.empty((curves, _INTERVALS + 1, faces), np.float32),
        np.empty((samples, _INTERVALS - 1, faces), np.float32),
        np.empty((samples, _INTERVALS - 1, faces), np.bool_),
    )


def _sample_block(
    dense: NDArray[np.float32], plan: _Plan, work: _Workspace, points: NDArray[np.float32]
) -> None:
    """Resample landmarks (n, P, 2) into points (n, Q, 2)."""
    # With the faces on the last axis numpy's loops run over all of them at once.
    rows = np.ascontiguousarray(dense.transpose(1, 2, 0))
    if len(plan.term_rows):
        rows = np.concatenate([rows, (rows[plan.term_rows] * plan.term_weights).sum(axis=1)])
    points[:, plan.anchor_targets] = rows[plan.anchor_rows].transpose(2, 0, 1)
    if len(plan.sample_targets):
        samples = _sample_curves(rows, plan, work)
        points[:, plan.sample_targets] = samples.transpose(2, 1, 0)


def _sample_curves(rows: NDArray[np.float32], plan: _Plan, work: _Workspace) -> NDArray[np.float32]:
    """Return the x and the y of the samples (2, T, n) at their fractions of the curves' lengths."""
    faces = rows.shape[-1]
    # The indices are valid; without a mode numpy would fill a copy first, in case they are not.
    np.take(rows.reshape(len(rows), -1), plan.curve_rows, axis=0, out=work.controls, mode="clip")
    np.matmul(plan.curve_basis, work.controls, out=work.nodes)
    np.subtract(work.nodes[:, 1:], work.nodes[:, :-1], out=work.steps)
    np.square(work.steps, out=work.steps)
    np.add(work.steps[..., :faces], work.steps[..., faces:], out=work.lengths)
    np.sqrt(work.lengths, out=work.lengths)
    np.matmul(_UP_TO_NODE, work.lengths, out=work.ends)  # faster than a cumulative sum

    curve = plan.sample_curves
    wanted = plan.sample_fractions * work.ends[curve[:, 0], -1]
    np.take(work.ends[:, 1:-1], curve[:, 0], axis=0, out=work.sample_ends, mode="clip")
    np.less_equal(work.sample_ends, wanted[:, None], out=work.passed)
    interval = work.passed.view(np.uint8).sum(axis=1, dtype=np.uint8)
    face = np.arange(faces)
    node = (curve * (_INTERVALS + 1) + interval) * faces
    before, after = work.ends.take(node + face), work.ends.take(node + faces + face)
    length = after - before
    part = np.divide(wanted - before, length, out=np.zeros_like(length), where=length > 0)
    x = 2 * node + face
    start = work.nodes.take([x, x + faces])
    end = work.nodes.take([x + 2 * faces, x + 3 * faces])
    samples: NDArray[np.float32] = start + (end - start) * part
    return samples
