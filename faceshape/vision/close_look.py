"""Close looks at the eyes and at the mouth, which place their points anew.

The landmarks of the whole face tell where to look. A part consists of one patch or of two; the
second one is seen mirrored, so that to the network every eye is a left one.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from faceshape.core.topology import CURVES, Topology
from faceshape.vision.crops import cut_crops
from faceshape.vision.geometry import (
    centred_similarities,
    crop_transforms,
    from_complex,
    line_roll,
    similarity_transforms,
    to_complex,
)
from faceshape.vision.networks import OnnxModel
from faceshape.vision.pyramid import Pyramid

__all__ = ["CloseLooks", "Part", "face_part", "patch_frames", "patch_transforms"]


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


class _Look(NamedTuple):
    """One network, which of all patches it sees, and their side in pixels."""

    model: OnnxModel
    patches: slice
    side: int

    def see(self, pyramid: Pyramid, transforms: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return the points (N, G · K, 2) in patches (N, G, 2, 3), in pixels of these."""
        flat = _second_mirrored(transforms, self.side).reshape(-1, 2, 3)
        patches = cut_crops(pyramid, flat, self.side)
        [seen] = self.model.run(patches.reshape(*transforms.shape[:2], *patches.shape[1:]))
        seen[:, 1:, :, 0] = 1 - seen[:, 1:, :, 0]
        return (seen * self.side).reshape(len(seen), -1, 2)


class CloseLooks:
    """Corrects the parts of dense landmarks that have networks. Safe to share between threads."""

    def __init__(self, models: Sequence[OnnxModel], topology: Topology) -> None:
        """Take the parts from the models' names, sides and extents from the manifest."""
        self._looks: list[_Look] = []
        parts: list[Part] = []
        sides: list[int] = []
        extents: list[float] = []
        for model in models:
            part, geometry = face_part(model.entry.name, topology), model.entry.facts["input"]
            first, count = len(sides), len(part.points)
            self._looks.append(_Look(model, slice(first, first + count), geometry["side"]))
            parts.append(part)
            sides += [geometry["side"]] * count
            extents += [geometry["extent"]] * count
        if not parts:
            return
        self._sides, self._zooms = np.array(sides), np.array(sides) / extents
        self._eye_corners = parts[0].eye_corners
        patches = [(part, rows) for part in parts for rows in part.points]
        # The middles of the patches are these times all points.
        self._centring = np.zeros((topology.points, len(patches)))
        for patch, (part, rows) in enumerate(patches):
            self._centring[rows[: part.centring], patch] = 1 / part.centring
        # Of each point of a part: its dense index, its patch, and the close look's share of it.
        self._points = np.concatenate([rows for _, rows in patches])
        self._patch = np.repeat(np.arange(len(patches)), [len(rows) for _, rows in patches])
        self._share = np.concatenate([part.share[:, 0] for part, _ in patches])

    def refine(self, pyramid: Pyramid, dense: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the landmarks (N, P, 2) with the parts' points corrected, N at least 1.

        Args:
            pyramid: the picture.
            dense: (N, P, 2) in its pixels.
        """
        if not self._looks:
            return dense
        places = to_complex(dense)
        left, right = self._eye_corners
        lines = places[:, right] - places[:, left]
        linear = self._zooms / lines[:, None]
        pairs = centred_similarities(places @ self._centring, linear, self._sides)
        transforms = similarity_transforms(pairs)
        seen = [look.see(pyramid, transforms[:, look.patches]) for look in self._looks]
        pairs = pairs[:, self._patch]
        close = (to_complex(np.concatenate(seen, axis=1)) - pairs[..., 1]) / pairs[..., 0]
        close -= places[:, self._points]
        places[:, self._points] += self._share * close
        return from_complex(places).astype(np.float32)


def patch_frames(
    dense: NDArray[np.float32], part: Part
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return where the patches of a part are.

    Args:
        dense: (N, P, 2).
        part: from `face_part`.

    Returns:
        The middle of each patch (N, G, 2), the distance of the outer eye corners (N,) and the
        roll (N,) of the line between them, in degrees.
    """
    centring = dense[:, part.points[:, : part.centring]]
    left, right = (dense[:, corner] for corner in part.eye_corners)
    distance: NDArray[np.float64] = np.hypot(*(right - left).T).astype(np.float64)
    return centring.mean(axis=2, dtype=np.float64), distance, line_roll(left, right)


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
