"""Shards of labelled faces and of scenes: numpy files that the trainings read.

Coordinates of faces are int16 in 1/32 pixel of the stored picture, those of scenes in 1/8 pixel;
−32768 is absent.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from faceshape.vision.image import RGBImage
from scripts.labels.teachers import FaceMesh, Found, Pfld

ABSENT = -32768
_FACE_UNITS, _SCENE_UNITS = 32, 8
_SURROUNDINGS = 1.6  # of a face are stored: half the side, in longer sides of its box
_QUALITY = 95  # of the stored JPEGs


@dataclass(frozen=True)
class Portrait:
    """One face in its surroundings, as it is stored.

    Attributes:
        picture: RGB.
        found: one face, in the picture's pixels.
        source: where the picture comes from.
        identity: who it shows.
    """

    picture: RGBImage
    found: Found
    source: str
    identity: str


def cut_portrait(picture: RGBImage, found: Found, which: int, largest: float) -> tuple:
    """Return a face's surroundings, at most so large that its box has `largest` pixels.

    Returns:
        The picture and the face, a `Found` of one.
    """
    box, five = found.boxes[which], found.five[which]
    size = float((box[2:] - box[:2]).max())
    middle, half = (box[:2] + box[2:]) / 2, _SURROUNDINGS * size
    height, width = picture.shape[:2]
    left, top = np.maximum(np.floor(middle - half), 0).astype(int)
    right, bottom = np.minimum(np.ceil(middle + half), [width, height]).astype(int)
    part = picture[top:bottom, left:right]
    scale = min(1.0, largest / size)
    if scale < 1:
        shape = [max(1, round(length * scale)) for length in part.shape[1::-1]]
        scale = np.array(shape) / part.shape[1::-1]
        part = cv2.resize(part, shape, interpolation=cv2.INTER_AREA)
    corner = np.array([left, top])
    box = ((box.reshape(2, 2) - corner) * scale).reshape(1, 4)
    one = Found(box.astype("f4"), found.scores[which : which + 1], (five - corner)[None] * scale)
    return np.ascontiguousarray(part), one


def write_faces(
    portraits: Sequence[Portrait], mesh: FaceMesh, pfld: Pfld, path: Path
) -> dict[str, int]:
    """Label faces by both teachers and write a shard.

    Returns:
        How many "faces" it has and for how many of them FaceMesh saw "no mesh"; these are left out.
    """
    faces = Found(*(_stacked(portraits, name) for name in ("boxes", "scores", "five")))
    meshes = mesh.label([each.picture for each in portraits], faces)
    kept = np.flatnonzero(np.isfinite(meshes.spread))
    wflw = [pfld.label(portraits[i].picture, faces.boxes[i], faces.roll[i]) for i in kept]
    columns = {
        **_pictures([portraits[i].picture for i in kept]),
        "source": np.array([portraits[i].source for i in kept], np.str_),
        "identity": np.array([portraits[i].identity for i in kept], np.str_),
        "box": _fixed(faces.boxes[kept], _FACE_UNITS),
        "box_score": faces.scores[kept],
        "keypoints5": _fixed(faces.five[kept], _FACE_UNITS),
        "mesh478": _fixed(meshes.points[kept], _FACE_UNITS),
        "mesh_z": _fixed(meshes.depth[kept], _FACE_UNITS),
        "mesh_spread_px": meshes.spread[kept],
        "wflw98": _fixed(np.array(wflw).reshape(-1, 98, 2), _FACE_UNITS),
        "ibug68": np.full((len(kept), 68, 2), ABSENT, np.int16),
    }
    np.savez(path, **columns)
    return {"faces": len(kept), "no mesh": len(portraits) - len(kept)}


def write_scenes(
    pictures: Sequence[RGBImage], found: Sequence[Found], sources: Sequence[str], path: Path
) -> None:
    """Write pictures with every face in them; one without any counts as showing none."""
    scene = np.repeat(np.arange(len(pictures)), [len(each.scores) for each in found])
    np.savez(
        path,
        **_pictures(pictures),
        source=np.array(sources, np.str_),
        scene=scene,
        box=_fixed(np.concatenate([each.boxes for each in found]), _SCENE_UNITS),
        keypoints5=_fixed(np.concatenate([each.five for each in found]), _SCENE_UNITS),
        score=np.concatenate([each.scores for each in found]),
    )


def _stacked(portraits: Sequence[Portrait], name: str) -> NDArray[np.float32]:
    return np.concatenate([getattr(each.found, name) for each in portraits]).astype(np.float32)


def _pictures(pictures: Sequence[RGBImage]) -> dict[str, NDArray]:
    options = [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
    files = [
        cv2.imencode(".jpg", cv2.cvtColor(each, cv2.COLOR_RGB2BGR), options)[1].ravel()
        for each in pictures
    ]
    return {
        "jpeg": np.concatenate([np.empty(0, np.uint8), *files]),
        "offset": np.cumsum([0, *map(len, files)]),
        "size": np.array([each.shape[:2] for each in pictures]).reshape(-1, 2),
    }


def _fixed(values: NDArray, units: int) -> NDArray[np.int16]:
    """Return numbers in fractions of a pixel; what does not fit is as far off as can be said."""
    return np.round(values * units).clip(ABSENT + 1, -ABSENT - 1).astype(np.int16)
