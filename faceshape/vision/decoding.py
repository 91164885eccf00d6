"""Bytes of a picture file → RGB uint8, upright.

Pillow reads the header, and the limits are checked before a single pixel is decoded. It also
decodes, because it refuses truncated files, which OpenCV completes in grey; OpenCV and numpy do
what Pillow cannot or is slow at.
"""

import io
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from faceshape.errors import (
    FaceShapeError,
    ImageDecodeError,
    ImageResolutionError,
    ShapeError,
)
from faceshape.vision.arrays import bands, over_white, to_rgb
from faceshape.vision.formats import Essence, bmp, essence_of, exif, identify, jpeg, png, webp
from faceshape.vision.limits import ImageLimits, check_resolution, check_size

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

__all__ = ["RGBImage", "decode", "pillow_orientation", "pillow_pixels", "upright"]

RGBImage: TypeAlias = NDArray[np.uint8]

# What libjpeg makes of pixels that are missing, in every colour space; CMYK is inverted.
_MISSING = (127, 128)


def decode(data: bytes, limits: ImageLimits) -> RGBImage:
    """Return the picture (H, W, 3) in a file's bytes, turned as its EXIF orientation says.

    Raises:
        ImageError: as `faceshape.vision.image.load_image` says.
    """
    check_size(len(data), limits)
    name = identify(data)
    if name is None:
        raise ImageDecodeError(f"not a picture of a known format: {_listed(limits.formats)}")
    if name not in limits.formats:
        raise ImageDecodeError(
            f"a {name} file; {_listed(limits.formats)} are taken here: save it as one of these"
        )
    from PIL.Image import DecompressionBombError, DecompressionBombWarning

    try:
        essence = essence_of(data, name)
        del data  # there may be memory for two such files, but not for three
        pixels, orientation = _pixels(essence, name, limits)
    except FaceShapeError:
        raise
    except (DecompressionBombError, DecompressionBombWarning) as error:
        raise ImageResolutionError(str(error)) from error
    except Exception as error:  # damaged files make decoders raise anything
        raise ImageDecodeError(f"not readable: {str(error) or type(error).__name__}") from error
    return upright(pixels, orientation)


def pillow_pixels(picture: "PillowImage") -> RGBImage:
    """Return the pixels (H, W, 3) of a picture of Pillow's as they are stored.

    Grey, palette, CMYK and 16-bit pictures are converted; transparency is laid over white.

    Raises:
        ImageDecodeError: it is of numbers that have no agreed white.
    """
    mode = picture.mode
    if mode.startswith("I;16") or (mode == "I" and picture.format == "PNG"):
        return _deep_grey(picture)
    if mode == "F":
        try:
            return to_rgb(np.asarray(picture))
        except ShapeError as error:
            raise ImageDecodeError(str(error)) from error
    if mode == "I":
        raise ImageDecodeError("whole numbers of 32 bits, which have no agreed white: use 8 or 16")
    pixels: RGBImage = np.empty((picture.height, picture.width, 3), np.uint8)
    clear = picture.has_transparency_data and not _is_blank_alpha(picture)
    # In bands: Pillow keeps four bytes for a pixel, and a whole copy on the way is as much again.
    for band in bands(picture.height):
        part = picture.crop((0, band.start, picture.width, band.stop))
        if clear:
            rgba = np.asarray(part.convert("RGBA"))
            pixels[band] = over_white(rgba[:, :, :3], rgba[:, :, 3:])
        else:  # a conversion from RGB to RGB would be one more copy
            pixels[band] = np.asarray(part if mode == "RGB" else part.convert("RGB"))
    return pixels


def pillow_orientation(picture: "PillowImage") -> int:
    """Return the EXIF orientation, 1 to 8, of a picture of Pillow's."""
    block = picture.info.get("exif")
    return exif.orientation(block) if isinstance(block, bytes) else 1


