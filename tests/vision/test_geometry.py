import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from faceshape.vision.geometry import (
    aligned_similarities,
    aligned_transforms,
    apply_transforms,
    box_area,
    box_iou,
    boxes_along_roll,
    centred_similarities,
    corner_shifts,
    crop_transforms,
    ellipse_boxes,
    enclosing_boxes,
    non_maximum_suppression,
    pixel_matrix,
    similarity_transforms,
    to_complex,
    turn_boxes,
    undo_pairs,
    undo_similarities,
    wrap_degrees,
)

coordinates = st.floats(-2000, 4000, allow_nan=False, width=32)
sides = st.floats(8, 2000, width=32)


@st.composite
def boxes(draw):
    x, y, width, height = draw(st.tuples(coordinates, coordinates, sides, sides))
    return np.array([[x, y, x + width, y + height]])


def test_nothing_gives_nothing():
    empty = np.empty((0, 4))
    assert box_area(empty).shape == (0,)
    assert box_iou(empty, [[0, 0, 1, 1]]).shape == (0, 1)
    assert non_maximum_suppression(empty, []).shape == (0,)
    assert crop_transforms(empty, [], 128, 1.3).shape == (0, 2, 3)
    assert turn_boxes(empty, 1, (4, 5)).shape == (0, 4)


def test_area_and_overlap_by_hand():
    assert box_area([[0, 0, 2, 3], [2, 2, 1, 5]]).tolist() == [6, 0]
    found = box_iou([[0, 0, 2, 2]], [[1, 1, 3, 3], [0, 0, 2, 2], [5, 5, 6, 6], [0, 0, 0, 0]])
    np.testing.assert_allclose(found, [[1 / 7, 1, 0, 0]])


def test_suppression_keeps_the_best_of_each_cluster():
    cluster = [[0, 0, 10, 10], [1, 0, 11, 10], [50, 50, 60, 60], [0, 1, 10, 11]]
    assert non_maximum_suppression(cluster, [0.5, 0.9, 0.1, 0.7], 0.4).tolist() == [1, 2]


@settings(max_examples=50, deadline=None)
@given(
    arrays(float, (12, 4), elements=st.floats(0, 50)), arrays(float, 12, elements=st.floats(0, 1))
)
def test_what_is_kept_does_not_overlap_and_covers_the_rest(corners, scores):
    candidates = np.concatenate([corners[:, :2], corners[:, :2] + corners[:, 2:]], axis=1)
    keep = non_maximum_suppression(candidates, scores, 0.3)
    among = box_iou(candidates[keep], candidates[keep]) - np.eye(len(keep))
    assert (among[~np.eye(len(keep), dtype=bool)] <= 0.3).all()
    gone = np.setdiff1d(np.arange(12), keep)
    assert (box_iou(candidates[gone], candidates[keep]) > 0.3).any(axis=1).all()


@settings(max_examples=100, deadline=None)
@given(boxes(), st.floats(-360, 360))
def test_crop_round_trip_is_exact(box, roll):
    transform = crop_transforms(box, [roll], 128, 1.3)
    points = np.random.default_rng(0).uniform(box[0, :2], box[0, 2:], (1, 90, 2))
    back = undo_similarities(transform, apply_transforms(transform, points))
    np.testing.assert_allclose(back, points, atol=1e-3)


@settings(max_examples=50, deadline=None)
@given(boxes(), st.floats(-180, 180))
def test_the_box_fills_its_share_of_the_crop_and_stands_upright(box, roll):
    [transform] = crop_transforms(box, [roll], 128, 1.6)
    centre = (box[:, :2] + box[:, 2:]) / 2
    np.testing.assert_allclose(
        apply_transforms(transform[None], centre[None])[0], [[64, 64]], atol=0.05
    )
    eye_line = np.array([np.cos(np.radians(roll)), np.sin(np.radians(roll))])
    along = transform[:, :2] @ eye_line * (box[:, 2:] - box[:, :2]).max()
    np.testing.assert_allclose(along, [128 / 1.6, 0], atol=1e-6)


def test_enclosing_boxes_touch_the_outermost_points():
    points = np.array([[[1, 5], [3, 2], [2, 9]]])
    assert enclosing_boxes(points).tolist() == [[1, 2, 3, 9]]


@settings(max_examples=50, deadline=None)
@given(st.floats(-180, 180))
def test_boxes_along_a_roll_fill_the_crop_exactly(roll):
    points = np.random.default_rng(0).uniform(0, 100, (1, 20, 2))
    box = boxes_along_roll(points, [roll])
    crop = apply_transforms(crop_transforms(box, [roll], 128, 1.0), points)
    assert abs(enclosing_boxes(crop)[0].reshape(2, 2).sum(axis=0) - 128).max() < 1e-2
    assert abs(np.ptp(crop[0], axis=0).max() - 128) < 1e-2


