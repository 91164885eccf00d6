"""What a training crop may suffer: geometry, light, blur, noise, compression and occlusion.

Every function takes its own random generator, so that a sample depends on its seed alone.
"""

from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from faceshape.vision.crops import warp_crop
from faceshape.vision.geometry import (
    aligned_transforms,
    apply_transforms,
    boxes_along_roll,
    crop_transforms,
    enclosing_boxes,
    pixel_matrix,
)

Picture = NDArray[np.uint8]


class Crop(Protocol):
    """How the crop of a face is cut."""

    side: int
    """Pixels."""

    def transform(self, points: NDArray, roll: float) -> NDArray[np.float64]:
        """Return the transform (2, 3) to the crop of landmarks (P, 2).

        A face of that roll in degrees stands upright in it.
        """
        ...


@dataclass(frozen=True)
class BoxCrop:
    """The crop about a face's box: what a detector knows."""

    side: int
    margin: float

    def transform(self, points: NDArray, roll: float) -> NDArray[np.float64]:
        """See `Crop`."""
        box = boxes_along_roll(points[None], [roll])
        return crop_transforms(box, [roll], self.side, self.margin)[0]


@dataclass(frozen=True)
class AlignedCrop:
    """The crop that landmarks ask for; see `faceshape.vision.geometry.aligned_transforms`."""

    side: int
    reach: float
    below: float

    def transform(self, points: NDArray, roll: float) -> NDArray[np.float64]:
        """See `Crop`."""
        angle = np.radians(roll)
        line = [[np.cos(angle), np.sin(angle)]]
        return aligned_transforms(points[None], line, self.side, self.reach, self.below)[0]


@dataclass(frozen=True)
class CropErrors:
    """What may be wrong with a face's crop, as standard deviations.

    Attributes:
        roll: degrees.
        size: of its logarithm.
        centre: in sides of the crop.
    """

    roll: float
    size: float
    centre: float


def crop_face(
    picture: Picture, points: NDArray, roll: float, crop: Crop
) -> tuple[Picture, NDArray[np.float32]]:
    """Cut a face's exact crop, black beyond the picture.

    Args:
        picture: RGB.
        points: (P, 2) landmarks in the picture.
        roll: degrees; the crop is turned so that a face of that roll stands upright.
        crop: which one.

    Returns:
        The crop (side, side, 3) and the landmarks (P, 2) in it, in units of its side.
    """
    transform = crop.transform(points, roll)
    return warp_crop(picture, transform, crop.side), _to_crop(points, transform, crop.side)


def random_face_crop(
    picture: Picture,
    points: NDArray,
    face_roll: float,
    crop: Crop,
    errors: CropErrors,
    background: Picture,
    rng: Generator,
) -> tuple[Picture, NDArray[np.float32]]:
    """Cut a face's crop as `crop_face` does, but with errors by chance."""
    transform = crop.transform(points, face_roll + rng.normal(0, errors.roll))
    middle = crop.side / 2
    shift = rng.normal(0, errors.centre, 2) * crop.side
    transform[:, 2] -= middle + shift
    transform *= np.exp(rng.normal(0, errors.size))
    transform[:, 2] += middle
    border = _random_border(background, crop.side, rng)
    return warp_crop(picture, transform, crop.side, border), _to_crop(points, transform, crop.side)


def random_far_crop(
    picture: Picture, points: NDArray, side: int, background: Picture, rng: Generator
) -> Picture:
    """Cut a square near a face that is no face: beside it, a detail of it, or much too wide."""
    box = enclosing_boxes(points[None])[0]
    size = (box[2:] - box[:2]).max()
    kind = rng.integers(3)
    if kind == 0:
        angle, distance = rng.uniform(0, 2 * np.pi), rng.uniform(0.8, 1.3) * size
        box = box + np.tile([np.cos(angle), np.sin(angle)], 2) * distance
        factor = np.exp(rng.normal(0, 0.2))
    elif kind == 1:
        box = box + np.tile(rng.normal(0, 0.25, 2) * size, 2)
        factor = rng.uniform(0.15, 0.4)
    else:
        box = box + np.tile(rng.normal(0, 0.6, 2) * size, 2)
        factor = rng.uniform(2.6, 4.5)
    transform = crop_transforms(box[None], [rng.uniform(-180, 180)], side, 1.4 * factor)[0]
    return warp_crop(picture, transform, side, _random_border(background, side, rng))


def random_background(background: Picture, side: int, rng: Generator) -> Picture:
    """Cut a square of random size and roll out of a picture without faces."""
    height, width = background.shape[:2]
    extent = rng.uniform(0.15, 0.9) * min(height, width)
    centre = rng.uniform(0.2, 0.8, 2) * (width, height)
    box = np.concatenate([centre - extent / 2, centre + extent / 2])
    transform = crop_transforms(box[None], [rng.uniform(-180, 180)], side, 1.0)[0]
    matrix = pixel_matrix(transform)
    return cv2.warpAffine(background, matrix, (side, side), borderMode=cv2.BORDER_REFLECT_101)


def _to_crop(points: NDArray, transform: NDArray, side: int) -> NDArray[np.float32]:
    return (apply_transforms(transform[None], points[None])[0] / side).astype(np.float32)


def _random_border(background: Picture, side: int, rng: Generator) -> Picture:
    """What the crop shows beyond the picture: black as the engine has it, or something else."""
    kind = rng.random()
    if kind < 0.4:
        return np.zeros((side, side, 3), np.uint8)
    if kind < 0.5:
        return np.full((side, side, 3), rng.integers(0, 256, 3), np.uint8)
    return random_background(background, side, rng)


