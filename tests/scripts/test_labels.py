"""The label builder, on teachers made from one real face; needs no training extra."""

import numpy as np
import pytest

from faceshape.core.contract import GROUPS, interocular_distance, resample
from faceshape.core.topology import load_topology


@pytest.fixture(scope="module")
def labels():
    from scripts.landmarks import data as landmark_data

    return landmark_data


@pytest.fixture(scope="module")
def teachers(face) -> tuple[np.ndarray, np.ndarray]:
    """Landmarks (1, P, 2) as both teachers would give them if they were right."""
    ours = load_topology("dense166")
    made = []
    for name in ("mesh478", "wflw98"):
        theirs = load_topology(name)
        points = np.zeros((1, theirs.points, 2), np.float32)
        for curve, controls in theirs.curves.items():
            line = face.dense[list(ours.indices(curve))]
            places = np.linspace(0, len(line) - 1, len(controls))
            for control, place in zip(controls, places, strict=True):
                low = int(place)
                high = min(low + 1, len(line) - 1)
                if len(control) <= 2:  # a mean of two points: both lie there
                    for index in control:
                        points[0, index] = line[low] + (place - low) * (line[high] - line[low])
        made.append(points)
    # The mesh goes on above the temples.
    made[0][0, [162, 389]] = 2 * made[0][0, [127, 356]] - made[0][0, [234, 454]]
    return made[0], made[1]


def test_teachers_that_agree_are_followed(labels, teachers, face):
    dense = labels.consensus(*teachers)
    off = np.linalg.norm(resample(dense, "dense166")[0] - face.points, axis=1)
    assert off.mean() < 0.02 * interocular_distance(face.points)


def test_the_profile_starts_at_the_level_of_the_eye_corners(labels, teachers):
    [points] = resample(labels.consensus(*teachers), "dense166")
    left, right = points[GROUPS["LeftEye"].start], points[GROUPS["RightEye"].start]
    down = np.array([-(right - left)[1], (right - left)[0]]) / np.linalg.norm(right - left)
    for temple in points[[0, 20]]:
        assert abs((temple - left) @ down) < 0.02 * interocular_distance(points)


def test_the_outline_wins_where_the_teachers_disagree(labels, teachers, face):
    mesh, wflw = teachers[0].copy(), teachers[1].copy()
    jaw = list(range(12, 21))  # WFLW's chin, far below the mesh's: an open mouth
    wflw[0, jaw, 1] += 0.3 * interocular_distance(face.points)
    [points] = resample(labels.consensus(mesh, wflw), "dense166")
    assert points[10, 1] > wflw[0, 16, 1] - 0.03 * interocular_distance(face.points)


def test_weights_fall_with_doubt(labels, teachers):
    mesh, wflw = teachers
    assert labels.label_weight(mesh, wflw, np.array([0.1]))[0] == pytest.approx(1, abs=0.05)
    assert labels.label_weight(mesh, wflw, np.array([50.0]))[0] == 0
    moved = wflw + np.float32(20)
    assert labels.label_weight(mesh, moved, np.array([0.1]))[0] < 0.4
    assert labels.label_weight(mesh, moved, np.array([2.0]))[0] == 0