def test_a_whole_pixel_shift_is_the_same_for_opencv():
    shift = np.array([[1.0, 0, 3], [0, 1, -2]])
    np.testing.assert_array_equal(pixel_matrix(shift), shift)
    # Doubling: the first pixel, [0, 1), becomes [0, 2), whose centre is pixel coordinate 0.5.
    doubled = pixel_matrix(np.array([[2.0, 0, 0], [0, 2, 0]]))
    np.testing.assert_array_equal(doubled @ [0, 0, 1], [0.5, 0.5])


@pytest.mark.parametrize("turns", range(4))
def test_turned_boxes_hold_the_same_pixels(turns):
    picture = np.zeros((30, 40), int)
    picture[5:11, 20:33] = 1
    rows, columns = np.nonzero(np.rot90(picture, turns))
    seen = [[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]]
    assert turn_boxes(seen, turns, picture.shape).tolist() == [[20, 5, 33, 11]]


def test_angles_are_wrapped():
    assert wrap_degrees([180, 270, -190, 45]).tolist() == [-180, -90, 170, 45]


@given(st.tuples(sides, sides), st.floats(-720, 720, width=32))
def test_ellipse_boxes_are_tight(size, roll):
    angle = np.radians(roll)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    around = np.linspace(0, 2 * np.pi, 721)
    outline = np.stack([np.cos(around), np.sin(around)], axis=1) * np.array(size) / 2
    expected = enclosing_boxes((outline @ turn.T + [30, -7])[None])
    np.testing.assert_allclose(
        ellipse_boxes([[30, -7]], [size], [roll]), expected, atol=1e-3 * max(size)
    )


def test_ellipse_boxes_of_quarter_turns_swap_the_sides():
    found = ellipse_boxes([[0, 0]] * 3, [[6, 4]] * 3, [0, 90, -180])
    expected = [[-3, -2, 3, 2], [-2, -3, 2, 3], [-3, -2, 3, 2]]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert ellipse_boxes(np.empty((0, 2)), np.empty((0, 2)), []).shape == (0, 4)


@settings(max_examples=50, deadline=None)
@given(st.floats(-180, 180), st.booleans())
def test_undoing_a_similarity_is_its_inverse(roll, mirrored):
    transforms = crop_transforms([[3, 4, 50, 70], [-9, 0, 5, 5]], [roll, 30], 128, 1.3)
    if mirrored:
        transforms[:, 0] *= -1
    points = np.random.default_rng(0).uniform(-50, 200, (2, 20, 2))
    moved = apply_transforms(transforms, points)
    np.testing.assert_allclose(undo_similarities(transforms, moved), points, atol=1e-9)


@settings(max_examples=50, deadline=None)
@given(st.floats(-180, 180), st.floats(0.1, 50))
def test_aligned_crops_show_points_upright_in_one_place_and_size(roll, scale):
    points = np.random.default_rng(0).uniform(0, 100, (1, 20, 2))
    turn = np.radians(roll)
    moved = scale * points @ [[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]] + 30
    lines = moved[:, 1] - moved[:, 0]
    transforms = aligned_transforms(moved, lines, side=128, reach=4, below=0.2)
    crops = apply_transforms(transforms, moved)
    np.testing.assert_allclose((crops[:, 1] - crops[:, 0])[:, 1], 0, atol=1e-6)
    off = crops - crops.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(np.sqrt((off**2).sum(axis=2).mean()), 128 / 4)
    np.testing.assert_allclose(crops.mean(axis=1), [[64, 64 - 0.2 * 128 / 4]], atol=1e-6)
    before = apply_transforms(
        aligned_transforms(points, points[:, 1] - points[:, 0], 128, 4, 0.2), points
    )
    np.testing.assert_allclose(crops, before, atol=1e-6)


def test_centred_similarities_move_places_to_the_middle():
    points = np.array([[[30.0, 7.0], [31.0, 7.0]], [[-4.0, 50.0], [-4.0, 52.0]]])
    pairs = centred_similarities(to_complex(points[:, 0]), np.array([2j, 0.5]), 40)
    places = apply_transforms(similarity_transforms(pairs), points)
    np.testing.assert_allclose(undo_pairs(pairs, places), points)
    # The first is turned by a quarter, clockwise as seen, and doubled; the second halved.
    np.testing.assert_allclose(places, [[[20, 20], [20, 22]], [[20, 20], [20, 21]]])


def test_corner_shifts_are_those_of_the_corners():
    rng = np.random.default_rng(0)
    side = 64
    pairs, others = (
        aligned_similarities(
            rng.normal(100, 40, (7, 12, 2)), rng.normal(0, 30, (7, 2)), side, 3.6, 0.1
        )
        for _ in range(2)
    )
    corners = side * np.array([[[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]])
    crops, wanted = similarity_transforms(pairs), similarity_transforms(others)
    there = apply_transforms(wanted, undo_similarities(crops, corners))
    expected = np.linalg.norm(there - corners, axis=2).max(axis=1) / side
    np.testing.assert_allclose(corner_shifts(pairs, others, side), expected, rtol=1e-9)
    assert (corner_shifts(pairs, pairs, side) < 1e-12).all()
