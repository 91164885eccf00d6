"""Training pictures of the detector: mosaics of faces of any size and roll."""

from collections.abc import Iterator
from itertools import pairwise

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from faceshape.vision.crops import warp_crop
from faceshape.vision.geometry import apply_transforms, line_roll
from scripts.detector.data import LabelledPictures
from scripts.detector.targets import PlacedFaces
from scripts.landmarks.data import turned_far
from scripts.training.augmentation import (
    Picture,
    occluded,
    random_background,
    random_blur,
    random_light,
    random_sensor,
    with_dark_glasses,
)

SMALLEST, LARGEST = 6.0, 240.0  # faces, geometric mean of their sides, in pixels
# Of the large tiles, how many show a face that does not fit into them, and how large it is, in
# sides of the tile: an eye or a mouth that fills a picture is no face.
_CLOSE_UPS, _CLOSE_UP_SIZES = 0.12, (1.1, 2.0)
# More would only make a face blurred; close-ups may be.
_MOST_ENLARGED, _CLOSE_UP_MOST_ENLARGED = 2.5, 4.5
# Faces with their surroundings are drawn more often than those cut out closely.
_SHARE = {
    "u": 1.6,  # speakers
    "k": 2.2,  # people with and without masks
    "m": 0.5,  # press, cut at the chin
    "v": 1.0,  # all ages and skins
    "o": 1.0,  # children and old people, poor light
    "y": 1.5,  # open mouths, turned heads, sunglasses
    "f": 2.5,  # sharp; masks
    "s": 1.2,  # sunglasses
    "c": 0.6,  # cut out closely
    "e": 2.5,  # real masks
}
_USUAL_SHARE = 1.0  # of a source that is not among them
_TURNED = 2.0  # how much more often a head is drawn that is turned far, of which there are few
_DARK_GLASSES = 0.08  # of the single faces
_OUTER_CORNERS = 1.45  # how far they are apart, in distances of the eyes
_FACES_OF_OTHERS = 0.775  # of the tiles that are not empty; the rest are scenes
# Of the mosaics, how many are one scene with people, so that small faces are seen as they are among
# people, and not in small pictures of their own alone; such a scene's shorter side is so many sides
# of the mosaic at least.
_WHOLE_SCENES, _LEAST_COVERED = 0.25, 0.7
_BLANK_OF_EMPTY = 0.25  # photographs have no areas as flat as those of drawings and screens
_MIRROR = [1, 0, 2, 4, 3]

_Area = tuple[int, int, int, int]
# A picture, its faces, and whether these are all that it shows.
_Shown = tuple[Picture, PlacedFaces, bool]


