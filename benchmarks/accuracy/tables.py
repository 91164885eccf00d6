"""The tables on exactness: errors over all faces, by kind of face, on 68- and 98-point labels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy.contenders import Contender, Located
from benchmarks.accuracy.faces import LabelledFaces, apparent_yaw, inexact_boxes
from benchmarks.accuracy.measures import (
    FAILURE,
    PARTS,
    area_under_curve,
    as_ibug68,
    contour_errors,
    marked_rows,
    mean_over_found,
    median_over_found,
    missed,
    point_errors,
    share_above,
)
from benchmarks.result_table import Table
from faceshape.core.contract import GROUPS, MIRROR, interocular_distance
from faceshape.core.topology import load_topology
from faceshape.vision.crops import warp_crop
from faceshape.vision.geometry import crop_transforms
from faceshape.vision.image import RGBImage

_GROSS = 10.0  # per cent of the inter-ocular distance
_YAW_LIMITS = (0.10, 0.20, 0.30)
_SIZE_LIMITS = (64, 84, 96)  # pixels
_BOX_ERRORS = ((0.0, 0.0), (0.03, 0.03), (0.06, 0.05), (0.10, 0.10))  # position, size
_BLUR_SIDE, _BLUR_MARGIN = 96, 1.0


@dataclass(frozen=True)
class Comparison:
    """Faces and what each model says of them."""

    faces: LabelledFaces
    located: Mapping[str, Located]

    @classmethod
    def run(cls, contenders: Sequence[Contender], faces: LabelledFaces) -> "Comparison":
        """Locate every face with every model."""
        return cls(faces, {c.name: c.locate(faces.pictures, faces.boxes) for c in contenders})

    def take(self, which: NDArray[np.intp]) -> "Comparison":
        """Return a selection of the faces by indices (K,)."""
        chosen = {
            name: Located(found.points[which], found.milliseconds[which])
            for name, found in self.located.items()
        }
        return Comparison(self.faces.take(which), chosen)

    @property
    def models(self) -> list[str]:
        """The models' names, in their order."""
        return list(self.located)

    def errors(self) -> dict[str, NDArray[np.float32]]:
        """Return model → errors (N, 90) in % of the labels' inter-ocular distance."""
        scale = interocular_distance(self.faces.points)
        return {
            name: point_errors(found.points, self.faces.points, scale)
            for name, found in self.located.items()
        }


def main_table(comparison: Comparison, rejected: Comparison) -> Table:
    """Return the errors over all faces and by group.

    Args:
        comparison: on the faces whose labels are trusted.
        rejected: on all faces, those with rejected labels included.
    """
    errors = list(comparison.errors().values())
    per_face = [e.mean(axis=1) for e in errors]
    everything = [e.mean(axis=1) for e in rejected.errors().values()]
    rows = [
        ("NME, 90 points", [mean_over_found(e) for e in per_face]),
        ("median", [median_over_found(e) for e in per_face]),
        (f"above {FAILURE:.0f} %, missed included", [share_above(e) for e in per_face]),
        (f"above {_GROSS:.0f} %, missed included", [share_above(e, _GROSS) for e in per_face]),
        (f"above {_GROSS:.0f} %, of those found", [_share_of_found(e) for e in per_face]),
        (f"AUC up to {FAILURE:.0f} %", [f"{area_under_curve(e):.3f}" for e in per_face]),
        ("not found, %", [missed(e) for e in per_face]),
    ]
    rows += [(name, [mean_over_found(e[:, part]) for e in errors]) for name, part in PARTS.items()]
    rows.append(("NME, rejected labels too", [mean_over_found(e) for e in everything]))
    note = (
        f"{len(comparison.faces)} validation faces (identities never trained on) whose labels are "
        f"trusted; the last row is on all {len(rejected.faces)}. Per cent of the distance between "
        "the outer eye corners; means are over the faces found. **The labels are a consensus of "
        "FaceMesh and PFLD-GhostOne, so both have an advantage here: inside the face FaceMesh all "
        "but is the label.** Independent labels follow in the next table."
    )
    return Table("Validation faces", note, comparison.models, rows)


