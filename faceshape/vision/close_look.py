"""A close look at the eyes and at the mouth, which places their points anew.

The landmarks of the whole face tell where to look. A part consists of one patch or of two; the
second one is seen mirrored, so that to the network every eye is a left one.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from faceshape.core.topology import CURVES, Topology
from faceshape.vision.crops import cut_crops
from faceshape.vision.geometry import (
    centred_transforms,
    crop_transforms,
    line_roll,
    undo_similarities,
)
from faceshape.vision.image import RGBImage
from faceshape.vision.networks import OnnxModel

__all__ = ["CloseLook", "Part", "face_part", "part_transforms", "patch_frames", "patch_transforms"]


class Part(NamedTuple):
    """What a close look sees.

    Attributes:
        points: (G, K) dense indices of the points in each of its G patches, in one order.
        eye_corners: dense indices of the outer corners, left and right.
        centring: C, the mean of the first C points is a patch's middle.
        share: (K, 1) how much of a point's new place is the close look's; the rest remains the
            whole face's. The errors of the two are independent enough for their mean to be better
            than either.
    """

    points: NDArray[np.intp]
    eye_corners: tuple[int, int]
    centring: int
    share: NDArray[np.float32]


# How much of a place is the close look's. A pupil is the close look's alone.
_LID_SHARE, _PUPIL_SHARE, _LIP_SHARE = 0.85, 1.0, 0.85


def face_part(name: str, topology: Topology) -> Part:
    """Return one of the parts, "eyes" or "mouth".

    Raises:
        KeyError: there is no part of that name.
    """
    return {"eyes": _eyes, "mouth": _mouth}[name](topology)


def _eyes(topology: Topology) -> Part:
    """From the outer corner along the lower lid, back along the upper one; last the pupil."""
    points = np.array(
        [
            (
                *topology.indices(f"{side}_eye_lower"),
                *topology.indices(f"{side}_eye_upper")[1:-1],
                *topology.indices(f"{side}_pupil"),
            )
            for side in ("left", "right")
        ]
    )
    lids = points.shape[1] - 1
    share = np.full((lids + 1, 1), _LID_SHARE, np.float32)
    share[-1] = _PUPIL_SHARE
    return Part(points, _eye_corners(topology), lids, share)


def _mouth(topology: Topology) -> Part:
    """All points of the lips, each once."""
    lips = [topology.indices(curve) for curve in CURVES if "_lip_" in curve]
    points = np.array([list(dict.fromkeys(index for curve in lips for index in curve))])
    count = points.shape[1]
    share = np.full((count, 1), _LIP_SHARE, np.float32)
    return Part(points, _eye_corners(topology), count, share)


def _eye_corners(topology: Topology) -> tuple[int, int]:
    return topology.indices("left_eye_lower")[0], topology.indices("right_eye_lower")[0]


class CloseLook:
    """Corrects a part of dense landmarks. Safe to share between threads."""

    def __init__(self, model: OnnxModel, topology: Topology) -> None:
        """Take the part from the model's name, its patches' side and extent from the manifest."""
        geometry = model.entry.facts["input"]
        self._model = model
        self._side: int = geometry["side"]
        self._extent: float = geometry["extent"]
        self._part = face_part(model.entry.name, topology)

    def refine(self, image: RGBImage, dense: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the landmarks (N, P, 2) with the part's points corrected, N at least 1.

        Args:
            image: (H, W, 3) RGB.
            dense: (N, P, 2) in the picture's pixels.
        """
        points, share = self._part.points, self._part.share
        transforms = part_transforms(dense, self._part, self._side, self._extent)
        flat = transforms.reshape(-1, 2, 3)
        patches = cut_crops(image, flat, self._side)
        [in_patch] = self._model.run(patches.reshape(len(dense), -1, *patches.shape[1:]))
        close = undo_similarities(flat, in_patch.reshape(len(flat), -1, 2) * self._side)
        before = dense[:, points]
        refined: NDArray[np.float32] = dense.copy()
        refined[:, points] = before + share * (close.reshape(before.shape) - before)
        return refined


def part_transforms(
    dense: NDArray[np.float32], part: Part, side: int, extent: float
) -> NDArray[np.float64]:
    """Return the transforms (N, G, 2, 3) to the patches that landmarks ask for.

    Args:
        dense: (N, P, 2).
        part: from `face_part`.
        side: of a patch, pixels.
        extent: its side in the picture, in distances of the outer eye corners.
    """
    centres, lines = _centres_and_lines(dense, part)
    across, down = lines.T
    linear = side / (extent * (across + 1j * down))
    return _second_mirrored(centred_transforms(centres, linear[:, None], side), side)


def patch_frames(
    dense: NDArray[np.float32], part: Part
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return where the patches are.

    Args:
        dense: (N, P, 2).
        part: from `face_part`.

    Returns:
        The middle of each patch (N, G, 2), the distance of the outer eye corners (N,) and the
        roll (N,) of the line between them, in degrees.
    """
    centres, lines = _centres_and_lines(dense, part)
    distance: NDArray[np.float64] = np.hypot(*lines.T).astype(np.float64)
    return centres, distance, line_roll(np.zeros_like(lines), lines)


def _centres_and_lines(
    dense: NDArray[np.float32], part: Part
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Return the middle of each patch (N, G, 2) and the lines (N, 2) between outer eye corners."""
    centring = dense[:, part.points[:, : part.centring]]
    centres: NDArray[np.float64] = centring.sum(axis=2, dtype=np.float64) / part.centring
    left, right = part.eye_corners
    lines: NDArray[np.float32] = dense[:, right] - dense[:, left]
    return centres, lines


def patch_transforms(
    centres: NDArray[np.float64], reach: NDArray[np.float64], roll: NDArray[np.float64], side: int
) -> NDArray[np.float64]:
    """Return the transforms (N, G, 2, 3) to patches, the second of each face mirrored.

    Args:
        centres: (N, G, 2) of the patches in the picture.
        reach: (N, G) their sides in the picture.
        roll: (N, G) or (N, 1) degrees; a face of that roll stands upright in them.
        side: theirs, pixels.
    """
    half = reach[:, :, None] / 2
    boxes = np.concatenate([centres - half, centres + half], axis=2)
    roll = np.broadcast_to(roll, reach.shape)
    transforms = crop_transforms(boxes, roll, side, 1.0).reshape(*reach.shape, 2, 3)
    return _second_mirrored(transforms, side)


def _second_mirrored(transforms: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    """Mirror the second of each face's transforms (N, G, 2, 3), in place, and return all."""
    transforms[:, 1:, 0] *= -1
    transforms[:, 1:, 0, 2] += side
    return transforms
