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
from faceshape.vision.pyramid import Pyramid

Picture = NDArray[np.uint8]

_FIELD, _FIELD_WIDTH = 20, 0.045  # nodes and reach of the warp that turns a head


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
        stretch: how much longer a face is than it should be, and how much it slants, as shares.
    """

    roll: float
    size: float
    centre: float
    stretch: float = 0.0


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
    transform = _random_stretch(errors.stretch, rng) @ transform
    transform[:, 2] += middle
    border = _random_border(background, crop.side, rng)
    return _warp_stretched(picture, transform, border), _to_crop(points, transform, crop.side)


def _random_stretch(size: float, rng: Generator) -> NDArray[np.float64]:
    """Return a matrix (2, 2) that makes a face a little longer or wider, and slants it."""
    longer, slant = rng.normal(0, size, 2)
    return np.array([[np.exp(-longer), slant], [0, np.exp(longer)]])


def _warp_stretched(picture: Picture, transform: NDArray, border: Picture) -> Picture:
    """Do what `warp_crop` does, for transforms that are no similarities, too."""
    scale = np.sqrt(abs(np.linalg.det(transform[:, :2])))
    halvings = max(0, int(-np.log2(scale)))
    if min(picture.shape[:2]) >= 2 * 2**halvings:
        picture = Pyramid(picture).level(halvings)
        transform = np.hstack([transform[:, :2] * 2**halvings, transform[:, 2:]])
    canvas = cv2.cvtColor(border, cv2.COLOR_RGB2RGBA)
    cv2.warpAffine(
        cv2.cvtColor(picture, cv2.COLOR_RGB2RGBA),
        pixel_matrix(transform),
        border.shape[1::-1],
        dst=canvas,
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_TRANSPARENT,
    )
    return cv2.cvtColor(canvas, cv2.COLOR_RGBA2RGB)


def turn_face(
    crop: Picture, points: NDArray[np.float32], depth: NDArray, yaw: float, pitch: float
) -> tuple[Picture, NDArray[np.float32]]:
    """Return a crop whose face is turned, as far as a smooth warp of the picture can do that.

    Every landmark moves as the head turns; between them the motion is a weighted mean, and it
    fades out around the face. What was hidden remains so: fit for angles up to about 30 degrees.

    Args:
        crop: (S, S, 3).
        points: (P, 2) in units of its side.
        depth: (P,) how far each lies behind the others, in the same units.
        yaw: degrees; a positive one moves what is near to the right.
        pitch: degrees; a positive one moves it down.
    """
    side = len(crop)
    a, b = np.radians([yaw, pitch])
    axis = points.mean(axis=0)
    behind = depth - depth.mean() - 0.15  # the axis lies within the head, not in its face
    x, y = (points - axis).T
    turned_x = x * np.cos(a) - behind * np.sin(a)
    back = x * np.sin(a) + behind * np.cos(a)
    turned = np.stack([turned_x, y * np.cos(b) - back * np.sin(b)], axis=1)
    turned += axis + (points - axis).mean(axis=0) - turned.mean(axis=0)
    # Where a place of the new crop comes from: a smooth field on a coarse grid.
    lines = (np.arange(_FIELD) + 0.5) / _FIELD
    off_x = np.exp(-(((lines[:, None] - turned[:, 0]) / _FIELD_WIDTH) ** 2) / 2)
    off_y = np.exp(-(((lines[:, None] - turned[:, 1]) / _FIELD_WIDTH) ** 2) / 2)
    weight = off_y[:, None] * off_x[None]  # (F, F, P)
    field = weight @ (points - turned) / (weight.sum(axis=2)[..., None] + 1.0)
    fine = cv2.resize(field.astype(np.float32), (side, side), interpolation=cv2.INTER_CUBIC)
    places = (np.arange(side, dtype=np.float32) + 0.5) / side
    sources = fine + np.dstack(np.meshgrid(places, places))
    warped = cv2.remap(
        crop, sources * side - 0.5, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    moved = turned.astype(np.float32)
    for _ in range(4):  # the places from which the picture's landmarks came
        at = (moved * side - 0.5)[None]
        moved = points - cv2.remap(fine, at, None, cv2.INTER_LINEAR, None, cv2.BORDER_REPLICATE)[0]
    return warped, moved


def random_far_crop(
    picture: Picture, points: NDArray, side: int, background: Picture, rng: Generator
) -> Picture:
    """Cut a square near a face that is no face: beside it, a detail of it, or much too wide."""
    box = enclosing_boxes(points[None])[0]
    size = (box[2:] - box[:2]).max()
    kind = rng.integers(3)
    if kind == 0:
        angle, distance = rng.uniform(0, 2 * np.pi), rng.uniform(0.5, 1.3) * size
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


def random_upside_down(
    picture: Picture, points: NDArray, roll: float, crop: Crop, background: Picture, rng: Generator
) -> Picture:
    """Cut a face's crop that stands on its head, within 50 degrees: that is no face to trust."""
    turned = roll + 180 + rng.uniform(-50, 50)
    errors = CropErrors(roll=0, size=0.12, centre=0.05, stretch=0.05)
    return random_face_crop(picture, points, turned, crop, errors, background, rng)[0]


