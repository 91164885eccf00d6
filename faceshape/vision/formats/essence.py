"""What all formats have in common."""

from dataclasses import dataclass

from faceshape.errors import ImageDecodeError

__all__ = ["MOST_PARTS", "Essence", "count_parts"]

MOST_PARTS = 1_000_000
"""Chunks, blocks or segments of a file; walking along so many takes about a second."""


@dataclass(frozen=True, slots=True)
class Essence:
    """A picture file without what does not decide about its pixels.

    Attributes:
        data: a file of the same format.
        orientation: EXIF's, 1 to 8; 1 is upright, and what is unreadable.
        clear: the grey level, as decoded, that is transparent; None if the file says it itself.
        shows: whether the last pixel tells that some are missing; if not, a decoder may make
            others up that look like any.
    """

    data: bytes
    orientation: int = 1
    clear: int | None = None
    shows: bool = True


def count_parts(parts: int, most: int = MOST_PARTS) -> int:
    """Return one more than the parts so far.

    Raises:
        ImageDecodeError: these are more than any program writes.
    """
    if parts >= most:
        raise ImageDecodeError(f"more than {most} parts: no picture needs so many")
    return parts + 1