def _share_of_found(face_errors: NDArray[np.float32]) -> float:
    found = face_errors[np.isfinite(face_errors)]
    return share_above(found, _GROSS) if found.size else float("nan")


def ibug_table(comparison: Comparison, title: str, note: str) -> Table:
    """Return the errors on 68-point labels, those of the faces that have them."""
    comparison = comparison.take(np.flatnonzero(np.isfinite(comparison.faces.raw[:, 0, 0])))
    labels = comparison.faces.raw
    scale = np.linalg.norm(labels[:, 36] - labels[:, 45], axis=1)
    found = [each.points for each in comparison.located.values()]
    errors = [point_errors(as_ibug68(p), labels, scale) for p in found]
    jaw = [contour_errors(p[:, GROUPS["FaceProfile"]], labels[:, :17], scale) for p in found]
    inner = [e[:, 17:].mean(axis=1) for e in errors]
    whole = [e.mean(axis=1) for e in errors]
    rows = [
        ("points: the 51 without the jaw", [mean_over_found(e) for e in inner]),
        ("jaw: off the marked contour", [mean_over_found(e) for e in jaw]),
    ]
    parts = (("brows", 17, 27), ("nose", 27, 36), ("eyes", 36, 48), ("mouth", 48, 68))
    rows += [(n, [mean_over_found(e[:, a:b]) for e in errors]) for n, a, b in parts]
    rows += _protocol_rows("51 points", inner)[1:] + _protocol_rows("68 points", whole)
    definition = (
        f"{len(labels)} faces. The 90 points are resampled into iBUG's 51 inner points and "
        "compared by index; *jaw* is how far the 21 profile points are off the contour through "
        "the 17 marked ones, because the marks may slide along it. In % of the distance between "
        "the marked outer eye corners (36, 45); *68 points* takes the jaw by index, as published "
        "results do. A model that gave the labels' own 90 points would read 1.7 % there."
    )
    return Table(title, f"{note} {definition}".strip(), comparison.models, rows)


def wflw_table(comparison: Comparison) -> Table:
    """Return the errors on a WFLW list, over the groups of the 90 points that it marks."""
    rows_marked = marked_rows(load_topology("wflw98"))
    errors = [e[:, rows_marked].mean(axis=1) for e in comparison.errors().values()]
    note = (
        f"{len(comparison.faces)} faces. Labels are resampled into the 90 points; compared are the "
        f"{len(rows_marked)} that the layout marks (the nose's sides are not among them). In % of "
        "the distance between the outer eye corners (60, 72), as published; the published "
        "numbers are over the 98 points themselves."
    )
    return Table("WFLW list", note, comparison.models, _protocol_rows("marked points", errors))


def _protocol_rows(
    name: str, face_errors: Sequence[NDArray[np.float32]]
) -> list[tuple[str, list[float | str | None]]]:
    return [
        (f"{name}: NME", [mean_over_found(e) for e in face_errors]),
        (f"{name}: FR@8, %", [share_above(e) for e in face_errors]),
        (f"{name}: AUC@8", [f"{area_under_curve(e):.3f}" for e in face_errors]),
    ]


