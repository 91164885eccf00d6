"""The pose benchmark: a turn by nothing changes nothing, and angles are angles."""

import numpy as np
import pytest

from benchmarks.accuracy import pose
from faceshape.core.pose import pose_rotation


@pytest.fixture(scope="module")
def mesh(portrait):
    """Half a ball before the portrait."""
    rng = np.random.default_rng(3)
    flat = rng.uniform(-0.6, 0.6, (200, 2))
    depth = -np.sqrt(1 - (flat**2).sum(axis=1))
    return 80 * np.concatenate([flat, depth[:, None]], axis=1) + [128, 128, 0]


def test_a_turn_by_nothing_leaves_the_picture(portrait, mesh):
    there = pose.turned_mesh(mesh, (0, 0, 0))
    assert there == pytest.approx(mesh)
    drawn = pose.turned_picture(portrait, mesh, there)
    assert np.abs(drawn.astype(int) - portrait).mean() < 2


def test_a_turn_moves_what_is_near_with_the_nose(portrait, mesh):
    there = pose.turned_mesh(mesh, (20, 0, 0))
    nearest = mesh[:, 2].argmin()
    assert there[nearest, 0] < mesh[nearest, 0]
    drawn = pose.turned_picture(portrait, mesh, there)
    assert np.abs(drawn.astype(int) - portrait).mean() > 5
    assert (drawn[0] == portrait[0]).mean() > 0.9  # the border stays


def test_the_angle_between_rotations():
    assert pose.rotation_angle(pose_rotation((0, 0, 0)), pose_rotation((0, 30, 0))) == (
        pytest.approx(30)
    )
