"""JPEG: the tables, the frame and its scans; the first picture of several.

ITU-T T.81, annex B; the colour transform of Adobe's APP14 and JFIF's APP0 as libjpeg reads them.
"""

import re
import struct
from dataclasses import dataclass, field

from faceshape.errors import ImageDecodeError
from faceshape.vision.formats import exif
from faceshape.vision.formats.essence import Essence, count_parts

__all__ = ["MOST_SCANS", "essence", "with_other_end"]

MOST_SCANS = 100
"""Each scan may cost a decoder a pass over the whole picture; encoders write 1 to about 20."""

_MOST_SEGMENTS = 20_000
_START, _END, _SCAN = 0xD8, 0xD9, 0xDA
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = {0xC2, 0xC6, 0xCA, 0xCE}
_ALONE = {0x01, *range(0xD0, 0xD9)}  # markers without a length
_APPLICATION, _COMMENT = range(0xE0, 0xF0), 0xFE
_JFIF, _EXIF, _ADOBE = 0xE0, 0xE1, 0xEE
_END_MARK = b"\xff\xd9"

# A marker; in entropy-coded data FF is followed by 00 or is one of the restart marks. More of FF
# before it is filling; a pattern that begins with a single byte is searched ten times faster.
_MARKER = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])", re.DOTALL)

_RESTARTS = [bytes([0xFF, mark]) for mark in range(0xD0, 0xD8)]

# What would be read as pixels where some are missing. It begins with ones, because a decoder that
# has no more bits goes on with zeros.
_NUMBERS = bytes(range(0xF6, 6, -5))


def essence(data: bytes) -> Essence:
    """Return the file without the applications' segments, comments and what follows its end.

    Raises:
        ImageDecodeError: the file is damaged, ends before the last scan or has too many of them.
    """
    kept = [b"\xff\xd8"]
    orientation, place, parts = 1, 2, 0
    frame = _Frame()
    while True:
        parts = count_parts(parts, _MOST_SEGMENTS)
        marker, start, place = _next_segment(data, place)
        if marker is None or marker == _END:
            raise ImageDecodeError("a JPEG file without pixels")
        if marker == _SCAN:
            break
        if marker in _ALONE:
            continue
        content = data[start:place]
        if marker == _EXIF and content.startswith(b"Exif\0\0") and orientation == 1:
            orientation = exif.orientation(content)
        if marker in _FRAMES:
            frame.begin(marker, content)
        if marker not in (*_APPLICATION, _COMMENT) or _tells_colours(marker, content):
            kept += [bytes([0xFF, marker]), struct.pack(">H", len(content) + 2), content]
    first = start - 4
    while marker != _END and marker is not None:
        parts = count_parts(parts, _MOST_SEGMENTS)
        if marker == _SCAN:
            frame.scan(data[start:place])
        marker, start, place = _next_segment(data, place)
    if not frame.is_complete:
        raise ImageDecodeError("truncated: scans are missing")
    pixels = data[first : start - 2] if marker == _END else data[first:].rstrip(b"\xff")
    shows = marker == _END and frame.shows_gaps
    return Essence(b"".join([*kept, b"\xff\xda", pixels[2:], _END_MARK]), orientation, shows=shows)


def with_other_end(data: bytes) -> bytes:
    """Return an essence with other data behind its pixels.

    A decoder that has all pixels never comes to it; one that lacks some makes other ones of it.
    """
    # The next restart mark that is due comes first: others would be taken for a gap.
    last = max(range(8), key=lambda mark: data.rfind(_RESTARTS[mark]))
    due = (_RESTARTS[(last + 1 + i) % 8] for i in range(8))
    return b"".join([data[: -len(_END_MARK)], _NUMBERS, *(m + _NUMBERS for m in due), _END_MARK])


def _next_segment(data: bytes, place: int) -> tuple[int | None, int, int]:
    """Return the next marker, where its content begins, and where that ends."""
    found = _MARKER.search(data, place)
    if found is None:
        return None, len(data), len(data)
    marker, start = found[1][0], found.end()
    if marker in _ALONE or marker == _END:
        return marker, start, start
    length = int.from_bytes(data[start : start + 2], "big")
    if length < 2 or start + length > len(data):
        raise ImageDecodeError("truncated or damaged: a segment has no end")
    return marker, start + 2, start + length


def _tells_colours(marker: int, content: bytes) -> bool:
    return (marker == _JFIF and content.startswith(b"JFIF\0") and len(content) >= 14) or (
        marker == _ADOBE and content.startswith(b"Adobe") and len(content) >= 12
    )


@dataclass(slots=True)
class _Frame:
    """Which of the 64 coefficients of each component have come in full precision.

    The standard lets an encoder leave some out for ever (T.81, G.1.1.1). None does, while a file
    that was cut off often gets an end mark from the program that fetched or mended it.
    """

    come: dict[int, set[int]] = field(default_factory=dict)
    is_progressive: bool = False
    scans: int = 0
    shows_gaps: bool = False  # whether it shows, or hardly matters, that the last scan was cut off

    def begin(self, marker: int, content: bytes) -> None:
        self.is_progressive = marker in _PROGRESSIVE
        self.come = {content[i]: set() for i in range(6, len(content), 3)}

    def scan(self, content: bytes) -> None:
        self.scans += 1
        if self.scans > MOST_SCANS:
            raise ImageDecodeError(f"more than {MOST_SCANS} scans: no picture needs so many")
        if len(content) < 6 or len(content) < 4 + 2 * content[0]:
            raise ImageDecodeError("damaged: the head of a scan is too short")
        first, last, precision = content[-3:]
        if not self.is_progressive:  # whatever its head says: decoders do not care
            first, last, precision = 0, 63, 0
        # What a first scan lacks is grey; what a refining one lacks is the lowest bit.
        self.shows_gaps = precision > 15 or self.scans == 1
        if precision & 15:  # the lowest bits come later
            return
        for component in content[1 : 1 + 2 * content[0] : 2]:
            self.come.get(component, set()).update(range(first, min(last, 63) + 1))

    @property
    def is_complete(self) -> bool:
        return bool(self.come) and all(len(each) == 64 for each in self.come.values())