def kinds_table(comparison: Comparison) -> Table:
    """Return the NME by yaw, size, blur and source."""
    faces = comparison.faces
    boxes = faces.boxes
    yaw, side = apparent_yaw(faces.points), (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
    sharpness = np.array([edge_energy(p, b) for p, b in zip(faces.pictures, boxes, strict=True)])
    kinds = _bins("yaw", yaw, _YAW_LIMITS, ".2f") + _bins("box", side, _SIZE_LIMITS, "d", " px")
    tercile = np.searchsorted(np.percentile(sharpness, [100 / 3, 200 / 3]), sharpness)
    kinds += [(f"blur: {n}", tercile == i) for i, n in enumerate(("most", "middle", "least"))]
    kinds += [(f"source {name}", faces.source == name) for name in np.unique(faces.source)]
    errors = [e.mean(axis=1) for e in comparison.errors().values()]
    rows = [
        (name, [str(int(where.sum())), *(mean_over_found(e[where]) for e in errors)])
        for name, where in kinds
    ]
    note = (
        "NME over the 90 points of the faces found, with the advantage of the peers that the first "
        "table names. *Yaw* is how far the nose's tip is off the middle of the eyes, in their "
        "distance; *box* the longer side of the face; *blur* the thirds by the variance of the "
        "Laplacian on the face's crop of equal size and contrast."
    )
    return Table("By kind of face", note, ["faces", *comparison.models], rows)


def _bins(
    name: str, values: NDArray, limits: Sequence[float], form: str, unit: str = ""
) -> list[tuple[str, NDArray[np.bool_]]]:
    """Return (label, mask (N,)) for each stretch between the limits."""
    place = np.searchsorted(limits, values, side="right")
    text = [format(limit, form) for limit in limits]
    labels = [
        f"below {text[0]}",
        *(f"{low} to {high}" for low, high in pairwise(text)),
        f"from {text[-1]}",
    ]
    return [(f"{name} {label}{unit}", place == i) for i, label in enumerate(labels)]


def robustness_table(contenders: Sequence[Contender], faces: LabelledFaces) -> Table:
    """Return what inexact boxes and a mirrored picture cost each model."""
    trials = [
        (f"{position:.0%} in position, {size:.0%} in size" if position else "exact", boxes, False)
        for position, size in _BOX_ERRORS
        for boxes in [inexact_boxes(faces.boxes, position, size)]
    ]
    trials.append(("exact, picture mirrored", faces.boxes, True))
    scale = interocular_distance(faces.points)
    rows = []
    for name, boxes, mirror in trials:
        locate = _locate_mirrored if mirror else _locate
        errors = [point_errors(locate(c, faces, boxes), faces.points, scale) for c in contenders]
        rows.append((name, [mean_over_found(e) for e in errors]))
        profile = [mean_over_found(e[:, GROUPS["FaceProfile"]]) for e in errors]
        rows.append((f"{name}: FaceProfile", profile))
    note = (
        f"NME of {len(faces)} validation faces when the boxes are off by so much (standard "
        "deviation, of the box's longer side). Exact boxes are tight around the label, so they "
        "tell where the profile ends: a model that was trained on such crops has an advantage "
        "in the tables with given boxes, which this one takes away. The mirrored picture takes "
        "something from the peers: they no longer repeat the very errors that the labels have "
        "from them."
    )
    names = [contender.name for contender in contenders]
    return Table("Inexact boxes, mirrored pictures", note, names, rows)


def _locate(
    contender: Contender, faces: LabelledFaces, boxes: NDArray[np.float32]
) -> NDArray[np.float32]:
    return contender.locate(faces.pictures, boxes).points


def _locate_mirrored(
    contender: Contender, faces: LabelledFaces, boxes: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return the landmarks (N, 90, 2) found in mirrored pictures, mirrored back."""
    mirrored = [np.ascontiguousarray(picture[:, ::-1]) for picture in faces.pictures]
    width = np.array([[picture.shape[1]] for picture in mirrored], np.float32)
    turned = np.concatenate(
        [width - boxes[:, 2:3], boxes[:, 1:2], width - boxes[:, :1], boxes[:, 3:]], axis=1
    )
    points = contender.locate(mirrored, turned).points[:, MIRROR]
    points[:, :, 0] = width - points[:, :, 0]
    return points


def edge_energy(picture: RGBImage, box: NDArray[np.float32]) -> float:
    """Return the variance of the Laplacian of the face in a box (4,), size and contrast equal."""
    transform = crop_transforms(box, 0.0, _BLUR_SIDE, _BLUR_MARGIN)[0]
    crop = warp_crop(picture, transform, _BLUR_SIDE)
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return float(cv2.Laplacian(grey / max(float(grey.std()), 1.0), cv2.CV_32F).var())
