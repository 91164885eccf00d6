"""GIF, WebP, TIFF, AVIF and HEIC: read locally, refused where the document rules."""

import io
import struct
import sys

import numpy as np
import pytest
from PIL import Image, features

from faceshape.errors import ImageDecodeError, ImageResolutionError
from faceshape.vision.decoding import upright
from faceshape.vision.formats import identify
from faceshape.vision.image import load_image
from tests.vision.formats.files import encoded, exif, tiff

needs_avif = pytest.mark.skipif("avif" not in features.get_supported(), reason="no AVIF here")
ALL = ["GIF", "WEBP", "TIFF", pytest.param("AVIF", marks=needs_avif)]
EXACT = {"WEBP": {"lossless": True}, "AVIF": {"quality": 100, "subsampling": "4:4:4"}}


@pytest.mark.parametrize("form", ALL)
def test_pixels(portrait, form):
    colours = 255 if form == "GIF" else 256
    picture = Image.fromarray(portrait)
    picture = picture.quantize(colours) if form == "GIF" else picture
    data = encoded(picture, form, **EXACT.get(form, {}))
    assert identify(data) == form
    expected = np.asarray(picture.convert("RGB")).astype(int)
    assert np.abs(load_image(data) - expected).max() <= (4 if form == "AVIF" else 0)


@pytest.mark.parametrize("form", ALL)
@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9])
def test_truncated_files_are_refused(portrait, form, share):
    data = encoded(portrait, form)
    with pytest.raises(ImageDecodeError):
        load_image(data[: int(len(data) * share)])


def shorter_webp(data, lacking):
    """Cut off the end, and let the last chunk and the file say so."""
    data, place = bytearray(data[: len(data) - lacking]), 12
    while place + 8 + (length := struct.unpack_from("<I", data, place + 4)[0]) <= len(data):
        place += 8 + length + length % 2
    struct.pack_into("<I", data, place + 4, len(data) - place - 8)
    data += bytes(len(data) % 2)
    struct.pack_into("<I", data, 4, len(data) - 8)
    return bytes(data)


