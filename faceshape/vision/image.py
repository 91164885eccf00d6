"""Picture intake: path, bytes, file, array or Pillow's picture → RGB uint8, upright."""

import sys
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeGuard

from numpy.typing import NDArray

from faceshape.errors import (
    EmptyImageError,
    ImageDecodeError,
    ImageFileError,
    ImageFileIsFolderError,
    ImageFileMissingError,
    ImageFilePermissionError,
    ParameterError,
    ShapeError,
)
from faceshape.vision.arrays import Channels, as_array, checked_channels, to_rgb
from faceshape.vision.decoding import RGBImage, decode, pillow_orientation, pillow_pixels, upright
from faceshape.vision.limits import LOCAL_LIMITS, ImageLimits, check_resolution, check_size

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

__all__ = [
    "LOCAL_LIMITS",
    "Channels",
    "ImageLimits",
    "ImageSource",
    "RGBImage",
    "load_image",
]


class _BinaryFile(Protocol):
    def read(self, size: int, /) -> bytes: ...


class _HasArray(Protocol):
    def __array__(self) -> NDArray[Any]: ...


class _HasArrayInterface(Protocol):
    @property
    def __array_interface__(self) -> dict[str, Any]: ...


class _HasDLPack(Protocol):
    def __dlpack__(self) -> Any: ...


ImageSource: TypeAlias = (
    "str | PathLike[str] | bytes | bytearray | memoryview | _BinaryFile | PillowImage"
    " | _HasArray | _HasArrayInterface | _HasDLPack"
)
"""What `load_image` takes."""


def load_image(
    source: ImageSource, limits: ImageLimits = LOCAL_LIMITS, channels: Channels = "rgb"
) -> RGBImage:
    """Return a picture as RGB uint8 (H, W, 3), turned upright as its EXIF orientation says.

    Grey, palette, CMYK and 16-bit pictures are converted; transparency is laid over white. Of an
    animation or of several pages the first is taken.

    Args:
        source: one of these.
            A path, or the bytes of a file: JPEG, PNG, BMP, GIF, WebP or TIFF; AVIF where Pillow is
            built with it, as its wheels are; HEIC with the extra "heif"; see `ImageLimits.formats`.
            A file that is open for reading bytes; it is read from where it stands.
            A picture of Pillow's; its frame of the moment.
            An array of numpy, or of what hands one over by ``__array__``, ``__array_interface__``
            or ``__dlpack__``, as the tensors of other libraries do: grey (H, W) or (H, W, 1), RGB
            (H, W, 3), RGBA (H, W, 4). Its type says what its numbers mean. uint8: 0 to 255.
            uint16: 0 to 65535. bool: black and white. Floating: 0 to 1.
        limits: what to refuse.
        channels: "rgb", or "bgr" for arrays in OpenCV's order; files and Pillow's pictures know
            theirs.

    Raises:
        EmptyImageError: no bytes, or no pixels.
        ImageDecodeError: a format that is not taken, a corrupt file, or one that lacks pixels, even
            if its end mark is there. A progressive JPEG may lack some of its last scan where that
            refines the lowest bits alone.
        ImageSizeError, ImageResolutionError, ImageTooSmallError: a limit is exceeded.
        ImageFileError: the file cannot be read. It is an OSError, too: FileNotFoundError,
            IsADirectoryError or PermissionError where one of these is the reason.
        ShapeError: an array of another shape or type, or something else altogether.
        ParameterError: channels is neither, or the path is not one.
    """
    channels = checked_channels(channels)
    if isinstance(source, str | PathLike):
        return decode(_read_path(source, limits), limits)
    if isinstance(source, bytes):
        return decode(source, limits)
    if isinstance(source, bytearray):
        source = memoryview(source)
    if isinstance(source, memoryview) and source.ndim < 2:
        check_size(source.nbytes, limits)
        return decode(bytes(source), limits)
    if _is_pillow(source):
        return _from_pillow(source, limits)
    array = as_array(source)
    if array is not None:
        _check_array(array, limits)
        return to_rgb(array, channels)
    if _is_file(source):
        return decode(_read_file(source, limits, "the file"), limits)
    raise ShapeError(
        "a picture is a path, bytes, an open file, a picture of Pillow's or an array, not "
        f"{type(source).__name__}"
    )


def _is_file(source: object) -> TypeGuard[_BinaryFile]:
    return callable(getattr(source, "read", None))


def _check_array(array: NDArray[Any], limits: ImageLimits) -> None:
    if array.ndim in (2, 3):  # others are refused for that
        check_resolution((array.shape[1], array.shape[0]), limits.long_side_jpeg, limits)


def _is_pillow(source: object) -> "TypeGuard[PillowImage]":
    pillow = sys.modules.get("PIL.Image")  # without it there is no such picture either
    return pillow is not None and isinstance(source, pillow.Image)


def _from_pillow(picture: "PillowImage", limits: ImageLimits) -> RGBImage:
    check_resolution(picture.size, limits.long_side_jpeg, limits)
    try:
        picture.load()
        pixels = pillow_pixels(picture)
    except ImageDecodeError:
        raise
    except Exception as error:  # damaged files make decoders raise anything
        raise ImageDecodeError(f"not readable: {error}") from error
    return upright(pixels, pillow_orientation(picture))


def _read_path(path: str | PathLike[str], limits: ImageLimits) -> bytes:
    try:
        file = Path(path)
        if file.is_file():
            check_size(file.stat().st_size, limits)  # before it is read
        with file.open("rb") as stream:  # a pipe has no size
            return _read_file(stream, limits, str(path))
    except ImageFileError:
        raise
    except OSError as error:
        raise _file_error(error, str(path)) from error
    except (TypeError, ValueError) as error:  # a zero byte, or half a surrogate pair
        raise ParameterError(f"not a path: {error}") from error


def _file_error(error: OSError, path: str) -> ImageFileError:
    number = error.errno
    if isinstance(error, FileNotFoundError):
        hint = "; addresses are not fetched here" if "://" in path else ""
        return ImageFileMissingError(f"{path}: there is no such file{hint}", number, path)
    if isinstance(error, IsADirectoryError):
        return ImageFileIsFolderError(f"{path} is a folder, not a picture", number, path)
    if isinstance(error, PermissionError):
        return ImageFilePermissionError(f"{path} may not be read", number, path)
    return ImageFileError(f"{path} cannot be read: {error.strerror or error}", number, path)


def _read_file(file: _BinaryFile, limits: ImageLimits, name: str) -> bytes:
    """Return what is left of an open file, but not more than may be."""
    parts: list[bytes] = []
    room = limits.most_bytes + 1
    try:
        while room > 0 and (part := file.read(room)):
            if not isinstance(part, bytes | bytearray | memoryview):
                raise ParameterError(
                    f"{name} gives {type(part).__name__} instead of bytes: open it with 'rb'"
                )
            parts.append(bytes(part))
            room -= len(part)
    except OSError as error:
        raise _file_error(error, name) from error
    except ValueError as error:  # it is closed
        raise ParameterError(f"{name} cannot be read: {error}") from error
    if not parts:
        raise EmptyImageError(f"{name} has no bytes; is an open one at its end? .seek(0)")
    data = b"".join(parts)
    check_size(len(data), limits)
    return data
