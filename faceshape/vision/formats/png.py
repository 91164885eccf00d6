"""PNG: the critical chunks and the transparency; the first picture of an animation.

W3C, Portable Network Graphics Specification (Third Edition).
"""

import struct
import zlib

from faceshape.errors import ImageDecodeError
from faceshape.vision.formats import exif
from faceshape.vision.formats.essence import Essence, count_parts

__all__ = ["essence", "has_all_rows", "has_deep_transparency"]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, _RGB, _PALETTE = 0, 2, 3  # colour types
_KEPT = (b"PLTE", b"tRNS", b"IDAT")
_ANCILLARY = (b"tRNS", b"eXIf")  # those that are looked at
_MOST_EXIF = 65536  # as in a JPEG
_HEADER = struct.Struct(">I4s")
_AT_ONCE = 1 << 14  # bytes that are unfolded in one go, to a thousand times as many at most
_CHANNELS = {_GREY: 1, _RGB: 3, _PALETTE: 1, 4: 2, 6: 4}

# Of the passes of an interlaced picture: the first column and row, and the steps to the next.
_PASSES = (
    *((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4)),
    *((0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)),
)


def essence(data: bytes) -> Essence:
    """Return the file with its header, palette, transparency and pixels, these in one chunk.

    A checksum that is wrong condemns a critical chunk, and drops another one.

    Raises:
        ImageDecodeError: a critical chunk is damaged, unknown or missing.
    """
    view = memoryview(data)
    header = b""
    kept: dict[bytes, list[memoryview]] = {kind: [] for kind in _KEPT}
    orientation, place, parts = 1, len(_SIGNATURE), 0
    while place + 8 <= len(data):
        parts = count_parts(parts)
        length, kind = _HEADER.unpack_from(view, place)
        content = view[place + 8 : place + 8 + length]
        checksum = bytes(view[place + 8 + length : place + 12 + length])
        place += 12 + length
        is_critical = not kind[0] & 0x20
        if kind not in _ANCILLARY and not is_critical:
            continue
        # The last one may be cut off: then it is the decoder that knows whether pixels are missing.
        if len(checksum) == 4 and checksum != _checksum(kind, content):
            if is_critical:
                raise ImageDecodeError(f"the checksum of an {_name(kind)} chunk is wrong")
            continue
        if (kind == b"IHDR") is not (not header):
            raise ImageDecodeError("not a PNG file that begins with its header")
        if kind == b"IEND":
            break
        if kind == b"IHDR":
            header = bytes(content)
        elif kind in kept:
            kept[kind].append(content)
        elif kind == b"eXIf":
            orientation = exif.orientation(bytes(content[:_MOST_EXIF]))
        else:
            raise ImageDecodeError(f"an {_name(kind)} chunk, which the standard does not know")
    if len(header) != 13:
        raise ImageDecodeError("a PNG file without a whole header")
    chunks = [_SIGNATURE, *_chunk(b"IHDR", header)]
    for kind, content in _colours(header, kept):
        chunks += _chunk(kind, content)
    if not kept[b"IDAT"]:
        raise ImageDecodeError("a PNG file without pixels")
    chunks += _chunk(b"IDAT", b"".join(kept[b"IDAT"]))
    clear = _clear_grey(header, kept[b"tRNS"])
    return Essence(b"".join([*chunks, *_chunk(b"IEND", b"")]), orientation, clear)


def has_deep_transparency(data: bytes) -> bool:
    """Return whether an essence has a transparent colour of three times 16 bits."""
    return data[24:26] == bytes([16, _RGB]) and data[37:41] == b"tRNS"


def has_all_rows(data: bytes) -> bool:
    """Return whether the pixels of an essence unfold to as many bytes as its rows have.

    A stream that ends between two rows, or without the last passes, is whole in itself.
    """
    width, height, depth, colour_type, *_, interlaced = struct.unpack_from(">IIBBBBB", data, 16)
    missing = 0
    for x, y, dx, dy in _PASSES if interlaced else [(0, 0, 1, 1)]:
        columns, rows = len(range(x, width, dx)), len(range(y, height, dy))
        bits = columns * depth * _CHANNELS[colour_type]
        missing += rows * (1 + (bits + 7) // 8) if columns else 0
    unfolding = zlib.decompressobj()
    for place in range(data.index(b"IDAT", 33) + 4, len(data), _AT_ONCE):
        missing -= len(unfolding.decompress(data[place : place + _AT_ONCE]))
        if missing <= 0:
            return True
    return False


def _colours(header: bytes, kept: dict[bytes, list[memoryview]]) -> list[tuple[bytes, memoryview]]:
    """Return the palette and the transparency, as far as the colour type has a use for them."""
    colour_type = header[9]
    found = []
    if colour_type == _PALETTE:
        if not kept[b"PLTE"]:
            raise ImageDecodeError("a PNG file with palette colours, but without the palette")
        found.append((b"PLTE", kept[b"PLTE"][0]))
    lengths = {_RGB: range(6, 7), _PALETTE: range(1, 257)}
    transparency = kept[b"tRNS"][:1]
    if transparency and len(transparency[0]) in lengths.get(colour_type, ()):
        found.append((b"tRNS", transparency[0]))
    return found


def _clear_grey(header: bytes, transparency: list[memoryview]) -> int | None:
    """Return the level that is transparent; Pillow forgets to scale it as it scales the others."""
    depth, colour_type = header[8:10]
    if colour_type != _GREY or not transparency or len(transparency[0]) != 2:
        return None
    level = int.from_bytes(transparency[0], "big")
    return level * 255 // ((1 << depth) - 1) if depth in (1, 2, 4) else level


def _chunk(kind: bytes, content: bytes | memoryview) -> list[bytes | memoryview]:
    return [_HEADER.pack(len(content), kind), content, _checksum(kind, content)]


def _checksum(kind: bytes, content: bytes | memoryview) -> bytes:
    return zlib.crc32(content, zlib.crc32(kind)).to_bytes(4, "big")


def _name(kind: bytes) -> str:
    return kind.decode("ascii", "backslashreplace")
