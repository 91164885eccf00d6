"""What people's labels say of the teachers: ``python -m scripts.labels.choose --human DIR …``.

Writes ``people.json``: how much of the second teacher each group takes, and where people mark a
point differently from that mean. Both are chosen for the least mean error over sets of faces that
people labelled (`benchmarks.accuracy.human`); nothing is trained on these. The offsets are few
numbers, the same for all faces and for both sides; they are found on every second face, and the
others tell what they are worth.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import click
import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy.human import PARTS, HumanSet, face_means, human_errors, load_human_sets
from faceshape.core.contract import GROUPS, MIRROR, POINT_COUNT, resample
from scripts.labels.consensus import outward_normals
from scripts.labels.teachers import FaceMesh, Found, Pfld

_SHARES = np.linspace(0, 1, 21)
_STEPS = (1.0, 0.5, 0.25)  # % of the eye distance
_MOST = 2.5  # % that a point may be moved: ends of brows would go on for ever
_PROFILE = GROUPS["FaceProfile"]
GROUPS_OF_PART = {
    "jaw": ("FaceProfile",),
    "eyes": ("LeftEye", "RightEye"),
    "brows": ("LeftEyeBrow", "RightEyeBrow"),
    "mouth": ("Mouth",),
    "nose": ("Nose",),
    "pupils": ("LeftPupil", "RightPupil"),
}


class Offset(NamedTuple):
    """A number to be found: rows of the image-left half of the face, and how they move.

    Attributes:
        part: the column of the tables that it is judged by.
        rows: of the contract.
        way: (right, down); None: away from the face, for the profile.
    """

    part: str
    rows: tuple[int, ...]
    way: tuple[float, float] | None


_DOWN, _RIGHT = (0.0, 1.0), (1.0, 0.0)
OFFSETS = (
    Offset("jaw", (0, 1, 2, 3), None),
    Offset("jaw", (4, 5, 6), None),
    Offset("jaw", (7, 8, 9, 10), None),
    Offset("eyes", (21,), _RIGHT),
    Offset("eyes", (25,), _RIGHT),
    Offset("eyes", (22, 23, 24), _DOWN),
    Offset("eyes", (26, 27, 28), _DOWN),
    Offset("brows", (38, 39, 40), _DOWN),
    Offset("brows", (42, 43, 44), _DOWN),
    Offset("brows", (37,), _RIGHT),
    Offset("brows", (41,), _RIGHT),
    Offset("brows", (37,), _DOWN),
    Offset("brows", (41,), _DOWN),
    Offset("mouth", (53,), _RIGHT),
    Offset("mouth", (53,), _DOWN),
    Offset("mouth", (54, 55, 56), _DOWN),
    Offset("mouth", (62, 63, 64), _DOWN),
    Offset("mouth", (65, 66, 67), _DOWN),
    Offset("mouth", (72, 73, 74), _DOWN),
    Offset("nose", (75,), _DOWN),
    Offset("nose", (82,), _DOWN),
    Offset("nose", (79, 80, 81), _DOWN),
    Offset("nose", (79, 80, 81), _RIGHT),
    Offset("pupils", (88,), _DOWN),
)


class Teachers(NamedTuple):
    """Both teachers' points (N, 90, 2) on the faces of one set; NaN where FaceMesh saw none."""

    faces: HumanSet
    mesh: NDArray[np.float32]
    wflw: NDArray[np.float32]


def ask(faces: HumanSet, mesh: FaceMesh, pfld: Pfld) -> Teachers:
    """Let both teachers label the faces of a set, as they label the training pictures."""
    pairs = (("eyeL outer", "eyeL inner"), ("eyeR outer", "eyeR inner"), ("nose base",) * 2)
    pairs += (("mouth left",) * 2, ("mouth right",) * 2)
    five = np.stack([(faces.places(a) + faces.places(b)) / 2 for a, b in pairs], axis=1)
    found = Found(faces.boxes, np.ones(len(five), np.float32), five)
    pictures = list(faces.pictures)
    by_mesh = resample(mesh.label(pictures, found).points, "mesh478")
    roll = found.roll
    wflw = [pfld.label(pictures[i], faces.boxes[i], roll[i]) for i in range(len(five))]
    return Teachers(faces, by_mesh, resample(np.array(wflw, np.float32), "wflw98"))


def mean_errors(
    answers: Sequence[Teachers], points: Sequence[NDArray[np.float32]], which: slice
) -> dict[str, float]:
    """Return the mean over the sets of each part's error, and of "face", on some of the faces."""
    rows = []
    for answer, found in zip(answers, points, strict=True):
        errors = {kind: each[which] for kind, each in human_errors(answer.faces, found).items()}
        means = [face_means(errors), *(face_means(errors, kinds) for kinds in PARTS.values())]
        rows.append([np.nanmean(each) if np.isfinite(each).any() else np.nan for each in means])
    return dict(zip(("face", *PARTS), np.nanmean(rows, axis=0).tolist(), strict=True))


