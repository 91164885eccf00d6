"""From two teachers' points to one label, in the places where people mark them.

Two teachers labelled each face: A, a 478-point face mesh, and B, a 98-point WFLW model. A is finer
inside the face and guesses well under masks; its jaw follows neither an open mouth nor the far
side of a turned head. B follows the visible outline. ``people.json`` says how much of B each group
takes, and by how much people mark a point differently from that mean. Both were chosen on faces
that people labelled; see `scripts.labels.choose`.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceshape.core.contract import (
    GROUPS,
    POINT_COUNT,
    RUNS,
    Run,
    interocular_distance,
    resample,
    resample_onto,
)
from faceshape.core.topology import CURVES, load_topology

DENSE = load_topology("dense166")
DENSE_RUNS = tuple(Run(curve, DENSE.indices(curve)) for curve in CURVES)
PROFILE = (*DENSE.indices("profile_left"), *DENSE.indices("profile_right")[1:])
"""Dense indices of the profile, temple to temple."""

_PROFILE_SAMPLES = 65  # of half a profile, before it is cut at the level of the eyes
_CORNERS = (DENSE.indices("left_eye_lower")[0], DENSE.indices("right_eye_lower")[0])
_BEYOND = 0.04  # eye distances inside the picture's border from which on a profile is seen


@cache
def people() -> dict[str, Any]:
    """Return what people's labels say of the teachers."""
    path = Path(__file__).with_name("people.json")
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document


def consensus(mesh478: NDArray, wflw98: NDArray) -> NDArray[np.float32]:
    """Return the labels (N, 166, 2) of faces, from both teachers' points."""
    return as_people_mark(blended(mesh478, wflw98))


def blended(mesh478: NDArray, wflw98: NDArray) -> NDArray[np.float32]:
    """Return the mean (N, 166, 2) of both teachers, each group with its share."""
    a = resample_onto(mesh478, load_topology("mesh478"), DENSE_RUNS)
    b = resample_onto(wflw98, load_topology("wflw98"), DENSE_RUNS)
    points = resample(mesh478, "mesh478")
    eyes = points[:, GROUPS["LeftEye"].start], points[:, GROUPS["RightEye"].start]
    a[:, PROFILE] = _profile(mesh478, "mesh478", eyes)
    b[:, PROFILE] = _profile(wflw98, "wflw98", eyes)
    # Where the two are far apart at eyes and mouth, the second one has lost the face.
    trust = 1 - _ramp(_disagreement(mesh478, wflw98), 0.12, 0.24)
    by_group = people()["share_of_wflw98"]
    share = np.concatenate(
        [
            np.full(len(range(*rows.indices(POINT_COUNT))), by_group[name])
            for name, rows in GROUPS.items()
        ]
    )
    share = to_dense(share[:, None]) * trust[:, None, None]
    mixed = a + share.astype(np.float32) * (b - a)
    return resample_onto(mixed, DENSE, DENSE_RUNS)


