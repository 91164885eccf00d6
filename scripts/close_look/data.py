"""The training data of the close looks: patches of a face, cut from its damaged picture.

The patches are cut as the engine cuts them, with the errors that the whole face's landmarks have;
these were measured on the validation faces.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from torch.utils.data import Dataset

from faceshape.core.contract import interocular_distance, resample
from faceshape.vision.close_look import (
    Part,
    face_part,
    patch_frames,
    patch_transforms,
)
from faceshape.vision.crops import cut_crops, warp_crop
from faceshape.vision.geometry import apply_transforms
from faceshape.vision.pyramid import Pyramid
from scripts.close_look.network import EyeNetwork, MouthNetwork
from scripts.labels.consensus import DENSE, PROFILE
from scripts.landmarks.data import Faces, apparent_yaw, mouth_opening, turned_far
from scripts.training.augmentation import (
    Picture,
    random_background,
    random_damage,
    turn_face,
    with_dark_glasses,
)


@dataclass(frozen=True)
class Recipe:
    """How one of the close looks is trained.

    Attributes:
        name: of the part, as `face_part` has it.
        network: its class.
        extent: side of a patch, in distances of the outer eye corners.
        window: side of the part of a picture that is damaged, in the same.
        shift, zoom, tilt: standard deviations of the first networks' errors: a patch's middle in
            distances of the outer eye corners, the logarithm of its size, its roll in degrees. One
            look in ten has three times as much.
        heavy: weights of points in the loss that are not 1, by their place among the part's.
    """

    name: str
    network: type[EyeNetwork | MouthNetwork]
    extent: float
    window: float
    shift: float
    zoom: float
    tilt: float
    heavy: tuple[tuple[int, float], ...] = ()

    @property
    def part(self) -> Part:
        """The points that are looked at."""
        return face_part(self.name, DENSE)

    def engine_transforms(self, dense: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the transforms (N, G, 2, 3) of the patches that the engine cuts for landmarks."""
        centres, distance, roll = patch_frames(dense, self.part)
        reach = np.repeat(self.extent * distance[:, None], centres.shape[1], axis=1)
        return patch_transforms(centres, reach, roll[:, None], self.network.side)

    def in_patches(
        self, dense: NDArray[np.float32], transforms: NDArray[np.float64]
    ) -> NDArray[np.float32]:
        """Return the part's points (N, G, K, 2) of landmarks (N, P, 2) in units of a side."""
        groups, count = self.part.points.shape
        points = dense[:, self.part.points].reshape(-1, count, 2)
        mapped = apply_transforms(transforms.reshape(-1, 2, 3), points) / self.network.side
        return mapped.reshape(len(dense), groups, count, 2).astype(np.float32)

    def random_transforms(self, dense: NDArray[np.float32], rng: Generator) -> NDArray[np.float64]:
        """Return transforms (N, G, 2, 3) with the first networks' errors, by chance."""
        centres, distance, roll = patch_frames(dense, self.part)
        looks, groups = centres.shape[:2]
        far = np.where(rng.random(looks) < 0.1, 3.0, 1.0)[:, None]
        error = rng.normal(0, self.shift, (looks, groups, 2)) * far[:, None]
        centres = centres + error * distance[:, None, None]
        zoom = np.exp(rng.normal(0, self.zoom, (looks, groups)) * far)
        tilt = rng.normal(0, self.tilt, (looks, groups)) * far
        reach = self.extent * zoom * distance[:, None]
        return patch_transforms(centres, reach, roll[:, None] + tilt, self.network.side)


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe("eyes", EyeNetwork, 0.6, 2.0, shift=0.022, zoom=0.05, tilt=2, heavy=((-1, 4.0),)),
        Recipe("mouth", MouthNetwork, 1.05, 2.2, shift=0.03, zoom=0.05, tilt=2),
    )
}
LOOKS = 2
"""How often a picture is looked at once it is damaged."""

_TURNED = 0.25  # share of the faces whose head is turned further by a warp
_GLASSES, _DARK_GLASSES = 0.1, 0.04  # shares of the faces that get some
_EYES = face_part("eyes", DENSE)