class MosaicMaker:
    """Composes mosaics from face pictures, scenes and pictures without faces."""

    def __init__(self, faces: LabelledPictures, scenes: LabelledPictures, side: int) -> None:
        """Take what mosaics of `side` pixels are made from."""
        self._side = side
        self._faces, self._scenes = faces, scenes
        self._roll = {id(source): source.roll() for source in (faces, scenes)}
        share = np.array([_SHARE.get(source, _USUAL_SHARE) for source in faces.source])
        share *= 1 + _TURNED * turned_far(faces.apparent_yaw())
        self._face_share = np.cumsum(share) / share.sum()
        inhabited, crowded = np.zeros((2, len(scenes.pictures)), bool)
        inhabited[scenes.picture] = True
        crowded[scenes.picture[scenes.trusted]] = True
        self._crowds, self._empty = np.flatnonzero(crowded), np.flatnonzero(~crowded)
        people = np.sqrt(np.bincount(scenes.picture[scenes.trusted])[self._crowds])
        self._crowd_share = people / people.sum()
        self._backdrops = np.flatnonzero(~inhabited)

    def compose(
        self, rng: Generator, empty_share: float = 0.2
    ) -> tuple[Picture, PlacedFaces, NDArray[np.bool_]]:
        """Return a picture (S, S, 3), its faces and where (S, S) there may be unlabelled ones.

        Args:
            rng: the random generator.
            empty_share: of the tiles, how many come from pictures without any sure face.
        """
        side = self._side
        canvas = np.zeros((side, side, 3), np.uint8)
        doubtful = np.zeros((side, side), bool)
        parts = []
        for (left, top, right, bottom), (tile, found, exhaustive) in self._parts(empty_share, rng):
            width, height = right - left, bottom - top
            canvas[top:bottom, left:right] = tile[:height, :width]
            doubtful[top:bottom, left:right] = not exhaustive
            parts.append(_clipped(found, (width, height), (left, top)))
        faces = PlacedFaces(
            *(np.concatenate([getattr(part, name) for part in parts]) for name in _FIELDS)
        )
        if rng.random() < 0.5:
            canvas, doubtful = canvas[:, ::-1], doubtful[:, ::-1]
            faces = _mirrored(faces, side)
        canvas = random_sensor(random_blur(np.ascontiguousarray(canvas), rng), rng)
        return canvas, faces, doubtful

    def _parts(self, empty_share: float, rng: Generator) -> Iterator[tuple[_Area, _Shown]]:
        """Give the areas of a mosaic (left, top, right, bottom) and what is seen in each."""
        if rng.random() < _WHOLE_SCENES:
            yield (0, 0, self._side, self._side), self._whole_scene(rng)
            return
        for area in _tiles(self._side, rng):
            size = (area[2] - area[0], area[3] - area[1])
            yield area, self._tile(max(size), size, empty_share, rng)

    def _whole_scene(self, rng: Generator) -> _Shown:
        """Return a scene with people that covers most of the mosaic."""
        side, number = self._side, int(rng.choice(self._crowds, p=self._crowd_share))
        least = _LEAST_COVERED * side / min(self._scenes.pictures[number].shape[:2])
        return self._shown(self._scenes, number, side, (side, side), rng, least)

    def _tile(
        self, square: int, size: tuple[int, int], empty_share: float, rng: Generator
    ) -> _Shown:
        """Return one picture in a square of which `size` is seen."""
        if rng.random() < _BLANK_OF_EMPTY * empty_share:
            return _blank(square, rng), _NOBODY, True
        source, number = self._drawn(empty_share, rng)
        return self._shown(source, number, square, size, rng)

    def _shown(
        self,
        source: LabelledPictures,
        number: int,
        square: int,
        size: tuple[int, int],
        rng: Generator,
        least_scale: float = 0.0,
    ) -> _Shown:
        """Return a picture turned, scaled and moved into a square of which `size` is seen."""
        rows = source.faces_of(number)
        transform, scale = self._random_transform(source, number, square, size, least_scale, rng)
        backdrop = None if rng.random() < 0.3 else self._backdrop(square, rng)
        tile = warp_crop(source.pictures[number], transform, square, backdrop)
        tile = _darkened(random_light(tile, rng), rng)
        placed = _placed(source, rows, transform, scale)
        if source is self._faces and rng.random() < _DARK_GLASSES:
            tile = _behind_dark_glasses(tile, placed, rng)
        covered = source is self._faces and rng.random() < 0.25
        if covered and placed.size[0].min() > 0.35 * square:
            outline = _rough_profile(placed) / square
            tile = occluded(tile, outline, self._backdrop(square, rng), rng)
        return tile, placed, bool(source.exhaustive[number])

    def _drawn(self, empty_share: float, rng: Generator) -> tuple[LabelledPictures, int]:
        """Return where a tile comes from, and which of the pictures there it is."""
        kind = rng.random()
        if kind < _FACES_OF_OTHERS * (1 - empty_share):
            return self._faces, int(np.searchsorted(self._face_share, rng.random(), side="right"))
        if kind < 1 - empty_share:
            return self._scenes, int(rng.choice(self._crowds))
        return self._scenes, int(rng.choice(self._empty))

    def _random_transform(
        self,
        source: LabelledPictures,
        number: int,
        square: int,
        size: tuple[int, int],
        least_scale: float,
        rng: Generator,
    ) -> tuple[NDArray[np.float64], float]:
        """Return a similarity (2, 3) to the tile and its scale; some face is wholly in it."""
        rows = source.faces_of(number)
        trusted = np.flatnonzero(source.trusted[rows]) + rows.start
        roll = _random_roll(rng, large=min(size) > 0.4 * self._side)
        if len(trusted):
            face = rng.choice(trusted)
            roll -= self._roll[id(source)][face]
            box = source.boxes[face]
            extent = np.sqrt(np.prod(box[2:] - box[:2]))
            wanted, room = self._random_size(extent, np.array(size), least_scale, rng)
            scale, anchor = wanted / extent, (box[:2] + box[2:]) / 2
        else:
            height, width = source.pictures[number].shape[:2]
            scale = np.exp(rng.uniform(np.log(0.7), np.log(3.0))) * square / min(height, width)
            scale, room = min(scale, 1.5), np.zeros(2)
            anchor = rng.uniform(0.2, 0.8, 2) * (width, height)
        target = np.array(size) / 2 + rng.uniform(-1, 1, 2) * room
        cosine, sine = scale * np.cos(np.radians(roll)), scale * np.sin(np.radians(roll))
        linear = np.array([[cosine, -sine], [sine, cosine]])
        return np.column_stack([linear, target - linear @ anchor]), scale

    def _random_size(
        self, extent: float, size: NDArray[np.intp], least_scale: float, rng: Generator
    ) -> tuple[float, NDArray[np.float64]]:
        """Return a face's size in a tile of `size`, and how far (2,) it may be off the middle."""
        tile = size.min()
        if tile > 0.4 * self._side and rng.random() < _CLOSE_UPS:
            wanted = min(tile * rng.uniform(*_CLOSE_UP_SIZES), _CLOSE_UP_MOST_ENLARGED * extent)
            return wanted, np.full(2, 0.3 * wanted)
        smallest = max(SMALLEST, least_scale * extent)
        largest = max(min(LARGEST, 1.1 * tile, _MOST_ENLARGED * extent), smallest + 1)
        wanted = np.exp(rng.uniform(np.log(smallest), np.log(largest)))
        return wanted, np.maximum(size - 0.8 * wanted, 0) / 2

    def _backdrop(self, square: int, rng: Generator) -> Picture:
        return random_background(self._scenes.pictures[rng.choice(self._backdrops)], square, rng)


