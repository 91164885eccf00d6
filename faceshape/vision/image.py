"""Picture intake: path, bytes or array → RGB uint8, upright.

Pillow reads the header, and the limits are checked before a single pixel is decoded. It also
decodes, because it refuses truncated files, which OpenCV completes in grey.
"""

import io
import struct
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from faceshape.errors import (
    EmptyImageError,
    ImageDecodeError,
    ImageResolutionError,
    ImageSizeError,
    ImageTooSmallError,
    ShapeError,
)

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

__all__ = [
    "LOCAL_LIMITS",
    "ImageLimits",
    "ImageSource",
    "RGBImage",
    "load_image",
]

RGBImage: TypeAlias = NDArray[np.uint8]
ImageSource: TypeAlias = str | PathLike[str] | bytes | bytearray | memoryview | RGBImage

_FORMATS = ("JPEG", "PNG", "BMP")
_EXIF_ORIENTATION = 0x0112
_BAND = 64  # lines that are converted at once
# What Pillow's decoders raise on malformed files, found by feeding them such files.
_DECODER_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    OverflowError,
    MemoryError,
    struct.error,
)


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """How large a picture may be; sides in pixels.

    Attributes:
        base64_characters: of the file once it is base64 encoded.
        long_side_jpeg, long_side_other: by file format; an array counts as JPEG.
        short_side: the least it must have.
        pixels: height times width, against decompression bombs.
    """

    base64_characters: int
    long_side_jpeg: int
    long_side_other: int
    short_side: int
    pixels: int


LOCAL_LIMITS = ImageLimits(
    base64_characters=256 * 1024 * 1024,
    long_side_jpeg=20_000,
    long_side_other=20_000,
    short_side=1,
    pixels=80_000_000,
)
"""Only what protects the machine."""


def load_image(source: ImageSource, limits: ImageLimits = LOCAL_LIMITS) -> RGBImage:
    """Return a picture as RGB uint8 (H, W, 3), turned upright as its EXIF orientation says.

    Grey, palette, CMYK and 16-bit files are converted; transparency is laid over white.

    Args:
        source: the path of a JPEG, PNG or BMP file, its bytes, or an array: uint8 RGB (H, W, 3),
            RGBA (H, W, 4) or grey (H, W).
        limits: what to refuse.

    Raises:
        EmptyImageError: no bytes, or no pixels.
        ImageDecodeError: another format, a truncated or a corrupt file.
        ImageSizeError, ImageResolutionError, ImageTooSmallError: a limit is exceeded.
        ShapeError: an array of another shape or type.
        OSError: the file cannot be read.
    """
    if isinstance(source, np.ndarray):
        return _from_array(source, limits)
    if isinstance(source, bytes | bytearray | memoryview):
        return _from_bytes(bytes(source), limits)
    if isinstance(source, str | PathLike):
        path = Path(source)
        _check_size(path.stat().st_size, limits)  # before it is read
        return _from_bytes(path.read_bytes(), limits)
    raise ShapeError(f"a picture is a path, bytes or an array, not {type(source).__name__}")


def _from_array(array: NDArray[np.uint8], limits: ImageLimits) -> RGBImage:
    if array.dtype != np.uint8 or not (
        array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))
    ):
        raise ShapeError(
            f"an array must be uint8 (H, W, 3), not {array.dtype} {tuple(array.shape)}"
        )
    _check_resolution(array.shape[1], array.shape[0], limits.long_side_jpeg, limits)
    if array.ndim == 2:
        return np.repeat(array[:, :, None], 3, axis=2)
    if array.shape[2] == 4:
        return _over_white(array)
    return np.ascontiguousarray(array)


def _from_bytes(data: bytes, limits: ImageLimits) -> RGBImage:
    pixels, orientation = _decode(data, limits)  # Pillow's own copy is gone when it is turned
    return _upright(pixels, orientation)


def _decode(data: bytes, limits: ImageLimits) -> tuple[RGBImage, int]:
    """Return the pixels as they are stored, and the EXIF orientation."""
    from PIL import Image, UnidentifiedImageError

    _check_size(len(data), limits)
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as picture:
            is_jpeg = picture.format in ("JPEG", "MPO")
            long_side = limits.long_side_jpeg if is_jpeg else limits.long_side_other
            width, height = picture.size
            _check_resolution(width, height, long_side, limits)
            pixels = _to_rgb(picture)
            # Read after the pixels: a PNG may carry its EXIF block behind them.
            orientation = picture.getexif().get(_EXIF_ORIENTATION, 1)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageResolutionError(str(error)) from error
    except UnidentifiedImageError as error:
        raise ImageDecodeError("neither a JPEG, a PNG nor a BMP file") from error
    except _DECODER_ERRORS as error:
        raise ImageDecodeError(f"not readable: {error}") from error
    # The tag may hold anything that EXIF can: text, a fraction, a list.
    return pixels, orientation if isinstance(orientation, int) else 1


def _check_size(count: int, limits: ImageLimits) -> None:
    if count == 0:
        raise EmptyImageError("the picture has no bytes")
    encoded = -(-count // 3) * 4
    if encoded > limits.base64_characters:
        raise ImageSizeError(
            f"{encoded} characters once base64 encoded, at most {limits.base64_characters}"
        )


def _check_resolution(width: int, height: int, long_side: int, limits: ImageLimits) -> None:
    if min(width, height) == 0:
        raise EmptyImageError("the picture has no pixels")
    if max(width, height) > long_side or width * height > limits.pixels:
        raise ImageResolutionError(
            f"{width}×{height} pixels; the long side may have {long_side}, all {limits.pixels}"
        )
    if min(width, height) < limits.short_side:
        raise ImageTooSmallError(
            f"{width}×{height} pixels; the short side must have {limits.short_side}"
        )


def _to_rgb(picture: "PillowImage") -> RGBImage:
    if picture.mode.startswith("I"):  # 16-bit grey
        grey = (np.asarray(picture).astype(np.int32) >> 8).clip(0, 255).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if picture.has_transparency_data:
        return _over_white(np.asarray(picture.convert("RGBA")))
    # In bands: Pillow keeps four bytes for a pixel, and a whole copy on the way is as much again.
    pixels: RGBImage = np.empty((picture.height, picture.width, 3), np.uint8)
    for top in range(0, picture.height, _BAND):
        below = min(top + _BAND, picture.height)
        band = picture.crop((0, top, picture.width, below))
        # A conversion from RGB to RGB would be one more copy.
        pixels[top:below] = np.asarray(band if band.mode == "RGB" else band.convert("RGB"))
    return pixels


def _over_white(rgba: NDArray[np.uint8]) -> RGBImage:
    alpha = rgba[:, :, 3:].astype(np.uint16)
    mixed = rgba[:, :, :3] * alpha + 255 * (255 - alpha)
    return ((mixed + 127) // 255).astype(np.uint8)


def _upright(pixels: RGBImage, orientation: int) -> RGBImage:
    """Undo what the EXIF orientation (1 to 8) says was done; other values mean nothing."""
    turns = {3: 2, 4: 2, 5: 1, 6: 3, 7: 3, 8: 1}.get(orientation, 0)
    if orientation in (2, 4, 5, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(np.rot90(pixels, turns))
