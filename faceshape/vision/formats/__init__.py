"""Picture files: which format, and what in them decides about the pixels.

A decoder is given that alone. Metadata that it never sees can neither mislead, stop nor bomb it.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from faceshape.vision.formats import bmp, gif, heif, jpeg, png, tiff, webp
from faceshape.vision.formats.essence import Essence

__all__ = ["FORMATS", "Essence", "essence_of", "identify"]

_ESSENCES: Mapping[str, Callable[[bytes], Essence]] = MappingProxyType(
    {
        "JPEG": jpeg.essence,
        "PNG": png.essence,
        "BMP": bmp.essence,
        "GIF": gif.essence,
        "WEBP": webp.essence,
        "TIFF": tiff.essence,
        "AVIF": heif.essence,
        "HEIF": heif.essence,
    }
)

FORMATS = tuple(_ESSENCES)
"""The names of all formats, as Pillow has them; those that every camera and phone writes."""

_SIGNATURES = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"BM", "BMP"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
)


def identify(data: bytes) -> str | None:
    """Return the format that a file's first bytes announce, one of `FORMATS`, or None."""
    for signature, name in _SIGNATURES:
        if data.startswith(signature):
            return name
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    return heif.identify(data)


def essence_of(data: bytes, name: str) -> Essence:
    """Return what decides about the pixels of a file of the format of that name.

    Raises:
        ImageDecodeError: the file is damaged, or would take a decoder too long.
    """
    return _ESSENCES[name](data)
