"""How large a picture may be, and of which format."""

from dataclasses import dataclass

from faceshape.errors import (
    EmptyImageError,
    ImageResolutionError,
    ImageSizeError,
    ImageTooSmallError,
)
from faceshape.vision.formats import FORMATS

__all__ = ["LOCAL_LIMITS", "ImageLimits", "check_resolution", "check_size"]


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """What of a picture is taken; sides in pixels.

    Attributes:
        base64_characters: of the file once it is base64 encoded.
        long_side_jpeg, long_side_other: by file format; what is decoded already counts as JPEG.
        short_side: the least it must have.
        pixels: height times width, against decompression bombs.
        formats: of files, names out of `faceshape.vision.formats.FORMATS`.
    """

    base64_characters: int
    long_side_jpeg: int
    long_side_other: int
    short_side: int
    pixels: int
    formats: tuple[str, ...]

    @property
    def most_bytes(self) -> int:
        """Of a file."""
        return self.base64_characters // 4 * 3


LOCAL_LIMITS = ImageLimits(
    base64_characters=256 * 1024 * 1024,
    long_side_jpeg=20_000,
    long_side_other=20_000,
    short_side=1,
    pixels=80_000_000,
    formats=FORMATS,
)
"""Only what protects the machine."""


def check_size(count: int, limits: ImageLimits) -> None:
    """Check the number of a file's bytes.

    Raises:
        EmptyImageError: there are none.
        ImageSizeError: there are too many.
    """
    if count == 0:
        raise EmptyImageError("the picture has no bytes")
    encoded = -(-count // 3) * 4
    if encoded > limits.base64_characters:
        raise ImageSizeError(
            f"{encoded} characters once base64 encoded, at most {limits.base64_characters}"
        )


def check_resolution(size: tuple[int, int], long_side: int, limits: ImageLimits) -> None:
    """Check a picture's size, (width, height) in pixels.

    Raises:
        EmptyImageError: there are none.
        ImageResolutionError, ImageTooSmallError: there are too many, or too few.
    """
    width, height = size
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
