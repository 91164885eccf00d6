"""Faces that people labelled: how far off each model is, by set, by yaw and by age.

A folder has one ``SET.npz`` for each set, and ``layouts.json``, which tells what the indices of
each layout mean. Points that a layout and the contract both define are compared one by one. Other
labels on lids, brows, lips, wings and jaw are compared with the curve through ours, so that marks
may slide along it; of the jaw only what lies below the outer eye corners. The ends of the brows are
left out: definitions differ.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from benchmarks.accuracy.contenders import Contender
from benchmarks.accuracy.faces import Pictures
from benchmarks.accuracy.measures import contour_errors
from benchmarks.result_table import Table
from faceshape.vision.image import RGBImage

__all__ = ["PARTS", "HumanSet", "human_errors", "human_tables", "load_human_sets"]

PARTS: Mapping[str, tuple[str, ...]] = {
    "jaw": ("jaw",),
    "eyes": ("eye outer", "eye inner", "lids"),
    "brows": ("brows",),
    "mouth": ("mouth corners", "lip middles", "lips"),
    "nose": ("nose tip", "nose base", "nose wings"),
    "pupils": ("pupils",),
}
"""Columns of the tables → what belongs to them in the layouts."""

_NOT_COUNTED = "brow ends"
_FINE = 24  # pieces of a curve
_YAW_LIMITS = (0.1, 0.2, 0.3)
_AGE_LIMITS = (6, 13, 20, 40)
_RESAMPLES = 2000  # of the bootstrap

# Names of the layouts' points → rows of the contract.
_ROWS = {
    "eyeL outer": 21,
    "eyeL inner": 25,
    "eyeR outer": 29,
    "eyeR inner": 33,
    "pupil left": 88,
    "pupil right": 89,
    "browL outer": 37,
    "browL inner": 41,
    "browR outer": 45,
    "browR inner": 49,
    "mouth left": 53,
    "mouth right": 59,
    "lip upper": 62,
    "lip lower": 56,
    "lip inner upper": 72,
    "lip inner lower": 67,
    "nose tip": 75,
    "nose base": 82,
}


def _loop(first: int) -> dict[str, tuple[tuple[int, ...], ...]]:
    lower = tuple(range(first, first + 5))
    return {"lower": (lower,), "upper": ((*range(first + 4, first + 8), first),)}


# Names of the layouts' curves → runs of rows of the contract, smooth within a run.
_CURVES: Mapping[str, tuple[tuple[int, ...], ...]] = {
    **{f"eyeL {name}": runs for name, runs in _loop(21).items()},
    **{f"eyeR {name}": runs for name, runs in _loop(29).items()},
    **{f"browL {name}": runs for name, runs in _loop(37).items()},
    **{f"browR {name}": runs for name, runs in _loop(45).items()},
    "lips outer upper": ((59, 60, 61), (61, 62), (62, 63), (63, 64, 53)),
    "lips outer lower": ((53, 54, 55, 56), (56, 57, 58, 59)),
    "lips inner upper": ((59, 70, 71, 72), (72, 73, 74, 53)),
    "lips inner lower": ((53, 65, 66, 67), (67, 68, 69, 59)),
    "nose low left": ((79, 80, 81),),
    "nose low right": ((85, 84, 83),),
    "jaw": (tuple(range(11)), tuple(range(10, 21))),
}


@dataclass(frozen=True)
class HumanSet:
    """N faces, one in each picture (which may show others, too).

    Attributes:
        name: of the set.
        pictures: N RGB pictures.
        labels: (N, K, 2) as the set has them; NaN where it has none.
        boxes: (N, 4) around them: what every model is given.
        tag: (N,) what the set says of a face: its age, for example.
        layout: what the indices mean.
    """

    name: str
    pictures: Pictures
    labels: NDArray[np.float32]
    boxes: NDArray[np.float32]
    tag: NDArray[np.str_]
    layout: Mapping[str, Any]

    def places(self, name: str) -> NDArray[np.float32]:
        """Return the labelled place (N, 2) of one of the points."""
        where = {n: i for items in self.layout["points"].values() for i, n in items}
        return self.labels[:, where[name]].mean(axis=1)

    @property
    def eyes(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The labelled outer eye corners, each (N, 2)."""
        return self.places("eyeL outer"), self.places("eyeR outer")

    @property
    def yaw(self) -> NDArray[np.float32]:
        """How far the middle of the mouth is off that of the eyes (N,), in their distance."""
        left, right = self.eyes
        across = right - left
        mouth = (self.places("mouth left") + self.places("mouth right")) / 2
        off = ((mouth - (left + right) / 2) * across).sum(axis=1)
        return np.abs(off) / np.maximum((across**2).sum(axis=1), 1)