def shorter_gif(data, lacking):
    """Leave out the last blocks of the picture, but not what ends it and the file."""
    place = data.index(b"\x2c", 13 + (3 << (data[10] & 7) + 1)) + 11
    starts = []
    while data[place]:
        starts.append(place)
        place += 1 + data[place]
    return data[: starts[-1 - lacking // 255]] + b"\0;"


def shorter_avif(data, lacking):
    """Cut off the end, and let the item and the box of its bytes say so."""
    box = data.index(b"mdat") - 4
    length = len(data) - box - 8
    item = data.rindex(struct.pack(">I", length), 0, box)
    data = bytearray(data[: len(data) - lacking])
    struct.pack_into(">I", data, item, length - lacking)
    struct.pack_into(">I", data, box, length + 8 - lacking)
    return bytes(data)


@pytest.mark.parametrize(
    ("form", "shorter", "options"),
    [
        ("WEBP", shorter_webp, {}),
        ("WEBP", shorter_webp, {"lossless": True}),
        ("GIF", shorter_gif, {}),
        pytest.param("AVIF", shorter_avif, {}, marks=needs_avif),
    ],
)
@pytest.mark.parametrize("lacking", [20, 300, 2000])
def test_pixels_are_missing_though_all_lengths_are_right(portrait, form, shorter, options, lacking):
    picture = Image.fromarray(portrait)
    picture = picture.quantize(64) if form == "GIF" else picture
    data = encoded(picture, form, **options)
    with pytest.raises(ImageDecodeError):
        load_image(shorter(data, lacking))


@pytest.mark.parametrize("form", ["GIF", "WEBP", "TIFF"])
def test_the_first_of_several_pictures(portrait, form):
    first = Image.fromarray(portrait // 64 * 64)
    second = Image.fromarray(255 - portrait)
    options = {"save_all": True, "append_images": [second], **EXACT.get(form, {})}
    found = load_image(encoded(first, form, **options))
    assert np.abs(found.astype(int) - np.asarray(first)).max() <= (16 if form == "GIF" else 0)


@pytest.mark.parametrize("form", ["GIF", "WEBP", "TIFF", pytest.param("AVIF", marks=needs_avif)])
def test_transparency_lies_over_white(form):
    glass = Image.new("RGBA", (32, 32), (200, 0, 0, 0))
    glass.paste((0, 0, 200, 255), (0, 0, 16, 32))
    found = load_image(encoded(glass, form, **EXACT.get(form, {}))).astype(int)
    assert np.abs(found[:, :14] - (0, 0, 200)).max() <= 4
    assert np.abs(found[:, 18:] - 255).max() <= 4


@pytest.mark.parametrize("form", ["WEBP", "TIFF", pytest.param("AVIF", marks=needs_avif)])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation(portrait, form, orientation):
    stored = portrait[:200]
    stated = Image.Exif()
    stated[0x0112] = orientation
    found = load_image(encoded(stored, form, exif=stated, **EXACT.get(form, {}))).astype(int)
    expected = upright(stored, orientation)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= (4 if form == "AVIF" else 0)


@pytest.mark.parametrize("form", ["WEBP", pytest.param("AVIF", marks=needs_avif)])
def test_metadata_never_decides(portrait, form):
    options = EXACT.get(form, {})
    plain = load_image(encoded(portrait, form, **options))
    stated = Image.Exif()
    stated[0x010E] = "a description"
    good = encoded(portrait, form, exif=stated, icc_profile=b"garbage", **options)
    place = good.index(stated.tobytes()[6:14])
    for block in (b"garbage", b"II*\0\xff\xff\xff\xff", b"II*\0\x08\0\0\0\xff\xff"):
        data = good[:place] + block.ljust(24, b"\xff") + good[place + 24 :]
        np.testing.assert_array_equal(load_image(data), plain)


def test_a_webp_without_its_last_metadata(portrait):
    data = encoded(portrait, "WEBP", lossless=True, exif=exif(1), xmp=b"x" * 500)
    np.testing.assert_array_equal(load_image(data[:-300]), portrait)


def test_a_gif_without_its_end(portrait):
    data = encoded(Image.fromarray(portrait).quantize(64), "GIF")
    np.testing.assert_array_equal(load_image(data[:-1]), load_image(data))


def test_comments_of_a_gif_take_no_time(portrait):
    data = encoded(Image.fromarray(portrait).quantize(64), "GIF")
    place = 13 + 3 * 64
    comments = b"\x21\xfe\x01x\0" * 300_000
    noisy = data[:place] + comments + data[place:]
    np.testing.assert_array_equal(load_image(noisy), load_image(data))


def test_a_tiff_with_more_in_its_directory_than_in_the_file(portrait):
    data = bytearray(encoded(portrait, "TIFF"))
    (start,) = struct.unpack_from("<I", data, 4)
    (entries,) = struct.unpack_from("<H", data, start)
    tags = {struct.unpack_from("<H", data, start + 2 + 12 * i)[0]: i for i in range(entries)}
    counts = start + 2 + 12 * tags[279]
    # Private entries are not looked at, however long they say they are.
    private = start + 2 + 12 * tags[284]
    for where, count in ((counts, 900_000), (counts, 2**31)):
        wrong = data.copy()
        struct.pack_into("<HHI", wrong, where, 279, 4, count)
        with pytest.raises(ImageDecodeError):
            load_image(bytes(wrong))
    wrong = data.copy()
    struct.pack_into("<HHI", wrong, private, 65000, 7, 2**31)
    np.testing.assert_array_equal(load_image(bytes(wrong)), portrait)


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_deflate", "packbits", "jpeg"])
@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "CMYK", "I;16", "F"])
def test_tiffs(portrait, compression, mode):
    grey = Image.fromarray(portrait).convert("L")
    if mode == "I;16":
        picture = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    elif mode == "F":
        picture = Image.fromarray(np.asarray(grey).astype(np.float32) / 255)
    else:
        picture = Image.fromarray(portrait).convert(mode)
    if compression == "jpeg" and mode not in ("L", "RGB", "CMYK"):
        pytest.skip("libtiff does not write it")
    found = load_image(encoded(picture, "TIFF", compression=compression))
    if mode in ("I;16", "F"):
        expected = np.repeat(np.asarray(grey)[:, :, None], 3, axis=2)
    else:
        expected = np.asarray(picture.convert("RGB"))
    off = np.abs(found.astype(int) - expected).mean()
    assert off < (4 if compression == "jpeg" else 1e-9)


def tiffs_of_parts(pixels):
    """Return the parts of a picture whose sides are multiples of 16, and what says how they lie."""
    height, width = pixels.shape[:2]
    tiles = [
        pixels[y : y + 16, x : x + 16] for y in range(0, height, 16) for x in range(0, width, 16)
    ]
    strips = [pixels[y : y + 16] for y in range(0, height, 16)]
    return {
        "strips": (strips, {278: [16]}),
        "one strip": ([pixels], {}),
        "planes": ([pixels[:, :, i] for i in range(3)], {284: [2]}),
        "tiles": (tiles, {322: [16], 323: [16]}),
    }


@pytest.mark.parametrize("kind", ["strips", "one strip", "planes", "tiles"])
def test_strips_and_tiles_of_a_tiff_that_are_not_there(portrait, kind):
    pixels = portrait[:48, :80]
    arrays, tags = tiffs_of_parts(pixels)[kind]
    parts = [array.tobytes() for array in arrays]
    np.testing.assert_array_equal(load_image(tiff(80, 48, parts, tags)), pixels)
    with pytest.raises(ImageDecodeError, match="missing"):
        load_image(tiff(80, 48, parts[:-1], tags))
    where = 324 if kind == "tiles" else 273
    places = np.cumsum([8, *map(len, parts)])[:-1].tolist()
    for absent in {0, len(parts) - 1}:  # as sparse files have it
        sparse = [0 if i == absent else place for i, place in enumerate(places)]
        with pytest.raises(ImageDecodeError, match="missing"):
            load_image(tiff(80, 48, parts, {**tags, where: sparse}))


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_deflate", "packbits", "jpeg"])
@pytest.mark.parametrize("lacking", [10, 100])
def test_a_strip_of_a_tiff_that_is_not_whole(portrait, compression, lacking):
    data = bytearray(encoded(portrait, "TIFF", compression=compression))
    (start,) = struct.unpack_from("<I", data, 4)
    (entries,) = struct.unpack_from("<H", data, start)
    for place in range(start + 2, start + 2 + 12 * entries, 12):
        tag, kind, count, value = struct.unpack_from("<HHII", data, place)
        if tag == 279:
            form, size = {3: ("<H", 2), 4: ("<I", 4)}[kind]
            last = (place + 8 if count * size <= 4 else value) + (count - 1) * size
            (length,) = struct.unpack_from(form, data, last)
            struct.pack_into(form, data, last, length - lacking)
    with pytest.raises(ImageDecodeError):
        load_image(bytes(data))


def test_a_large_tiff_layout(portrait):
    try:
        data = encoded(portrait, "TIFF", big_tiff=True)
    except (TypeError, ValueError):
        pytest.skip("Pillow does not write it")
    np.testing.assert_array_equal(load_image(data), portrait)


def test_limits_hold(portrait):
    gif = bytearray(encoded(Image.fromarray(portrait).quantize(64), "GIF"))
    gif[6:10] = struct.pack("<HH", 60_000, 60_000)
    with pytest.raises(ImageResolutionError):
        load_image(bytes(gif))


def test_heic(portrait):
    heif = pytest.importorskip("pillow_heif")
    for orientation in (1, 3, 6, 8):
        stated = Image.Exif()
        stated[0x0112] = orientation
        file = heif.from_pillow(Image.fromarray(portrait[:200]))
        buffer = io.BytesIO()
        file.save(buffer, quality=90, exif=stated.tobytes())
        data = buffer.getvalue()
        assert identify(data) == "HEIF"
        expected = upright(portrait[:200], orientation)
        assert np.abs(load_image(data).astype(int) - expected).mean() < 3
        with pytest.raises(ImageDecodeError):
            load_image(data[: len(data) // 2])


def test_heic_without_its_library_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(ImageDecodeError, match=r"faceshape\[heif\]"):
        load_image(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100))