def random_background(
    background: Picture, side: int, rng: Generator, largest: float = 0.9
) -> Picture:
    """Cut a square of random size and roll out of a picture without faces.

    Args:
        background: the picture.
        side: of the crop.
        rng: the random generator.
        largest: the square's side, as a share of the picture's shorter one.
    """
    height, width = background.shape[:2]
    extent = rng.uniform(0.15, largest) * min(height, width)
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
    if rng.random() < 0.02:
        crop = _painted(crop, rng)
    crop = random_blur(random_light(crop, rng), rng)
    if rng.random() < 0.25:
        crop = _coarsened(crop, rng)
    return random_sensor(crop, rng)


def random_light(picture: Picture, rng: Generator) -> Picture:
    """Return the picture (H, W, 3) in another light, in other colours, in grey or as a poster."""
    if rng.random() < 0.15:
        picture = _lit_from_one_side(picture, rng)
    if rng.random() < 0.85:
        picture = _recoloured(picture, rng)
    if rng.random() < 0.15:
        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        picture = cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB)
    if rng.random() < 0.03:
        picture = _printed(picture, rng)
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
    extreme = 2.2 if rng.random() < 0.12 else 1.0  # over- and underexposed
    gamma = np.exp(rng.normal(0, 0.25 * extreme))
    gain = np.exp(rng.normal(0, 0.15 * extreme)) * np.exp(rng.normal(0, 0.06, 3))
    table = (levels**gamma - 0.5) * gain + 0.5 + rng.normal(0, 0.08 * extreme)
    return cv2.LUT(crop, (np.clip(table, 0, 1) * 255).astype(np.uint8)[None])


def _painted(crop: Picture, rng: Generator) -> Picture:
    """Leave flat patches of few colours, as brushes do."""
    smooth = cv2.medianBlur(crop, int(rng.choice([3, 5])))
    step = int(rng.integers(8, 32))
    return (smooth // step * step + step // 2).astype(np.uint8)


def _printed(picture: Picture, rng: Generator) -> Picture:
    """Leave two to four flat colours, from dark to light, as posters and stencils do."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    grey = cv2.GaussianBlur(grey, (0, 0), rng.uniform(0.5, 1.5))
    colours = rng.uniform(0, 255, (rng.integers(2, 5), 3))
    colours = colours[np.argsort(colours.sum(axis=1))]
    edges = np.quantile(grey, np.sort(rng.uniform(0.15, 0.85, len(colours) - 1)))
    return colours[np.searchsorted(edges, np.arange(256))].astype(np.uint8)[grey]


def with_dark_glasses(
    crop: Picture, eyes: NDArray, distance: float, roll: float, rng: Generator
) -> Picture:
    """Cover both eyes with lenses that let little or nothing through.

    Args:
        crop: (S, S, 3).
        eyes: (2, 2) their middles in pixels.
        distance: of the outer corners, pixels.
        roll: degrees.
        rng: the random generator.
    """
    lenses = np.zeros(crop.shape[:2], np.uint8)
    axes = rng.uniform([0.22, 0.15], [0.33, 0.28]) * distance
    off = rng.normal([0, 0.04], 0.04) * distance
    oval = rng.random() < 0.5
    for eye in eyes + off:
        if oval:
            cv2.ellipse(lenses, (eye.tolist(), (2 * axes).tolist(), float(roll)), 255, -1)
        else:
            corners = cv2.boxPoints((eye.tolist(), (1.9 * axes).tolist(), float(roll)))
            cv2.fillConvexPoly(lenses, corners.astype(np.int32), 255)
    bar = max(1, round(rng.uniform(0.02, 0.06) * distance))
    ends = (eyes + off).astype(int).tolist()
    cv2.line(lenses, ends[0], ends[1], 255, bar)
    tint = np.clip(rng.normal(35, 25) + rng.normal(0, 8, 3), 0, 255)
    opaque = rng.uniform(0.6, 1.0) * (lenses[..., None] / 255.0)
    return (crop + opaque * (tint - crop)).astype(np.uint8)


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
    small = int(np.exp(rng.uniform(np.log(14), np.log(72))))
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
