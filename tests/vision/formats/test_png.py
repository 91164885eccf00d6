import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image

from faceshape.errors import ImageDecodeError
from faceshape.vision.formats.png import essence
from faceshape.vision.image import load_image
from tests.vision.formats.files import (
    PNG_SIGNATURE,
    chunk,
    chunks_of,
    encoded,
    exif,
    png,
)

# Of each what a decoder has been misled, stopped or bombed by.
METADATA = {
    "a broken EXIF": chunk(b"eXIf", b"II*\0garbage"),
    "an EXIF of another endianness": chunk(b"eXIf", b"XX*\0" + bytes(30)),
    "an EXIF that loops": chunk(b"eXIf", b"II*\0\x08\0\0\0\x01\0" + bytes(16)),
    "a profile that unfolds": chunk(b"iCCP", b"x\0\0" + b"garbage"),
    "text without a keyword": chunk(b"tEXt", b"no zero byte"),
    "compressed text that is none": chunk(b"zTXt", b"k\0\0garbage"),
    "international text": chunk(b"iTXt", b"k\0\1"),
    "gamma": chunk(b"gAMA", b"\0"),
    "chromaticities": chunk(b"cHRM", b"\0" * 3),
    "a resolution": chunk(b"pHYs", b"\0" * 2),
    "sRGB": chunk(b"sRGB"),
    "an animation's head": chunk(b"acTL", b"\xff" * 8),
    "an animation's frame": chunk(b"fcTL", b"\xff" * 26),
    "a wrong checksum": chunk(b"tIME", b"\0" * 7, checksum=1),
    "a chunk of one's own": chunk(b"abCd", b"?"),
    "a transparency of the wrong length": chunk(b"tRNS", b"\0"),
    "a transparency with a wrong checksum": chunk(b"tRNS", bytes(6), checksum=1),
}


def with_chunk(data: bytes, extra: bytes, behind: bool = False) -> bytes:
    place = len(data) - 12 if behind else 33
    return data[:place] + extra + data[place:]


@pytest.mark.parametrize("name", METADATA)
@pytest.mark.parametrize("behind", [False, True])
def test_metadata_never_decides(portrait, name, behind):
    data = with_chunk(encoded(portrait), METADATA[name], behind)
    np.testing.assert_array_equal(load_image(data), portrait)


@pytest.mark.parametrize("behind", [False, True])
def test_orientation_counts_where_it_can_be_read(portrait, behind):
    data = with_chunk(encoded(portrait), chunk(b"eXIf", exif(6)), behind)
    np.testing.assert_array_equal(load_image(data), np.rot90(portrait, 3))


