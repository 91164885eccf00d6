"""Files of pictures, made by hand where no library writes them."""

import io
import struct
import zlib
from collections.abc import Iterable

import numpy as np
from PIL import Image

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def encoded(picture: np.ndarray | Image.Image, form: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    picture = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    picture.save(file, form, **options)
    return file.getvalue()


def chunk(kind: bytes, content: bytes = b"", checksum: int | None = None) -> bytes:
    checksum = zlib.crc32(kind + content) if checksum is None else checksum
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def chunks_of(png: bytes) -> list[tuple[bytes, bytes]]:
    place, found = 8, []
    while place < len(png):
        (length,) = struct.unpack_from(">I", png, place)
        found.append((png[place + 4 : place + 8], png[place + 8 : place + 8 + length]))
        place += 12 + length
    return found


def png(rows: np.ndarray, depth: int, colours: int, *between: bytes) -> bytes:
    """A PNG of bytes (H, bytes in a row), with chunks between its header and its pixels."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colours]
    width = rows.shape[1] * 8 // (depth * channels)
    header = struct.pack(">IIBBBBB", width, len(rows), depth, colours, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    parts = [chunk(b"IHDR", header), *between, chunk(b"IDAT", pixels), chunk(b"IEND")]
    return PNG_SIGNATURE + b"".join(parts)


def exif(orientation: int, entries: int = 1) -> bytes:
    entry = struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", entries) + entry * entries + bytes(4)


def segment(marker: int, content: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def scans(count: int, side: int = 64, marker: int = 0xC2) -> bytes:
    """A grey JPEG with many scans, each of which says next to nothing."""
    table = segment(0xDB, b"\0" + bytes([1] * 64))
    frame = segment(marker, b"\x08" + struct.pack(">HHB", side, side, 1) + b"\x01\x11\0")
    huffman = segment(0xC4, b"\0\x01" + bytes(15) + b"\0") + segment(
        0xC4, b"\x10\0\x02" + bytes(14) + b"\xe0\0"
    )
    if marker == 0xC2:
        first, more = b"\x01\x01\0\0\0\0", b"\x01\x01\0\x01\x3f\x10"
    else:
        first = more = b"\x01\x01\0\0\x3f\0"
    blocks = (side // 8) ** 2
    head = b"\xff\xd8" + table + frame + huffman + segment(0xDA, first) + bytes(blocks // 8 + 1)
    return head + (segment(0xDA, more) + b"\0\0") * (count - 1) + b"\xff\xd9"


def bmp(
    rows: np.ndarray,
    bits: int,
    compression: int = 0,
    masks: Iterable[int] = (),
    header: int = 40,
    width: int | None = None,
    pixels: bytes | None = None,
) -> bytes:
    """A BMP of rows (H, W) from the bottom; `pixels` where they are encoded otherwise."""
    mask_bytes = b"".join(struct.pack("<I", mask) for mask in masks)
    rest = (mask_bytes + bytes(header))[: max(header - 40, len(mask_bytes))]
    palette = b"".join(bytes([i, i, i, 0]) for i in range(1 << bits)) if bits <= 8 else b""
    body = rows.tobytes() if pixels is None else pixels
    start = 54 + len(rest) + len(palette)
    info = struct.pack(
        "<IiiHHIIiiII",
        *(header, width or rows.shape[1], len(rows), 1, bits, compression, len(body), 0, 0, 0, 0),
    )
    return (
        b"BM" + struct.pack("<IHHI", start + len(body), 0, 0, start) + info + rest + palette + body
    )


def tiff(width: int, height: int, parts: list[bytes], tags: dict[int, list[int]]) -> bytes:
    """A TIFF of 8 bit RGB whose strips or tiles stand one behind the other, from byte 8 on."""
    tiled = 322 in tags
    places = np.cumsum([8, *map(len, parts)])[:-1].tolist()
    tags = {
        **{256: [width], 257: [height], 258: [8, 8, 8], 259: [1], 262: [2], 277: [3]},
        **{324 if tiled else 273: places, 325 if tiled else 279: [len(part) for part in parts]},
        **tags,
    }
    body = b"II*\0" + bytes(4) + b"".join(parts)
    entries = []
    for tag, values in sorted(tags.items()):
        value = struct.pack(f"<{len(values)}I", *values)
        if len(value) > 4:
            value, body = struct.pack("<I", len(body)), body + value
        entries.append(struct.pack("<HHI", tag, 4, len(values)) + value.ljust(4, b"\0"))
    directory = struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)
    return body[:4] + struct.pack("<I", len(body)) + body[8:] + directory
