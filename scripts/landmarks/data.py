"""The training data of the landmark regressor: pictures, split and consensus labels.

Two teachers labelled each face: A, a 478-point face mesh, and B, a 98-point WFLW model. A is finer
inside the face and guesses well under masks; its jaw follows neither an open mouth nor the far
side of a turned head. B follows the visible outline. The label is A inside the face and a blend
of both on the profile, cut at the level of the outer eye corners as the contract has it.
"""

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from faceshape.core.contract import GROUPS, Run, interocular_distance, resample, resample_onto
from faceshape.core.topology import CURVES, load_topology

DENSE = load_topology("dense166")
DENSE_RUNS = tuple(Run(curve, DENSE.indices(curve)) for curve in CURVES)

_PROFILE_SAMPLES = 65  # of half a profile, before it is cut at the level of the eyes
_UNMARKED = -32768 / 32


@dataclass(frozen=True)
class Faces:
    """Labelled faces in context; coordinates in pixels of the stored picture, edges at 0 and W.

    Attributes:
        pictures: N RGB uint8 pictures of various sizes.
        dense: (N, 166, 2) labels in the topology ``dense166``.
        weight: (N,) how far each label is trusted, 0 to 1; 0 was rejected.
        source, identity: (N,) where the picture came from and who it shows.
        validation: (N,) bool, identities never trained on.
        boxes: (N, 4) the boxes a detector found (x0 y0 x1 y1).
        mesh478, wflw98, ibug68: the raw labels; ibug68 is NaN where absent.
    """

    pictures: list[NDArray[np.uint8]]
    dense: NDArray[np.float32]
    weight: NDArray[np.float32]
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
    identity = column("identity")
    return Faces(
        pictures=[picture for shard in shards for picture in pictures_of(shard)],
        dense=consensus(mesh478, wflw98),
        weight=label_weight(mesh478, wflw98, column("mesh_spread_px")),
        source=column("source"),
        identity=identity,
        validation=np.array([zlib.crc32(name.encode()) % 10 == 0 for name in identity]),
        boxes=points("box"),
        mesh478=mesh478,
        wflw98=wflw98,
        ibug68=points("ibug68"),
    )


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
    """Return how far the nose's tip is off the middle of the eyes (N,), in their distance.

    Args:
        points: (N, 90, 2) in the order of the contract.
    """
    left, right = points[:, GROUPS["LeftEye"].start], points[:, GROUPS["RightEye"].start]
    across = right - left
    tip = points[:, GROUPS["Nose"].start] - (left + right) / 2
    return np.abs((tip * across).sum(axis=1)) / np.maximum((across**2).sum(axis=1), 1)


def consensus(mesh478: NDArray, wflw98: NDArray) -> NDArray[np.float32]:
    """Return the labels (N, 166, 2) that both teachers agree on, as described above."""
    inner = resample_onto(mesh478, load_topology("mesh478"), DENSE_RUNS, DENSE.points)
    points = resample(mesh478, "mesh478")
    eyes = points[:, GROUPS["LeftEye"].start], points[:, GROUPS["RightEye"].start]
    ours, theirs = _profile(mesh478, "mesh478", eyes), _profile(wflw98, "wflw98", eyes)
    trust = 1 - _ramp(_disagreement(mesh478, wflw98), 0.06, 0.12)
    apart = np.linalg.norm(ours - theirs, axis=2) / interocular_distance(points)[:, None]
    # Of these shares the 68 independent points that some faces have liked best.
    share = cv2.blur(0.6 + 0.4 * _ramp(apart, 0.05, 0.12), (7, 1)) * trust[:, None]
    profile = ours + share[..., None].astype(np.float32) * (theirs - ours)
    inner[:, list(DENSE.indices("profile_left") + DENSE.indices("profile_right")[1:])] = profile
    return resample_onto(inner, DENSE, DENSE_RUNS, DENSE.points)


