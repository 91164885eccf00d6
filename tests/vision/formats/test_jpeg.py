import io
import re
import struct
import time
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from faceshape.errors import ImageDecodeError
from faceshape.vision.formats.jpeg import MOST_SCANS, essence
from faceshape.vision.image import load_image
from tests.vision.formats.files import encoded, exif, scans, segment

METADATA = {
    "a short JFIF": segment(0xE0, b"JFIF\0"),
    "a short JFXX": segment(0xE0, b"JF"),
    "a short Adobe": segment(0xEE, b"Adobe\0"),
    "an EXIF that is garbage": segment(0xE1, b"Exif\0\0garbage"),
    "an EXIF that is empty": segment(0xE1, b"Exif\0\0"),
    "half a profile": segment(0xE2, b"ICC_PROFILE\0\x07\x09" + bytes(20)),
    "other pictures that are not there": segment(0xE2, b"MPF\0II*\0\x08\0\0\0\x01\0" + bytes(16)),
    "Photoshop's resources": segment(0xED, b"Photoshop 3.0\x008BIM"),
    "a comment": segment(0xFE, b"\xff\xda\xff\xd9"),
    "fill bytes": b"\xff" * 9,
}


@pytest.mark.parametrize("name", METADATA)
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_metadata_never_decides(portrait, name, mode):
    data = encoded(Image.fromarray(portrait).convert(mode), "JPEG")
    found = load_image(data[:2] + METADATA[name] + data[2:])
    np.testing.assert_array_equal(found, load_image(data))


def test_orientation_counts_where_it_can_be_read(portrait):
    data = encoded(portrait, "JPEG")
    turned = data[:2] + segment(0xE1, b"Exif\0\0" + exif(8)) + data[2:]
    np.testing.assert_array_equal(load_image(turned), np.rot90(load_image(data)))


def test_what_follows_the_end_is_not_read(portrait):
    data = encoded(portrait, "JPEG")
    for more in (b"\0" * 100, b"\xff\xda" * 200, data):
        np.testing.assert_array_equal(load_image(data + more), load_image(data))


@pytest.mark.parametrize("marker", [0xC2, 0xC0])
def test_scans_are_counted_before_any_is_decoded(marker):
    if marker == 0xC2:
        assert load_image(scans(MOST_SCANS)).shape == (64, 64, 3)
    with pytest.raises(ImageDecodeError, match="scans"):
        load_image(scans(MOST_SCANS + 1, marker=marker))
    many = scans(200_000, side=4000, marker=marker)
    start = time.perf_counter()
    with pytest.raises(ImageDecodeError, match="scans"):
        load_image(many)
    assert time.perf_counter() - start < 5  # it would take half an hour


def test_segments_are_counted():
    with pytest.raises(ImageDecodeError, match="parts"):
        load_image(b"\xff\xd8" + b"\xff\xe0\0\x02" * 100_000)


