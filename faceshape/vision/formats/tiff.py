"""TIFF and BigTIFF: the first page, and of its directory the entries about pixels.

Adobe, TIFF Revision 6.0, and its supplements.
"""

import struct
from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from faceshape.errors import ImageDecodeError
from faceshape.vision.formats.essence import MOST_PARTS, Essence
from faceshape.vision.formats.exif import ORIENTATION

__all__ = ["essence"]

# Size, depth, compression, colours, fill order, strips, planes, predictor, fax, colour map, tiles,
# inks, extra samples, sample format, JPEG tables, YCbCr.
_KEPT = {
    *(256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284, 292, 293, 317, 320),
    *(322, 323, 324, 325, 332, 338, 339, 347, 529, 530, 531, 532),
}
_WIDTH, _LENGTH, _SAMPLES = 256, 257, 277
_COMPRESSION, _OLD_JPEG, _JPEG = 259, 6, 7
_PLANES, _SEPARATE = 284, 2
_ROWS_PER_STRIP, _TILE_WIDTH, _TILE_LENGTH = 278, 322, 323
_PARTS = ((273, 279), (324, 325))  # where strips are, and their bytes; the same of tiles
_BYTE_COUNTS = (279, 325)
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 16: 8, 17: 8}
_WHOLE_NUMBERS = {1: "u1", 3: "u2", 4: "u4", 16: "u8"}


class _Layout(NamedTuple):
    """Where and how wide the numbers are; TIFF's are 4 bytes wide, BigTIFF's 8."""

    order: Literal["<", ">"]
    head: int  # where the place of the first directory stands
    place: str
    entries: str
    entry: str
    inline: int  # bytes of a value that stands in its entry


class _Entry(NamedTuple):
    tag: int
    kind: int
    values: int
    place: int  # of the first value
    raw: bytes

    @property
    def size(self) -> int:
        return self.values * _SIZES.get(self.kind, 1)


def essence(data: bytes) -> Essence:
    """Return the file with a directory of its own at the end, of what decides about pixels.

    Raises:
        ImageDecodeError: the directory is damaged, names more bytes than there are, or needs a
            decoder for JPEG as it was before 1995.
    """
    try:
        layout = _layout(data)
        kept, numbers, orientation = [], {}, 1
        for entry in _entries(data, layout):
            if entry.tag == ORIENTATION:
                value = _numbers(data, layout, entry)
                orientation = int(value[0]) if value.size and 1 <= value[0] <= 8 else 1
            if entry.tag in _KEPT:
                numbers[entry.tag] = _checked(data, layout, entry)
                kept.append(entry)
    except struct.error as error:
        raise ImageDecodeError("truncated: the directory is not whole") from error
    if sum(entry.size for entry in kept if entry.size > layout.inline) > len(data):
        raise ImageDecodeError("damaged: a directory with more in it than the file")
    _check_parts(data, layout, numbers)
    directory = b"".join(
        [
            struct.pack(layout.order + layout.entries, len(kept)),
            *(entry.raw for entry in kept),
            struct.pack(layout.order + layout.place, 0),  # no other page
        ]
    )
    gap = b"\0" * (-len(data) % 8)
    place = struct.pack(layout.order + layout.place, len(data) + len(gap))
    head, rest = data[: layout.head], memoryview(data)[layout.head + len(place) :]
    return Essence(b"".join([head, place, rest, gap, directory]), orientation)


def _layout(data: bytes) -> _Layout:
    order: Literal["<", ">"] = "<" if data[:2] == b"II" else ">"
    (version,) = struct.unpack_from(order + "H", data, 2)
    if version == 43:
        return _Layout(order, 8, "Q", "Q", "HHQ", 8)
    return _Layout(order, 4, "I", "H", "HHI", 4)


def _entries(data: bytes, layout: _Layout) -> Iterator[_Entry]:
    order, head, place, entries, entry, inline = layout
    (start,) = struct.unpack_from(order + place, data, head)
    (count,) = struct.unpack_from(order + entries, data, start)
    first = start + struct.calcsize(order + entries)
    size = struct.calcsize(order + entry) + inline
    known = set()
    for at in range(first, first + min(count, 65535) * size, size):
        tag, kind, values = struct.unpack_from(order + entry, data, at)
        value = at + size - inline
        if values * _SIZES.get(kind, 1) > inline:
            (value,) = struct.unpack_from(order + place, data, value)
        if tag not in known:
            yield _Entry(tag, kind, values, value, data[at : at + size])
        known.add(tag)


def _numbers(data: bytes, layout: _Layout, entry: _Entry) -> NDArray[Any]:
    kind = np.dtype(_WHOLE_NUMBERS.get(entry.kind, "u1")).newbyteorder(layout.order)
    there = data[entry.place : entry.place + entry.values * kind.itemsize]
    return np.frombuffer(there, kind, len(there) // kind.itemsize)


def _checked(data: bytes, layout: _Layout, entry: _Entry) -> NDArray[Any]:
    if entry.values > MOST_PARTS:
        raise ImageDecodeError(f"more than {MOST_PARTS} strips or tiles")
    numbers = _numbers(data, layout, entry)
    if entry.tag == _COMPRESSION and numbers.size and numbers[0] == _OLD_JPEG:
        raise ImageDecodeError("a TIFF file with JPEG as of before 1995; save it anew")
    # A decoder would read the same bytes again and again.
    if entry.tag in _BYTE_COUNTS and numbers.sum(dtype=np.float64) > len(data) + 65536:
        raise ImageDecodeError("damaged: more bytes in its strips or tiles than in the file")
    return numbers


def _check_parts(data: bytes, layout: _Layout, numbers: Mapping[int, NDArray[Any]]) -> None:
    """Refuse strips or tiles that are not there, which decoders leave black."""

    def number(tag: int, default: int = 0) -> int:
        return int(numbers[tag][0]) if tag in numbers and numbers[tag].size else default

    width, height = number(_WIDTH), number(_LENGTH)
    tiled = _TILE_WIDTH in numbers
    columns = number(_TILE_WIDTH) if tiled else width
    rows = number(_TILE_LENGTH) if tiled else number(_ROWS_PER_STRIP, height)
    planes = number(_SAMPLES, 1) if number(_PLANES) == _SEPARATE else 1
    needed = -(-width // (columns or width or 1)) * -(-height // (rows or height or 1)) * planes
    none = np.zeros(0, np.uint8)
    places, counts = (numbers.get(tag, none)[:needed] for tag in _PARTS[tiled])
    if len(places) < needed or (places < layout.head + struct.calcsize(layout.place)).any():
        raise ImageDecodeError("truncated: strips or tiles are missing")
    if number(_COMPRESSION) == _JPEG:
        for place, count in zip(places.tolist(), counts.tolist(), strict=False):
            if not data[place : place + count].rstrip(b"\0").endswith(b"\xff\xd9"):
                raise ImageDecodeError("truncated: strips or tiles are not whole")
