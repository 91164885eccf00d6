"""The second network: a close look at both eyes, which places the lids and the pupils anew.

The landmarks of the face tell where to look. The right eye is seen mirrored, so that to the
network every eye is a left one, whose points go from the outer corner along the lower lid and
back along the upper one; the pupil is the last.
"""

import numpy as np
from numpy.typing import NDArray

from faceshape.core.topology import Topology
from faceshape.vision.crops import cut_crops
from faceshape.vision.geometry import (
    centred_transforms,
    crop_transforms,
    line_roll,
    undo_similarities,
)
from faceshape.vision.image import RGBImage
from faceshape.vision.networks import OnnxModel

__all__ = ["EyeRefiner", "eye_frames", "eye_points", "eye_transforms", "patch_transforms"]

# How much of a lid's new place is the close look's; the rest remains the whole face's. The errors
# of the two are independent enough for their mean to be better than either. A pupil is the close
# look's alone.
_SHARE = 0.7


class EyeRefiner:
    """Corrects the eyes in dense landmarks. Safe to share between threads."""

    def __init__(self, model: OnnxModel, topology: Topology) -> None:
        """Take the patches' side and extent from the model's manifest entry."""
        geometry = model.entry.facts["input"]
        self._model = model
        self._side: int = geometry["side"]
        self._extent: float = geometry["extent"]
        self._points = eye_points(topology)

    def refine(self, image: RGBImage, dense: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the landmarks (N, P, 2) with the eyes' points corrected, N at least 1.

        Args:
            image: (H, W, 3) RGB.
            dense: (N, P, 2) in the picture's pixels.
        """
        transforms = eye_transforms(dense, self._points, self._side, self._extent)
        flat = transforms.reshape(-1, 2, 3)
        patches = cut_crops(image, flat, self._side)
        [in_patch] = self._model.run(patches.reshape(-1, 2, *patches.shape[1:]))
        in_patch = in_patch.reshape(len(flat), -1, 2) * self._side
        close = undo_similarities(flat, in_patch)
        close = close.reshape(len(dense), 2, -1, 2)
        close[:, :, :-1] += (1 - _SHARE) * (dense[:, self._points[:, :-1]] - close[:, :, :-1])
        refined: NDArray[np.float32] = dense.copy()
        refined[:, self._points] = close
        return refined


def eye_points(topology: Topology) -> NDArray[np.intp]:
    """Return the dense indices (2, K) of the left and the right eye, in one order: lids, pupil."""
    return np.array(
        [
            (
                *topology.indices(f"{side}_eye_lower"),
                *topology.indices(f"{side}_eye_upper")[1:-1],
                *topology.indices(f"{side}_pupil"),
            )
            for side in ("left", "right")
        ]
    )


def eye_transforms(
    dense: NDArray[np.float32], points: NDArray[np.intp], side: int, extent: float
) -> NDArray[np.float64]:
    """Return the transforms (N, 2, 2, 3) to the patches that landmarks ask for.

    Args:
        dense: (N, P, 2).
        points: (2, K) from `eye_points`.
        side: of a patch, pixels.
        extent: its side in the picture, in distances of the outer eye corners.
    """
    centres, lines = _lid_centres_and_lines(dense, points)
    across, down = lines.T
    linear = side / (extent * (across + 1j * down))
    return _mirrored(centred_transforms(centres, linear[:, None], side), side)


def eye_frames(
    dense: NDArray[np.float32], points: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return where the eyes are.

    Args:
        dense: (N, P, 2).
        points: (2, K) from `eye_points`.

    Returns:
        The middle of each eye's lids (N, 2, 2), the distance of the outer corners (N,) and the
        roll (N,) of the line between them, in degrees.
    """
    centres, lines = _lid_centres_and_lines(dense, points)
    distance: NDArray[np.float64] = np.hypot(*lines.T).astype(np.float64)
    return centres, distance, line_roll(np.zeros_like(lines), lines)


def _lid_centres_and_lines(
    dense: NDArray[np.float32], points: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Return the middle of each eye's lids (N, 2, 2) and the lines (N, 2) between outer corners."""
    lids = dense[:, points[:, :-1]]
    centres: NDArray[np.float64] = lids.sum(axis=2, dtype=np.float64) / lids.shape[2]
    lines: NDArray[np.float32] = lids[:, 1, 0] - lids[:, 0, 0]
    return centres, lines


def patch_transforms(
    centres: NDArray[np.float64], reach: NDArray[np.float64], roll: NDArray[np.float64], side: int
) -> NDArray[np.float64]:
    """Return the transforms (N, 2, 2, 3) to the patches of the left and the mirrored right eye.

    Args:
        centres: (N, 2, 2) of the patches in the picture.
        reach: (N, 2) their sides in the picture.
        roll: (N, 2) or (N, 1) degrees; a face of that roll stands upright in them.
        side: theirs, pixels.
    """
    half = reach[:, :, None] / 2
    boxes = np.concatenate([centres - half, centres + half], axis=2)
    roll = np.broadcast_to(roll, reach.shape)
    return _mirrored(crop_transforms(boxes, roll, side, 1.0).reshape(-1, 2, 2, 3), side)


def _mirrored(transforms: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    """Mirror the second of each two transforms (N, 2, 2, 3), in place, and return all."""
    transforms[:, 1, 0] *= -1
    transforms[:, 1, 0, 2] += side
    return transforms
