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
    np.testing.assert_array_equal(crop, expected)
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
