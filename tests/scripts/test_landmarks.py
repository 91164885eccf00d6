"""The landmark regressors' training crops, made from one real face; needs no PyTorch."""

import numpy as np
import pytest

from faceshape.core.contract import GROUPS
from faceshape.vision.geometry import enclosing_boxes, line_roll

LEFT, RIGHT = GROUPS["LeftEye"].start, GROUPS["RightEye"].start


@pytest.fixture(scope="module")
def augmentation():
    from scripts.training import augmentation

    return augmentation


@pytest.fixture(scope="module")
def cut(augmentation, portrait, face):
    """Make a crop of 64 pixels with errors, by a seed."""
    crop = augmentation.BoxCrop(side=64, margin=1.4)
    background = np.full((64, 64, 3), 90, np.uint8)

    def make(errors, seed):
        return augmentation.random_face_crop(
            portrait,
            face.points,
            face.roll,
            crop,
            errors,
            background,
            np.random.default_rng(seed),
        )

    return make


def test_without_errors_it_is_the_crop_that_the_engine_cuts(augmentation, cut, portrait, face):
    crop, points = cut(augmentation.CropErrors(roll=0, size=0, centre=0), 0)
    exact = augmentation.BoxCrop(side=64, margin=1.4)
    expected, places = augmentation.crop_face(portrait, face.points, face.roll, exact)
    np.testing.assert_allclose(crop.astype(int), expected, atol=1)  # roundings
    np.testing.assert_allclose(points, places, atol=1e-6)
    np.testing.assert_allclose(line_roll(points[[LEFT]], points[[RIGHT]]), 0, atol=1e-3)
    [[x0, y0, x1, y1]] = enclosing_boxes(points[None])
    np.testing.assert_allclose([(x0 + x1) / 2, (y0 + y1) / 2], 0.5, atol=1e-6)
    np.testing.assert_allclose(max(x1 - x0, y1 - y0), 1 / 1.4, atol=1e-6)


def test_its_errors_are_as_large_as_they_should_be(augmentation, cut):
    errors = augmentation.CropErrors(roll=12, size=0.1, centre=0.05)
    points = np.stack([cut(errors, seed)[1] for seed in range(600)])
    eyes = points[:, RIGHT] - points[:, LEFT]
    roll = line_roll(points[:, LEFT], points[:, RIGHT])
    np.testing.assert_allclose(roll.std(), 12, rtol=0.1)
    np.testing.assert_allclose(np.log(np.hypot(*eyes.T)).std(), 0.1, rtol=0.2)
    boxes = enclosing_boxes(points)
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    np.testing.assert_allclose(middle.std(axis=0), 0.05, rtol=0.25)


@pytest.fixture(scope="module")
def exact(augmentation, portrait, face):
    """The astronaut's crop of 128 pixels, the dense landmarks in it, and a depth for each."""
    crop = augmentation.AlignedCrop(side=128, reach=3.7, below=0.16)
    pixels, points = augmentation.crop_face(portrait, face.dense, face.roll, crop)
    x, y = (points - points.mean(axis=0)).T
    return pixels, points, (x**2 + y**2).astype(np.float32)  # a ball's, about


def test_a_head_that_is_not_turned_stays_as_it_is(augmentation, exact):
    pixels, points, depth = exact
    same, places = augmentation.turn_face(pixels, points, depth, 0.0, 0.0)
    np.testing.assert_allclose(places, points, atol=1e-4)
    assert np.abs(same.astype(int) - pixels).max() <= 2


@pytest.mark.parametrize("yaw", [-25, 25])
def test_turning_a_head_moves_what_is_near_to_that_side(augmentation, exact, yaw):
    from scripts.labels.consensus import DENSE

    pixels, points, depth = exact
    _, places = augmentation.turn_face(pixels, points, depth, yaw, 0.0)
    [tip] = DENSE.indices("nose_tip")
    left, right = DENSE.indices("left_eye_lower")[0], DENSE.indices("right_eye_lower")[0]
    before = points[tip, 0] - (points[left, 0] + points[right, 0]) / 2
    after = places[tip, 0] - (places[left, 0] + places[right, 0]) / 2
    assert np.sign(after - before) == np.sign(yaw)
    assert np.linalg.norm(places[right] - places[left]) < np.linalg.norm(
        points[right] - points[left]
    )


def test_landmarks_go_with_the_pixels_of_a_turned_head(augmentation, exact):
    _, points, depth = exact
    for mark in points[[20, 41, 105, 151]]:
        y, x = (np.mgrid[:128, :128] + 0.5) / 128
        spot = 255 * np.exp(-((x - mark[0]) ** 2 + (y - mark[1]) ** 2) / (2 * 0.02**2))
        picture = np.repeat(spot[..., None], 3, axis=2).astype(np.uint8)
        turned, places = augmentation.turn_face(picture, points, depth, 20.0, 5.0)
        weight = turned[..., 0].astype(float)
        found = np.array([(x * weight).sum(), (y * weight).sum()]) / weight.sum()
        wanted = places[np.argmin(np.linalg.norm(points - mark, axis=1))]
        assert np.linalg.norm(found - wanted) < 0.012


def test_an_upside_down_crop_is_upside_down(augmentation, portrait, face):
    crop = augmentation.BoxCrop(side=64, margin=1.4)
    upright, _ = augmentation.crop_face(portrait, face.points, face.roll, crop)
    background = np.zeros((64, 64, 3), np.uint8)
    turned = augmentation.random_upside_down(
        portrait, face.points, face.roll, crop, background, np.random.default_rng(3)
    )
    assert turned.shape == upright.shape
    # The hair above the forehead is darker than the face: now it is below.
    assert upright[:12, 20:44].mean() < upright[24:40, 20:44].mean()


def test_dark_glasses_cover_the_eyes_and_little_else(augmentation, exact):
    pixels, points, _ = exact
    eyes = np.stack([points[41:57].mean(axis=0), points[57:73].mean(axis=0)]) * 128
    distance = float(np.linalg.norm(points[41] - points[57])) * 128
    rng = np.random.default_rng(0)
    covered = augmentation.with_dark_glasses(pixels, eyes, distance, 0.0, rng)
    changed = (covered != pixels).any(axis=2)
    assert all(changed[int(y), int(x)] for x, y in eyes)
    assert not changed[90:].any()
    assert changed.mean() < 0.2


def test_some_pictures_become_posters_of_few_colours(augmentation, portrait):
    lights = [augmentation.random_light(portrait, np.random.default_rng(n)) for n in range(100)]
    colours = np.array([len(np.unique(each.reshape(-1, 3), axis=0)) for each in lights])
    posters = colours <= 4
    assert 0 < posters.sum() < 10
    assert (colours[~posters] > 100).all()
