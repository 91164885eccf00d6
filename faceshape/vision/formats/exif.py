"""The one entry of EXIF that matters here: how the camera was held."""

import struct

__all__ = ["ORIENTATION", "orientation"]

ORIENTATION = 0x0112
_HEAD = b"Exif\0\0"  # in a JPEG, and by mistake in other files
_WHOLE_NUMBERS = {1: "B", 3: "H", 4: "I"}  # TIFF's types → struct's


def orientation(block: bytes) -> int:
    """Return the orientation, 1 to 8, that an EXIF block states; 1 if it states none.

    Only the first directory's entries are looked at, so that no length or loop in the block costs
    time or memory.
    """
    block = block[len(_HEAD) :] if block.startswith(_HEAD) else block
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(block[:4])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(order + "I", block, 4)
        (entries,) = struct.unpack_from(order + "H", block, start)
        for place in range(start + 2, start + 2 + 12 * entries, 12):
            tag, kind, count = struct.unpack_from(order + "HHI", block, place)
            if tag == ORIENTATION and kind in _WHOLE_NUMBERS and count == 1:
                (value,) = struct.unpack_from(order + _WHOLE_NUMBERS[kind], block, place + 8)
                return value if 1 <= value <= 8 else 1
    except struct.error:  # it ends too early
        pass
    return 1