def load_human_sets(folder: Path) -> list[HumanSet]:
    """Read every ``SET.npz`` of a folder, and its ``layouts.json``.

    Raises:
        FileNotFoundError: there is none.
    """
    layouts = json.loads((folder / "layouts.json").read_text(encoding="utf-8"))
    sets = [_load_set(path, layouts) for path in sorted(folder.glob("*.npz"))]
    if not sets:
        raise FileNotFoundError(f"no SET.npz in {folder}")
    return sets


def _load_set(path: Path, layouts: Mapping[str, Any]) -> HumanSet:
    shard = np.load(path)
    data, offset = shard["jpeg"], shard["offset"]

    def picture(i: int) -> RGBImage:
        decoded = cv2.imdecode(data[offset[i] : offset[i + 1]], cv2.IMREAD_COLOR)
        return cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)

    return HumanSet(
        name=path.stem,
        pictures=Pictures(len(offset) - 1, picture),
        labels=shard["points"].astype(np.float32),
        boxes=shard["boxes"].astype(np.float32),
        tag=shard["tag"],
        layout=layouts[str(shard["layout"])],
    )


def human_errors(faces: HumanSet, found: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    """Return the errors (N, M) of the M labels of each kind, in % of the labelled eye distance.

    Args:
        faces: with the labels.
        found: (N, 90, 2) what a model says; NaN where it found no face.
    """
    left, right = faces.eyes
    line = right - left
    scale = np.linalg.norm(line, axis=1)
    labels = faces.labels
    errors = {}
    for kind, items in faces.layout["points"].items():
        pairs = [(labels[:, i].mean(axis=1), found[:, _ROWS[name]]) for i, name in items]
        off = [100 * np.linalg.norm(ours - theirs, axis=1) / scale for theirs, ours in pairs]
        errors[kind] = np.stack(off, axis=1)
    for kind, items in faces.layout["curves"].items():
        parts = [contour_errors(labels[:, i], _fine(found, name), scale) for i, name in items]
        errors[kind] = np.concatenate(parts, axis=1)
    jaw = labels[:, faces.layout["jaw"]]
    down = np.stack([-line[:, 1], line[:, 0]], axis=1)
    depth = ((jaw - ((left + right) / 2)[:, None]) * down[:, None]).sum(axis=2)
    off_jaw = contour_errors(jaw, _fine(found, "jaw"), scale)
    errors["jaw"] = np.where(depth > 0, off_jaw, np.nan)
    return errors


def _fine(found: NDArray[np.float32], curve: str) -> NDArray[np.float64]:
    """Return the curve (N, M, 2) through rows of points (N, 90, 2)."""
    lines = []
    for run in _CURVES[curve]:
        count = len(run)
        places = np.linspace(0, count - 1, _FINE + 1)
        if count > 2:
            weights = CubicSpline(np.arange(count), np.eye(count))(places)
        else:
            weights = np.stack([1 - places, places], axis=1)
        lines.append(np.einsum("mk,nkc->nmc", weights, found[:, run].astype(float)))
    return np.concatenate(lines, axis=1)


def face_means(
    errors: Mapping[str, NDArray[np.float32]], kinds: Sequence[str] | None = None
) -> NDArray[np.float64]:
    """Return the mean error (N,) of each face over its labels of some kinds, None for all."""
    chosen = [e for kind, e in errors.items() if kind != _NOT_COUNTED and kind in (kinds or errors)]
    if not chosen:
        return np.full(len(next(iter(errors.values()))), np.nan)
    every = np.concatenate(chosen, axis=1)
    count = np.isfinite(every).sum(axis=1)
    total = np.nansum(every, axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


@dataclass(frozen=True)
class _Answers:
    """One model's errors: set → column → (N,) in %, NaN where it found no face."""

    name: str
    by_set: Mapping[str, Mapping[str, NDArray[np.float64]]]

    def mean(self, column: str) -> float:
        """Return the mean over the sets of the mean over their faces."""
        means = [_mean(columns[column]) for columns in self.by_set.values()]
        return _mean(np.array(means))

    def missed(self) -> float:
        """Return the share of faces that were not found, in %."""
        faces = np.concatenate([columns["face"] for columns in self.by_set.values()])
        return 100 * float(np.isnan(faces).mean())


def _mean(values: NDArray) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if finite.size else float("nan")


def human_tables(contenders: Sequence[Contender], sets: Sequence[HumanSet]) -> Iterator[Table]:
    """Give the tables on faces that people labelled."""
    answers = [_answers(contender, sets) for contender in contenders]
    yield _overall_table(answers, sets)
    names = [each.name for each in answers]
    rows = [
        (
            f"{faces.name} ({len(faces.labels)})",
            [_mean(a.by_set[faces.name]["face"]) for a in answers],
        )
        for faces in sets
    ]
    yield Table("People's labels, by set", "Mean error of a face, %; faces found.", names, rows)
    yaw = np.concatenate([faces.yaw for faces in sets])
    edges = [0.0, *_YAW_LIMITS, np.inf]
    rows = _binned(answers, yaw, [(a, b, _span(a, b)) for a, b in pairwise(edges)])
    note = "Apparent yaw: the mouth's middle off the eyes', in the distance of the outer corners."
    yield Table("People's labels, by yaw", note, ["faces", *names], rows)
    age = np.concatenate([_ages(faces) for faces in sets])
    if np.isfinite(age).any():
        edges = [0.0, *map(float, _AGE_LIMITS), np.inf]
        spans = [(a, b, _span(a, b)) for a, b in pairwise(edges)]
        note = "Sets that tell the age. Mean error of a face, %."
        yield Table(
            "People's labels, by age", note, ["faces", *names], _binned(answers, age, spans)
        )


def _answers(contender: Contender, sets: Sequence[HumanSet]) -> _Answers:
    by_set = {}
    for faces in sets:
        found = contender.locate(faces.pictures, faces.boxes).points
        errors = human_errors(faces, found)
        columns = {name: face_means(errors, kinds) for name, kinds in PARTS.items()}
        by_set[faces.name] = {"face": face_means(errors), **columns}
    return _Answers(contender.name, by_set)


def _overall_table(answers: Sequence[_Answers], sets: Sequence[HumanSet]) -> Table:
    ours, rng = answers[0], np.random.default_rng(0)
    draws = {
        faces.name: rng.integers(len(faces.labels), size=(_RESAMPLES, len(faces.labels)))
        for faces in sets
    }
    rows = []
    for each in answers:
        low, high = _difference_interval(each, ours, draws)
        interval = None if each is ours else f"{low:+.2f} to {high:+.2f}"
        values = [each.mean(column) for column in ("face", *PARTS)]
        rows.append((each.name, [*values, each.missed(), interval]))
    note = (
        f"Means over {len(sets)} sets, {sum(len(each.labels) for each in sets)} faces, in % of the "
        "labelled distance of the outer eye corners. All models get the same boxes, tight around "
        "the labels, and go through the same resampler; faces that a model does not find are left "
        f"out of its means. The last column is the error beyond that of {ours.name}: 95 % of "
        f"{_RESAMPLES} paired bootstrap samples of the faces of each set."
    )
    columns = ["face", *PARTS, "missed, %", "beyond ours"]
    return Table("People's labels", note, columns, rows)


def _difference_interval(
    other: _Answers, ours: _Answers, draws: Mapping[str, NDArray[np.intp]]
) -> tuple[float, float]:
    """Return between what two numbers the difference of the means lies in 95 % of the samples."""
    means = []
    for name, chosen in draws.items():
        apart = other.by_set[name]["face"] - ours.by_set[name]["face"]
        sampled = apart[chosen]
        known = np.isfinite(sampled)
        means.append(np.where(known, sampled, 0).sum(axis=1) / np.maximum(known.sum(axis=1), 1))
    low, high = np.quantile(np.mean(means, axis=0), [0.025, 0.975])
    return float(low), float(high)


def _binned(
    answers: Sequence[_Answers], value: NDArray, spans: Sequence[tuple[float, float, str]]
) -> list[tuple[str, list[float | str | None]]]:
    rows = []
    for low, high, name in spans:
        inside = (value >= low) & (value < high)
        faces = [np.concatenate([c["face"] for c in a.by_set.values()]) for a in answers]
        rows.append((name, [str(int(inside.sum())), *(_mean(each[inside]) for each in faces)]))
    return rows


def _span(low: float, high: float) -> str:
    return f"from {low:g}" if np.isinf(high) else f"{low:g} to {high:g}"


def _ages(faces: HumanSet) -> NDArray[np.float64]:
    """Return the ages (N,) that the tags tell, NaN where they do not."""
    return np.array([float(tag[3:]) if tag.startswith("age") else np.nan for tag in faces.tag])
