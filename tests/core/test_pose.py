import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceshape.core.contract import MIRROR
from faceshape.core.pose import head_pose, mean_face, pose_rotation
from faceshape.errors import ShapeError

angles = st.tuples(st.floats(-60, 60), st.floats(-40, 40), st.floats(-179, 179))


def seen_from(pose, scale=90.0, shift=(200.0, 150.0)):
    """The mean face (90, 2) turned and seen by a camera far away; other points are not used."""
    rows, shape = mean_face()
    points = np.full((90, 2), 1e3, np.float32)
    points[rows] = (shape @ pose_rotation(pose).T)[:, :2] * scale + shift
    return points


@given(angles, st.floats(1, 1e4))
def test_a_known_pose_is_found(pose, scale):
    [found] = head_pose(seen_from(pose, scale)[None])
    assert found == pytest.approx(pose, abs=0.1)


def test_the_signs(astronaut, engine):
    rows, shape = mean_face()
    nose = np.flatnonzero(rows == 75)[0]
    still = shape[nose]
    assert still[2] < 0  # towards the camera
    assert (pose_rotation((20, 0, 0)) @ still)[0] < still[0]  # yaw: to the left of the picture
    assert (pose_rotation((0, 20, 0)) @ still)[1] > still[1]  # pitch: down
    right = np.array([1.0, 0, 0])
    assert (pose_rotation((0, 0, 20)) @ right)[1] > 0  # roll: clockwise


def test_turning_the_picture_is_roll_and_mirroring_it_changes_yaw_and_roll(face):
    [pose] = head_pose(face.points[None])
    turn = np.radians(25)
    turned = face.points @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    assert head_pose(turned[None])[0] == pytest.approx(pose + np.array([0, 0, 25]), abs=0.01)
    mirrored = (face.points * [-1, 1])[MIRROR]
    assert head_pose(mirrored[None])[0] == pytest.approx(pose * [-1, 1, -1], abs=0.2)


def test_many_at_once_and_none(face):
    both = np.stack([face.points, seen_from((10, 5, 3))])
    assert head_pose(both) == pytest.approx(np.concatenate([head_pose(one[None]) for one in both]))
    assert head_pose(np.empty((0, 90, 2))).shape == (0, 3)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e308])
def test_points_that_are_no_face(bad):
    broken = np.stack([np.full((90, 2), 7.0), seen_from((0, 0, 0)), np.full((90, 2), bad)])
    broken[1, 75] = bad, -bad
    assert np.isnan(head_pose(broken)).all()
    for values in (np.zeros((90, 2)), None, [[1], [1, 2]]):
        with pytest.raises(ShapeError):
            head_pose(values)
