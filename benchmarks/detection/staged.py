"""Pictures that are made to be hard in one respect, from faces that training never saw.

The stored faces are small, so those of portraits are enlarged: what a face of 500 pixels does to a
detector does not depend on how sharp it is.

- *large portraits*: one face in its own surroundings, the picture's longer side uniform in its
  logarithm from 300 to 1,400 pixels, never reduced.
- *groups*: two to eight faces on a place, a street or a texture; the largest is 3 to 60 % larger
  than the next in area.
- *panoramas*: eight faces of 85 pixels in a row on 4,000 × 400 pixels of such scenes.
- *close-ups*: the square of 1.3 times the landmarks' extent, at its own size.
- *dimmed*: any set, its brightness times a factor.
"""

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from benchmarks.accuracy.faces import Pictures
from benchmarks.detection.pictures import (
    TestSet,
    as_test_set,
    covering,
    in_memory,
    scaled,
    stick,
    with_surroundings,
    without_faces,
)
from faceshape.vision.image import RGBImage
from scripts.detector.data import LabelledPictures

__all__ = ["close_ups", "dimmed", "groups", "large_portraits", "panoramas", "plain_backdrops"]

_PORTRAIT_SIDES = (300.0, 1400.0)
_GROUP_CANVASES = ((640, 480), (1280, 960), (1920, 1080))
_GROUP_COUNTS = (2, 8)  # faces
_LARGEST_TO_NEXT = (1.03, 1.6)  # areas
_PANORAMA, _PANORAMA_FACES, _PANORAMA_FACE = (4000, 400), 8, 85.0
_CLOSE_UP = 1.3
_LEAST_CLOSE_UP = 60.0  # pixels of the face
# Sources in which a second, unlabelled face in the picture is common.
_CROWDED_SOURCES = ("k", "e", "s")
# Scenes without animals' and drawn faces: places, rooms, streets, textures.
_PLAIN_SOURCES = ("b", "j", "t", "x")


def large_portraits(faces: LabelledPictures, seed: int = 0) -> TestSet:
    """Return the set of large portraits.

    Args:
        faces: one in each picture; those that fill theirs are left out.
        seed: of the sizes.
    """
    rng = np.random.default_rng(seed)
    faces = faces.only(with_surroundings(faces))
    sides = np.exp(rng.uniform(*np.log(_PORTRAIT_SIDES), len(faces.pictures)))
    longest = np.array([max(picture.shape[:2]) for picture in faces.pictures])
    return _enlarged(as_test_set("large portraits", faces), np.maximum(sides / longest, 1))


def close_ups(faces: LabelledPictures) -> TestSet:
    """Return the set of close-ups of the faces that are large enough and wholly seen."""
    chosen = []
    pictures = []
    for number, (picture, box) in enumerate(zip(faces.pictures, faces.boxes, strict=True)):
        low = np.floor((box[:2] + box[2:]) / 2 - _CLOSE_UP * (box[2:] - box[:2]).max() / 2)
        high = np.ceil(low + _CLOSE_UP * (box[2:] - box[:2]).max())
        whole = (low >= 0).all() and (high <= picture.shape[1::-1]).all()
        if whole and (box[2:] - box[:2]).max() >= _LEAST_CLOSE_UP:
            chosen.append((number, low))
            pictures.append(picture[int(low[1]) : int(high[1]), int(low[0]) : int(high[0])].copy())
    which = np.array([number for number, _ in chosen], np.intp)
    corners = np.array([low for _, low in chosen], np.float32).reshape(-1, 2)
    boxes = faces.boxes[which]
    sizes = np.array([each.shape[1::-1] for each in pictures], np.float32).reshape(-1, 2)
    return TestSet(
        name="close-ups",
        pictures=in_memory(pictures),
        picture=np.arange(len(which)),
        centre=(boxes[:, :2] + boxes[:, 2:]) / 2 - corners,
        size=boxes[:, 2:] - boxes[:, :2],
        roll=faces.roll()[which],
        counted=np.ones(len(which), bool),
        unlabelled=np.concatenate([np.zeros_like(sizes), sizes], axis=1),
    )


def plain_backdrops(scenes: LabelledPictures) -> list[RGBImage]:
    """Return scenes in which nothing looks like a face, so that the largest face is known."""
    plain = np.isin(scenes.source, _PLAIN_SOURCES)
    return without_faces(scenes.only(plain if plain.any() else np.ones_like(plain)))


