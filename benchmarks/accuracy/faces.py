"""Faces with labels: the validation split of the training data, 68-point folders, WFLW lists.

Coordinates are continuous pixels: the picture's upper left corner is (0, 0), the centre of its
first pixel (0.5, 0.5). Pictures in
files are decoded when they are looked at, not before.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faceshape.core.contract import resample
from faceshape.vision.geometry import enclosing_boxes
from faceshape.vision.image import RGBImage, load_image
from scripts.labels.consensus import DENSE
from scripts.landmarks.data import apparent_yaw, load_faces

__all__ = [
    "LabelledFaces",
    "Pictures",
    "apparent_yaw",
    "inexact_boxes",
    "load_pts_folder",
    "load_split",
    "load_wflw_list",
    "read_pts",
]


class Pictures(Sequence[RGBImage]):
    """Pictures that come from a function, decoded anew each time if it does so."""

    def __init__(self, count: int, decode: Callable[[int], RGBImage]) -> None:
        """Take how many there are and the function that gives the i-th one."""
        self._count, self._decode = count, decode

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, i: int) -> RGBImage:
        if not 0 <= i < self._count:
            raise IndexError(i)
        return self._decode(i)

    def take(self, which: NDArray[np.intp]) -> "Pictures":
        """Return a selection by indices (K,)."""
        return Pictures(len(which), lambda i: self._decode(int(which[i])))


@dataclass(frozen=True)
class LabelledFaces:
    """N faces, one in each picture (which may show others, too).

    Attributes:
        pictures: N RGB pictures.
        points: (N, 90, 2) labels in the order of the contract.
        raw: (N, P, 2) the labels as the set has them; NaN where it has none.
        weight: (N,) how far a label is trusted; 0 was rejected.
        source: (N,) where the face comes from.
    """

    pictures: Pictures
    points: NDArray[np.float32]
    raw: NDArray[np.float32]
    weight: NDArray[np.float32]
    source: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.points)

    @property
    def boxes(self) -> NDArray[np.float32]:
        """The boxes (N, 4) that every model is given: tight around the 90 points."""
        return enclosing_boxes(self.points)

    def take(self, which: NDArray[np.intp]) -> "LabelledFaces":
        """Return a selection by indices (K,)."""
        columns = ("points", "raw", "weight", "source")
        chosen = {name: getattr(self, name)[which] for name in columns}
        return replace(self, pictures=self.pictures.take(which), **chosen)

    def sample(self, count: int | None, seed: int = 0) -> "LabelledFaces":
        """Return `count` random faces, or all of them if there are no more or count is None."""
        if count is None or count >= len(self):
            return self
        chosen = np.random.default_rng(seed).permutation(len(self))[:count]
        return self.take(np.sort(chosen))


def load_split(folder: Path, validation: bool) -> LabelledFaces:
    """Read one side of the split by identity; `raw` are the 68-point labels of some faces.

    Args:
        folder: has the ``faces-*.npz``.
        validation: True for the identities that are never trained on, False for the others.
    """
    faces = load_faces(folder)
    chosen = np.flatnonzero(faces.validation == validation)
    return LabelledFaces(
        pictures=Pictures(len(chosen), lambda i: faces.pictures[chosen[i]]),
        points=resample(faces.dense[chosen], DENSE),
        raw=faces.ibug68[chosen],
        weight=faces.weight[chosen],
        source=faces.source[chosen],
    )


def inexact_boxes(
    boxes: NDArray[np.float32], position: float, size: float, seed: int = 0
) -> NDArray[np.float32]:
    """Return boxes (N, 4) with errors as a detector makes them.

    Args:
        boxes: (N, 4) x0 y0 x1 y1.
        position: standard deviation of the centre, in longer sides of the box.
        size: standard deviation of the size's logarithm.
        seed: of the errors.
    """
    rng = np.random.default_rng(seed)
    extent = boxes[:, 2:] - boxes[:, :2]
    shift = rng.normal(0, position, extent.shape) * extent.max(axis=1, keepdims=True)
    half = extent / 2 * np.exp(rng.normal(0, size, (len(boxes), 1)))
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2 + shift
    return np.concatenate([centre - half, centre + half], axis=1).astype(np.float32)


def load_pts_folder(folder: Path) -> LabelledFaces:
    """Read pictures with a ``.pts`` file of the same name beside them: 300-W, iBUG.

    The files count pixels from 1, as MATLAB does. Folders inside are read, too.
    """
    files = sorted(folder.rglob("*.pts"))
    if not files:
        raise FileNotFoundError(f"no .pts files in {folder}")
    raw = np.stack([read_pts(path) for path in files])
    return _from_files([_picture_beside(path) for path in files], raw, "ibug68")


def read_pts(path: Path) -> NDArray[np.float32]:
    """Return the 68 points (68, 2) of a ``.pts`` file.

    Raises:
        ValueError: the file does not hold 68 points in braces.
    """
    text = path.read_text(encoding="utf-8", errors="replace")
    numbers = np.array(text.partition("{")[2].partition("}")[0].split(), np.float32)
    if numbers.size != 136:
        raise ValueError(f"{path} holds {numbers.size} numbers in braces, not 68 points")
    return numbers.reshape(68, 2) - 0.5


def _picture_beside(path: Path) -> Path:
    for ending in (".jpg", ".png", ".jpeg", ".bmp", ".JPG", ".PNG"):
        if (picture := path.with_suffix(ending)).exists():
            return picture
    raise FileNotFoundError(f"no picture beside {path}")


def load_wflw_list(annotations: Path, images: Path) -> LabelledFaces:
    """Read a WFLW list: 98 points, rectangle, six attributes and the picture's name in a line.

    The list counts pixels from 0 at their centres.

    Args:
        annotations: ``list_98pt_rect_attr_test.txt`` or a part of it.
        images: the folder that the names are relative to.

    Raises:
        ValueError: a line has not 196 + 4 + 6 numbers and a name.
    """
    raw, paths = [], []
    for number, line in enumerate(annotations.read_text(encoding="utf-8").splitlines(), 1):
        fields = line.split(maxsplit=206)
        if len(fields) != 207:
            raise ValueError(f"{annotations}:{number} has {len(fields)} fields, not 207")
        raw.append(np.array(fields[:196], np.float32).reshape(98, 2) + 0.5)
        paths.append(images / fields[206].strip())
    if not raw:
        raise ValueError(f"{annotations} is empty")
    return _from_files(paths, np.stack(raw), "wflw98")


def _from_files(paths: list[Path], raw: NDArray[np.float32], layout: str) -> LabelledFaces:
    return LabelledFaces(
        pictures=Pictures(len(paths), lambda i: load_image(paths[i])),
        points=resample(raw, layout),
        raw=raw,
        weight=np.ones(len(paths), np.float32),
        source=np.full(len(paths), layout),
    )
