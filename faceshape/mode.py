"""Which faces of a picture are wanted; apart from the other types, which load numpy."""

from enum import IntEnum

__all__ = ["Mode"]


class Mode(IntEnum):
    """Which faces are wanted (API document, section 2); the values are the cloud's."""

    ALL = 0
    LARGEST = 1