_FIELDS = ("centre", "size", "keypoints", "trusted")


_NOBODY = PlacedFaces(
    np.empty((0, 2), np.float32),
    np.empty((0, 2), np.float32),
    np.empty((0, 5, 2), np.float32),
    np.empty(0, bool),
)


def _blank(square: int, rng: Generator) -> Picture:
    """Return a square of one colour or of a soft gradient."""
    colour, spread = rng.uniform(0, 255, 3), rng.choice([0, 20, 80])
    corners = np.clip(colour + rng.normal(0, spread, (2, 2, 3)), 0, 255).astype(np.uint8)
    return cv2.resize(corners, (square, square), interpolation=cv2.INTER_LINEAR)


def _tiles(side: int, rng: Generator) -> list[_Area]:
    """Cut a square into a grid of one to 25 tiles, its lines somewhat moved."""
    count = int(rng.choice([1, 2, 3, 4, 5], p=[0.16, 0.28, 0.26, 0.18, 0.12]))

    def cuts() -> list[int]:
        inner = (np.arange(1, count) + rng.uniform(-0.2, 0.2, count - 1)) * side / count
        return [0, *inner.astype(int).tolist(), side]

    rows = cuts()
    tiles = []
    for top, bottom in pairwise(rows):
        columns = cuts()
        tiles += [(left, top, right, bottom) for left, right in pairwise(columns)]
    return tiles