def as_people_mark(dense: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return landmarks (N, 166, 2) moved to where people mark them."""
    facts = people()
    offset = np.zeros((POINT_COUNT, 2))
    for name, values in facts["offset_percent"].items():
        offset[GROUPS[name]] = values
    outward = np.zeros((POINT_COUNT, 1))
    outward[GROUPS["FaceProfile"], 0] = facts["profile_outward_percent"]
    line = dense[:, _CORNERS[1]] - dense[:, _CORNERS[0]]  # as long as the eyes are apart
    down = np.stack([-line[:, 1], line[:, 0]], axis=1)
    across, along = to_dense(offset).T / 100
    moved = dense + across[:, None] * line[:, None] + along[:, None] * down[:, None]
    distance = np.linalg.norm(line, axis=1)[:, None, None]
    normals = outward_normals(dense[:, PROFILE])
    moved[:, PROFILE] += to_dense(outward)[list(PROFILE)] / 100 * distance * normals
    return resample_onto(moved.astype(np.float32), DENSE, DENSE_RUNS)


def outward_normals(profile: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the unit normals (N, K, 2) of profiles (N, K, 2), away from the face."""
    tangent = np.gradient(profile, axis=1)
    tangent /= np.maximum(np.linalg.norm(tangent, axis=2, keepdims=True), 1e-6)
    # From the image-left temple over the chin to the other one, outside is to the right.
    return np.stack([-tangent[..., 1], tangent[..., 0]], axis=2)


def to_dense(values: NDArray) -> NDArray[np.float64]:
    """Return values (166, C) at the dense points from those (90, C) at the contract's points."""
    dense = np.full((DENSE.points, values.shape[1]), np.nan)
    for run in RUNS:
        indices = DENSE.indices(run.curve)
        for end in (0, -1):
            if run.targets[end] >= 0:
                dense[indices[end]] = values[run.targets[end]]
    for run in RUNS:
        indices = DENSE.indices(run.curve)
        at = np.array([values[target] for target in run.targets])
        at[0], at[-1] = dense[indices[0]], dense[indices[-1]]
        places = np.linspace(0, len(at) - 1, len(indices))
        for column in range(values.shape[1]):
            dense[list(indices), column] = np.interp(places, np.arange(len(at)), at[:, column])
    return dense


def seen(dense: NDArray[np.float32], size: NDArray) -> NDArray[np.bool_]:
    """Return which points (N, 166) somebody who looks at the picture can see.

    Profile points at or beyond its border, and two neighbours of each, are guesses of the teachers.

    Args:
        dense: (N, 166, 2) labels.
        size: (N, 2) height and width of the pictures.
    """
    profile = dense[:, PROFILE]
    margin = _BEYOND * np.linalg.norm(dense[:, _CORNERS[1]] - dense[:, _CORNERS[0]], axis=1)
    margin = margin[:, None, None]
    inside = ((profile > margin) & (profile < size[:, None, ::-1] - margin)).all(axis=2)
    hidden = np.pad(~inside, ((0, 0), (2, 2)))
    near = np.stack([hidden[:, k : k + len(PROFILE)] for k in range(5)]).any(axis=0)
    visible = np.ones(dense.shape[:2], bool)
    visible[:, PROFILE] = ~near
    return visible


def label_weight(mesh478: NDArray, wflw98: NDArray, spread: NDArray) -> NDArray[np.float32]:
    """Return how far each label is to be trusted (N,), 0 to 1.

    Rejected are faces on which teacher A disagrees with itself by more than 4 % of the
    inter-ocular distance, or both disagree by more than 12 % without A being sure.
    """
    distance = interocular_distance(resample(mesh478, "mesh478"))
    unsure = spread / np.maximum(distance, 1)
    apart = _disagreement(mesh478, wflw98)
    weight = 1 - 0.7 * _ramp(apart, 0.06, 0.12)
    rejected = (unsure > 0.04) | ((apart > 0.12) & (unsure > 0.012)) | (distance < 8)
    return np.where(rejected, 0, weight).astype(np.float32)


def _ramp(values: NDArray, low: float, high: float) -> NDArray:
    return np.clip((values - low) / (high - low), 0, 1)


def _disagreement(mesh478: NDArray, wflw98: NDArray) -> NDArray[np.float32]:
    """Return the teachers' mean distance (N,) at eyes and mouth in inter-ocular distances."""
    a, b = resample(mesh478, "mesh478"), resample(wflw98, "wflw98")
    rows = np.r_[GROUPS["LeftEye"], GROUPS["RightEye"], GROUPS["Mouth"]]
    return np.linalg.norm(a[:, rows] - b[:, rows], axis=2).mean(axis=1) / interocular_distance(a)


def _profile(dense: NDArray, topology: str, eyes: tuple[NDArray, NDArray]) -> NDArray[np.float32]:
    """Return the profile (N, 41, 2), cut at the line through the outer eye corners."""
    # The mesh goes on above the temples; WFLW's contour ends there and is prolonged straight on.
    above = {"mesh478": ([162], [389]), "wflw98": ([], [])}[topology]
    curves = load_topology(topology)
    left = above[0] + list(curves.indices("profile_left"))
    right = above[1] + list(curves.indices("profile_right"))[::-1]
    halves = [_cut_half(dense[:, left], eyes), _cut_half(dense[:, right], eyes)]
    return np.concatenate([halves[0], halves[1][:, -2::-1]], axis=1)


def _cut_half(outline: NDArray, eyes: tuple[NDArray, NDArray]) -> NDArray[np.float32]:
    """Resample half a profile (N, K, 2), temple to chin, into 21 points from eye level on."""
    fine = _uniform(outline, _PROFILE_SAMPLES)
    across = eyes[1] - eyes[0]
    down = np.stack([-across[:, 1], across[:, 0]], axis=1)
    level = ((fine - eyes[0][:, None]) * down[:, None]).sum(axis=2)
    step = np.clip((level > 0).argmax(axis=1) - 1, 0, _PROFILE_SAMPLES // 2)
    row = np.arange(len(fine))
    rise = level[row, step + 1] - level[row, step]
    start = step - level[row, step] / np.where(np.abs(rise) < 1e-6, 1, rise)
    start = np.clip(start, -_PROFILE_SAMPLES / 8, _PROFILE_SAMPLES / 3)
    last = _PROFILE_SAMPLES - 1
    position = start[:, None] + (last - start)[:, None] * np.linspace(0, 1, 21)
    whole = np.clip(np.floor(position).astype(int), 0, last - 1)
    before, after = fine[row[:, None], whole], fine[row[:, None], whole + 1]
    return (before + (position - whole)[..., None] * (after - before)).astype(np.float32)


def _uniform(polyline: NDArray, count: int) -> NDArray[np.float64]:
    """Resample polylines (N, K, 2) into `count` points, uniform in length."""
    out = np.empty((len(polyline), count, 2))
    for line, target in zip(polyline.astype(float), out, strict=True):
        length = np.r_[0, np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))]
        wanted = np.linspace(0, length[-1], count)
        target[:, 0] = np.interp(wanted, length, line[:, 0])
        target[:, 1] = np.interp(wanted, length, line[:, 1])
    return out