OPTIONS = [
    {},
    {"progressive": True},
    {"subsampling": 0},
    {"restart_marker_blocks": 4},
    {"restart_marker_rows": 1},
    {"optimize": True},
    {"quality": 100},
    {"quality": 1},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_only_the_end_mark_may_be_missing(portrait, options, mode):
    data = encoded(Image.fromarray(portrait).convert(mode), "JPEG", **options)
    whole = load_image(data)
    np.testing.assert_array_equal(load_image(data[:-2]), whole)
    np.testing.assert_array_equal(load_image(data[:-1]), whole)
    places = np.random.default_rng(0).integers(len(data) // 3, len(data) - 10, 20)
    for cut in [*range(3, 12), *(len(data) - places)]:
        try:
            found = load_image(data[:-cut])
        except ImageDecodeError:
            continue
        np.testing.assert_array_equal(found, whole)  # those bytes said nothing


@pytest.mark.parametrize("options", [{}, {"subsampling": 0}, {"restart_marker_rows": 1}], ids=str)
@pytest.mark.parametrize("share", [0.2, 0.5, 0.8, 0.95])
def test_an_end_mark_does_not_hide_missing_pixels(portrait, options, share):
    data = encoded(portrait, "JPEG", **options)
    with pytest.raises(ImageDecodeError, match="pixels are missing"):
        load_image(data[: int(len(data) * share)] + b"\xff\xd9")


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_an_end_mark_does_not_hide_missing_scans(portrait, mode):
    """Cut off between two scans, or within any but the last, which refines the lowest bit."""
    data = encoded(Image.fromarray(portrait).convert(mode), "JPEG", progressive=True)
    starts = [match.start() for match in re.finditer(rb"\xff\xda", data)]
    for cut in [*starts[1:], *((a + b) // 2 for a, b in pairwise(starts))]:
        with pytest.raises(ImageDecodeError, match="truncated"):
            load_image(data[:cut] + b"\xff\xd9")
    found = load_image(data[: starts[-1] + 60] + b"\xff\xd9").astype(int)
    assert 0 < np.abs(found - load_image(data)).mean() < 4


# Eight blocks by the standard's tables: a difference of 100 without other coefficients, seven
# times none; filled with ones.
_BLOCKS = int("1111011001001010" + "001010" * 7 + "111111", 2).to_bytes(8, "big")


def planar(*scans):
    """A JPEG of 64 x 8 pixels, not progressive, whose components have a scan each."""
    table = segment(0xDB, b"\0" + bytes([1] * 64))
    components = b"".join(bytes([i, 0x11, 0]) for i in (1, 2, 3))
    frame = segment(0xC0, b"\x08" + struct.pack(">HHB", 8, 64, 3) + components)
    usual = encoded(Image.new("L", (8, 8)), "JPEG")
    huffman = usual[usual.index(b"\xff\xc4") : usual.index(b"\xff\xda")]
    coded = [segment(0xDA, bytes([1, i, 0, 0, 63, 0])) + each for i, each in enumerate(scans, 1)]
    return b"".join([b"\xff\xd8", table, frame, huffman, *coded, b"\xff\xd9"])


def test_an_end_mark_does_not_hide_that_a_component_is_missing():
    whole = load_image(planar(_BLOCKS, _BLOCKS, _BLOCKS))
    assert np.ptp(whole, axis=(0, 1)).max() == 0
    with pytest.raises(ImageDecodeError, match="scans are missing"):
        load_image(planar(_BLOCKS, _BLOCKS))
    for left in range(8):
        with pytest.raises(ImageDecodeError, match="pixels are missing"):
            load_image(planar(_BLOCKS, _BLOCKS, _BLOCKS[:left]))


def test_what_the_head_of_a_sequential_scan_says_of_coefficients_is_ignored(portrait):
    data = encoded(portrait, "JPEG")
    head = data.index(b"\xff\xda") + 4
    place = head + 1 + 2 * data[head]
    odd = data[:place] + b"\0\0\1" + data[place + 3 :]
    np.testing.assert_array_equal(load_image(odd), load_image(data))


def test_grey_as_of_missing_pixels_may_be_a_picture():
    grey = encoded(Image.new("RGB", (64, 64), (128, 128, 128)), "JPEG")
    assert (load_image(grey) == 128).all()


def test_essence_keeps_what_colours_depend_on(portrait):
    data = encoded(Image.fromarray(portrait).convert("CMYK"), "JPEG")
    assert b"Adobe" in essence(data).data
    # Without a mark libjpeg takes three components for YCbCr, unless Adobe's says RGB.
    plain = encoded(portrait, "JPEG", keep_rgb=True, subsampling=0, quality=100)
    assert np.abs(load_image(plain).astype(int) - portrait).mean() < 2


def test_the_first_of_several_pictures(portrait):
    file = io.BytesIO()
    first, second = Image.fromarray(portrait), Image.fromarray(255 - portrait)
    first.save(file, "MPO", save_all=True, append_images=[second])
    assert np.abs(load_image(file.getvalue()).astype(int) - portrait).mean() < 5
