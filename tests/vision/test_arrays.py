from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as shapes

from faceshape.errors import ParameterError, ShapeError
from faceshape.vision.arrays import to_rgb
from faceshape.vision.image import load_image

levels = shapes.arrays(np.uint8, st.tuples(*[st.integers(1, 70)] * 2, st.just(3)))


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1)])
def test_grey(shape):
    grey = np.arange(35, dtype=np.uint8).reshape(shape)
    assert (load_image(grey) == grey.reshape(5, 7, 1)).all()
    assert load_image(grey).shape == (5, 7, 3)


def test_rgb_is_taken_as_it_is(portrait):
    assert load_image(portrait) is not None
    np.testing.assert_array_equal(load_image(portrait), portrait)
    assert np.shares_memory(load_image(portrait), portrait)


def test_alpha_lies_over_white():
    half = np.array([[[0, 100, 200, 128], [9, 9, 9, 0], [1, 2, 3, 255]]], np.uint8)
    assert load_image(half).tolist() == [[[127, 177, 227], [255, 255, 255], [1, 2, 3]]]
    assert load_image(half, channels="bgr").tolist() == [
        [[227, 177, 127], [255, 255, 255], [3, 2, 1]]
    ]


@given(levels)
def test_every_type_gives_the_same_picture(pixels):
    for other in (
        pixels.astype(np.uint16) * 257,
        (pixels.astype(np.uint16) << 8).astype(">u2"),
        pixels.astype(np.float32) / 255,
        pixels.astype(np.float64) / 255,
        (pixels.astype(np.float16) / 255).astype(np.float32),
        np.asfortranarray(pixels),
        pixels[::-1, ::-1][::-1, ::-1],
    ):
        np.testing.assert_array_equal(to_rgb(other), pixels)
    np.testing.assert_array_equal(to_rgb(pixels[:, :, ::-1], "bgr"), pixels)


def test_bool_is_black_and_white():
    mask = np.array([[True, False], [False, True]])
    assert load_image(mask)[:, :, 0].tolist() == [[255, 0], [0, 255]]


def test_floating_numbers_are_0_to_1():
    assert load_image(np.full((2, 2), 1 + 1e-6))[0, 0, 0] == 255  # resampling overshoots
    assert load_image(np.full((2, 2), -1e-6))[0, 0, 0] == 0
    for wrong in (255.0, 1.01, -0.5, np.nan, np.inf):
        with pytest.raises(ShapeError, match=r"0 \(black\) to 1 \(white\)"):
            load_image(np.full((2, 2), wrong))


@pytest.mark.parametrize(
    ("array", "advice"),
    [
        (np.zeros((3, 40, 50), np.uint8), "transpose"),
        (np.zeros((1, 40, 50, 3), np.uint8), "one picture of a batch"),
        (np.zeros((40, 50, 3), np.int64), "astype"),
        (np.zeros((40, 50, 3), np.uint32), "astype"),
        (np.zeros((40, 50, 2), np.uint8), "H, W, 3"),
        (np.zeros((40, 50, 3), "S1"), "uint8"),
        (np.zeros((40, 50), [("r", "u1")]), "uint8"),
    ],
)
def test_what_is_refused_says_what_to_do(array, advice):
    with pytest.raises(ShapeError, match=advice):
        load_image(array)


def test_what_hands_over_an_array(portrait):
    interface = SimpleNamespace(__array_interface__=portrait.__array_interface__)

    class Array:
        def __array__(self, dtype=None, copy=None):
            return portrait

    class Capsule:
        def __dlpack__(self, **options):
            return portrait.copy().__dlpack__()

        def __dlpack_device__(self):
            return portrait.__dlpack_device__()

    for source in (interface, Array(), Capsule(), memoryview(portrait), np.ma.array(portrait)):
        np.testing.assert_array_equal(load_image(source), portrait)


def test_tensors(portrait):
    torch = pytest.importorskip("torch")
    tensor = torch.from_numpy(portrait.copy())
    np.testing.assert_array_equal(load_image(tensor), portrait)
    np.testing.assert_array_equal(load_image(tensor.float() / 255), portrait)
    np.testing.assert_array_equal(load_image(tensor.permute(2, 0, 1).permute(1, 2, 0)), portrait)
    with pytest.raises(ShapeError, match="permute"):
        load_image(tensor.permute(2, 0, 1))
    with pytest.raises(ShapeError, match="detach"):
        load_image((tensor.float() / 255).requires_grad_())
    with pytest.raises(ShapeError, match="array"):
        load_image(tensor.to("meta"))


def test_what_will_not_hand_over_its_array():
    class Guarded:
        def __array__(self, dtype=None, copy=None):
            raise RuntimeError("call .get() first")

    with pytest.raises(ShapeError, match=r"call \.get\(\) first"):
        load_image(Guarded())


def test_channels_are_checked_for_every_source(portrait):
    for wrong in ("bgra", "RGB", None, 3, np.array(["rgb"])):
        with pytest.raises(ParameterError, match="bgr"):
            load_image(portrait, channels=wrong)