def test_the_end_mark_may_be_missing(portrait):
    data = encoded(portrait)
    np.testing.assert_array_equal(load_image(data[:-12]), portrait)
    for cut in (40, 400, len(data) // 2):
        with pytest.raises(ImageDecodeError):
            load_image(data[:-cut])


def test_pixels_in_many_small_chunks(portrait):
    parts = chunks_of(encoded(portrait))
    pixels = b"".join(content for kind, content in parts if kind == b"IDAT")
    small = b"".join(chunk(b"IDAT", bytes([each])) for each in pixels)
    data = PNG_SIGNATURE + chunk(*parts[0]) + small + chunk(b"IEND")
    np.testing.assert_array_equal(load_image(data), portrait)


def test_essence_is_what_decides(portrait):
    data = encoded(portrait)
    for extra in METADATA.values():
        data = with_chunk(data, extra)
    kinds = [kind for kind, _ in chunks_of(essence(data).data)]
    assert kinds == [b"IHDR", b"IDAT", b"IEND"]


@pytest.mark.parametrize(
    "data",
    [
        png(np.zeros((64, 64), np.uint8), 8, 3),  # no palette
        png(np.zeros((64, 64), np.uint8), 8, 0, chunk(b"CgBI", bytes(4))),
        PNG_SIGNATURE + chunk(b"CgBI", bytes(4)) + png(np.zeros((9, 9), np.uint8), 8, 0)[8:],
        PNG_SIGNATURE,
        PNG_SIGNATURE + chunk(b"IHDR", bytes(5)) + chunk(b"IEND"),
        png(np.zeros((64, 64), np.uint8), 8, 0).replace(b"IDAT", b"IDAt"),
        png(np.zeros((64, 64), np.uint8), 8, 0)[:-20] + b"\0\0\0\0" + chunk(b"IEND"),
        b"\x89PNG\r\n\x1a\n" + b"\xff" * 40,
    ],
)
def test_critical_damage_is_refused(data):
    with pytest.raises(ImageDecodeError):
        load_image(data)


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_a_transparent_grey_is_white(depth):
    levels = 1 << depth
    clear = levels // 2
    if depth == 16:
        values = np.array([[0, clear, clear + 1, levels - 1]], np.uint16)
        rows = values.astype(">u2").view(np.uint8)
    else:
        values = (np.arange(8 * max(1, levels // 8)) % levels).reshape(1, -1)
        bits = (values[..., None] >> np.arange(depth)[::-1]) & 1
        rows = np.packbits(bits.reshape(1, -1), axis=1)
    data = png(rows, depth, 0, chunk(b"tRNS", clear.to_bytes(2, "big")))
    shown = values >> 8 if depth == 16 else values * 255 // (levels - 1)
    expected = np.where(values == clear, 255, shown)
    assert load_image(data)[:, :, 0].tolist() == expected.tolist()


def test_a_transparent_colour_of_16_bits_is_compared_whole():
    clear = np.array([0x1234, 0x5678, 0x9ABC], np.uint16)
    near = clear + np.array([0, 1, 0], np.uint16)
    rows = np.concatenate([clear, near]).astype(">u2").view(np.uint8).reshape(1, -1)
    data = png(rows, 16, 2, chunk(b"tRNS", clear.astype(">u2").tobytes()))
    assert load_image(data).tolist() == [[[255] * 3, [0x12, 0x56, 0x9A]]]


def test_a_transparent_colour_of_8_bits():
    rows = np.array([[1, 2, 3, 4, 5, 6]], np.uint8)
    data = png(rows, 8, 2, chunk(b"tRNS", bytes([0, 4, 0, 5, 0, 6])))
    assert load_image(data).tolist() == [[[1, 2, 3], [255] * 3]]


def test_palette_with_transparency():
    palette = chunk(b"PLTE", bytes([10, 20, 30, 40, 50, 60]))
    rows = np.array([[0, 1]], np.uint8)
    data = png(rows, 8, 3, palette, chunk(b"tRNS", b"\0"))
    assert load_image(data).tolist() == [[[255] * 3, [40, 50, 60]]]


def test_the_first_picture_of_an_animation(portrait):
    first, second = Image.fromarray(portrait), Image.fromarray(255 - portrait)
    data = encoded(first, save_all=True, append_images=[second])
    assert b"acTL" in data
    np.testing.assert_array_equal(load_image(data), portrait)


PASSES = (
    *((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4)),
    *((0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)),
)


def of_scanlines(scanlines, width, height, colours, interlaced):
    header = struct.pack(">IIBBBBB", width, height, 8, colours, 0, 0, interlaced)
    palette = [chunk(b"PLTE", bytes(range(255, 255 - 48, -1)))] if colours == 3 else []
    pixels = chunk(b"IDAT", zlib.compress(b"".join(b"\0" + line.tobytes() for line in scanlines)))
    return b"".join([PNG_SIGNATURE, chunk(b"IHDR", header), *palette, pixels, chunk(b"IEND")])


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("size", [(1, 1), (2, 1), (1, 2), (3, 3), (8, 5), (13, 17), (40, 33)])
@pytest.mark.parametrize("colours", [0, 2, 3, 4, 6])
@pytest.mark.parametrize("dark", [False, True])
def test_a_whole_stream_of_too_few_rows(colours, size, interlaced, dark):
    """Checksums, the stream's and the file's end are right; dark pixels are not missing ones."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colours]
    width, height = size
    levels = (0, 1) if dark else (1, 16)
    pixels = np.random.default_rng(0).integers(*levels, (height, width, channels), np.uint8)
    passes = PASSES if interlaced else [(0, 0, 1, 1)]
    parts = [pixels[y::dy, x::dx] for x, y, dx, dy in passes]
    scanlines = [line for part in parts if part.size for line in part]
    whole = load_image(of_scanlines(scanlines, width, height, colours, interlaced))
    assert whole.shape == (height, width, 3)
    if colours in (0, 2, 3):
        shown = 255 - 3 * pixels if colours == 3 else pixels
        assert (whole[:, :, 0] == shown[:, :, 0]).all()
    for some in range(len(scanlines)):
        with pytest.raises(ImageDecodeError):
            load_image(of_scanlines(scanlines[:some], width, height, colours, interlaced))


def test_pixels_that_unfold_to_far_too_many_are_not_unfolded():
    black = np.zeros((64, 64), np.uint8)
    pixels = zlib.compress(bytes(300_000_000))
    parts = [
        chunk(kind, pixels if kind == b"IDAT" else content)
        for kind, content in chunks_of(png(black, 8, 0))
    ]
    tracemalloc.start()
    try:
        assert not load_image(PNG_SIGNATURE + b"".join(parts)).any()
        assert tracemalloc.get_traced_memory()[1] < 50_000_000
    finally:
        tracemalloc.stop()
