"""The label builder, on teachers made from one real face; needs no training extra."""

import numpy as np
import pytest

from faceshape.core.contract import GROUPS, interocular_distance, resample
from faceshape.core.topology import load_topology


@pytest.fixture(scope="module")
def labels():
    from scripts.labels import consensus

    return consensus


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
    # WFLW marks the nose's base; the wings are combinations of that and of the ridge.
    wflw = made[1][0]
    for end, side in ((55, "left"), (59, "right")):
        wing = face.dense[ours.indices(f"nose_wing_{side}")[0]]
        wflw[end] = (wing - 0.12 * wflw[51] - 0.43 * wflw[54] + 0.8 * wflw[57]) / 1.25
    # The mesh goes on above the temples.
    made[0][0, [162, 389]] = 2 * made[0][0, [127, 356]] - made[0][0, [234, 454]]
    return made[0], made[1]


@pytest.fixture
def unmoved(labels, monkeypatch):
    """Labels where the teachers see them, not where people mark them."""
    monkeypatch.setattr(labels, "as_people_mark", lambda dense: dense)


@pytest.mark.usefixtures("unmoved")
def test_teachers_that_agree_are_followed(labels, teachers, face):
    dense = labels.consensus(*teachers)
    off = np.linalg.norm(resample(dense, "dense166")[0] - face.points, axis=1)
    assert off.mean() < 0.02 * interocular_distance(face.points)
    assert off.max() < 0.1 * interocular_distance(face.points)


@pytest.mark.usefixtures("unmoved")
def test_the_profile_starts_at_the_level_of_the_eye_corners(labels, teachers):
    [points] = resample(labels.consensus(*teachers), "dense166")
    left, right = points[GROUPS["LeftEye"].start], points[GROUPS["RightEye"].start]
    down = np.array([-(right - left)[1], (right - left)[0]]) / np.linalg.norm(right - left)
    for temple in points[[0, 20]]:
        assert abs((temple - left) @ down) < 0.02 * interocular_distance(points)


@pytest.mark.usefixtures("unmoved")
def test_the_outline_wins_where_the_teachers_disagree(labels, teachers, face):
    mesh, wflw = teachers[0].copy(), teachers[1].copy()
    jaw = list(range(12, 21))  # WFLW's chin, far below the mesh's: an open mouth
    wflw[0, jaw, 1] += 0.3 * interocular_distance(face.points)
    [points] = resample(labels.consensus(mesh, wflw), "dense166")
    assert points[10, 1] > wflw[0, 16, 1] - 0.06 * interocular_distance(face.points)


@pytest.mark.usefixtures("unmoved")
def test_a_teacher_that_lost_the_face_is_not_asked(labels, teachers, face):
    mesh, wflw = teachers
    away = wflw + np.float32(0.4 * interocular_distance(face.points))
    off = np.linalg.norm(
        labels.consensus(mesh, away) - labels.consensus(mesh, mesh_as(mesh)), axis=2
    )
    assert off.max() < 0.02 * interocular_distance(face.points)


def mesh_as(mesh):
    """Return WFLW's points far from the mesh's: what becomes of them must not matter."""
    return np.full((len(mesh), 98, 2), mesh.max() * 9, np.float32)


def test_people_mark_both_sides_of_a_face_alike(labels, face):
    mirror = labels.DENSE.mirror()
    dense = face.dense[None]
    moved = labels.as_people_mark(dense)
    mirrored = labels.as_people_mark((dense * [-1, 1]).astype(np.float32)[:, mirror])
    np.testing.assert_allclose((mirrored * [-1, 1])[:, mirror], moved, atol=0.02)


def test_people_mark_wider_jaws_at_any_roll_and_size(labels, face):
    angle = np.radians(50)
    turn = 3 * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = labels.as_people_mark(face.dense[None])[0]
    turned = labels.as_people_mark((face.dense @ turn.T).astype(np.float32)[None])[0]
    np.testing.assert_allclose(turned, moved @ turn.T, atol=0.1)
    before, after = (np.ptp(each[list(labels.PROFILE)], axis=0)[0] for each in (face.dense, moved))
    assert 1.005 < after / before < 1.04


def test_dense_values_are_those_of_the_contract_between_its_points(labels):
    rows = np.arange(90.0)[:, None]
    dense = labels.to_dense(rows)[:, 0]
    assert dense[:5].tolist() == [0, 0.5, 1, 1.5, 2]
    [pupil] = labels.DENSE.indices("right_pupil")
    assert dense[pupil] == 89
    lower = list(labels.DENSE.indices("left_eye_lower"))
    assert dense[lower].tolist() == np.linspace(21, 25, 9).tolist()
    assert dense[labels.DENSE.indices("left_eye_upper")[1]] == (25 + 26) / 2


def test_a_profile_beyond_the_border_is_not_seen(labels, face, portrait):
    dense, size = face.dense[None], np.array([portrait.shape[:2]])
    assert labels.seen(dense, size).all()
    chin = dense[0, labels.PROFILE[20], 1]
    cut = labels.seen(dense, np.array([[int(chin) - 10, portrait.shape[1]]]))[0]
    assert not cut[labels.PROFILE[20]]
    assert cut[labels.PROFILE[0]]
    others = np.setdiff1d(np.arange(labels.DENSE.points), labels.PROFILE)
    assert cut[others].all()


@pytest.mark.parametrize("topology", ["mesh478", "wflw98"])
def test_names_of_a_mirrored_face(topology):
    """Twice mirrored is as before, and the curves of one side become those of the other."""
    from scripts.labels.teachers import mirror

    names, curves = mirror(topology), load_topology(topology)
    assert (names[names] == np.arange(len(names))).all()
    for left, right in (("left_eye_lower", "right_eye_lower"), ("left_pupil", "right_pupil")):
        assert names[list(curves.indices(left))].tolist() == list(curves.indices(right))
    jaw = list(curves.indices("profile_left"))
    assert names[jaw].tolist() == list(curves.indices("profile_right"))[::-1]


def test_weights_fall_with_doubt(labels, teachers):
    mesh, wflw = teachers
    assert labels.label_weight(mesh, wflw, np.array([0.1]))[0] == pytest.approx(1, abs=0.05)
    assert labels.label_weight(mesh, wflw, np.array([50.0]))[0] == 0
    moved = wflw + np.float32(20)
    assert labels.label_weight(mesh, moved, np.array([0.1]))[0] < 0.4
    assert labels.label_weight(mesh, moved, np.array([2.0]))[0] == 0
