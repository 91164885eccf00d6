"""The pictures of the detection benchmark, with all that is known of their faces.

Four sets, of people and scenes that training never saw; a face's box is the landmarks' extent along
its roll, and what detections are compared with is the box around the ellipse in it.

- *scenes*: pictures of people and of none. What the labelling detector (SCRFD-2.5G) saw is
  labelled; what it was unsure of, or is below 6 pixels, is neither face nor background. What it
  missed counts as false alarm when another one finds it.
- *composed*: faces with their surroundings, reduced to sizes that are uniform in their logarithm
  from 8 to 100 pixels and stuck, with soft edges, somewhere into scenes without a face that were
  cut to 320 × 240 or 640 × 480. In what was stuck in there may be other people: what is found
  there, clear of the face, counts neither way.
- *portraits* and *cut out*: the same faces in their own pictures, and those that fill theirs, most
  of them cut off at the chin. One face of each is labelled, so they tell the recall alone.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from benchmarks.accuracy.faces import Pictures
from faceshape.vision.geometry import apply_transforms, ellipse_boxes, enclosing_boxes, pixel_matrix
from faceshape.vision.image import RGBImage, load_image
from scripts.detector.data import LabelledPictures, load_face_pictures, load_scenes

__all__ = [
    "TURNS",
    "TestSet",
    "as_test_set",
    "composed",
    "covering",
    "in_memory",
    "load_test_sets",
    "load_wider_list",
    "scaled",
    "stick",
    "with_surroundings",
    "without_faces",
]

TURNS: Mapping[str, Callable[[Generator, int], NDArray[np.float64]]] = MappingProxyType(
    {
        "upright": lambda _, count: np.zeros(count),
        "90°": lambda _, count: np.full(count, 90.0),
        "180°": lambda _, count: np.full(count, 180.0),
        "270°": lambda _, count: np.full(count, 270.0),
        "any angle": lambda rng, count: rng.uniform(0, 360, count),
    }
)
"""How far pictures are turned → the angles (P,) in degrees, clockwise as seen."""

_SMALLEST, _LARGEST = 8.0, 100.0  # composed faces, geometric mean of their sides, pixels
_CANVASES = ((320, 240), (640, 480))
_SOFT_EDGE = 0.06  # of the shorter side
_SURROUNDINGS = 0.2  # least room on all four sides, in sides of the face
_LEAST_SIDE = 6.0  # WIDER FACE has smaller ones


@dataclass(frozen=True)
class TestSet:
    """P pictures with F faces; coordinates in pixels, edges at 0 and W.

    Attributes:
        name: the head of its rows.
        pictures: P RGB pictures.
        picture: (F,) the index of each face's picture, ascending.
        centre, size: (F, 2) of the faces; width and height are along the roll.
        roll: (F,) degrees, clockwise as seen.
        counted: (F,) bool; the others are neither faces nor background.
        unlabelled: (P, 4) the part of each picture where there may be faces without label.
    """

    __test__ = False  # for pytest: not a test

    name: str
    pictures: Pictures
    picture: NDArray[np.intp]
    centre: NDArray[np.float32]
    size: NDArray[np.float32]
    roll: NDArray[np.float32]
    counted: NDArray[np.bool_]
    unlabelled: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.pictures)

    @property
    def boxes(self) -> NDArray[np.float32]:
        """The boxes (F, 4) that detections are compared with."""
        return ellipse_boxes(self.centre, self.size, self.roll)

    def faces_of(self, picture: int) -> slice:
        """Return which of the F faces are in one of the P pictures."""
        first, last = np.searchsorted(self.picture, [picture, picture + 1])
        return slice(int(first), int(last))

    def take(self, which: NDArray[np.intp]) -> "TestSet":
        """Return some of the pictures by ascending indices (K,), with their faces."""
        faces = np.isin(self.picture, which)
        columns = ("centre", "size", "roll", "counted")
        return replace(
            self,
            pictures=self.pictures.take(which),
            picture=np.searchsorted(which, self.picture[faces]),
            unlabelled=self.unlabelled[which],
            **{name: getattr(self, name)[faces] for name in columns},
        )

    def sample(self, count: int | None, seed: int = 0) -> "TestSet":
        """Return `count` random pictures, or all if there are no more or count is None."""
        if count is None or count >= len(self):
            return self
        return self.take(np.sort(np.random.default_rng(seed).permutation(len(self))[:count]))

    def turned(self, angles: NDArray[np.float64]) -> "TestSet":
        """Return the pictures turned clockwise by angles (P,) in degrees, black around them.

        A picture grows so that all of it is seen.
        """
        if not angles.any():
            return self
        sizes = np.array([picture.shape[1::-1] for picture in self.pictures]).reshape(-1, 2)
        transforms, grown = _turns(sizes, angles)
        corners = self.unlabelled[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2)
        centres = apply_transforms(transforms[self.picture], self.centre[:, None])[:, 0]
        return replace(
            self,
            pictures=Pictures(
                len(self), lambda i: _warped(self.pictures[i], transforms[i], grown[i])
            ),
            centre=centres.astype(np.float32),
            roll=(self.roll + angles[self.picture]).astype(np.float32),
            unlabelled=enclosing_boxes(apply_transforms(transforms, corners)),
        )


def _turns(
    sizes: NDArray[np.intp], angles: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Return transforms (P, 2, 3) and the new (width, height) (P, 2) of pictures that turn."""
    turn = np.radians(angles)
    cosine, sine = np.cos(turn).round(12), np.sin(turn).round(12)
    linear = np.stack([cosine, -sine, sine, cosine], axis=1).reshape(-1, 2, 2)
    grown = np.ceil((np.abs(linear) @ sizes[:, :, None])[:, :, 0] - 1e-6)
    offset = grown / 2 - (linear @ sizes[:, :, None])[:, :, 0] / 2
    return np.concatenate([linear, offset[:, :, None]], axis=2), grown.astype(np.intp)