class TrainingPatches(Dataset):
    """Damaged faces by a running number that goes on over the epochs: item i is always the same."""

    def __init__(
        self,
        faces: Faces,
        backgrounds: list[Picture],
        recipe: Recipe,
        epochs: int,
        batch: int,
        seed: int,
    ) -> None:
        self.faces, self.backgrounds, self.recipe, self.seed = faces, backgrounds, recipe, seed
        usable = np.flatnonzero((faces.weight > 0) & ~faces.validation)
        points = resample(faces.dense[usable], DENSE)
        share = 1 + 3 * turned_far(apparent_yaw(points))
        if recipe.name == "mouth":
            share *= 1 + 2 * np.clip(mouth_opening(points) / 0.2 - 0.3, 0, 1)
            points = DENSE.mirror()[recipe.part.points[0]]
            place = {index: k for k, index in enumerate(recipe.part.points[0])}
            self.mirror = np.array([place[index] for index in points])
        self.per_epoch = len(usable) // batch * batch
        rng = np.random.default_rng(seed)
        self.order = np.concatenate(
            [rng.choice(usable, self.per_epoch, p=share / share.sum()) for _ in range(epochs)]
        )

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(
        self, number: int
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.float32]]:
        """Return patches (L, G, S, S, 3), points (L, G, K, 2) in their sides, trust (L,)."""
        rng = np.random.default_rng((self.seed, number))
        face, recipe = self.order[number], self.recipe
        background = self.backgrounds[rng.integers(len(self.backgrounds))]
        window, dense = self._window(face, background, rng)
        if rng.random() < _GLASSES:
            window = _with_glasses(window, dense, rng)
        if rng.random() < _DARK_GLASSES:
            [centres], [distance], [roll] = patch_frames(dense[None], _EYES)
            window = with_dark_glasses(window, centres, float(distance), float(roll), rng)
        window = random_damage(window, dense[list(PROFILE)] / len(window), background, rng)
        looks = np.repeat(dense[None], LOOKS, axis=0)
        transforms = recipe.random_transforms(looks, rng)
        patches = cut_crops(Pyramid(window), transforms.reshape(-1, 2, 3), recipe.network.side)
        patches = patches.reshape(*transforms.shape[:2], *patches.shape[1:])
        points = recipe.in_patches(looks, transforms)
        if recipe.name == "mouth" and rng.random() < 0.5:
            patches = np.ascontiguousarray(patches[..., ::-1, :])
            points = (points * [-1, 1] + [1, 0])[:, :, self.mirror].astype(np.float32)
        return patches, points, np.full(LOOKS, self.faces.weight[face])

    def _window(
        self, face: int, background: Picture, rng: Generator
    ) -> tuple[Picture, NDArray[np.float32]]:
        """Return a square around the part, in the picture's pixels, and the points in it."""
        dense = self.faces.dense[face]
        part, distance = self.recipe.part, interocular_distance(resample(dense[None], DENSE))[0]
        side = int(np.ceil(self.recipe.window * distance))
        middle = dense[part.points[:, : part.centring]].mean(axis=(0, 1))
        corner = (middle - side / 2).round()
        shift = np.array([[1, 0, -corner[0]], [0, 1, -corner[1]]])
        border = random_background(background, side, rng) if rng.random() < 0.5 else None
        window, dense = warp_crop(self.faces.pictures[face], shift, side, border), dense - corner
        if rng.random() < _TURNED:
            yaw, pitch = rng.choice([-1, 1]) * rng.uniform(5, 30), rng.normal(0, 7)
            depth = self.faces.depth[face] / side
            window, points = turn_face(window, dense / np.float32(side), depth, yaw, pitch)
            dense = points * np.float32(side)
        return window, dense


def mean_part(faces: Faces, recipe: Recipe) -> NDArray[np.float32]:
    """Return the mean of the training faces' points in their exact patches.

    Of eyes it is that of both (1, K, 2), the right one mirrored.
    """
    dense = faces.dense[(faces.weight > 0) & ~faces.validation]
    points = recipe.in_patches(dense, recipe.engine_transforms(dense))
    return points.mean(axis=(0, 1), keepdims=True)[0].astype(np.float32)


def _with_glasses(window: Picture, dense: NDArray[np.float32], rng: Generator) -> Picture:
    """Draw the frame of a pair of glasses."""
    [centres], [distance], [roll] = patch_frames(dense[None], _EYES)
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
