"""Boxes, similarity transforms and angles, vectorised over N.

Frame: pixels, y down, continuous: the picture's upper left corner is (0, 0) and the centre of its
first pixel (0.5, 0.5), so that a box (0, 0, W, H) is the whole picture. Roll is the angle of the
line from the image-left to the image-right eye, in degrees, clockwise as seen.
"""

from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "aligned_similarities",
    "aligned_transforms",
    "apply_transforms",
    "box_area",
    "box_iou",
    "boxes_along_roll",
    "centred_similarities",
    "corner_shifts",
    "crop_similarities",
    "crop_transforms",
    "ellipse_boxes",
    "enclosing_boxes",
    "first_of_each",
    "from_complex",
    "line_roll",
    "non_maximum_suppression",
    "pixel_matrix",
    "similarity_transforms",
    "to_complex",
    "turn_boxes",
    "undo_pairs",
    "undo_similarities",
    "wrap_degrees",
]

_Real = TypeVar("_Real", np.float32, np.float64)

# Points closer together than this, in pixels, may be one point, which no crop can be filled with.
_NO_SIZE = 1e-3

# Of a square crop whose side is 1.
_CORNERS = np.array([0, 1, 1j, 1 + 1j])


def box_area(boxes: ArrayLike) -> NDArray[np.float64]:
    """Return the areas (N,) of boxes (N, 4) x0 y0 x1 y1; an inverted box has none."""
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    width, height = np.maximum(boxes[:, 2:] - boxes[:, :2], 0).T
    areas: NDArray[np.float64] = width * height
    return areas


def box_iou(boxes: ArrayLike, others: ArrayLike) -> NDArray[np.float64]:
    """Return the intersection over union (N, M) of boxes (N, 4) and others (M, 4)."""
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    others = np.asarray(others, np.float64).reshape(-1, 4)
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    sides = np.maximum(high - low, 0)
    shared = sides[..., 0] * sides[..., 1]
    union = box_area(boxes)[:, None] + box_area(others)[None] - shared
    overlaps: NDArray[np.float64] = np.zeros_like(union)
    np.divide(shared, union, out=overlaps, where=union > 0)
    return overlaps


def non_maximum_suppression(
    boxes: ArrayLike, scores: ArrayLike, iou: float = 0.4
) -> NDArray[np.intp]:
    """Return the indices (K,) of the boxes (N, 4) to keep, best score first.

    A box goes when a better one that stays overlaps it by more than `iou`.
    """
    order = np.argsort(-np.asarray(scores, np.float64).reshape(-1), kind="stable")
    return order[first_of_each(box_iou(boxes, boxes)[np.ix_(order, order)] > iou)]


