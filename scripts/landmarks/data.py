"""The training data of the landmark regressors: pictures, split, labels and their trust.

The labels are both teachers' consensus as people mark it; see `scripts.labels.consensus`.
"""

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from faceshape.core.contract import GROUPS, interocular_distance, resample_onto
from faceshape.core.topology import load_topology
from scripts.labels.consensus import DENSE_RUNS, consensus, label_weight, seen

_INNER_LIPS = 14, 19  # the middles of the inner lower and the inner upper lip, within the mouth
_UNMARKED = -32768 / 32


@dataclass(frozen=True)
class Faces:
    """Labelled faces in context; coordinates in pixels of the stored picture, edges at 0 and W.

    Attributes:
        pictures: N RGB uint8 pictures of various sizes.
        dense: (N, 166, 2) labels in the topology ``dense166``.
        weight: (N,) how far each label is trusted, 0 to 1; 0 was rejected.
        seen: (N, 166) bool, which points are in the picture; the rest are guesses.
        depth: (N, 166) how far each point lies behind the others, in the picture's pixels; 0 where
            the shards do not tell.
        source, identity: (N,) where the picture came from and who it shows.
        validation: (N,) bool, identities never trained on.
        boxes: (N, 4) the boxes a detector found (x0 y0 x1 y1).
        mesh478, wflw98, ibug68: the raw labels; ibug68 is NaN where absent.
    """

    pictures: list[NDArray[np.uint8]]
    dense: NDArray[np.float32]
    weight: NDArray[np.float32]
    seen: NDArray[np.bool_]
    depth: NDArray[np.float32]
    source: NDArray[np.str_]
    identity: NDArray[np.str_]
    validation: NDArray[np.bool_]
    boxes: NDArray[np.float32]
    mesh478: NDArray[np.float32]
    wflw98: NDArray[np.float32]
    ibug68: NDArray[np.float32]


def load_faces(folder: Path) -> Faces:
    """Read every ``faces-*.npz`` of a folder and build the labels."""
    shards = [np.load(path) for path in sorted(folder.glob("faces-*.npz"))]
    if not shards:
        raise FileNotFoundError(f"no faces-*.npz in {folder}")

    def column(name: str) -> NDArray:
        return np.concatenate([shard[name] for shard in shards])

    def points(name: str) -> NDArray[np.float32]:
        values = column(name).astype(np.float32) / 32
        return np.where(values == _UNMARKED, np.nan, values)

    mesh478, wflw98 = points("mesh478"), points("wflw98")
    dense = consensus(mesh478, wflw98)
    weight = label_weight(mesh478, wflw98, column("mesh_spread_px"))
    # Rejected faces still are faces; the second teacher tells well enough where.
    rejected = weight == 0
    layout = load_topology("wflw98")
    dense[rejected] = resample_onto(wflw98[rejected], layout, DENSE_RUNS)
    identity = column("identity")
    behind = np.concatenate(
        [
            shard["mesh_z"].astype(np.float32) / 32
            if "mesh_z" in shard
            else np.zeros((len(shard["box"]), mesh478.shape[1]), np.float32)
            for shard in shards
        ]
    )
    return Faces(
        pictures=[picture for shard in shards for picture in pictures_of(shard)],
        dense=dense,
        weight=weight,
        seen=seen(dense, column("size")),
        depth=dense_depth(dense, mesh478, behind),
        source=column("source"),
        identity=identity,
        validation=np.array([zlib.crc32(name.encode()) % 10 == 0 for name in identity]),
        boxes=points("box"),
        mesh478=mesh478,
        wflw98=wflw98,
        ibug68=points("ibug68"),
    )


def dense_depth(dense: NDArray, mesh478: NDArray, depth: NDArray) -> NDArray[np.float32]:
    """Return the depth (N, 166) of landmarks: that of the mesh's point nearest to each.

    Args:
        dense: (N, 166, 2).
        mesh478: (N, 478, 2).
        depth: (N, 478) of the mesh's points.
    """
    found = np.empty(dense.shape[:2], np.float32)
    for face, (points, mesh, behind) in enumerate(zip(dense, mesh478, depth, strict=True)):
        apart = points @ mesh.T * -2 + (mesh**2).sum(axis=1)
        found[face] = behind[apart.argmin(axis=1)]
    return found


def load_backgrounds(folder: Path, side: int = 256) -> list[NDArray[np.uint8]]:
    """Return the scenes that are trained on and show no face, as RGB, at most `side` px."""
    backgrounds = []
    for shard, empty, held_back in scene_shards(folder):
        for picture in pictures_of(shard, np.flatnonzero(empty & ~held_back)):
            scale = min(1.0, side / min(picture.shape[:2]))
            backgrounds.append(
                cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            )
    return backgrounds


def scene_shards(folder: Path) -> Iterator[tuple[Mapping[str, NDArray], NDArray, NDArray]]:
    """Give the arrays of each ``scenes-*.npz`` and which of its scenes are empty and held back.

    Empty are those in which the labelling detector saw nothing at all. Held back for validation,
    never trained on, are every tenth scene and, so that there are enough of them, every fifth empty
    one.
    """
    shards = [np.load(path) for path in sorted(folder.glob("scenes-*.npz"))]
    if not shards:
        raise FileNotFoundError(f"no scenes-*.npz in {folder}")
    empty = [~np.isin(np.arange(len(shard["size"])), shard["scene"]) for shard in shards]
    number = np.arange(sum(map(len, empty)))
    held_back = (number % 10 == 0) | (np.concatenate(empty) & (number % 5 == 0))
    ends = np.cumsum([len(each) for each in empty])
    yield from zip(shards, empty, np.split(held_back, ends[:-1]), strict=True)


def pictures_of(shard, which=None) -> Iterator[NDArray[np.uint8]]:
    data, offset = shard["jpeg"], shard["offset"]
    for i in range(len(offset) - 1) if which is None else which:
        decoded = cv2.imdecode(data[offset[i] : offset[i + 1]], cv2.IMREAD_COLOR)
        yield cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)


def apparent_yaw(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the `nose_offset` (N,) of the outer eye corners.

    Args:
        points: (N, 90, 2) in the order of the contract.
    """
    starts = (GROUPS[name].start for name in ("LeftEye", "RightEye", "Nose"))
    return nose_offset(*(points[:, start] for start in starts))


def nose_offset(
    left: NDArray[np.float32], right: NDArray[np.float32], tip: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return how far the nose's tip is off the middle of the eyes (N,), in their distance.

    Args:
        left: (N, 2) the left eye or its corner, in pixels.
        right: (N, 2) the right one's.
        tip: (N, 2) of the nose.
    """
    across = right - left
    off = tip - (left + right) / 2
    return np.abs((off * across).sum(axis=1)) / np.maximum((across**2).sum(axis=1), 1)


def turned_far(offset: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return how much heads (N,) count as turned far, 0 to 1, by their `nose_offset` (N,)."""
    return np.clip(offset / 0.3 - 0.3, 0, 1)


def mouth_opening(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return how far the middles of the inner lips are apart (N,), in eye distances.

    Args:
        points: (N, 90, 2) in the order of the contract.
    """
    mouth = points[:, GROUPS["Mouth"]]
    lower, upper = mouth[:, _INNER_LIPS[0]], mouth[:, _INNER_LIPS[1]]
    return np.linalg.norm(lower - upper, axis=1) / interocular_distance(points)
