"""Boxes, similarity transforms and angles, vectorised over N.

Frame: pixels, y down, continuous: the picture's upper left corner is (0, 0) and the centre of its
first pixel (0.5, 0.5), so that a box (0, 0, W, H) is the whole picture. Roll is the angle of the
line from the image-left to the image-right eye, in degrees, clockwise as seen.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "apply_transforms",
    "box_area",
    "box_iou",
    "boxes_along_roll",
    "crop_transforms",
    "enclosing_boxes",
    "invert_transforms",
    "line_roll",
    "non_maximum_suppression",
    "pixel_matrix",
    "turn_boxes",
    "wrap_degrees",
]


def box_area(boxes: ArrayLike) -> NDArray[np.float64]:
    """Return the areas (N,) of boxes (N, 4) x0 y0 x1 y1; an inverted box has none."""
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)
    areas: NDArray[np.float64] = sides[:, 0] * sides[:, 1]
    return areas


def box_iou(boxes: ArrayLike, others: ArrayLike) -> NDArray[np.float64]:
    """Return the intersection over union (N, M) of boxes (N, 4) and others (M, 4)."""
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    others = np.asarray(others, np.float64).reshape(-1, 4)
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    shared = np.maximum(high - low, 0).prod(axis=2)
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
    overlaps = box_iou(boxes, boxes) > iou
    order = np.argsort(-np.asarray(scores, np.float64).reshape(-1), kind="stable")
    alive = np.ones(len(order), bool)
    keep = []
    for candidate in order:
        if alive[candidate]:
            keep.append(candidate)
            alive &= ~overlaps[candidate]
    return np.array(keep, np.intp)


def enclosing_boxes(points: ArrayLike) -> NDArray[np.float32]:
    """Return the tight boxes (N, 4) around points (N, P, 2), P at least 1."""
    points = np.asarray(points, np.float32)
    return np.concatenate([points.min(axis=1), points.max(axis=1)], axis=1)


def boxes_along_roll(points: ArrayLike, roll: ArrayLike) -> NDArray[np.float64]:
    """Return the boxes (N, 4) that are tight around points (N, P, 2) once these stand upright.

    A box's sides follow its roll (N,), in degrees; its numbers are those of the box turned upright
    about its centre, as `crop_transforms` takes it together with the roll.
    """
    unit = np.tile([-0.5, -0.5, 0.5, 0.5], (len(np.asarray(points)), 1))
    turns = crop_transforms(unit, roll, 1, 1.0)  # no change of scale
    upright = enclosing_boxes(apply_transforms(turns, points))
    centres = upright.reshape(-1, 2, 2).mean(axis=1, keepdims=True)
    half = (upright[:, 2:] - upright[:, :2]) / 2
    middle = apply_transforms(invert_transforms(turns), centres)[:, 0]
    return np.concatenate([middle - half, middle + half], axis=1)


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

    Args:
        boxes: (N, 4) x0 y0 x1 y1; a crop's centre is the box's.
        roll: (N,) degrees; a face of that roll stands upright in the crop.
        side: of the crop, pixels.
        margin: side of the square in the picture, as a multiple of the box's longer side.
    """
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    angle = np.radians(np.asarray(roll, np.float64).reshape(-1))
    scale = side / (margin * (boxes[:, 2:] - boxes[:, :2]).max(axis=1))
    cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
    linear = np.stack([cosine, sine, -sine, cosine], axis=1).reshape(-1, 2, 2)
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    offset = side / 2 - (linear @ centre[:, :, None])[:, :, 0]
    return np.concatenate([linear, offset[:, :, None]], axis=2)


def apply_transforms(transforms: ArrayLike, points: ArrayLike) -> NDArray[np.float64]:
    """Map points (N, P, 2), each set by its own affine transform (N, 2, 3)."""
    transforms = np.asarray(transforms, np.float64)
    points = np.asarray(points, np.float64)
    mapped: NDArray[np.float64] = points @ transforms[:, :, :2].transpose(0, 2, 1)
    mapped += transforms[:, None, :, 2]
    return mapped


def invert_transforms(transforms: ArrayLike) -> NDArray[np.float64]:
    """Return the inverses (N, 2, 3) of affine transforms (N, 2, 3)."""
    transforms = np.asarray(transforms, np.float64)
    linear = np.linalg.inv(transforms[:, :, :2])
    return np.concatenate([linear, -linear @ transforms[:, :, 2:]], axis=2)


def pixel_matrix(transform: ArrayLike) -> NDArray[np.float64]:
    """Return an affine transform (2, 3) as OpenCV wants it: pixel centres at whole numbers."""
    matrix = np.array(transform, np.float64)
    matrix[:, 2] += matrix[:, :2].sum(axis=1) / 2 - 0.5
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