def first_of_each(alike: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return which of N things, best first, are not `alike` (N, N) to a better one that stays."""
    alive = np.ones(len(alike), bool)
    keep = []
    for candidate, others in enumerate(alike):
        if alive[candidate]:
            keep.append(candidate)
            alive &= ~others
    return np.array(keep, np.intp)


def enclosing_boxes(points: ArrayLike) -> NDArray[np.float32]:
    """Return the tight boxes (N, 4) around points (N, P, 2), P at least 1."""
    sides = _x_and_y_apart(np.asarray(points, np.float32))
    return np.concatenate([sides.min(axis=2), sides.max(axis=2)], axis=1)


def boxes_along_roll(points: ArrayLike, roll: ArrayLike) -> NDArray[np.float64]:
    """Return the boxes (N, 4) that are tight around points (N, P, 2) once these stand upright.

    A box's sides follow its roll (N,), in degrees; its numbers are those of the box turned upright
    about its centre, as `crop_transforms` takes it together with the roll.
    """
    turns = _turns(roll)
    upright = from_complex(to_complex(points) / turns[:, None])
    sides = _x_and_y_apart(upright)
    low, high = sides.min(axis=2), sides.max(axis=2)
    half = (high - low) / 2
    middle = from_complex(to_complex((low + high) / 2) * turns)
    return np.concatenate([middle - half, middle + half], axis=1)


def _x_and_y_apart(points: NDArray[_Real]) -> NDArray[_Real]:
    """Return points (N, P, 2) as coordinates (N, 2, P), which are faster to reduce."""
    return np.ascontiguousarray(points.swapaxes(1, 2))


def ellipse_boxes(centres: ArrayLike, sizes: ArrayLike, roll: ArrayLike) -> NDArray[np.float32]:
    """Return the tight boxes (N, 4) around ellipses, the shape that a face is closest to.

    Args:
        centres: (N, 2).
        sizes: (N, 2) width and height before the ellipse is turned.
        roll: (N,) by how many degrees it is turned, clockwise as seen.
    """
    centres = np.asarray(centres, np.float32).reshape(-1, 2)
    half = np.asarray(sizes, np.float32).reshape(-1, 2) / 2
    across = from_complex(_turns(roll))  # the width's share in x and y
    reach = np.hypot(half[:, :1] * across, half[:, 1:] * across[:, ::-1])
    return np.concatenate([centres - reach, centres + reach], axis=1).astype(np.float32)


def line_roll(left: ArrayLike, right: ArrayLike) -> NDArray[np.float64]:
    """Return the angle (N,) in degrees of the lines from left (N, 2) to right (N, 2), clockwise."""
    line = np.asarray(right, np.float64) - np.asarray(left, np.float64)
    angles: NDArray[np.float64] = np.degrees(np.arctan2(line[:, 1], line[:, 0]))
    return angles


def wrap_degrees(angles: ArrayLike) -> NDArray[np.float64]:
    """Return the same angles in [−180, 180)."""
    wrapped: NDArray[np.float64] = (np.asarray(angles, np.float64) + 180.0) % 360.0 - 180.0
    return wrapped


def crop_transforms(
    boxes: ArrayLike, roll: ArrayLike, side: int, margin: float
) -> NDArray[np.float64]:
    """Return the transforms (N, 2, 3) from the picture to upright square crops.

    For the arguments see `crop_similarities`.
    """
    return similarity_transforms(crop_similarities(boxes, roll, side, margin))


def crop_similarities(
    boxes: ArrayLike, roll: ArrayLike, side: int, margin: float
) -> NDArray[np.complex128]:
    """Return the similarities (N, 2), as pairs of numbers, from the picture to upright crops.

    Args:
        boxes: (N, 4) x0 y0 x1 y1; a crop's centre is the box's.
        roll: (N,) degrees; a face of that roll stands upright in the crop.
        side: of the crop, pixels.
        margin: side of the square in the picture, as a multiple of the box's longer side.
    """
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    low, high = boxes[:, :2], boxes[:, 2:]
    scale = side / (margin * (high - low).max(axis=1))
    return centred_similarities(to_complex((low + high) / 2), scale / _turns(roll), side)


def aligned_transforms(
    points: ArrayLike, lines: ArrayLike, side: int, reach: float, below: float
) -> NDArray[np.float64]:
    """Return the transforms (N, 2, 3) to square crops in which points stand upright.

    The crop follows the points' mean and their root mean square distance from it, which an error
    in a few of them, the outermost ones for example, moves little.

    Args:
        points: (N, P, 2).
        lines: (N, 2) along the line that shall lie level, from left to right.
        side: of the crop, pixels.
        reach: side of the square in the picture, in these distances.
        below: how far its middle is below the mean, in these distances.
    """
    return similarity_transforms(aligned_similarities(points, lines, side, reach, below))


def aligned_similarities(
    points: ArrayLike, lines: ArrayLike, side: int, reach: float, below: float
) -> NDArray[np.complex128]:
    """Return the transforms of `aligned_transforms` as pairs of numbers (N, 2).

    A pair is what a place x + iy is multiplied by, and what is added then.
    """
    numbers = to_complex(points)
    count = numbers.shape[1]
    turns = np.exp(1j * np.angle(to_complex(lines)))
    middle = numbers.sum(axis=1) / count
    off = numbers - middle[:, None]
    distance = np.sqrt((off.real**2 + off.imag**2).sum(axis=1) / count)
    distance = np.maximum(distance, _NO_SIZE)
    middle += 1j * below * distance * turns
    return centred_similarities(middle, side / (reach * distance * turns), side)


def similarity_transforms(pairs: NDArray[np.complex128]) -> NDArray[np.float64]:
    """Return similarities that are pairs of numbers (..., 2) as transforms (..., 2, 3)."""
    linear, offset = pairs[..., 0], pairs[..., 1]
    transforms = np.empty((*linear.shape, 2, 3))
    transforms[..., 0, 0] = transforms[..., 1, 1] = linear.real
    transforms[..., 1, 0] = linear.imag
    transforms[..., 0, 1] = -linear.imag
    transforms[..., 0, 2] = offset.real
    transforms[..., 1, 2] = offset.imag
    return transforms


def corner_shifts(
    pairs: NDArray[np.complex128], others: NDArray[np.complex128], side: int
) -> NDArray[np.float64]:
    """Return how far (N,) the corners of crops are off those of others, in sides of the crop.

    Args:
        pairs: (N, 2) similarities from the picture to the crops, as `aligned_similarities` gives.
        others: (N, 2) the same.
        side: of all crops, pixels.
    """
    corners = side * _CORNERS
    factor = (others[:, 0] / pairs[:, 0])[:, None]
    off = factor * (corners - pairs[:, 1:]) + others[:, 1:] - corners
    farthest: NDArray[np.float64] = np.abs(off).max(axis=1)
    return farthest / side


def centred_similarities(
    centres: NDArray[np.complex128], linear: NDArray[np.complex128], side: ArrayLike
) -> NDArray[np.complex128]:
    """Return the similarities (..., 2), pairs of numbers, that move places to crops' middles.

    Args:
        centres: (...) the places, as complex numbers.
        linear: (...) numbers that multiply x + iy: the absolute value scales, the angle turns.
        side: of the crops, pixels; one for all or (...).
    """
    pairs = np.empty((*linear.shape, 2), np.complex128)
    pairs[..., 0] = linear
    pairs[..., 1] = (0.5 + 0.5j) * np.asarray(side) - linear * centres
    return pairs


def undo_pairs(pairs: NDArray[np.complex128], points: ArrayLike) -> NDArray[np.float64]:
    """Map points (N, P, 2) back, each set by the inverse of its own similarity (N, 2)."""
    return from_complex((to_complex(points) - pairs[:, 1:]) / pairs[:, :1])


def _turns(roll: ArrayLike) -> NDArray[np.complex128]:
    """Return the numbers (N,) that turn x + iy by a roll (N,) when they multiply it."""
    turns: NDArray[np.complex128] = np.exp(1j * np.radians(np.asarray(roll, float).reshape(-1)))
    return turns


def to_complex(points: ArrayLike) -> NDArray[np.complex128]:
    """Return points (..., 2) as complex numbers x + iy (...)."""
    return np.ascontiguousarray(points, np.float64).view(np.complex128)[..., 0]


def from_complex(numbers: NDArray[np.complex128]) -> NDArray[np.float64]:
    """Return complex numbers x + iy (...), contiguous, as points (..., 2)."""
    return numbers.view(np.float64).reshape(*numbers.shape, 2)


def apply_transforms(transforms: ArrayLike, points: ArrayLike) -> NDArray[np.float64]:
    """Map points (N, P, 2), each set by its own affine transform (N, 2, 3)."""
    transforms = np.asarray(transforms, np.float64)
    points = np.asarray(points, np.float64)
    mapped: NDArray[np.float64] = points @ transforms[:, :, :2].transpose(0, 2, 1)
    mapped += transforms[:, None, :, 2]
    return mapped


def undo_similarities(transforms: ArrayLike, points: ArrayLike) -> NDArray[np.float64]:
    """Map points (N, P, 2) back, each set by the inverse of its own transform (N, 2, 3).

    The transforms are similarities, mirrored ones too.
    """
    transforms = np.asarray(transforms, np.float64)
    linear = transforms[:, :, :2]
    # Its inverse is its transpose over its determinant, which points as rows undo once more.
    moved = np.asarray(points, np.float64) - transforms[:, None, :, 2]
    back: NDArray[np.float64] = moved @ linear
    back /= np.square(linear[:, :1]).sum(axis=2, keepdims=True)
    return back


def pixel_matrix(transform: ArrayLike) -> NDArray[np.float64]:
    """Return an affine transform (2, 3) as OpenCV wants it: pixel centres at whole numbers."""
    matrix = np.array(transform, np.float64)
    matrix[:, 2] += (matrix[:, 0] + matrix[:, 1]) / 2 - 0.5
    return matrix


def turn_boxes(boxes: ArrayLike, turns: int, size: tuple[int, int]) -> NDArray[np.float32]:
    """Map boxes found in a picture that was turned back to the picture itself.

    Args:
        boxes: (N, 4) x0 y0 x1 y1 in the turned picture.
        turns: by how many quarters the picture was turned anticlockwise (``numpy.rot90``'s k).
        size: (height, width) of the picture before it was turned.
    """
    x0, y0, x1, y1 = np.asarray(boxes, np.float32).reshape(-1, 4).T
    height, width = size
    turned = {
        0: (x0, y0, x1, y1),
        1: (width - y1, x0, width - y0, x1),
        2: (width - x1, height - y1, width - x0, height - y0),
        3: (y0, height - x1, y1, height - x0),
    }[turns % 4]
    return np.stack(turned, axis=1)