def _random_roll(rng: Generator, large: bool) -> float:
    """Return the roll of a face in degrees: mostly upright, often a quarter or a half turn.

    In large tiles more faces are upside down: a large one looks like an upright one whose mouth is
    on the forehead, all the more under a mask.
    """
    kind = rng.random()
    if kind < 0.42:
        return rng.normal(0, 14)
    if kind < (0.64 if large else 0.52):
        return 180.0 + rng.normal(0, 14)
    if kind < (0.74 if large else 0.68):
        return rng.choice([90.0, 270.0]) + rng.normal(0, 14)
    return rng.uniform(-180, 180)


def _darkened(tile: Picture, rng: Generator) -> Picture:
    """Return the tile, one in twelve as dark as a room in the evening."""
    if rng.random() > 1 / 12:
        return tile
    levels = np.round(np.arange(256) * np.exp(rng.uniform(np.log(0.2), np.log(0.6))))
    return cv2.LUT(tile, levels.astype(np.uint8))


def _behind_dark_glasses(tile: Picture, placed: PlacedFaces, rng: Generator) -> Picture:
    """Return the tile (S, S, 3) with its first face behind dark glasses."""
    eyes = placed.keypoints[0, :2]
    [roll] = line_roll(eyes[:1], eyes[1:])
    distance = _OUTER_CORNERS * float(np.hypot(*eyes[1] - eyes[0]))
    return with_dark_glasses(tile, eyes, distance, float(roll), rng)


def _placed(source: LabelledPictures, rows: slice, transform: NDArray, scale: float) -> PlacedFaces:
    boxes = source.boxes[rows]
    centres = (boxes[:, None, :2] + boxes[:, None, 2:]) / 2
    return PlacedFaces(
        centre=apply_transforms(transform[None], centres)[:, 0].astype(np.float32),
        size=((boxes[:, 2:] - boxes[:, :2]) * scale).astype(np.float32),
        keypoints=apply_transforms(transform[None], source.keypoints[rows]).astype(np.float32),
        trusted=source.trusted[rows],
    )


def _clipped(faces: PlacedFaces, size: tuple[int, int], corner: tuple[int, int]) -> PlacedFaces:
    """Move a tile's faces to its place; those that it cuts are ignored or forgotten."""
    half = faces.size.mean(axis=1, keepdims=True) / 2
    low, high = np.maximum(faces.centre - half, 0), np.minimum(faces.centre + half, size)
    seen = (np.maximum(high - low, 0) / (2 * half)).prod(axis=1)
    large = np.sqrt(faces.size.prod(axis=1)) >= SMALLEST - 1
    kept = seen > 0.15
    return PlacedFaces(
        centre=faces.centre[kept] + np.float32(corner),
        size=faces.size[kept],
        keypoints=faces.keypoints[kept] + np.float32(corner),
        trusted=(faces.trusted & large & (seen > 0.6))[kept],
    )


def _mirrored(faces: PlacedFaces, side: int) -> PlacedFaces:
    flip, shift = np.float32([-1, 1]), np.float32([side, 0])
    return PlacedFaces(
        centre=faces.centre * flip + shift,
        size=faces.size,
        keypoints=(faces.keypoints * flip + shift)[:, _MIRROR],
        trusted=faces.trusted,
    )


def _rough_profile(placed: PlacedFaces) -> NDArray[np.float32]:
    """Return half an ellipse (21, 2) below the eyes of the first face, temple to temple."""
    right = placed.keypoints[0, 1] - placed.keypoints[0, 0]
    right /= max(float(np.linalg.norm(right)), 1e-3)
    down = np.float32([-right[1], right[0]])
    angle = np.linspace(np.pi, 0, 21, dtype=np.float32)[:, None]
    width, height = placed.size[0] / 2
    return placed.centre[0] + np.cos(angle) * width * right + np.sin(angle) * height * down
