import numpy as np
import pytest
from PIL import Image

from faceshape.errors import EmptyImageError, ImageDecodeError, ImageResolutionError
from faceshape.vision.image import load_image
from tests.vision.formats.files import bmp, encoded

ALPHA = (0xFF0000, 0xFF00, 0xFF, 0xFF000000)


def packed(portrait, alpha, size=124):
    """BGRA from the bottom, with masks, as of a V4 or V5 header."""
    levels = portrait[::-1].astype("<u4")
    rows = levels[:, :, 0] << 16 | levels[:, :, 1] << 8 | levels[:, :, 2] | np.uint32(alpha << 24)
    return bmp(rows.astype("<u4"), 32, 3, ALPHA, size)


@pytest.mark.parametrize("header", [56, 108, 124])
def test_an_alpha_that_is_0_everywhere_means_nothing(portrait, header):
    np.testing.assert_array_equal(load_image(packed(portrait, 0, header)), portrait)


def test_alpha_lies_over_white(portrait):
    data = packed(portrait, 128)
    expected = (portrait.astype(int) * 128 + 255 * 127 + 127) // 255
    np.testing.assert_array_equal(load_image(data), expected)


def test_an_unused_byte_is_no_alpha(portrait):
    rows = np.dstack([portrait[::-1, :, ::-1], np.zeros(portrait.shape[:2], np.uint8)])
    data = bmp(rows.view("<u4")[:, :, 0], 32)
    np.testing.assert_array_equal(load_image(data), portrait)


@pytest.mark.parametrize(
    ("bits", "masks"),
    [
        (32, (0xFF000000, 0xFF0000, 0xFF00)),
        (32, (0xFF, 0xFF00, 0xFF0000)),
        (32, (0x7FE00000, 0x1FFC00, 0x3FF)),
        (32, (0xFF, 0, 0xFF0000)),
        (16, (0xF800, 0x7E0, 0x1F)),
        (16, (0x7C00, 0x3E0, 0x1F)),
        (16, (0xF00, 0xF0, 0xF)),
        (16, (0x3, 0x1C, 0xE0)),
    ],
)
def test_masks_of_every_kind(bits, masks):
    generator = np.random.default_rng(bits)
    rows = generator.integers(0, 1 << bits, (9, 8), np.uint32).astype(f"<u{bits // 8}")
    found = load_image(bmp(rows, bits, 3, masks))
    for channel, mask in enumerate(masks):
        if mask == 0:
            assert (found[:, :, channel] == 0).all()
            continue
        shift = (mask & -mask).bit_length() - 1
        levels = (rows[::-1].astype(np.uint64) & mask) >> np.uint64(shift)
        expected = np.floor(levels * 255 / (mask >> shift) + 0.5)
        np.testing.assert_array_equal(found[:, :, channel], expected)


@pytest.mark.parametrize("masks", [(0b101, 0xFF00, 0xFF0000), (0x1FFFF, 0, 0)])
def test_what_is_no_mask(masks):
    with pytest.raises(ImageDecodeError, match="mask"):
        load_image(bmp(np.zeros((4, 4), "<u2"), 16, 3, masks))


def test_limits_hold_for_masks_too():
    for width, error in ((30_000, ImageResolutionError), (-4, ImageDecodeError)):
        with pytest.raises(error):
            load_image(bmp(np.zeros((4, 4), "<u4"), 32, 3, ALPHA, width=width))
    data = bytearray(bmp(np.zeros((4, 4), "<u4"), 32, 3, ALPHA))
    data[22:26] = bytes(4)
    with pytest.raises(EmptyImageError):
        load_image(bytes(data))


def run_lengths(grey: np.ndarray) -> bytes:
    lines = []
    for row in grey[::-1]:
        starts = np.flatnonzero(np.diff(row.astype(int), prepend=-1))
        ends = np.append(starts[1:], len(row))
        runs = [(end - at, row[at]) for at, end in zip(starts, ends, strict=True)]
        lines.append(b"".join(bytes([n % 255 or 255, v]) for n, v in runs for n in parts(n)))
    return b"\0\0".join(lines) + b"\0\1"


def parts(length):
    return [255] * (length // 255) + ([length % 255] if length % 255 else [])


def test_run_lengths_and_their_truncation(portrait):
    grey = np.asarray(Image.fromarray(portrait).convert("L")) // 16 * 16
    data = bmp(grey, 8, 1, pixels=run_lengths(grey))
    np.testing.assert_array_equal(load_image(data), np.repeat(grey[:, :, None], 3, axis=2))
    for share in (0.05, 0.4, 0.8, 0.97):
        with pytest.raises(ImageDecodeError):
            load_image(data[: int(len(data) * share)])


@pytest.mark.parametrize("mode", ["RGB", "L", "1", "RGBA"])
def test_rows_are_missing_though_the_size_is_right(portrait, mode):
    data = bytearray(encoded(Image.fromarray(portrait).convert(mode), "BMP"))
    row = len(data[54:]) // 256
    for lacking in (row, 100 * row):
        cut = data[: len(data) - lacking]
        cut[2:6] = len(cut).to_bytes(4, "little")
        cut[34:38] = (len(cut) - 54).to_bytes(4, "little")
        with pytest.raises(ImageDecodeError):
            load_image(bytes(cut))


def test_run_lengths_may_leave_pixels_out():
    """Skips and an early end are part of the format; what they leave out has the first colour."""
    left_out = b"\2\7" + b"\0\2\1\1" + b"\2\7" + b"\0\1"
    found = load_image(bmp(np.zeros((4, 6), np.uint8), 8, 1, pixels=left_out))
    expected = np.zeros((4, 6), np.uint8)
    expected[3, :2] = expected[2, 3:5] = 7
    np.testing.assert_array_equal(found[:, :, 0], expected)


def test_run_lengths_that_say_nothing_take_no_time():
    empty = bmp(np.zeros((2000, 2000), np.uint8), 8, 1, pixels=b"\0\2\0\0" * 2_000_000 + b"\0\1")
    assert load_image(empty).shape == (2000, 2000, 3)


def test_padding_of_the_last_row_may_be_missing():
    picture = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    data = encoded(picture, "BMP")
    np.testing.assert_array_equal(load_image(data[:-3]), picture)
    with pytest.raises(ImageDecodeError):
        load_image(data[:-4])


@pytest.mark.parametrize("header", [0, 12, 16, 41, 2**31 - 1])
def test_other_headers_are_typed(header):
    data = bytearray(encoded(np.zeros((4, 4, 3), np.uint8), "BMP"))
    data[14:18] = header.to_bytes(4, "little")
    with pytest.raises((ImageDecodeError, EmptyImageError, ImageResolutionError)):
        load_image(bytes(data))
