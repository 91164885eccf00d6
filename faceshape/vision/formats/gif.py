"""GIF: the screen, the first picture and its transparent colour.

CompuServe, Graphics Interchange Format, version 89a.
"""

from faceshape.errors import ImageDecodeError
from faceshape.vision.formats.essence import Essence, count_parts

__all__ = ["essence"]

_EXTENSION, _PICTURE, _TRAILER = 0x21, 0x2C, 0x3B
_GRAPHIC_CONTROL = 0xF9


def essence(data: bytes) -> Essence:
    """Return the file with its first picture alone.

    Raises:
        ImageDecodeError: there is none, or it is damaged.
    """
    place = _behind_colours(data, 10, 13)
    kept = [data[:place]]
    control = b""
    parts = 0
    while True:
        parts = count_parts(parts)
        label = data[place : place + 1]
        if label == bytes([_EXTENSION]):
            end = _behind_blocks(data, place + 2)
            if data[place + 1 : place + 2] == bytes([_GRAPHIC_CONTROL]):
                control = data[place:end]
            place = end
        elif label == bytes([_PICTURE]):
            # Behind the colours is the size of the codes.
            end = _behind_blocks(data, _behind_colours(data, place + 9, place + 10) + 1)
            kept += [control, data[place:end], bytes([_TRAILER])]
            return Essence(b"".join(kept))
        elif not label or label == bytes([_TRAILER]):
            raise ImageDecodeError("a GIF file without a picture")
        else:
            place += 1


def _behind_colours(data: bytes, flags: int, place: int) -> int:
    if flags >= len(data):
        raise ImageDecodeError("truncated")
    return place + (3 << (data[flags] & 7) + 1 if data[flags] & 0x80 else 0)


def _behind_blocks(data: bytes, place: int) -> int:
    parts = 0
    while place < len(data) and data[place]:
        parts = count_parts(parts)
        place += 1 + data[place]
    return min(place + 1, len(data))
