import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceshape.vision.pyramid import Pyramid, halved


def mean_of_squares(picture: np.ndarray, step: int, inner: slice = slice(None)) -> np.ndarray:
    """The mean over each step × step pixels, or over those inside each that are given."""
    rows, columns = (side // step for side in picture.shape[:2])
    squares = picture[: rows * step, : columns * step].reshape(rows, step, columns, step, 3)
    return squares[:, inner][:, :, :, inner].mean(axis=(1, 3))


@pytest.mark.parametrize("odd", [0, 1])
def test_halving_gives_the_mean_of_each_square(astronaut, odd):
    picture = astronaut[: 200 + odd, :300]
    found = halved(picture)
    assert found.shape == (100, 150, 3)
    assert np.abs(found - mean_of_squares(picture, 2)).max() <= 0.5


@pytest.mark.parametrize("halvings", [2, 3, 4])
def test_high_levels_are_the_mean_of_the_inner_four(astronaut, halvings):
    found = Pyramid(astronaut[:403, :302]).level(halvings)
    expected = mean_of_squares(astronaut[:403, :302], 4, slice(1, 3))
    expected = mean_of_squares(expected, 2 ** (halvings - 2))
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 0.5 * (halvings - 1)


@given(
    shape=st.tuples(st.integers(16, 70), st.integers(16, 70)),
    halvings=st.integers(0, 4),
    known=st.integers(0, 2),
    places=st.tuples(*[st.floats(0, 1)] * 4),
)
def test_a_part_is_that_of_the_whole_level(shape, halvings, known, places):
    """Whatever has been asked for before."""
    picture = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    pyramid, step = Pyramid(picture), 2**halvings
    pyramid.level(known)
    rows, columns = (
        slice(low := int(place * side / step) * step, low + max(step, int(share * (side - low))))
        for side, place, share in zip(shape, places[:2], places[2:], strict=True)
    )
    rows, columns = (
        slice(min(each.start, side - step) // step * step, min(each.stop, side))
        for each, side in zip((rows, columns), shape, strict=True)
    )
    found = pyramid.part(rows, columns, halvings)
    inside = tuple(slice(each.start // step, each.stop // step) for each in (rows, columns))
    level = Pyramid(picture).level(halvings)
    # A part of two rows that starts at an even one has the squares of the whole.
    assert (found == level[inside]).all()


def test_a_level_is_made_once(astronaut):
    pyramid = Pyramid(astronaut)
    assert pyramid.size == astronaut.shape[:2]
    assert pyramid.level(0) is astronaut
    assert pyramid.level(3) is pyramid.level(3)
