import numpy as np

from faceshape.contract import GROUPS
from faceshape.draw import GROUP_COLOURS, overlay


def test_no_faces_leave_a_copy(portrait):
    drawn = overlay(portrait, [])
    np.testing.assert_array_equal(drawn, portrait)
    assert drawn is not portrait


def test_every_group_has_a_colour():
    assert set(GROUP_COLOURS) == set(GROUPS)


def test_points_are_drawn_where_they_are(portrait, face):
    before = portrait.copy()
    drawn = overlay(portrait, [face])
    np.testing.assert_array_equal(portrait, before)
    for name in ("FaceProfile", "Mouth", "Nose", "LeftPupil"):
        for x, y in np.floor(face.group(name)).astype(int):
            assert np.abs(drawn[y, x].astype(int) - GROUP_COLOURS[name]).max() < 60, name


def test_points_outside_the_picture_are_no_crash(portrait, face):
    assert overlay(portrait[:40, :40], [face]).shape == (40, 40, 3)