def best_shares(answers: Sequence[Teachers]) -> dict[str, float]:
    """Return the share of the second teacher that each part likes best."""
    tried = [
        mean_errors(
            answers, [a.mesh + np.float32(s) * (a.wflw - a.mesh) for a in answers], slice(None)
        )
        for s in _SHARES
    ]
    return {
        part: round(float(_SHARES[np.argmin([each[part] for each in tried])]), 2) for part in PARTS
    }


def moved(points: NDArray[np.float32], values: Sequence[float]) -> NDArray[np.float32]:
    """Return points (N, 90, 2) moved by the offsets' values, in % of the eye distance."""
    line = points[:, GROUPS["RightEye"].start] - points[:, GROUPS["LeftEye"].start]
    down = np.stack([-line[:, 1], line[:, 0]], axis=1)
    offset, outward = as_columns(values)
    found = points + (offset[:, :1] * line[:, None] + offset[:, 1:] * down[:, None]) / 100
    distance = np.linalg.norm(line, axis=1)[:, None, None]
    found[:, _PROFILE] += outward[:, None] / 100 * distance * outward_normals(points[:, _PROFILE])
    return found.astype(np.float32)


def as_columns(values: Sequence[float]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the offsets (90, 2) right and down, and the profile's (21,) outward."""
    offset, outward = np.zeros((POINT_COUNT, 2)), np.zeros(21)
    mirror = np.asarray(MIRROR)
    for each, value in zip(OFFSETS, values, strict=True):
        rows = np.array(each.rows)
        if each.way is None:
            outward[rows] = outward[mirror[rows]] = value
            continue
        shift = value * np.array(each.way)
        middle = mirror[rows] == rows
        offset[rows] += shift * np.where(middle[:, None], [0, 1], [1, 1])
        offset[mirror[rows[~middle]]] += shift * [-1, 1]
    return offset, outward


def best_offsets(answers: Sequence[Teachers], points: Sequence[NDArray[np.float32]]) -> list[float]:
    """Return the offsets' values by coordinate descent on every second face."""
    values = [0.0] * len(OFFSETS)
    half = slice(0, None, 2)

    def error(trial: Sequence[float], part: str) -> float:
        return mean_errors(answers, [moved(each, trial) for each in points], half)[part]

    for step in _STEPS:
        for k, each in enumerate(OFFSETS):
            now = error(values, each.part)
            for sign in (1, -1):
                trial = list(values)
                trial[k] += sign * step
                while abs(trial[k]) <= _MOST and (then := error(trial, each.part)) < now - 1e-4:
                    values, now = list(trial), then
                    trial[k] += sign * step
    return values


def document(shares: Mapping[str, float], values: Sequence[float]) -> str:
    """Return the content of ``people.json``."""
    offset, outward = as_columns(values)
    by_group = {group: shares[part] for part, groups in GROUPS_OF_PART.items() for group in groups}
    facts = {
        "about": "What people's labels say of the teachers: the second teacher's share in each "
        "group, and where people mark a point differently from both, in % of the eye distance. "
        "Chosen on faces that people labelled; nothing was trained on these.",
        "share_of_wflw98": by_group,
        "profile_outward_percent": outward.tolist(),
        "offset_percent": {
            name: offset[rows].tolist() for name, rows in GROUPS.items() if name != "FaceProfile"
        },
    }
    return json.dumps(facts, indent=1) + "\n"


@click.command()
@click.option("--human", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--peers", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--mediapipe-python", type=click.Path(path_type=Path, exists=True), required=True)
def main(human: Path, peers: Path, mediapipe_python: Path) -> None:
    """Choose shares and offsets, print what they are worth, and write them down."""
    mesh, pfld = FaceMesh(mediapipe_python), Pfld(peers)
    answers = [ask(faces, mesh, pfld) for faces in load_human_sets(human)]
    shares = best_shares(answers)
    click.echo(f"shares {shares}")
    by_row = np.zeros((POINT_COUNT, 1), np.float32)
    for part, groups in GROUPS_OF_PART.items():
        for group in groups:
            by_row[GROUPS[group]] = shares[part]
    points = [a.mesh + by_row * (a.wflw - a.mesh) for a in answers]
    values = best_offsets(answers, points)
    for name, each in (("blended", points), ("as people mark", [moved(p, values) for p in points])):
        for half, which in (("chosen on", slice(0, None, 2)), ("others", slice(1, None, 2))):
            click.echo(f"{name}, {half}: {mean_errors(answers, each, which)}")
    Path(__file__).with_name("people.json").write_text(document(shares, values), encoding="utf-8")


if __name__ == "__main__":
    main()
