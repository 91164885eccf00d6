"""What callers give as arrays."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from faceshape.errors import ShapeError

__all__ = ["numbers"]


def numbers(values: ArrayLike, name: str) -> NDArray[Any]:
    """Return an array of real numbers of any shape, whole or not; empty ones may be of any type.

    Args:
        values: what it is made of.
        name: how the caller knows it.

    Raises:
        ShapeError: it is ragged, or something in it is no real number.
    """
    try:
        array = np.asarray(values)
    except Exception as error:  # whoever made the object may raise anything
        raise ShapeError(f"{name} must be an array of numbers: {error}") from error
    if array.size and array.dtype.kind not in "biuf":
        raise ShapeError(f"{name} must be numbers, not {array.dtype}")
    return array
