import errno
import io
import mmap
import os
import pickle
import struct
import threading
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from faceshape.errors import (
    EmptyImageError,
    FaceShapeError,
    ImageDecodeError,
    ImageError,
    ImageFileError,
    ImageResolutionError,
    ImageSizeError,
    ImageTooSmallError,
    ParameterError,
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


def test_a_missing_file_is_an_error_of_ours_and_of_the_system(tmp_path):
    missing = tmp_path / "none.jpg"
    with pytest.raises(FileNotFoundError) as caught:
        load_image(missing)
    assert isinstance(caught.value, ImageError)
    assert caught.value.errno == errno.ENOENT
    assert caught.value.filename == str(missing)
    assert "no such file" in str(caught.value)
    again = pickle.loads(pickle.dumps(caught.value))
    assert (type(again), str(again), again.errno) == (
        type(caught.value),
        str(caught.value),
        errno.ENOENT,
    )


def test_a_folder_says_so(tmp_path):
    with pytest.raises(IsADirectoryError, match="is a folder") as caught:
        load_image(tmp_path)
    assert isinstance(caught.value, FaceShapeError)


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"x")

    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(PermissionError, match="may not be read") as caught:
        load_image(path)
    assert isinstance(caught.value, ImageFileError)


def test_an_address_is_not_fetched():
    with pytest.raises(FileNotFoundError, match="not fetched"):
        load_image("https://pictures.example/a.jpg")


@pytest.mark.parametrize("path", ["a\0b.jpg", "\ud800.jpg"])
def test_what_cannot_be_a_path(path):
    with pytest.raises(ParameterError, match="not a path"):
        load_image(path)


def test_a_name_that_is_too_long():
    with pytest.raises(OSError, match="cannot be read") as caught:
        load_image("x" * 5000)
    assert isinstance(caught.value, ImageFileError)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_read(photo, portrait, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(encoded(photo)))
    writer.start()
    np.testing.assert_array_equal(load_image(pipe), portrait)
    writer.join()


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no such device here")
def test_an_endless_file_ends():
    with pytest.raises(ImageSizeError):
        load_image("/dev/zero", DOCUMENT_LIMITS)


def test_open_files(photo, portrait, tmp_path):
    data = encoded(photo)
    np.testing.assert_array_equal(load_image(io.BytesIO(data)), portrait)
    path = tmp_path / "photo.png"
    path.write_bytes(data)
    with path.open("rb") as file:
        np.testing.assert_array_equal(load_image(file), portrait)
        with pytest.raises(EmptyImageError, match="seek"):
            load_image(file)
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            np.testing.assert_array_equal(load_image(mapped), portrait)
    with pytest.raises(ParameterError, match="closed"):
        load_image(file)
    with pytest.raises(ParameterError, match="rb"):
        load_image(io.StringIO("text"))


def test_a_file_that_gives_little_at_a_time(photo, portrait):
    class Slow(io.RawIOBase):
        def __init__(self, data):
            self.left = data

        def read(self, size=-1):
            part, self.left = self.left[:1000], self.left[1000:]
            return part

    np.testing.assert_array_equal(load_image(Slow(encoded(photo))), portrait)


def test_a_file_that_fails():
    class Broken:
        def read(self, size):
            raise OSError(errno.EIO, "Input/output error")

    with pytest.raises(OSError, match="Input/output") as caught:
        load_image(Broken())
    assert isinstance(caught.value, ImageFileError)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I;16", "F"])
def test_pictures_of_pillow(photo, portrait, mode):
    if mode == "I;16":
        picture = Image.fromarray(np.asarray(photo.convert("L")).astype(np.uint16) * 257)
    elif mode == "F":
        picture = Image.fromarray(np.asarray(photo.convert("L")).astype(np.float32) / 255)
    else:
        picture = photo.convert(mode)
    found = load_image(picture)
    off = np.abs(found.mean(axis=2) - np.asarray(photo.convert("L"))).mean()
    assert off < {"RGB": 12, "RGBA": 12, "CMYK": 12, "YCbCr": 12, "P": 15, "1": 100}.get(mode, 0.51)
    if mode in ("RGB", "RGBA"):
        np.testing.assert_array_equal(found, portrait)


def test_a_picture_of_pillow_is_as_its_file(photo, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(photo.crop((0, 0, 256, 200)), "JPEG", exif=exif)
    with Image.open(io.BytesIO(data)) as picture:
        np.testing.assert_array_equal(load_image(picture), load_image(data))
    with (
        Image.open(io.BytesIO(data[:3000])) as cut,
        pytest.raises(ImageDecodeError, match="truncated"),
    ):
        load_image(cut)
    with pytest.raises(ImageDecodeError, match="32 bits"):
        load_image(Image.new("I", (8, 8)))


def test_limits_hold_for_what_is_decoded_already():
    many = np.broadcast_to(np.uint8(0), (10_000, 10_000, 3))
    for source in (many, Image.new("1", (10_000, 10_000))):
        with pytest.raises(ImageResolutionError):
            load_image(source)


def test_grey_and_transparent_arrays():
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    assert (load_image(grey) == grey[:, :, None]).all()
    glass = np.zeros((2, 2, 4), np.uint8)
    assert (load_image(glass) == 255).all()


@pytest.mark.parametrize(
    "odd",
    [
        np.zeros((4, 4, 3), np.int64),
        np.zeros((4, 4, 3), complex),
        np.zeros((4, 4, 3), object),
        np.zeros((4, 4, 2), np.uint8),
        np.zeros((3, 4, 5), np.uint8),
        np.zeros(4, np.uint8),
        np.zeros((1, 4, 4, 3), np.uint8),
        [[0, 255], [255, 0]],
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


@pytest.mark.parametrize("form", ["GIF", "WEBP", "TIFF", "AVIF"])
def test_the_document_knows_three_formats(photo, form):
    data = b"\0\0\0\x1cftypavif" + bytes(99) if form == "AVIF" else encoded(photo, form)
    with pytest.raises(ImageDecodeError, match=f"a {form} file; JPEG, PNG and BMP are taken here"):
        load_image(data, DOCUMENT_LIMITS)


def test_avif_without_a_pillow_that_reads_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr("PIL.features.get_supported", list)
    with pytest.raises(ImageDecodeError, match="build of Pillow"):
        load_image(b"\0\0\0\x1cftypavif" + bytes(99))


@pytest.mark.parametrize("data", [b"%PDF-1.7", b"<svg/>", b"hello", b"BN" + bytes(99), b"II"])
def test_what_is_of_no_known_format_is_told_which_there_are(data):
    with pytest.raises(ImageDecodeError, match="JPEG, PNG, BMP, GIF, WEBP, TIFF, AVIF and HEIF"):
        load_image(data)


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