def _warped(picture: RGBImage, transform: NDArray[np.float64], size: NDArray[np.intp]) -> RGBImage:
    return cv2.warpAffine(picture, pixel_matrix(transform), (int(size[0]), int(size[1])))


def load_test_sets(data: Path) -> list[TestSet]:
    """Return scenes, composed pictures, portraits and faces cut out, as described above.

    Args:
        data: has ``faces/`` and ``scenes/``.
    """
    faces, scenes = load_face_pictures(data / "faces"), load_scenes(data / "scenes")
    faces, scenes = faces.only(faces.validation), scenes.only(scenes.validation)
    roomy = with_surroundings(faces)
    portraits = faces.only(roomy)
    return [
        as_test_set("scenes", scenes),
        composed(portraits, without_faces(scenes)),
        as_test_set("portraits", portraits),
        as_test_set("cut out", faces.only(~roomy)),
    ]


def as_test_set(name: str, labelled: LabelledPictures) -> TestSet:
    """Return labelled pictures as a set of that name."""
    whole = np.array([(0, 0, *picture.shape[1::-1]) for picture in labelled.pictures], np.float32)
    boxes = labelled.boxes
    return TestSet(
        name=name,
        pictures=in_memory(labelled.pictures),
        picture=labelled.picture,
        centre=(boxes[:, :2] + boxes[:, 2:]) / 2,
        size=boxes[:, 2:] - boxes[:, :2],
        roll=labelled.roll(),
        counted=labelled.trusted,
        unlabelled=whole.reshape(-1, 4) * ~labelled.exhaustive[:, None],
    )


def with_surroundings(faces: LabelledPictures) -> NDArray[np.bool_]:
    """Return in which pictures (P,) there is room around the one face."""
    sizes = np.array([picture.shape[1::-1] for picture in faces.pictures]).reshape(-1, 2)
    room = np.concatenate([faces.boxes[:, :2], sizes - faces.boxes[:, 2:]], axis=1)
    sides = np.tile(faces.boxes[:, 2:] - faces.boxes[:, :2], 2)
    roomy: NDArray[np.bool_] = (room >= _SURROUNDINGS * sides).all(axis=1)
    return roomy


def without_faces(scenes: LabelledPictures) -> list[RGBImage]:
    """Return the scenes in which the labelling detector saw nothing at all."""
    inhabited = set(scenes.picture.tolist())
    return [picture for i, picture in enumerate(scenes.pictures) if i not in inhabited]


def composed(
    faces: LabelledPictures, backdrops: Sequence[RGBImage], times: int = 2, seed: int = 0
) -> TestSet:
    """Return the set of composed pictures, as described above.

    Args:
        faces: one in each picture.
        backdrops: pictures without a face.
        times: how often each face is shown.
        seed: of all that is random.
    """
    rng = np.random.default_rng(seed)
    pictures, centres, sizes, patches = [], [], [], []
    for number in np.tile(np.arange(len(faces.pictures)), times):
        box = faces.boxes[number]
        size = box[2:] - box[:2]
        wanted = np.exp(rng.uniform(np.log(_SMALLEST), np.log(_LARGEST)))
        canvas = covering(
            backdrops[rng.integers(len(backdrops))], _CANVASES[rng.integers(len(_CANVASES))], rng
        )
        patch = stick(canvas, faces.pictures[number], wanted / np.sqrt(size.prod()), rng)
        ratio = (patch[2:] - patch[:2]) / faces.pictures[number].shape[1::-1]
        pictures.append(canvas)
        centres.append(patch[:2] + ratio * (box[:2] + box[2:]) / 2)
        sizes.append(ratio * size)
        patches.append(patch)
    count = len(pictures)
    return TestSet(
        name="composed",
        pictures=in_memory(pictures),
        picture=np.arange(count),
        centre=np.array(centres, np.float32).reshape(-1, 2),
        size=np.array(sizes, np.float32).reshape(-1, 2),
        roll=np.tile(faces.roll(), times),
        counted=np.ones(count, bool),
        unlabelled=np.array(patches, np.float32).reshape(-1, 4),
    )


