"""What each cell of the detector's maps is trained to say."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

STRIDES = (8, 16, 32)
# Which faces each stride answers for; where two do, both learn it.
_RANGES = ((0.0, 40.0), (26.0, 96.0), (64.0, np.inf))
# By this factor beyond its range a stride may answer as it likes. Faces still smaller or larger are
# background to it: else it sees a face in the head and shoulders of a small one, or in the cheek of
# a large one.
_LENIENCE = 1.6

# What a cell is told about its surroundings, where it is told nothing of a face.
BACKGROUND, IGNORED, DOUBTFUL = -1, -2, -3


@dataclass(frozen=True)
class PlacedFaces:
    """The faces of a mosaic; coordinates in its pixels.

    Attributes:
        centre: (K, 2), and size: (K, 2), width and height along the roll.
        keypoints: (K, 5, 2).
        trusted: (K,) bool; the others are neither faces nor background.
    """

    centre: NDArray[np.float32]
    size: NDArray[np.float32]
    keypoints: NDArray[np.float32]
    trusted: NDArray[np.bool_]


def cell_centres(side: int, stride: int) -> NDArray[np.float32]:
    """Return the centres (C, 2) of a square map's cells in pixels, row by row."""
    axis = (np.arange(side // stride) + 0.5) * stride
    return np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2).astype(np.float32)


def assign(faces: PlacedFaces, doubtful: NDArray[np.bool_], side: int) -> NDArray[np.int16]:
    """Return for every cell of all strides (C,) which face it answers for.

    A cell near a face's centre answers for it if its stride covers the face's size; otherwise the
    value is BACKGROUND, IGNORED (close to a face that the stride nearly covers, or on one that is
    not trusted) or DOUBTFUL (background, if there is no unlabelled face).
    """
    return np.concatenate(
        [
            _assign_level(faces, doubtful, cell_centres(side, stride), stride, covered)
            for stride, covered in zip(STRIDES, _RANGES, strict=True)
        ]
    )


def _assign_level(
    faces: PlacedFaces,
    doubtful: NDArray[np.bool_],
    cells: NDArray[np.float32],
    stride: int,
    covered: tuple[float, float],
) -> NDArray[np.int16]:
    """Do so for one stride, with cells' centres (C, 2), and faces of the sizes that it covers."""
    column, row = cells.astype(int).T
    answer = np.where(doubtful[row, column], DOUBTFUL, BACKGROUND).astype(np.int16)
    if not len(faces.centre):
        return answer
    extent = np.sqrt(faces.size.prod(axis=1))
    distance = np.linalg.norm(cells[:, None] - faces.centre[None], axis=2)
    # Half a cell's diagonal at least, so that no face is without a cell.
    radius = np.clip(0.22 * extent, 0.72 * stride, 1.6 * stride)
    own = _within(extent, covered) & faces.trusted
    similar = _within(extent, (covered[0] / _LENIENCE, covered[1] * _LENIENCE))
    near = distance < np.where(
        faces.trusted, np.maximum(radius + 0.6 * stride, 0.35 * extent), 0.6 * extent
    )
    # What is seen about a labelled face is known, in a picture with unlabelled ones, too.
    known = distance < np.maximum(radius, 0.6 * extent)
    answer[(known & ~similar).any(axis=1)] = BACKGROUND
    answer[(near & similar).any(axis=1)] = IGNORED
    relative = np.where(own & (distance < radius), distance / extent, np.inf)
    nearest = relative.argmin(axis=1)
    positive = np.isfinite(relative.min(axis=1))
    answer[positive] = nearest[positive]
    return answer


def _within(extent: NDArray[np.float32], limits: tuple[float, float]) -> NDArray[np.bool_]:
    return (extent >= limits[0]) & (extent < limits[1])