def upright(pixels: RGBImage, orientation: int) -> RGBImage:
    """Undo what the EXIF orientation (1 to 8) says was done; other values mean nothing."""
    turns = {3: 2, 4: 2, 5: 1, 6: 3, 7: 3, 8: 1}.get(orientation, 0)
    if orientation in (2, 4, 5, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(np.rot90(pixels, turns))


def _listed(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else "".join(names)


def _pixels(essence: Essence, name: str, limits: ImageLimits) -> tuple[RGBImage, int]:
    """Return the pixels as they are stored, and their orientation."""
    long_side = limits.long_side_jpeg if name == "JPEG" else limits.long_side_other
    if name == "BMP" and (size := bmp.bit_fields(essence.data)):
        check_resolution(size, long_side, limits)
        return _masked_pixels(bmp.read_bit_fields(essence.data)), 1
    with _opened(essence.data, name) as picture:
        check_resolution(picture.size, long_side, limits)
        if _is_for_opencv(essence.data, name):
            picture.close()
            return _opencv_pixels(essence.data), essence.orientation
        picture.load()
        check_resolution(picture.size, long_side, limits)  # a HEIC's header may be wrong
        if name == "JPEG" and _lacks_pixels(picture, essence):
            raise ImageDecodeError("truncated: pixels are missing")
        if name == "PNG" and _may_lack_rows(picture) and not png.has_all_rows(essence.data):
            raise ImageDecodeError("truncated: rows are missing")
        if name == "PNG" and png.has_deep_transparency(essence.data):
            # Pillow drops the lower bytes before it looks for the transparent colour.
            picture.close()
            return _opencv_pixels(essence.data), essence.orientation
        if essence.clear is not None:
            picture.info["transparency"] = essence.clear
        # Pillow says by EXIF, too, how the boxes of an AVIF turn it.
        orientation = pillow_orientation(picture) if name == "AVIF" else essence.orientation
        return pillow_pixels(picture), orientation


def _is_for_opencv(data: bytes, name: str) -> bool:
    """Return whether OpenCV decodes faster or in less memory, and is as strict as Pillow."""
    return (name == "BMP" and bmp.has_run_lengths(data)) or (
        name == "WEBP" and not webp.is_animation(data)
    )


def _opened(data: bytes, name: str) -> "PillowImage":
    from PIL import Image, UnidentifiedImageError

    file = io.BytesIO(data)
    if name == "HEIF":
        try:
            from pillow_heif import HeifImageFile
        except ImportError as error:
            raise ImageDecodeError(
                'an HEIC file; to read these, install "faceshape[heif]"'
            ) from error
        heif: PillowImage = HeifImageFile(file)
        return heif
    try:
        return Image.open(file, formats=[name])
    except (UnidentifiedImageError, KeyError) as error:
        if name == "AVIF":
            _check_avif()
        raise ImageDecodeError(f"damaged: not what a {name} file begins with") from error


def _check_avif() -> None:
    from PIL import features

    if "avif" not in features.get_supported():
        raise ImageDecodeError("an AVIF file, which this build of Pillow does not read")


def _lacks_pixels(picture: "PillowImage", essence: Essence) -> bool:
    """Return whether libjpeg had to make pixels up, which it does without a word."""
    last = picture.getpixel((picture.width - 1, picture.height - 1))
    values = last if isinstance(last, tuple) else (last,)
    if essence.shows and any(value not in _MISSING for value in values):
        return False
    with _opened(jpeg.with_other_end(essence.data), "JPEG") as other:
        other.load()
        return any(
            not np.array_equal(np.asarray(picture.crop(box)), np.asarray(other.crop(box)))
            for band in bands(picture.height)
            for box in [(0, band.start, picture.width, band.stop)]
        )


def _may_lack_rows(picture: "PillowImage") -> bool:
    """Return whether a PNG's last pixel, in its rows' order or in its passes', is as none."""
    width, height = picture.size
    corner = picture.crop((max(width - 2, 0), max(height - 2, 0), width, height))
    return not np.asarray(corner).reshape(corner.width * corner.height, -1).any(axis=1).all()


def _is_blank_alpha(picture: "PillowImage") -> bool:
    """Return whether a BMP's alpha says of every pixel that it is not there: it means nothing."""
    return (
        picture.format in ("BMP", "DIB")
        and picture.mode == "RGBA"
        and picture.getchannel("A").getextrema() == (0, 0)
    )


def _deep_grey(picture: "PillowImage") -> RGBImage:
    levels = np.asarray(picture)
    clear = picture.info.get("transparency")
    pixels: RGBImage = np.empty((*levels.shape, 3), np.uint8)
    for band in bands(len(levels)):
        grey = (levels[band] >> 8).clip(0, 255).astype(np.uint8)
        if isinstance(clear, int):
            grey[levels[band] == clear] = 255
        pixels[band] = grey[:, :, None]
    return pixels


def _opencv_pixels(data: bytes) -> RGBImage:
    import cv2

    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if decoded is None:
        raise ImageDecodeError("not readable: truncated or corrupt")
    return to_rgb(decoded, "bgr")


def _masked_pixels(fields: bmp.BitFields) -> RGBImage:
    rows, (*colours, alpha) = fields.rows, fields.masks
    height, width = rows.shape
    # Many programs leave alpha 0 and mean opaque.
    clear = alpha and any((rows[band] & alpha).any() for band in bands(height))
    pixels: RGBImage = np.empty((height, width, 3), np.uint8)
    for band in bands(height):
        channels = [_channel(rows[band], mask) for mask in (*colours, alpha)]
        part = np.stack(channels[:3], axis=2)
        pixels[band] = over_white(part, channels[3][:, :, None]) if clear else part
    return pixels


def _channel(rows: NDArray[np.unsignedinteger], mask: int) -> NDArray[np.uint8]:
    if mask == 0:
        return np.zeros(rows.shape, np.uint8)
    lowest = (mask & -mask).bit_length() - 1
    most = mask >> lowest
    values = (rows & mask).astype(np.uint64) >> np.uint64(lowest)
    levels: NDArray[np.uint8] = ((values * 255 + most // 2) // most).astype(np.uint8)
    return levels