def covering(picture: RGBImage, size: tuple[int, int], rng: Generator) -> RGBImage:
    """Scale a picture until it covers (width, height) and cut out a random part."""
    grown = scaled(picture, max(size[0] / picture.shape[1], size[1] / picture.shape[0]), size)
    left, top = rng.integers(0, np.array(grown.shape[1::-1]) - size + 1)
    return grown[top : top + size[1], left : left + size[0]].copy()


def scaled(picture: RGBImage, scale: float, least: tuple[int, int] = (1, 1)) -> RGBImage:
    """Return a picture enlarged or reduced, at least of a size (width, height)."""
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    size = [max(s, round(scale * old)) for s, old in zip(least, picture.shape[1::-1], strict=True)]
    return cv2.resize(picture, size, interpolation=way).astype(np.uint8, copy=False)


def stick(canvas: RGBImage, picture: RGBImage, scale: float, rng: Generator) -> NDArray[np.intp]:
    """Stick a scaled picture, at most as large as the canvas, on it; return where (4,)."""
    room = np.array(canvas.shape[1::-1])
    new = scaled(picture, min(scale, *(room / picture.shape[1::-1])))
    new = new[: room[1], : room[0]]
    size = np.array(new.shape[1::-1])
    left, top = rng.integers(0, room - size + 1)
    part = canvas[top : top + size[1], left : left + size[0]]
    share = _soft_edges(size, _SOFT_EDGE * size.min())[..., None]
    part[:] = np.round(part + share * (new.astype(np.float32) - part)).astype(np.uint8)
    return np.array([left, top, left + size[0], top + size[1]])


def _soft_edges(size: NDArray[np.intp], width: float) -> NDArray[np.float32]:
    """Return how opaque each pixel is, 0 to 1: less and less towards the edges."""
    across, down = (np.minimum(np.arange(n) + 0.5, n - np.arange(n) - 0.5) for n in size)
    depth = np.minimum(across[None], down[:, None])
    return np.clip(depth / max(width, 0.5), 0, 1).astype(np.float32)


def load_wider_list(annotations: Path, images: Path) -> TestSet:
    """Read WIDER FACE's annotations: ``wider_face_val_bbx_gt.txt`` or a part of it.

    For each picture a line with its name, one with the number of faces and one for each face: x y w
    h in pixels, then blur, expression, illumination, invalid, occlusion and pose. Where the number
    is 0 a line of zeros follows. Faces that are invalid or below 6 pixels are not counted.

    Args:
        annotations: the file.
        images: the folder that the names are relative to.

    Raises:
        ValueError: a line is not what the format says.
    """
    lines = [line.strip() for line in annotations.read_text(encoding="utf-8").splitlines()]
    paths, rows, picture, at = [], [], [], 0
    while at < len(lines):
        if at + 1 >= len(lines) or not lines[at + 1].isdecimal():
            raise ValueError(f"{annotations}:{at + 2} is not the number of faces")
        count = int(lines[at + 1])
        for number in range(at + 2, at + 2 + max(count, 1)):
            fields = lines[number].split() if number < len(lines) else []
            if len(fields) != 10:
                raise ValueError(f"{annotations}:{number + 1} has {len(fields)} fields, not 10")
            if count:
                rows.append([float(field) for field in fields])
                picture.append(len(paths))
        paths.append(images / lines[at])
        at += 2 + max(count, 1)
    if not paths:
        raise ValueError(f"{annotations} is empty")
    table = np.array(rows, np.float32).reshape(-1, 10)
    return TestSet(
        name="WIDER FACE",
        pictures=Pictures(len(paths), lambda i: load_image(paths[i])),
        picture=np.array(picture, np.intp),
        centre=table[:, :2] + table[:, 2:4] / 2,
        size=table[:, 2:4],
        roll=np.zeros(len(table), np.float32),
        counted=(table[:, 7] == 0) & (np.sqrt(table[:, 2:4].prod(axis=1)) >= _LEAST_SIDE),
        unlabelled=np.zeros((len(paths), 4), np.float32),
    )


def in_memory(pictures: Sequence[RGBImage]) -> Pictures:
    """Return decoded pictures as `Pictures`."""
    return Pictures(len(pictures), lambda i: pictures[i])
