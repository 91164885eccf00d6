"""Arrays of pixels as Python has them → RGB uint8.

The type of an array says what its numbers mean; its values are only looked at to refuse it.
"""

from collections.abc import Iterator
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from faceshape.errors import ParameterError, ShapeError

__all__ = ["Channels", "as_array", "bands", "checked_channels", "over_white", "to_rgb"]

Channels: TypeAlias = Literal["rgb", "bgr"]

_BAND = 64  # lines that are converted at once
_TOLERANCE = 0.5 / 255  # by which resampling may overshoot


def checked_channels(channels: object) -> Channels:
    """Return the order of an array's colour channels.

    Raises:
        ParameterError: it is neither "rgb" nor "bgr".
    """
    known: dict[str, Channels] = {"rgb": "rgb", "bgr": "bgr"}
    if not isinstance(channels, str) or channels not in known:
        raise ParameterError('channels is "rgb", or "bgr" for arrays in the order of OpenCV')
    return known[channels]


def as_array(source: Any) -> NDArray[Any] | None:
    """Return the numbers of an array, tensor or buffer of any library; None if it is none.

    Understood are ``__array__``, ``__array_interface__``, ``__dlpack__`` and memoryviews of two
    and more dimensions.

    Raises:
        ShapeError: it is one, but will not hand out its numbers; the message is its own.
    """
    kind = type(source)
    try:
        if isinstance(source, np.ndarray):
            return np.asarray(source)
        if isinstance(source, memoryview) and source.ndim > 1:
            return np.asarray(source)
        if hasattr(kind, "__array__") or hasattr(source, "__array_interface__"):
            array: NDArray[Any] = np.asarray(source)
            return array
        if hasattr(kind, "__dlpack__"):
            shared: NDArray[Any] = np.from_dlpack(source)
            return shared
    except Exception as error:
        raise ShapeError(
            f"the {kind.__name__} cannot be read as an array: {error}; hand over a copy in the "
            "machine's own memory (of a tensor: .detach().cpu())"
        ) from error
    return None


def bands(height: int) -> Iterator[slice]:
    """Return slices of a few lines each, so that what is made on the way stays small."""
    for top in range(0, height, _BAND):
        yield slice(top, min(top + _BAND, height))


def to_rgb(array: NDArray[Any], channels: Channels = "rgb") -> NDArray[np.uint8]:
    """Return a picture (H, W, 3) RGB uint8, contiguous; the array itself if it is one already.

    Args:
        array: grey (H, W) or (H, W, 1), colours (H, W, 3), or colours and alpha (H, W, 4), which
            is laid over white. uint8; uint16, of which the upper byte counts; bool, black and
            white; or floating, 0 is black and 1 white.
        channels: the order of the colours.

    Raises:
        ShapeError: another shape or type, or floating numbers that are not 0 to 1.
    """
    _check_shape(array.shape)
    _check_kind(array.dtype)
    if array.ndim == 2:
        array = array[:, :, None]
    if array.dtype == np.uint8 and array.shape[2] == 3 and channels == "rgb":
        return np.ascontiguousarray(array)
    height, width, depth = array.shape
    pixels = np.empty((height, width, 3), np.uint8)
    for band in bands(height):
        part = _eight_bits(array[band])
        colours = part[:, :, :3][:, :, ::-1] if channels == "bgr" else part[:, :, :3]
        pixels[band] = over_white(colours, part[:, :, 3:]) if depth == 4 else colours
    return pixels


def over_white(colours: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return colours (H, W, 3) with alpha (H, W, 1) as they look on white."""
    share = alpha.astype(np.uint16)
    mixed = colours * share + 255 * (255 - share)
    mixed += 127
    return (mixed // 255).astype(np.uint8, copy=False)


def _check_shape(shape: tuple[int, ...]) -> None:
    if len(shape) == 2 or (len(shape) == 3 and shape[2] in (1, 3, 4)):
        return
    hint = ""
    if len(shape) == 3 and shape[0] in (1, 3, 4):
        hint = "; the channels come last: permute(1, 2, 0) of a tensor, transpose(1, 2, 0) in numpy"
    elif len(shape) == 4:
        hint = "; hand over one picture of a batch at a time"
    raise ShapeError(f"a picture is (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), not {shape}{hint}")


def _check_kind(kind: np.dtype[Any]) -> None:
    if kind.kind in "bf" or (kind.kind == "u" and kind.itemsize <= 2):
        return
    hint = "; if its numbers are 0 to 255, use .astype(numpy.uint8)" if kind.kind in "iu" else ""
    raise ShapeError(f"a picture is of uint8, uint16, bool or floating numbers, not {kind}{hint}")


def _eight_bits(part: NDArray[Any]) -> NDArray[np.uint8]:
    """Return the numbers as uint8; by the type alone."""
    if part.dtype == np.uint8:
        return part
    if part.dtype.kind == "b":
        part = part.astype(np.uint16) * 65535
    if part.dtype.kind == "u":
        upper: NDArray[np.uint8] = (part >> 8).astype(np.uint8)
        return upper
    values = part.astype(np.float64 if part.dtype.itemsize > 4 else np.float32)
    if not (values.min() >= -_TOLERANCE and values.max() <= 1 + _TOLERANCE):  # false for NaN
        raise ShapeError(
            "floating numbers of a picture are 0 (black) to 1 (white); if they are 0 to 255, use "
            ".astype(numpy.uint8)"
        )
    levels: NDArray[np.uint8] = np.round(values.clip(0, 1) * 255).astype(np.uint8)
    return levels
