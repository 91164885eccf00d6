"""WebP: the picture's bit stream and its alpha; of an animation the first frame.

RFC 9649, WebP Image Format.
"""

import struct

from faceshape.errors import ImageDecodeError
from faceshape.vision.formats import exif
from faceshape.vision.formats.essence import Essence, count_parts

__all__ = ["essence", "is_animation"]

_KEPT = (b"VP8X", b"ALPH", b"VP8 ", b"VP8L", b"ANIM", b"ANMF")
_ANIMATION_FLAG = 0x02
_METADATA_FLAGS = 0x20 | 0x08 | 0x04  # ICC, EXIF, XMP


def essence(data: bytes) -> Essence:
    """Return the file without ICC profile, EXIF and XMP, and without all frames but the first.

    Raises:
        ImageDecodeError: there are too many chunks.
    """
    kept: list[bytes] = []
    orientation, place, parts = 1, 12, 0
    kinds = set()
    while place + 8 <= len(data):
        parts = count_parts(parts)
        kind, (length,) = data[place : place + 4], struct.unpack_from("<I", data, place + 4)
        content = data[place + 8 : place + 8 + length]
        place += 8 + length + length % 2
        if kind == b"EXIF":
            orientation = exif.orientation(content)
        if kind in _KEPT and kind not in kinds:
            kinds.add(kind)
            if kind == b"VP8X" and content:
                content = bytes([content[0] & ~_METADATA_FLAGS]) + content[1:]
            # A chunk that is cut off says so by its length.
            kept += [kind, struct.pack("<I", length), content, b"\0" * (len(content) % 2)]
    body = b"WEBP" + b"".join(kept)
    if not kept:
        raise ImageDecodeError("a WebP file without a picture")
    return Essence(b"RIFF" + struct.pack("<I", len(body)) + body, orientation)


def is_animation(data: bytes) -> bool:
    """Return whether an essence is of an animation."""
    return data[12:16] == b"VP8X" and bool(data[20] & _ANIMATION_FLAG)