def random_damage(crop: Picture, outline: NDArray, background: Picture, rng: Generator) -> Picture:
    """Return the crop after a random selection of everything that happens to photographs.

    Args:
        crop: (S, S, 3) RGB.
        outline: (K, 2) the face's profile in units of the crop's side, temple to temple.
        background: a picture without faces, whose texture may cover the face.
        rng: the random generator.
    """
    if rng.random() < 0.30:
        crop = occluded(crop, outline, background, rng)
    crop = random_blur(random_light(crop, rng), rng)
    if rng.random() < 0.25:
        crop = _coarsened(crop, rng)
    return random_sensor(crop, rng)


def random_light(picture: Picture, rng: Generator) -> Picture:
    """Return the picture (H, W, 3) in another light, in other colours or in grey."""
    if rng.random() < 0.15:
        picture = _lit_from_one_side(picture, rng)
    if rng.random() < 0.85:
        picture = _recoloured(picture, rng)
    if rng.random() < 0.15:
        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        picture = cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB)
    return picture


def random_blur(picture: Picture, rng: Generator) -> Picture:
    """Return the picture, one in five out of focus or moved."""
    return _blurred(picture, rng) if rng.random() < 0.20 else picture


def random_sensor(picture: Picture, rng: Generator) -> Picture:
    """Return the picture, some with noise, some compressed."""
    if rng.random() < 0.20:
        sigma = rng.uniform(2, 18)
        noise = rng.standard_normal(picture.shape, np.float32) * np.float32(sigma)
        picture = np.clip(picture + noise, 0, 255).astype(np.uint8)
    if rng.random() < 0.15:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(15, 70))]
        picture = cv2.imdecode(cv2.imencode(".jpg", picture, quality)[1], cv2.IMREAD_COLOR)
    return picture


def _recoloured(crop: Picture, rng: Generator) -> Picture:
    levels = np.arange(256, dtype=np.float32)[:, None] / 255
    gamma = np.exp(rng.normal(0, 0.25))
    gain = np.exp(rng.normal(0, 0.15)) * np.exp(rng.normal(0, 0.06, 3))
    table = (levels**gamma - 0.5) * gain + 0.5 + rng.normal(0, 0.08)
    return cv2.LUT(crop, (np.clip(table, 0, 1) * 255).astype(np.uint8)[None])


def _lit_from_one_side(crop: Picture, rng: Generator) -> Picture:
    side = len(crop)
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j].astype(np.float32)
    gain = np.exp(rng.uniform(0.2, 1.0) * (np.cos(angle) * x + np.sin(angle) * y))
    return np.clip(crop * gain[..., None].astype(np.float32), 0, 255).astype(np.uint8)


def _blurred(crop: Picture, rng: Generator) -> Picture:
    if rng.random() < 0.6:
        return cv2.GaussianBlur(crop, (0, 0), rng.uniform(0.5, 2.5))
    length = int(rng.integers(3, 10))
    kernel = np.zeros((length, length), np.float32)
    kernel[length // 2] = 1 / length
    turn = cv2.getRotationMatrix2D(((length - 1) / 2, (length - 1) / 2), rng.uniform(0, 180), 1)
    kernel = cv2.warpAffine(kernel, turn, (length, length))
    return cv2.filter2D(crop, -1, kernel / max(float(kernel.sum()), 1e-3))


def _coarsened(crop: Picture, rng: Generator) -> Picture:
    side = len(crop)
    small = int(rng.uniform(24, 72))
    shrunk = cv2.resize(crop, (small, small), interpolation=cv2.INTER_AREA)
    way = int(rng.choice([cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_NEAREST], p=[0.6, 0.3, 0.1]))
    return cv2.resize(shrunk, (side, side), interpolation=way)


def occluded(crop: Picture, outline: NDArray, background: Picture, rng: Generator) -> Picture:
    """Cover a part of a square crop; see `random_damage` for the arguments."""
    side = len(crop)
    mask = np.zeros((side, side), np.uint8)
    kind = rng.random()
    if kind < 0.4:
        width, height = rng.uniform(0.08, 0.4, 2) * side
        x, y = rng.uniform(0, 1, 2) * side
        rectangle = cv2.boxPoints(((float(x), float(y)), (width, height), rng.uniform(0, 90)))
        cv2.fillConvexPoly(mask, rectangle.astype(np.int32), 255)
    elif kind < 0.75:  # finger-like ellipses side by side
        x, y = rng.uniform(0.1, 0.9, 2) * side
        angle, length, width = rng.uniform(0, 180), rng.uniform(0.1, 0.3), rng.uniform(0.03, 0.08)
        across = np.radians(angle + 90)
        for finger in range(int(rng.integers(1, 5))):
            centre = np.array([x, y]) + finger * 1.9 * width * side * np.array(
                [np.cos(across), np.sin(across)]
            )
            axes = (int(length * side), max(1, int(width * side)))
            cv2.ellipse(mask, centre.astype(int).tolist(), axes, angle, 0, 360, 255, -1)
    else:  # a face mask: the lower part of the profile, closed over the nose
        middle = len(outline) // 2
        reach = int(middle * rng.uniform(0.55, 0.85))
        jaw = outline[middle - reach : middle + reach + 1] * side
        cv2.fillPoly(mask, [jaw.astype(np.int32)], 255)
    if rng.random() < 0.5:
        cover = random_background(background, side, rng)
    else:
        colour = np.clip(rng.normal(150, 60) + rng.normal(0, 25, 3), 0, 255)
        cover = np.full_like(crop, colour.astype(np.uint8))
    return np.where(mask[..., None] > 0, cover, crop)
