"""The training data of the face detector: whole pictures with all that is known of their faces."""

import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faceshape.vision.geometry import boxes_along_roll, line_roll
from scripts.landmarks.data import load_faces, nose_offset, pictures_of, scene_shards

# From the labelling detector's box, forehead to chin, to the landmarks' extent, brow to chin: shift
# of the centre along the face and size, in sides of that box; medians over the upright faces.
SHIFT_DOWN = 0.131
EXTENT = (1.018, 0.744)
_TRUSTED_SCORE = 0.6
_LEAST_SIDE = 6.0  # pixels; the keypoints of smaller faces are no more than a guess
# Its face pictures and its scenes show the same people: none of them is held back.
_NEVER_HELD_BACK = "e"


@dataclass(frozen=True)
class LabelledPictures:
    """Pictures and their faces; coordinates in pixels, edges at 0 and W.

    Attributes:
        pictures: P RGB uint8 pictures of various sizes.
        exhaustive: (P,) bool, every face of the picture is among the F.
        validation: (P,) bool, never trained on.
        source: (P,) where each picture came from.
        picture: (F,) the index of each face's picture, ascending.
        boxes: (F, 4) the landmarks' extent along the face's roll; see `boxes_along_roll`.
        keypoints: (F, 5, 2) eyes, nose, corners of the mouth, image-left first.
        trusted: (F,) bool; the others are neither faces nor background.
    """

    pictures: list[NDArray[np.uint8]]
    exhaustive: NDArray[np.bool_]
    validation: NDArray[np.bool_]
    source: NDArray[np.str_]
    picture: NDArray[np.intp]
    boxes: NDArray[np.float32]
    keypoints: NDArray[np.float32]
    trusted: NDArray[np.bool_]

    def faces_of(self, picture: int) -> slice:
        """Return which of the F faces are in one of the P pictures."""
        first, last = np.searchsorted(self.picture, [picture, picture + 1])
        return slice(int(first), int(last))

    def only(self, chosen: NDArray[np.bool_]) -> "LabelledPictures":
        """Return the pictures for which `chosen` (P,) is true, with their faces."""
        faces = chosen[self.picture]
        return LabelledPictures(
            pictures=[self.pictures[i] for i in np.flatnonzero(chosen)],
            exhaustive=self.exhaustive[chosen],
            validation=self.validation[chosen],
            source=self.source[chosen],
            picture=(np.cumsum(chosen) - 1)[self.picture[faces]],
            boxes=self.boxes[faces],
            keypoints=self.keypoints[faces],
            trusted=self.trusted[faces],
        )

    def joined(self, others: "LabelledPictures") -> "LabelledPictures":
        """Return these pictures and others behind them."""
        first = len(self.pictures)

        def column(name: str) -> NDArray:
            return np.concatenate([getattr(self, name), getattr(others, name)])

        return LabelledPictures(
            pictures=self.pictures + others.pictures,
            picture=np.concatenate([self.picture, others.picture + first]),
            **{
                name: column(name)
                for name in (
                    "exhaustive",
                    "validation",
                    "source",
                    "boxes",
                    "keypoints",
                    "trusted",
                )
            },
        )

    def roll(self) -> NDArray[np.float32]:
        """Return the angle (F,) of the line between the eyes, degrees clockwise."""
        return line_roll(self.keypoints[:, 0], self.keypoints[:, 1]).astype(np.float32)

    def apparent_yaw(self) -> NDArray[np.float32]:
        """Return the `nose_offset` (F,) of the eyes."""
        return nose_offset(*np.moveaxis(self.keypoints[:, :3], 1, 0))


def load_face_pictures(folder: Path) -> LabelledPictures:
    """Read every ``faces-*.npz`` and ``presence-only.npz``: one labelled face a picture.

    There may be others in it. A face without trusted landmarks has the box of the labelling
    detector, brought to the landmarks' extent.
    """
    faces = load_faces(folder)
    shards = [np.load(path) for path in sorted(folder.glob("faces-*.npz"))]
    keypoints = np.concatenate([shard["keypoints5"] for shard in shards]).astype(np.float32) / 32
    roll = line_roll(keypoints[:, 0], keypoints[:, 1])
    boxes = np.where(
        (faces.weight > 0)[:, None],
        boxes_along_roll(faces.dense, roll),
        _landmark_extent(faces.boxes, roll),
    )
    with_landmarks = _one_face_each(
        list(faces.pictures), faces.validation, faces.source, boxes, keypoints
    )
    others = folder / "presence-only.npz"
    return with_landmarks.joined(_load_boxes_only(others)) if others.exists() else with_landmarks


def _load_boxes_only(path: Path) -> LabelledPictures:
    """Read faces that have a box and keypoints, but no landmarks."""
    shard = np.load(path)
    keypoints = shard["keypoints5"].astype(np.float32) / 32
    found = shard["box"].astype(np.float32) / 32
    return _one_face_each(
        list(pictures_of(shard)),
        np.array([zlib.crc32(name.encode()) % 10 == 0 for name in shard["identity"]]),
        shard["source"],
        _landmark_extent(found, line_roll(keypoints[:, 0], keypoints[:, 1])),
        keypoints,
    )


def _one_face_each(
    pictures: list[NDArray[np.uint8]],
    validation: NDArray[np.bool_],
    source: NDArray[np.str_],
    boxes: NDArray,
    keypoints: NDArray[np.float32],
) -> LabelledPictures:
    count = len(pictures)
    return LabelledPictures(
        pictures=pictures,
        exhaustive=np.zeros(count, bool),
        validation=validation & (source != _NEVER_HELD_BACK),
        source=source,
        picture=np.arange(count),
        boxes=boxes.astype(np.float32),
        keypoints=keypoints,
        trusted=np.ones(count, bool),
    )


def load_scenes(folder: Path) -> LabelledPictures:
    """Read every ``scenes-*.npz``; which are for validation: `scene_shards`."""
    shards, _, held_back = zip(*scene_shards(folder), strict=True)
    counts = [len(shard["size"]) for shard in shards]
    starts = np.cumsum([0, *counts[:-1]])
    picture = np.concatenate([s["scene"] + first for s, first in zip(shards, starts, strict=True)])
    order = np.argsort(picture, kind="stable")

    def column(name: str) -> NDArray:
        return np.concatenate([shard[name] for shard in shards])[order]

    source = np.concatenate([shard["source"] for shard in shards])
    found = column("box").astype(np.float32) / 8
    keypoints = column("keypoints5").astype(np.float32) / 8
    boxes = _landmark_extent(found, line_roll(keypoints[:, 0], keypoints[:, 1]))
    large = (found[:, 2:] - found[:, :2]).min(axis=1) >= _LEAST_SIDE
    return LabelledPictures(
        pictures=[picture for shard in shards for picture in pictures_of(shard)],
        exhaustive=np.ones(sum(counts), bool),
        validation=np.concatenate(held_back) & (source != _NEVER_HELD_BACK),
        source=source,
        picture=picture[order],
        boxes=boxes,
        keypoints=keypoints,
        trusted=(column("score") >= _TRUSTED_SCORE) & large,
    )


def _landmark_extent(found: NDArray[np.float32], roll: NDArray) -> NDArray[np.float32]:
    size = found[:, 2:] - found[:, :2]
    down = np.stack([-np.sin(np.radians(roll)), np.cos(np.radians(roll))], axis=1)
    centre = (found[:, :2] + found[:, 2:]) / 2 + SHIFT_DOWN * size[:, 1:] * down
    half = size * EXTENT / 2
    return np.concatenate([centre - half, centre + half], axis=1).astype(np.float32)
