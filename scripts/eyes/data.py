"""The training data of the eyes' regressor: both eyes of a face, cut from its damaged picture.

The patches are cut as the engine cuts them, with the errors that the whole face's landmarks have;
these were measured on the validation faces.
"""

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from torch.utils.data import Dataset

from faceshape.core.contract import interocular_distance, resample
from faceshape.vision.crops import cut_crops, warp_crop
from faceshape.vision.eyes import eye_frames, eye_points, eye_transforms, patch_transforms
from faceshape.vision.geometry import apply_transforms
from scripts.eyes.network import PATCH_SIDE
from scripts.landmarks.data import DENSE, Faces
from scripts.training.augmentation import Picture, random_background, random_damage

EXTENT = 0.6
"""Side of a patch, in distances of the outer eye corners."""

POINTS = eye_points(DENSE)
SEED = 91
LOOKS = 2
"""Pairs of patches that are cut from a picture once it is damaged."""

# Standard deviations of the first network's errors: a patch's centre in inter-ocular distances,
# the logarithm of its size, its roll in degrees. One look in ten has three times as much.
_SHIFT, _ZOOM, _TILT = 0.022, 0.05, 2.0

_WINDOW = 2.0  # side of the part of a picture that is damaged, in inter-ocular distances
_PROFILE = list(DENSE.indices("profile_left") + DENSE.indices("profile_right")[1:])


class TrainingEyes(Dataset):
    """Damaged faces by a running number that goes on over the epochs: item i is always the same."""

    def __init__(self, faces: Faces, backgrounds: list[Picture], epochs: int, batch: int) -> None:
        self.faces, self.backgrounds = faces, backgrounds
        usable = np.flatnonzero((faces.weight > 0) & ~faces.validation)
        self.per_epoch = len(usable) // batch * batch
        rng = np.random.default_rng(SEED)
        self.order = np.concatenate(
            [rng.permutation(usable)[: self.per_epoch] for _ in range(epochs)]
        )

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(
        self, number: int
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.float32]]:
        """Return patches (L, 2, S, S, 3), points (L, 2, K, 2) in their sides, trust (L,)."""
        rng = np.random.default_rng((SEED, number))
        face = self.order[number]
        background = self.backgrounds[rng.integers(len(self.backgrounds))]
        window, dense = _window(self.faces.pictures[face], self.faces.dense[face], background, rng)
        if rng.random() < 0.1:
            window = _with_glasses(window, dense, rng)
        window = random_damage(window, dense[_PROFILE] / len(window), background, rng)
        patches, points = _random_looks(window, dense, rng)
        return patches, points, np.full(LOOKS, self.faces.weight[face])


def mean_eye(faces: Faces) -> NDArray[np.float32]:
    """Return the mean of the training faces' eyes (K, 2) in their exact patches."""
    dense = faces.dense[(faces.weight > 0) & ~faces.validation]
    return points_in_patches(dense, engine_transforms(dense)).mean(axis=(0, 1)).astype(np.float32)


def engine_transforms(dense: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the transforms (N, 2, 2, 3) of the patches that the engine cuts for landmarks."""
    return eye_transforms(dense, POINTS, PATCH_SIDE, EXTENT)


def points_in_patches(
    dense: NDArray[np.float32], transforms: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the eyes' points (N, 2, K, 2) of landmarks (N, P, 2) in units of a patch's side."""
    eyes = dense[:, POINTS].reshape(-1, *POINTS.shape[1:], 2)
    mapped = apply_transforms(transforms.reshape(-1, 2, 3), eyes) / PATCH_SIDE
    return mapped.reshape(len(dense), *POINTS.shape, 2)


def _window(
    picture: Picture, dense: NDArray[np.float32], background: Picture, rng: Generator
) -> tuple[Picture, NDArray[np.float32]]:
    """Return a square around both eyes, its pixels those of the picture, and the points in it."""
    side = int(np.ceil(_WINDOW * interocular_distance(resample(dense[None], DENSE))[0]))
    corner = (dense[POINTS[:, 0]].mean(axis=0) - side / 2).round()
    shift = np.array([[1, 0, -corner[0]], [0, 1, -corner[1]]])
    border = random_background(background, side, rng) if rng.random() < 0.5 else None
    return warp_crop(picture, shift, side, border), dense - corner


def _random_looks(
    window: Picture, dense: NDArray[np.float32], rng: Generator
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    looks = np.repeat(dense[None], LOOKS, axis=0)
    centres, distance, roll = eye_frames(looks, POINTS)
    far = np.where(rng.random(LOOKS) < 0.1, 3.0, 1.0)[:, None]
    error = rng.normal(0, _SHIFT, (LOOKS, 2, 2)) * far[:, None]
    centres = centres + error * distance[:, None, None]
    zoom = np.exp(rng.normal(0, _ZOOM, (LOOKS, 2)) * far)
    tilt = rng.normal(0, _TILT, (LOOKS, 2)) * far
    transforms = patch_transforms(
        centres, EXTENT * zoom * distance[:, None], roll[:, None] + tilt, PATCH_SIDE
    )
    patches = cut_crops(window, transforms.reshape(-1, 2, 3), PATCH_SIDE)
    points = points_in_patches(looks, transforms).astype(np.float32)
    return patches.reshape(LOOKS, 2, *patches.shape[1:]), points


def _with_glasses(window: Picture, dense: NDArray[np.float32], rng: Generator) -> Picture:
    """Draw the frame of a pair of glasses."""
    [centres], [distance], [roll] = eye_frames(dense[None], POINTS)
    axes = (rng.uniform([0.17, 0.10], [0.26, 0.20]) * distance).astype(int)
    colour = np.clip(rng.normal(60, 50) + rng.normal(0, 20, 3), 0, 255).tolist()
    width = max(1, round(rng.uniform(0.015, 0.06) * distance))
    off = rng.normal([0, 0.03], 0.04) * distance
    bridge = centres + off + np.diff(centres, axis=0) * axes[0] / distance * [[1.0], [-1.0]]
    window = window.copy()
    for centre in centres + off:
        middle = centre.astype(int).tolist()
        cv2.ellipse(window, middle, axes.tolist(), roll, 0, 360, colour, width, cv2.LINE_AA)
    start, end = bridge.astype(int).tolist()
    cv2.line(window, start, end, colour, width, cv2.LINE_AA)
    return window
