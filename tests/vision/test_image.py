import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from faceshape.errors import (
    EmptyImageError,
    ImageDecodeError,
    ImageError,
    ImageResolutionError,
    ImageSizeError,
    ImageTooSmallError,
    ShapeError,
)
from faceshape.tencent.limits import DOCUMENT_LIMITS
from faceshape.vision.image import load_image


def encoded(picture: Image.Image, form: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    picture.save(file, form, **options)
    return file.getvalue()


@pytest.fixture(scope="module")
def photo(portrait) -> Image.Image:
    return Image.fromarray(portrait)


@pytest.mark.parametrize("form", ["PNG", "BMP"])
def test_lossless_formats_give_the_pixels(photo, portrait, form):
    np.testing.assert_array_equal(load_image(encoded(photo, form)), portrait)


def test_jpeg_is_close(photo, portrait):
    found = load_image(encoded(photo, "JPEG", quality=95))
    assert np.abs(found.astype(int) - portrait).mean() < 3


def test_sources_agree(photo, portrait, tmp_path):
    data = encoded(photo)
    path = tmp_path / "photo.png"
    path.write_bytes(data)
    for source in (path, str(path), data, bytearray(data), memoryview(data), portrait):
        np.testing.assert_array_equal(load_image(source), portrait)


def test_a_missing_file_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_image(tmp_path / "none.jpg")


def test_grey_and_transparent_arrays():
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    assert (load_image(grey) == grey[:, :, None]).all()
    glass = np.zeros((2, 2, 4), np.uint8)
    assert (load_image(glass) == 255).all()


@pytest.mark.parametrize(
    "odd",
    [
        np.zeros((4, 4, 3), np.float32),
        np.zeros((4, 4, 2), np.uint8),
        np.zeros(4, np.uint8),
        np.zeros((1, 4, 4, 3), np.uint8),
        None,
        7,
    ],
)
def test_what_is_no_picture_is_refused(odd):
    with pytest.raises(ShapeError):
        load_image(odd)


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGBA", "LA", "CMYK", "I;16"])
def test_every_mode_becomes_rgb(photo, portrait, mode):
    if mode == "I;16":
        levels = np.asarray(photo.convert("L")).astype(np.uint16) * 257
        picture, form = Image.fromarray(levels), "PNG"
    else:
        picture, form = photo.convert(mode), "JPEG" if mode == "CMYK" else "PNG"
    found = load_image(encoded(picture, form))
    assert found.shape == portrait.shape
    assert found.dtype == np.uint8
    correlation = np.corrcoef(found.mean(axis=2).ravel(), portrait.mean(axis=2).ravel())[0, 1]
    assert correlation > (0.5 if mode == "1" else 0.98)


def test_palette_transparency_lies_over_white():
    picture = Image.new("P", (8, 8), 0)
    picture.putpalette([10, 20, 30] + [0] * 765)
    assert (load_image(encoded(picture, transparency=0)) == 255).all()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_exif_orientation_is_undone(photo, orientation, form):
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }
    stored = photo.resize((96, 80))
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = load_image(encoded(stored, form, exif=exif))
    upright = stored.transpose(undo[orientation]) if orientation > 1 else stored
    expected = load_image(encoded(upright, form))
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).mean() < 4


def test_a_senseless_orientation_means_nothing(photo, portrait):
    exif = Image.Exif()
    exif[0x0112] = 77
    np.testing.assert_array_equal(load_image(encoded(photo, exif=exif)), portrait)


@pytest.mark.parametrize("form", ["GIF", "WEBP", "TIFF"])
def test_other_formats_are_refused(photo, form):
    with pytest.raises(ImageDecodeError):
        load_image(encoded(photo, form))


@pytest.mark.parametrize("form", ["JPEG", "PNG", "BMP"])
@pytest.mark.parametrize("part", [0.02, 0.3, 0.7, 0.97])
def test_truncated_files_are_refused(photo, form, part):
    data = encoded(photo, form)
    with pytest.raises(ImageDecodeError):
        load_image(data[: int(len(data) * part)])


def test_nothing_is_refused_as_empty(tmp_path):
    (tmp_path / "empty.jpg").touch()
    for nothing in (b"", tmp_path / "empty.jpg", np.empty((0, 5, 3), np.uint8)):
        with pytest.raises(EmptyImageError):
            load_image(nothing)


def test_a_decompression_bomb_is_refused_by_its_header(photo):
    data = bytearray(encoded(photo))
    for width, height in ((30_000, 30_000), (10_000, 9_000), (2**31 - 1, 2**31 - 1)):
        data[16:24] = struct.pack(">II", width, height)
        data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns before it refuses
            with pytest.raises(ImageResolutionError):
                load_image(bytes(data))


@pytest.mark.parametrize(
    ("form", "size", "error"),
    [
        ("JPEG", (4000, 64), None),
        ("JPEG", (4001, 64), ImageResolutionError),
        ("PNG", (2000, 64), None),
        ("PNG", (64, 2001), ImageResolutionError),
        ("BMP", (2001, 64), ImageResolutionError),
        ("JPEG", (63, 500), ImageTooSmallError),
        ("PNG", (500, 63), ImageTooSmallError),
    ],
)
def test_the_documents_limits(form, size, error):
    data = encoded(Image.new("RGB", size), form)
    assert load_image(data).shape == (size[1], size[0], 3)
    if error is None:
        assert load_image(data, DOCUMENT_LIMITS).shape == (size[1], size[0], 3)
    else:
        with pytest.raises(error):
            load_image(data, DOCUMENT_LIMITS)


def test_five_megabytes_of_base64_are_the_limit(photo):
    data = encoded(photo, "BMP")
    most = 5 * 1024 * 1024 // 4 * 3
    load_image(data.ljust(most, b"\0"), DOCUMENT_LIMITS)
    with pytest.raises(ImageSizeError):
        load_image(data.ljust(most + 1, b"\0"), DOCUMENT_LIMITS)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damaged_files_give_a_picture_or_a_typed_error(photo, data):
    form = data.draw(st.sampled_from(["JPEG", "PNG", "BMP"]))
    damaged = bytearray(encoded(photo.resize((80, 72)), form))
    for _ in range(data.draw(st.integers(1, 8))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = load_image(bytes(damaged))
        except ImageError:
            return
    assert found.dtype == np.uint8
    assert found.shape[2] == 3