def label_weight(mesh478: NDArray, wflw98: NDArray, spread: NDArray) -> NDArray[np.float32]:
    """Return how far each label is to be trusted (N,), 0 to 1.

    Rejected are faces on which teacher A disagrees with itself by more than 4 % of the
    inter-ocular distance, or both disagree by more than 12 % without A being sure.
    """
    distance = interocular_distance(resample(mesh478, "mesh478"))
    unsure = spread / np.maximum(distance, 1)
    apart = _disagreement(mesh478, wflw98)
    weight = 1 - 0.7 * _ramp(apart, 0.06, 0.12)
    rejected = (unsure > 0.04) | ((apart > 0.12) & (unsure > 0.012)) | (distance < 8)
    return np.where(rejected, 0, weight).astype(np.float32)


def _ramp(values: NDArray, low: float, high: float) -> NDArray:
    return np.clip((values - low) / (high - low), 0, 1)


def _disagreement(mesh478: NDArray, wflw98: NDArray) -> NDArray[np.float32]:
    """Return the teachers' mean distance (N,) at eyes and mouth in inter-ocular distances."""
    a, b = resample(mesh478, "mesh478"), resample(wflw98, "wflw98")
    rows = np.r_[GROUPS["LeftEye"], GROUPS["RightEye"], GROUPS["Mouth"]]
    return np.linalg.norm(a[:, rows] - b[:, rows], axis=2).mean(axis=1) / interocular_distance(a)


def _profile(dense: NDArray, topology: str, eyes: tuple[NDArray, NDArray]) -> NDArray[np.float32]:
    """Return the profile (N, 41, 2), cut at the line through the outer eye corners."""
    # The mesh goes on above the temples; WFLW's contour ends there and is prolonged straight on.
    above = {"mesh478": ([162], [389]), "wflw98": ([], [])}[topology]
    curves = load_topology(topology)
    left = above[0] + list(curves.indices("profile_left"))
    right = above[1] + list(curves.indices("profile_right"))[::-1]
    halves = [_cut_half(dense[:, left], eyes), _cut_half(dense[:, right], eyes)]
    return np.concatenate([halves[0], halves[1][:, -2::-1]], axis=1)


def _cut_half(outline: NDArray, eyes: tuple[NDArray, NDArray]) -> NDArray[np.float32]:
    """Resample half a profile (N, K, 2), temple to chin, into 21 points from eye level on."""
    fine = _uniform(outline, _PROFILE_SAMPLES)
    across = eyes[1] - eyes[0]
    down = np.stack([-across[:, 1], across[:, 0]], axis=1)
    level = ((fine - eyes[0][:, None]) * down[:, None]).sum(axis=2)
    step = np.clip((level > 0).argmax(axis=1) - 1, 0, _PROFILE_SAMPLES // 2)
    row = np.arange(len(fine))
    rise = level[row, step + 1] - level[row, step]
    start = step - level[row, step] / np.where(np.abs(rise) < 1e-6, 1, rise)
    start = np.clip(start, -_PROFILE_SAMPLES / 8, _PROFILE_SAMPLES / 3)
    last = _PROFILE_SAMPLES - 1
    position = start[:, None] + (last - start)[:, None] * np.linspace(0, 1, 21)
    whole = np.clip(np.floor(position).astype(int), 0, last - 1)
    before, after = fine[row[:, None], whole], fine[row[:, None], whole + 1]
    return (before + (position - whole)[..., None] * (after - before)).astype(np.float32)


def _uniform(polyline: NDArray, count: int) -> NDArray[np.float64]:
    """Resample polylines (N, K, 2) into `count` points, uniform in length."""
    out = np.empty((len(polyline), count, 2))
    for line, target in zip(polyline.astype(float), out, strict=True):
        length = np.r_[0, np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))]
        wanted = np.linspace(0, length[-1], count)
        target[:, 0] = np.interp(wanted, length, line[:, 0])
        target[:, 1] = np.interp(wanted, length, line[:, 1])
    return out
