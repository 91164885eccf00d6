"""AVIF and HEIC: files of boxes, with EXIF as one item among others.

The boxes `irot` and `imir` say how the picture is to be turned, and the decoders do it; EXIF is
not to be asked (ISO/IEC 23008-12, 6.6.1).
"""

import re

from faceshape.vision.formats.essence import Essence

__all__ = ["essence", "identify"]

_AVIF = {b"avif", b"avis"}
_HEIF = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
_EITHER = {b"mif1", b"msf1", b"miaf", b"MiHB", b"MiHE"}

# An item's entry of version 2 or 3: its number, its protection, its type.
_EXIF_ITEM = re.compile(rb"(infe(?:\x02.{7}|\x03.{9}))Exif", re.DOTALL)
_MOST_HEAD = 1 << 20


def identify(data: bytes) -> str | None:
    """Return "AVIF", "HEIF" or None, by the brands of the file's first box."""
    if data[4:8] != b"ftyp":
        return None
    end = min(int.from_bytes(data[:4], "big"), len(data), 4096)
    brands = {data[8:12], *(data[i : i + 4] for i in range(16, end, 4))}
    if data[8:12] not in _AVIF | _HEIF | _EITHER:
        return None
    return "AVIF" if brands & _AVIF else "HEIF"


def essence(data: bytes) -> Essence:
    """Return the file with its EXIF item under a name that no decoder knows."""
    head = _EXIF_ITEM.sub(rb"\1skip", data[:_MOST_HEAD])
    return Essence(head + data[_MOST_HEAD:])
