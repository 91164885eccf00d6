import numpy as np
import pytest

from faceshape.vision.light import lit


def dark(picture: np.ndarray, factor: float) -> np.ndarray:
    return np.round(picture * factor).astype(np.uint8)


def test_bright_and_black_pictures_are_returned_as_they_are(portrait):
    for picture in (portrait, np.zeros_like(portrait), np.full_like(portrait, 255)):
        assert lit(picture) is picture


@pytest.mark.parametrize("factor", [0.3, 0.1, 0.05])
def test_dark_pictures_are_brightened_alike(portrait, factor):
    brighter = lit(dark(portrait, factor))
    assert brighter.dtype == np.uint8
    assert np.percentile(brighter.max(axis=2), 99) == pytest.approx(120, abs=4)
    expected = portrait * (120 / np.percentile(portrait.max(axis=2), 99))
    assert np.abs(brighter - np.minimum(expected, 255)).mean() < 3 / factor**0.5


def test_a_lamp_keeps_the_night(portrait):
    night = dark(portrait, 0.1)
    night[:40, :40] = 250
    assert lit(night) is night


@pytest.mark.parametrize("shape", [(1, 1), (1, 900), (900, 1), (65, 3)])
def test_any_shape_is_taken(shape):
    picture = np.full((*shape, 3), 40, np.uint8)
    assert (lit(picture) == 120).all()


def test_there_is_no_jump_at_the_limit():
    for level in (119, 120, 121):
        assert np.abs(lit(np.full((9, 9, 3), level, np.uint8)).astype(int) - level).max() <= 1
