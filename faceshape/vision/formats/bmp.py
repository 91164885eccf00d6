"""BMP: rows, masks of any kind (bit fields), and run lengths.

Microsoft, BITMAPV5HEADER. Pillow reads the usual masks only, and OpenCV decodes run lengths a
hundred times faster.

Run lengths may skip pixels and end before the last row: an end mark there is no sign that a file
was cut off, and what they leave out has the palette's first colour.
"""

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faceshape.errors import ImageDecodeError
from faceshape.vision.formats.essence import Essence

__all__ = ["BitFields", "bit_fields", "essence", "has_run_lengths", "read_bit_fields"]

_RUN_LENGTHS = {1: 8, 2: 4}  # compression → bits
_BIT_FIELDS = (3, 6)
_MASKS = 54  # where they stand, whichever header it is


@dataclass(frozen=True, slots=True)
class BitFields:
    """Pixels of 16 or 32 bits with a mask for each channel.

    Attributes:
        rows: (H, W) uint16 or uint32, from the top.
        masks: of red, green, blue and alpha; 0 where there is no such channel.
    """

    rows: NDArray[np.unsignedinteger]
    masks: tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class _Header:
    width: int
    height: int  # negative if the first row is the uppermost
    bits: int
    compression: int
    size: int
    pixels: int

    @property
    def stride(self) -> int:
        return (self.width * self.bits + 31) // 32 * 4


def essence(data: bytes) -> Essence:
    """Return the file; the last row gets its padding where only that is missing."""
    header = _header(data)
    if header is None or header.compression in _RUN_LENGTHS:
        return Essence(data)
    whole = header.pixels + header.stride * abs(header.height)
    padding = header.stride - (header.width * header.bits + 7) // 8
    return Essence(data + b"\0" * (whole - len(data)) if 0 < whole - len(data) <= padding else data)


def has_run_lengths(data: bytes) -> bool:
    """Return whether the pixels are run-length encoded."""
    header = _header(data)
    return header is not None and _RUN_LENGTHS.get(header.compression) == header.bits


def bit_fields(data: bytes) -> tuple[int, int] | None:
    """Return width and height if the pixels have masks, otherwise None."""
    header = _header(data)
    if header is None or header.compression not in _BIT_FIELDS or header.bits not in (16, 32):
        return None
    return header.width, abs(header.height)


def read_bit_fields(data: bytes) -> BitFields:
    """Return the pixels of a file that `bit_fields` says has masks.

    Raises:
        ImageDecodeError: pixels are missing, or a mask is none.
    """
    header = _header(data)
    assert header is not None
    height = abs(header.height)
    missing = header.pixels + header.stride * height - len(data)
    if missing > 0:
        raise ImageDecodeError(f"truncated: {missing} bytes are missing")
    kind = np.dtype(f"<u{header.bits // 8}")
    values = np.frombuffer(data, kind, header.stride * height // kind.itemsize, header.pixels)
    rows = values.reshape(height, -1)[:, : header.width]
    red, green, blue, alpha = struct.unpack_from("<4I", data, _MASKS)
    has_alpha = header.size >= 56 or header.compression == 6
    masks = (red, green, blue, alpha if has_alpha else 0)
    for mask in masks:
        # Ones without a gap: the lowest of them added makes a single one.
        if mask >> header.bits or (mask + (mask & -mask)) & mask:
            raise ImageDecodeError(f"damaged: {mask:#x} is no mask of {header.bits} bits")
    return BitFields(rows if header.height < 0 else rows[::-1], masks)


def _header(data: bytes) -> _Header | None:
    """Return the header, or None if it is an older kind, which has neither masks nor run lengths.

    Raises:
        ImageDecodeError: it is not whole.
    """
    try:
        pixels, size = struct.unpack_from("<II", data, 10)
        if size < 40:
            return None
        width, height, _, bits, compression = struct.unpack_from("<iiHHI", data, 18)
    except struct.error as error:
        raise ImageDecodeError("truncated: a BMP file without a whole header") from error
    if width < 0:
        raise ImageDecodeError(f"damaged: a width of {width}")
    return _Header(width, height, bits, compression, size, pixels)
