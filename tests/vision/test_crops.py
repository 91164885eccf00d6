import cv2
import numpy as np
import pytest

from faceshape.vision.crops import cut_crops, warp_crop
from faceshape.vision.geometry import apply_transforms, crop_transforms
from faceshape.vision.pyramid import Pyramid


@pytest.mark.parametrize("scale", [0.1, 0.3, 0.7, 1, 3])
def test_a_crop_shows_a_place_where_the_transform_says(scale):
    """A bright dot, drawn in the picture, lies at its mapped place in the crop."""
    side = int(80 / scale)
    picture = np.zeros((int(400 / scale), int(500 / scale), 3), np.uint8)
    centre = np.array([260.0, 210.0]) / scale
    radius = max(2, round(6 / scale))
    cv2.circle(picture, tuple(int(c) for c in centre), radius, (255, 255, 255), -1)
    box = np.array([[*(centre - side * 0.6), *(centre + side * 0.4)]])
    transform = crop_transforms(box, [30.0], 128, 1.3)[0]
    crop = warp_crop(picture, transform, 128).astype(float)[..., 0]
    y, x = np.mgrid[:128, :128] + 0.5
    found = np.array([(x * crop).sum(), (y * crop).sum()]) / crop.sum()
    expected = apply_transforms(transform[None], [[np.floor(centre) + 0.5]])[0, 0]
    np.testing.assert_allclose(found, expected, atol=0.15)


def test_crops_of_a_batch_are_the_single_ones(portrait):
    boxes = [[60, 40, 180, 200], [-50, -50, 30, 30], [0, 0, 256, 256], [900, 900, 950, 950]]
    transforms = crop_transforms(boxes, [10, -40, 180, 0], 48, 1.2)
    crops = cut_crops(Pyramid(portrait), transforms, 48)
    assert crops.shape == (4, 48, 48, 3)
    for crop, transform in zip(crops, transforms, strict=True):
        assert (crop == warp_crop(portrait, transform, 48)).all()
    assert not crops[3].any()
    assert cut_crops(Pyramid(portrait), np.empty((0, 2, 3)), 48).shape == (0, 48, 48, 3)


def test_a_mirrored_transform_gives_the_mirrored_crop(portrait):
    [transform] = crop_transforms([[60, 40, 180, 200]], [25], 64, 1.2)
    mirrored = transform * [[-1], [1]] + [[0, 0, 64], [0, 0, 0]]
    crop, other = (warp_crop(portrait, each, 64).astype(int) for each in (transform, mirrored))
    assert np.abs(crop[:, ::-1] - other).max() <= 4  # OpenCV rounds places to 1/32 pixel


def test_beyond_the_picture_is_the_border():
    picture = np.full((40, 40, 3), 200, np.uint8)
    [transform] = crop_transforms([[0, 0, 40, 40]], [0], 80, 2.0)
    assert not warp_crop(picture, transform, 80)[:19].any()
    border = np.full((80, 80, 3), 7, np.uint8)
    framed = warp_crop(picture, transform, 80, border)
    assert (framed[:19] == 7).all()
    assert (framed[21:59, 21:59] == 200).all()
    assert (border == 7).all()