def groups(
    faces: LabelledPictures, backdrops: Sequence[RGBImage], count: int = 150, seed: int = 0
) -> TestSet:
    """Return the set of group pictures.

    Args:
        faces: one in each picture.
        backdrops: pictures without a face.
        count: of the pictures.
        seed: of all that is random.
    """
    rng = np.random.default_rng(seed)
    alone = np.flatnonzero(with_surroundings(faces) & ~np.isin(faces.source, _CROWDED_SOURCES))
    shown = []
    for _ in range(count):
        width, height = _GROUP_CANVASES[rng.integers(len(_GROUP_CANVASES))]
        canvas = covering(backdrops[rng.integers(len(backdrops))], (width, height), rng)
        people = rng.choice(alone, rng.integers(_GROUP_COUNTS[0], _GROUP_COUNTS[1] + 1))
        columns = int(np.ceil(np.sqrt(len(people))))
        cell = np.array([width / columns, height / np.ceil(len(people) / columns)])
        largest = _most_that_fits(faces, people, cell) * rng.uniform(0.5, 1)
        areas = largest**2 / rng.uniform(*_LARGEST_TO_NEXT) * rng.uniform(0.3, 1, len(people))
        areas[0] = largest**2
        rng.shuffle(areas)
        corners = [cell * divmod(place, columns)[::-1] for place in range(len(people))]
        shown.append((canvas, _stuck(canvas, faces, people, np.sqrt(areas), corners, cell, rng)))
    return _composed("groups", shown)


def panoramas(
    faces: LabelledPictures, backdrops: Sequence[RGBImage], count: int = 24, seed: int = 0
) -> TestSet:
    """Return the set of panoramas; see `groups` for the arguments."""
    rng = np.random.default_rng(seed)
    alone = np.flatnonzero(with_surroundings(faces) & ~np.isin(faces.source, _CROWDED_SOURCES))
    width, height = _PANORAMA
    cell = np.array([width / _PANORAMA_FACES, height])
    shown = []
    for _ in range(count):
        parts = [
            covering(backdrops[rng.integers(len(backdrops))], (int(cell[0]), height), rng)
            for _ in range(_PANORAMA_FACES)
        ]
        canvas = np.ascontiguousarray(np.concatenate(parts, axis=1))
        people = rng.choice(alone, _PANORAMA_FACES)
        corners = [np.array([cell[0] * place, 0]) for place in range(_PANORAMA_FACES)]
        sides = np.full(_PANORAMA_FACES, _PANORAMA_FACE)
        shown.append((canvas, _stuck(canvas, faces, people, sides, corners, cell, rng)))
    return _composed("panoramas", shown)


def dimmed(pictures: TestSet, factor: float) -> TestSet:
    """Return a set whose pictures are so many times as bright."""
    levels = np.round(np.arange(256) * factor).astype(np.uint8)
    return replace(
        pictures,
        name=f"{pictures.name}, brightness × {factor}",
        pictures=Pictures(len(pictures), lambda i: cv2.LUT(pictures.pictures[i], levels)),
    )


def _enlarged(pictures: TestSet, factors: NDArray[np.float64]) -> TestSet:
    each = factors[pictures.picture, None].astype(np.float32)
    return replace(
        pictures,
        pictures=Pictures(len(pictures), lambda i: scaled(pictures.pictures[i], factors[i])),
        centre=pictures.centre * each,
        size=pictures.size * each,
        unlabelled=pictures.unlabelled * factors[:, None].astype(np.float32),
    )


_Placed = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]


def _most_that_fits(faces: LabelledPictures, people: NDArray, cell: NDArray) -> float:
    """Return the mean side of faces at which every one's picture fits into its cell."""
    return min(
        float(np.min(cell / faces.pictures[i].shape[1::-1]) * _mean_side(faces.boxes[i]))
        for i in people
    )


def _stuck(
    canvas: RGBImage,
    faces: LabelledPictures,
    people: NDArray,
    sides: NDArray[np.float64],
    corners: Sequence[NDArray],
    cell: NDArray,
    rng: Generator,
) -> _Placed:
    """Stick faces of mean sides (K,) into cells of the canvas; return centres, sizes, rolls."""
    centres, sizes = [], []
    for number, side, corner in zip(people, sides, corners, strict=True):
        low, high = corner.astype(int), (corner + cell).astype(int)
        part, box = canvas[low[1] : high[1], low[0] : high[0]], faces.boxes[number]
        scale = side / _mean_side(box)
        patch = stick(part, faces.pictures[number], scale, rng)
        ratio = (patch[2:] - patch[:2]) / faces.pictures[number].shape[1::-1]
        centres.append(low + patch[:2] + ratio * (box[:2] + box[2:]) / 2)
        sizes.append(ratio * (box[2:] - box[:2]))
    return np.float32(centres), np.float32(sizes), faces.roll()[people]


def _mean_side(box: NDArray) -> float:
    return float(np.sqrt(np.prod(box[2:] - box[:2])))


def _composed(name: str, shown: Sequence[tuple[RGBImage, _Placed]]) -> TestSet:
    centres, sizes, rolls = zip(*(placed for _, placed in shown), strict=True)
    whole = np.array([(0, 0, *canvas.shape[1::-1]) for canvas, _ in shown], np.float32)
    count = sum(map(len, centres))
    return TestSet(
        name=name,
        pictures=in_memory([canvas for canvas, _ in shown]),
        picture=np.repeat(np.arange(len(shown)), [len(each) for each in centres]),
        centre=np.concatenate(centres),
        size=np.concatenate(sizes),
        roll=np.concatenate(rolls),
        counted=np.ones(count, bool),
        unlabelled=whole,
    )
