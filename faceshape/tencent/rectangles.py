"""DetectFace's rectangles: from a face's landmarks to the box that the cloud draws around it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from faceshape.types import FaceShape

__all__ = ["FOREHEAD", "face_rectangles"]

FOREHEAD = 0.3
"""How far the box reaches above the brows, in heights of the face from brow to chin.

The vendor's document says that the box holds the facial features "and some more". How much more,
two sources suggest:

- The vendor's example picture testA.jpg has the box 375, 37, 63 x 82 (X, Y, Width x Height) in the
  examples of DetectFaceAttributes and AnalyzeDenseLandmarks. The latter has the eyes' outer corners
  at 384, 66 and 422, 72. A mean face put there reaches from brow to chin over 54 to 118 and from
  side to side over 376 to 438: the box has its sides and its chin, and 0.28 of its height above it.
- Four published boxes of model 3.0 are 1.24, 1.28, 1.30 and 1.34 times as high as wide, the
  landmarks of two published answers 0.93 and 1.02 times. From 0.97 to 1.29 is a third more.
"""


def face_rectangles(faces: Sequence[FaceShape]) -> NDArray[np.int64]:
    """Return the boxes (N, 4) x, y, width, height of faces, in whole pixels of the picture.

    A box holds the landmarks and, above them along the face's own axis, the forehead. It is not
    clipped: a face that reaches outside the picture has a box that does, as the cloud's.
    """
    if not faces:
        return np.empty((0, 4), np.int64)
    points = np.stack([face.points for face in faces]).astype(np.float64)
    roll = np.radians([face.roll for face in faces])
    up = np.stack([np.sin(roll), -np.cos(roll)], axis=1)
    along = np.einsum("npc,nc->np", points, up)
    raised = points + (FOREHEAD * np.ptp(along, axis=1)[:, None] * up)[:, None]
    everything = np.concatenate([points, raised], axis=1)
    first = np.floor(everything.min(axis=1))
    size = np.maximum(np.ceil(everything.max(axis=1)) - first, 1)
    return np.concatenate([first, size], axis=1).astype(np.int64)
