"""How much landmarks tremble: small changes of a picture, and the motion that is left over.

The box stays where it was, as between two frames of a video: what follows the face must be the
model.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy.contenders import Contender
from benchmarks.accuracy.faces import LabelledFaces, Pictures
from benchmarks.result_table import Table
from faceshape.core.contract import interocular_distance
from faceshape.vision.geometry import crop_transforms, pixel_matrix, undo_similarities
from faceshape.vision.image import RGBImage

_JPEG_QUALITY = 70
_KINDS = ("shifted by 1 px", "scaled by 1 %", "turned by 2°", f"JPEG at {_JPEG_QUALITY}")


def stability_table(contenders: Sequence[Contender], faces: LabelledFaces) -> Table:
    """Return the motion of each model's landmarks under each change."""
    before = [contender.locate(faces.pictures, faces.boxes).points for contender in contenders]
    motions = np.stack(
        [
            [
                _motion(contender, points, faces, kind)
                for contender, points in zip(contenders, before, strict=True)
            ]
            for kind in range(len(_KINDS))
        ]
    )  # (kinds, contenders, N)
    shared = np.isfinite(motions).all(axis=(0, 1))
    motions = motions[:, :, shared]
    rows = [
        (name, [_summary(m) for m in motion]) for name, motion in zip(_KINDS, motions, strict=True)
    ]
    together = np.sqrt((motions**2).mean(axis=0))
    rows.append(("all four", [_summary(m) for m in together]))
    note = (
        "Motion of the 90 points after the change is undone: root mean square over the points of "
        "a face in % of the inter-ocular distance, median over the faces (90th percentile). The "
        f"box stays as it was. {shared.sum()} of {len(faces)} faces, those that every model "
        "found each time."
    )
    return Table("Stability", note, [contender.name for contender in contenders], rows)


def _summary(motion: NDArray[np.float64]) -> str | None:
    if not len(motion):
        return None
    return f"{np.median(motion):.2f} ({np.percentile(motion, 90):.2f})"


def _motion(
    contender: Contender, before: NDArray[np.float32], faces: LabelledFaces, kind: int
) -> NDArray[np.float64]:
    transforms = changes(faces.boxes, kind)
    pictures = Pictures(len(faces), lambda i: changed(faces.pictures[i], transforms[i], kind))
    after = contender.locate(pictures, faces.boxes).points
    undone = undo_similarities(transforms, after)
    squares = ((undone - before) ** 2).sum(axis=2).mean(axis=1)
    return 100 * np.sqrt(squares) / interocular_distance(faces.points)


def changes(boxes: NDArray[np.float32], kind: int) -> NDArray[np.float64]:
    """Return the transforms (N, 2, 3) of a change about the centres of boxes (N, 4).

    The directions alternate: right, down, left, up; larger, smaller; clockwise, anticlockwise.
    """
    number = np.arange(len(boxes))
    sign = 1.0 - 2 * (number % 2)
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    unit = np.concatenate([centre - 0.5, centre + 0.5], axis=1)  # crop of side 1 about the centre
    roll = 2.0 * sign if kind == 2 else np.zeros(len(boxes))
    transforms = crop_transforms(unit, roll, 1, 1.0)
    transforms[:, :, 2] -= 0.5
    if kind == 1:
        transforms *= (1 + 0.01 * sign)[:, None, None]
    transforms[:, :, 2] += centre
    if kind == 0:
        transforms[:, :, 2] += np.array([[1, 0], [0, 1], [-1, 0], [0, -1]])[number % 4]
    return transforms


def changed(picture: RGBImage, transform: NDArray[np.float64], kind: int) -> RGBImage:
    """Return a picture after one of the changes; beyond its border its edge goes on."""
    if kind == 3:
        quality = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
        bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
        coded = cv2.imdecode(cv2.imencode(".jpg", bgr, quality)[1], cv2.IMREAD_COLOR)
        return cv2.cvtColor(coded, cv2.COLOR_BGR2RGB)
    height, width = picture.shape[:2]
    return cv2.warpAffine(
        picture,
        pixel_matrix(transform),
        (width, height),
        flags=cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )
