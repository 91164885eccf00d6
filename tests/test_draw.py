import dataclasses

import cv2
import numpy as np
import pytest
from PIL import Image
from skimage.color import deltaE_ciede2000, rgb2lab

from faceshape.core.contract import GROUPS
from faceshape.draw import GROUP_COLOURS, overlay, write_names

# What colour-blind people see of linear RGB: Machado, Oliveira & Fernandes 2009, severity 1.
SIGHT = {
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
    "all": np.eye(3),
}


def enlarged(face, factor):
    """The face alone in a dark picture, so many times as large."""
    points = (face.points - face.points.min(axis=0) + 10) * factor
    side = int(np.ceil((np.ptp(face.points, axis=0).max() + 20) * factor))
    moved = dataclasses.replace(face, points=points.astype(np.float32))
    return np.full((side, side, 3), 24, np.uint8), moved


def test_no_faces_leave_a_copy(portrait):
    for drawn in (
        overlay(portrait, []),
        overlay(portrait, [], True),
        write_names(portrait, [], []),
    ):
        np.testing.assert_array_equal(drawn, portrait)
        assert drawn is not portrait


def test_every_group_has_a_colour():
    assert set(GROUP_COLOURS) == set(GROUPS)


@pytest.mark.parametrize("sight", SIGHT)
def test_all_can_tell_the_groups_apart(sight):
    """Differences of two are seen when looking closely, ten at a glance."""
    colours = np.array(list(GROUP_COLOURS.values())) / 255
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.transpose(SIGHT[sight]), 0, 1)
    lab = rgb2lab(np.where(seen <= 0.0031308, 12.92 * seen, 1.055 * seen ** (1 / 2.4) - 0.055))
    apart = deltaE_ciede2000(lab[:, None], lab[None])
    assert apart[~np.eye(len(colours), dtype=bool)].min() > 10


@pytest.mark.parametrize("indices", [False, True])
def test_points_are_drawn_where_they_are(portrait, face, indices):
    before = portrait.copy()
    drawn = overlay(portrait, [face])
    np.testing.assert_array_equal(portrait, before)
    for name in ("FaceProfile", "Mouth", "Nose", "LeftPupil"):
        for x, y in np.floor(face.group(name)).astype(int):
            assert np.abs(drawn[y, x].astype(int) - GROUP_COLOURS[name]).max() < 60, name
    canvas, large = enlarged(face, 6)
    drawn = overlay(canvas, [large], indices)
    for name in GROUPS:
        for x, y in np.floor(large.group(name)).astype(int):
            assert np.abs(drawn[y, x].astype(int) - GROUP_COLOURS[name]).max() < 60, name


def test_lines_grow_with_the_face(face):
    shares = [
        (overlay(canvas, [large]) != 24).mean()
        for canvas, large in (enlarged(face, factor) for factor in (4, 8))
    ]
    assert shares[1] == pytest.approx(shares[0], rel=0.15)


def test_curves_are_smooth_and_pass_through_their_points(face):
    """A circle of points for the profile: the curve stays on it between them."""
    angle = np.linspace(np.pi, 0, 21)
    circle = 250 + 200 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    points = np.full((90, 2), -1000.0)
    points[GROUPS["FaceProfile"]] = circle
    lone = dataclasses.replace(face, points=points.astype(np.float32))
    drawn = overlay(np.zeros((500, 500, 3), np.uint8), [lone])
    between = (angle[1:] + angle[:-1]) / 2
    places = 250 + 200 * np.stack([np.cos(between), np.sin(between)], axis=1)
    x, y = np.floor(places).astype(int).T
    assert np.abs(drawn[y, x].astype(int) - GROUP_COLOURS["FaceProfile"]).max() < 80
    radius = np.linalg.norm(np.argwhere(drawn.any(axis=2))[:, ::-1] + 0.5 - 250, axis=1)
    assert np.abs(radius - 200).max() < 2 + 1 + np.ptp(lone.points, axis=0).max() / 110


def test_indices_are_written_beside_the_points_on_request(face):
    canvas, large = enlarged(face, 6)
    plain, numbered = overlay(canvas, [large]), overlay(canvas, [large], indices=True)
    changed = (plain != numbered).any(axis=2)
    # Next to each point, and nowhere else.
    distance = cv2.distanceTransform((~changed).astype(np.uint8), cv2.DIST_L2, 3)
    x, y = np.floor(large.points).astype(int).T
    assert distance[y, x].max() < 20
    away = np.ones(changed.shape, np.uint8)
    away[y, x] = 0
    assert cv2.distanceTransform(away, cv2.DIST_L2, 3)[changed].max() < 45


def test_names_stand_above_the_faces(portrait, face):
    drawn = write_names(portrait, [face], ["12"])
    rows, columns = np.nonzero((drawn != portrait).any(axis=2))
    low, high = face.points.min(axis=0), face.points.max(axis=0)
    assert rows.max() <= low[1] + 2
    assert rows.max() - rows.min() > 8
    assert abs(columns.mean() - (low[0] + high[0]) / 2) < 5


@pytest.mark.parametrize("indices", [False, True])
def test_points_outside_the_picture_are_no_crash(portrait, face, indices):
    assert overlay(portrait[:40, :40], [face], indices).shape == (40, 40, 3)
    assert write_names(portrait[:40, :40], [face], ["1"]).shape == (40, 40, 3)


def test_points_that_coincide_are_no_crash(portrait, face):
    point = dataclasses.replace(face, points=np.full((90, 2), 100, np.float32))
    changed = (overlay(portrait, [point], indices=True) != portrait).any(axis=2)
    assert changed[95:105, 95:105].any()
    assert not changed[:60].any()


def test_every_source_is_drawn_on(portrait, face, tmp_path):
    expected = overlay(portrait, [face])
    path = tmp_path / "photo.png"
    Image.fromarray(portrait).save(path)
    for source in (path, path.read_bytes(), Image.open(path), portrait.astype(np.uint16) * 257):
        np.testing.assert_array_equal(overlay(source, [face]), expected)
    bgr = portrait[:, :, ::-1].copy()
    before = bgr.copy()
    np.testing.assert_array_equal(overlay(bgr, [face], channels="bgr"), expected)
    np.testing.assert_array_equal(bgr, before)
    grey = overlay(np.asarray(Image.open(path).convert("L")), [face])
    assert grey.shape == portrait.shape
