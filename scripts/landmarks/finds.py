"""What the detector takes for faces: ``python -m scripts.landmarks.finds --data DIR``.

Presence decides about finds of the detector, and these are not what chance cuts out of a picture.
The training scenes know all of their faces, so that each find is a face or a false alarm. They are
kept in ``finds.npz`` for `scripts.landmarks.train`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import click
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from tqdm import tqdm

from faceshape.vision.detector import OnnxDetector
from faceshape.vision.geometry import box_area, enclosing_boxes, line_roll, wrap_degrees
from faceshape.vision.landmarker import Landmarker
from faceshape.vision.light import lit
from faceshape.vision.networks import OnnxModel, model_entry
from faceshape.vision.pyramid import Pyramid
from scripts.detector.data import LabelledPictures, load_scenes

_SMALLEST = 12.0  # pixels; what is smaller has no landmarks to speak of
_LEAST_SCORE = 0.15  # below what a candidate needs: it is for presence to tell
# Of a face's mean side: how near the middles and how alike the sides are of what is the face, and
# how far away is what is none.
_NEAR, _ALIKE, _APART = 0.25, 1.5, 0.8
_ALONG, _AGAINST = 50.0, 110.0  # degrees; a find between them is neither


@dataclass(frozen=True)
class Finds:
    """K finds in pictures, as the landmarker sees them.

    Attributes:
        pictures: RGB uint8 pictures.
        picture: (K,) the index of each find's picture.
        dense: (K, 166, 2) landmarks in pixels of the picture.
        face: (K,) bool, whether it is a face.
        score: (K,) of the detector.
    """

    pictures: list[NDArray[np.uint8]]
    picture: NDArray[np.intp]
    dense: NDArray[np.float32]
    face: NDArray[np.bool_]
    score: NDArray[np.float32]

    @classmethod
    def load(cls, data: Path) -> "Finds":
        """Read ``finds.npz`` and the scenes that it was made from."""
        scenes = load_scenes(data / "scenes")
        with np.load(data / "finds.npz") as found:
            columns = (found[name] for name in ("picture", "dense", "face", "score"))
            return cls(scenes.pictures, *columns)

    @cached_property
    def _ladders(self) -> list[tuple[NDArray[np.intp], NDArray[np.float64]]]:
        """False alarms and faces, and the sums of their shares up to each.

        What the score is wrong about is presence's to tell, and comes more often: a false alarm in
        proportion to the square of its score, a face the more often the lower it is.
        """
        ladders = []
        for face, share in ((False, self.score**2), (True, 1.1 - self.score)):
            rows = np.flatnonzero(self.face == face)
            ladders.append((rows, np.cumsum(share[rows]) / share[rows].sum()))
        return ladders

    def drawn(self, rng: Generator) -> int:
        """Return one of them by chance: as often a face as a false alarm."""
        rows, ladder = self._ladders[rng.integers(2)]
        return int(rows[min(np.searchsorted(ladder, rng.random()), len(rows) - 1)])


def judged(
    centre: NDArray[np.float32],
    side: NDArray[np.float32],
    roll: NDArray[np.float32],
    scenes: LabelledPictures,
    rows: slice,
) -> NDArray[np.int8]:
    """Return which finds (K,) are faces (1), false alarms (0), or neither for sure (-1).

    Args:
        centre: (K, 2) of the finds, in pixels, as side and roll.
        side: (K,) mean of their sides.
        roll: (K,) degrees.
        scenes: the labelled pictures.
        rows: which faces of them are in the finds' picture.
    """
    boxes = scenes.boxes[rows]
    if not len(boxes):
        return np.zeros(len(centre), np.int8)
    sides = np.sqrt(box_area(boxes))
    labelled = np.linalg.norm(centre[:, None] - (boxes[:, :2] + boxes[:, 2:]) / 2, axis=2)
    eyes = scenes.keypoints[rows, :2]
    turned = np.abs(wrap_degrees(roll[:, None] - line_roll(eyes[:, 0], eyes[:, 1])))
    ratio = side[:, None] / sides
    here = (labelled < _NEAR * sides) & (ratio < _ALIKE) & (ratio > 1 / _ALIKE)
    here &= scenes.trusted[rows]
    apart = (labelled > _APART * np.maximum(sides, side[:, None])).all(axis=1)
    answer = np.where(apart, 0, -1).astype(np.int8)
    answer[(here & (turned > _AGAINST)).any(axis=1)] = 0
    answer[(here & (turned < _ALONG)).any(axis=1)] = 1
    return answer


def finds_in(
    scenes: LabelledPictures, detector: OnnxDetector, landmarker: Landmarker
) -> Iterator[tuple[int, NDArray[np.float32], bool, np.float32]]:
    """Give picture, landmarks (166, 2), whether it is a face and the score of each sure find."""
    for i, picture in enumerate(tqdm(scenes.pictures, disable=None)):
        if scenes.validation[i]:
            continue
        pyramid = Pyramid(lit(picture))
        found = detector.candidates(pyramid)
        located = landmarker.locate(pyramid, found.boxes, found.roll)
        boxes = enclosing_boxes(located.dense)
        centre, side = (boxes[:, :2] + boxes[:, 2:]) / 2, np.sqrt(box_area(boxes))
        answers = judged(centre, side, located.roll, scenes, scenes.faces_of(i))
        for k in np.flatnonzero((answers >= 0) & (side >= _SMALLEST)):
            yield i, located.dense[k], bool(answers[k]), found.scores[k]


@click.command()
@click.option("--data", type=click.Path(path_type=Path), required=True, help="has scenes/")
def main(data: Path) -> None:
    """Write DATA/finds.npz."""
    model = OnnxModel(model_entry("detector"), threads=1)
    detector = OnnxDetector(model, smallest_face=_SMALLEST, threshold=_LEAST_SCORE)
    found = finds_in(load_scenes(data / "scenes"), detector, Landmarker.shipped(threads=1))
    picture, dense, face, score = (np.array(column) for column in zip(*found, strict=True))
    np.savez_compressed(data / "finds.npz", picture=picture, dense=dense, face=face, score=score)
    click.echo(f"{face.sum()} faces, {(~face).sum()} false alarms")


if __name__ == "__main__":
    main()
