"""The tables on detection: by set of pictures, by roll, by size, on pictures without a face."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from benchmarks.detection.contenders import BoxConvention, Contender, open_detector
from benchmarks.detection.measures import Curve, Verdicts, joined, match, mean_side
from benchmarks.detection.pictures import TURNS, TestSet
from benchmarks.result_table import Table
from faceshape import FaceShapeEngine
from faceshape.types import Detections
from faceshape.vision.crops import warp_crop
from faceshape.vision.geometry import apply_transforms, crop_transforms
from faceshape.vision.image import RGBImage
from scripts.detector import data as detection_data

__all__ = [
    "Trial",
    "accuracy_table",
    "false_alarm_sheet",
    "false_alarms_table",
    "rotation_table",
    "size_table",
    "wider_table",
]

_PRECISION = 0.97
_COARSE_IOU = 0.3
_USUAL = 24.0  # pixels; smaller faces are another matter
_SIZE_LIMITS = (0.0, 12.0, 24.0, 48.0, 96.0, np.inf)  # pixels
_TILE, _TILE_MARGIN, _TILE_COLUMNS = 128, 2.0, 10

# What WIDER FACE marks, forehead to chin, as the labels of the training data were converted.
_WIDER = BoxConvention((0.0, detection_data.SHIFT_DOWN), detection_data.EXTENT)


@dataclass(frozen=True)
class Trial:
    """A set of pictures and what each contender, by name, found in each of them."""

    pictures: TestSet
    found: Mapping[str, Sequence[Detections]]

    @classmethod
    def run(cls, contenders: Sequence[Contender], pictures: TestSet, label: str = "") -> "Trial":
        """Search every picture with every contender, down to its floor."""
        detectors = {each.name: open_detector(each, each.floor) for each in contenders}
        found: dict[str, list[Detections]] = {name: [] for name in detectors}
        for picture in tqdm(pictures.pictures, f"{pictures.name} {label}".strip(), disable=None):
            for name, detector in detectors.items():
                found[name].append(detector.detect(picture))
        return cls(pictures, found)

    def verdicts(self, name: str, iou: float = 0.5) -> Verdicts:
        """Judge what a contender found."""
        pictures, boxes = self.pictures, self.pictures.boxes
        faces, answers = [], []
        for i, each in enumerate(self.found[name]):
            rows = pictures.faces_of(i)
            answer = match(
                each.boxes,
                each.scores,
                boxes[rows],
                pictures.counted[rows],
                iou,
                pictures.unlabelled[i],
            )
            answers.append(np.where(answer >= 0, answer + rows.start, answer))
            faces.append(np.full(len(each), i))
        return Verdicts(
            scores=np.concatenate([each.scores for each in self.found[name]]),
            sizes=mean_side(np.concatenate([each.boxes for each in self.found[name]])),
            found=np.concatenate(answers),
            picture=np.concatenate(faces),
            face_sizes=np.sqrt(pictures.size.prod(axis=1, dtype=float)),
            counted=pictures.counted,
        )


def _curves(
    contenders: Sequence[Contender],
    trials: Sequence[Trial],
    iou: float = 0.5,
    smallest: float = 0.0,
) -> list[Curve]:
    """Return the curve of each contender over the faces of all the trials from a size on."""
    return [joined([t.verdicts(c.name, iou) for t in trials]).curve(smallest) for c in contenders]


def _sure_recalls(curves: Sequence[Curve]) -> list[float | str | None]:
    """Return the recalls, in %, at the threshold that gives `_PRECISION`."""
    return [100 * curve.recall_at_precision(_PRECISION) for curve in curves]


def _at_thresholds(contenders: Sequence[Contender], curves: Sequence[Curve]) -> list[list[float]]:
    """Return the precisions and the recalls, in %, with each contender's own threshold."""
    pairs = [curve.at(each.threshold) for each, curve in zip(contenders, curves, strict=True)]
    return [[100 * value for value in values] for values in zip(*pairs, strict=True)]


def accuracy_table(
    contenders: Sequence[Contender], exhaustive: Sequence[Trial], recall_only: Sequence[Trial]
) -> Table:
    """Return precision and recall on upright pictures.

    Args:
        contenders: the columns.
        exhaustive: trials on sets of which all faces are labelled.
        recall_only: trials on the others.
    """
    rows: list[tuple[str, list[float | str | None]]] = []
    for trial in exhaustive:
        name, curves = trial.pictures.name, _curves(contenders, [trial])
        precisions, recalls = _at_thresholds(contenders, curves)
        rows += [
            (f"{name}: AP, %", [100 * curve.average_precision() for curve in curves]),
            (f"{name}: precision, %", precisions),
            (f"{name}: recall, %", recalls),
            (f"{name}: recall at precision {_PRECISION:.0%}, %", _sure_recalls(curves)),
        ]
    curves = _curves(contenders, exhaustive)
    rows += [
        (f"{trial.pictures.name}: {name}", recalls)
        for trial in recall_only
        for name, recalls in _recalls(contenders, trial, curves)
    ]
    rows += _validation_rows(contenders, [*exhaustive[:1], *recall_only])
    counts = ", ".join(
        f"{t.pictures.name} {len(t.pictures)} ({t.pictures.counted.sum()})"
        for t in [*exhaustive, *recall_only]
    )
    used = ", ".join(f"{each.name} {each.threshold}" for each in contenders)
    note = (
        f"Pictures (labelled faces): {counts}; see benchmarks/detection/pictures.py. A face is "
        "found by a box of IoU 0.5 in the convention of the landmarks' extent, to which each "
        "peer's boxes are mapped. Precision and recall are with the score that each one is used "
        f"with: {used}. Portraits and faces cut out have one label each; their recall at "
        f"precision {_PRECISION:.0%} is with the threshold that gives it on the sets above. "
        "**The scenes' labels are SCRFD-2.5G's, so its smaller sister has an advantage there; ours "
        "was trained on composed pictures, though sharper-edged ones.**"
    )
    return Table("Upright pictures", note, [each.name for each in contenders], rows)


def rotation_table(
    contenders: Sequence[Contender],
    exhaustive: Sequence[Trial],
    recall_only: Sequence[Trial],
    seed: int = 0,
) -> Table:
    """Return precision and recall on turned pictures.

    Args:
        contenders: the columns.
        exhaustive: the trials on upright sets of which all faces are labelled.
        recall_only: the trials on the others.
        seed: of the random angles.
    """
    rng = np.random.default_rng(seed)
    rows: list[tuple[str, list[float | str | None]]] = []
    for turn in TURNS:
        trials, faces = exhaustive, recall_only
        if turn != "upright":
            trials, faces = (_turned(contenders, each, turn, rng) for each in (trials, faces))
        curves = _curves(contenders, trials)
        coarse = _curves(contenders, trials, _COARSE_IOU)
        usual = _curves(contenders, trials, smallest=_USUAL)
        rows += [
            (f"{turn}: AP, %", [100 * curve.average_precision() for curve in curves]),
            (f"{turn}: recall, %", _at_thresholds(contenders, curves)[1]),
            (
                f"{turn}: recall at IoU {_COARSE_IOU}, %",
                _at_thresholds(contenders, coarse)[1],
            ),
            (f"{turn}, from {_USUAL:.0f} px: recall, %", _at_thresholds(contenders, usual)[1]),
            (
                f"{turn}, from {_USUAL:.0f} px: recall at precision {_PRECISION:.0%}, %",
                _sure_recalls(usual),
            ),
        ]
        rows += [
            (f"{turn}, {trial.pictures.name}: {name}", recalls)
            for trial in faces
            for name, recalls in _recalls(contenders, trial, curves)
        ]
        together = _validation_rows(contenders, [*trials[:1], *faces])
        rows += [(f"{turn}, {name}", values) for name, values in together]
    names = [" and ".join(t.pictures.name for t in each) for each in (exhaustive, recall_only)]
    note = (
        f"The {names[0]} pictures, turned clockwise, and the recall on {names[1]}. The boxes of "
        "peers with keypoints are mapped along the roll that these tell; the third row of each "
        "turn asks for less overlap, because the boxes of the others suffer from the turn, too."
    )
    return Table("Turned pictures", note, [each.name for each in contenders], rows)


def _turned(
    contenders: Sequence[Contender], trials: Sequence[Trial], turn: str, rng: np.random.Generator
) -> list[Trial]:
    """Return the trials on the same sets with their pictures turned."""
    return [
        Trial.run(contenders, each.pictures.turned(TURNS[turn](rng, len(each.pictures))), turn)
        for each in trials
    ]


def _validation_rows(
    contenders: Sequence[Contender], trials: Sequence[Trial]
) -> list[tuple[str, list[float | str | None]]]:
    """Return rows on all faces of usual size in trials on natural pictures together."""
    curves = _curves(contenders, trials, smallest=_USUAL)
    precisions, recalls = _at_thresholds(contenders, curves)
    name = f"{', '.join(trial.pictures.name for trial in trials)}, from {_USUAL:.0f} px"
    return [
        (f"{name}: precision, %", [*precisions]),
        (f"{name}: recall, %", [*recalls]),
        (f"{name}: recall at precision {_PRECISION:.0%}, %", _sure_recalls(curves)),
    ]


def _recalls(
    contenders: Sequence[Contender], faces: Trial, curves: Sequence[Curve]
) -> list[tuple[str, list[float | str | None]]]:
    """Return two rows on a set that tells the recall alone.

    With the contenders' own thresholds, and with those that give `_PRECISION` on other sets.
    """
    own = _curves(contenders, [faces])
    sure = [curve.least_threshold(_PRECISION) for curve in curves]
    return [
        ("recall, %", [*_at_thresholds(contenders, own)[1]]),
        (
            f"recall at precision {_PRECISION:.0%}, %",
            [100 * curve.at(limit)[1] for curve, limit in zip(own, sure, strict=True)],
        ),
    ]


def size_table(contenders: Sequence[Contender], trials: Sequence[Trial]) -> Table:
    """Return average precision and recall by size, over upright sets with all faces labelled."""
    names = " and ".join(trial.pictures.name for trial in trials)
    note = (
        f"The upright {names} pictures by the geometric mean of the face's sides, brow to chin. "
        "False alarms count where their own size is."
    )
    return _by_size("By size", note, contenders, trials)


def wider_table(contenders: Sequence[Contender], pictures: TestSet) -> Table:
    """Return average precision and recall on WIDER FACE."""
    trial = Trial.run(contenders, pictures)
    wider = {
        name: [
            Detections(_WIDER.from_landmarks(d.boxes, d.roll), d.scores, d.roll) for d in detections
        ]
        for name, detections in trial.found.items()
    }
    note = (
        f"{len(pictures)} pictures, boxes as the list has them: every contender's are mapped from "
        "the landmarks' extent to forehead to chin. Faces that are invalid or below 6 pixels "
        "count neither way. Sizes are the geometric mean of the list's sides; these are not the "
        "set's subsets easy, medium and hard."
    )
    return _by_size("WIDER FACE", note, contenders, [Trial(pictures, wider)])


def _by_size(
    title: str, note: str, contenders: Sequence[Contender], trials: Sequence[Trial]
) -> Table:
    verdicts = [joined([t.verdicts(c.name) for t in trials]) for c in contenders]
    sizes, counted = verdicts[0].face_sizes, verdicts[0].counted
    rows: list[tuple[str, list[float | str | None]]] = []
    for low, high in [(0.0, np.inf), (_USUAL, np.inf), *pairwise(_SIZE_LIMITS)]:
        name = _stretch(low, high)
        count = str(int((counted & (sizes >= low) & (sizes < high)).sum()))
        curves = [each.curve(low, high) for each in verdicts]
        recalls = _at_thresholds(contenders, curves)[1]
        areas = [100 * curve.average_precision() for curve in curves]
        sure = _sure_recalls(curves)
        rows += [
            (f"{name}: AP, %", [count, *areas]),
            (f"{name}: recall, %", [count, *recalls]),
            (f"{name}: recall at precision {_PRECISION:.0%}, %", [count, *sure]),
        ]
    return Table(title, note, ["faces", *(each.name for each in contenders)], rows)


def _stretch(low: float, high: float) -> str:
    if low == 0:
        return "all sizes" if high == np.inf else f"below {high:.0f} px"
    return f"from {low:.0f} px" if high == np.inf else f"{low:.0f} to {high:.0f} px"


def false_alarms_table(
    contenders: Sequence[Contender],
    engines: Mapping[str, FaceShapeEngine],
    pictures: Sequence[RGBImage],
) -> Table:
    """Return how often something is found in pictures without a face.

    Args:
        contenders: detectors alone.
        engines: by the name of their detector; all of `analyze`.
        pictures: without a face.
    """
    rows = []
    for contender in contenders:
        detector = open_detector(contender, contender.threshold)
        scores = [detector.detect(picture).scores for picture in pictures]
        rows.append((contender.name, [int((s >= contender.threshold).sum()) for s in scores]))
    for name, engine in engines.items():
        for rotate in (False, True):
            label = f"analyze, detector {name}" + rotate * ", rotate"
            counts = [len(engine.analyze(picture, rotate=rotate)) for picture in pictures]
            rows.append((label, counts))
    note = (
        f"{len(pictures)} scenes in which the labelling detector saw nothing at all, down to a "
        "score of 0.3; never trained on. Detectors alone, with the score that they are used "
        "with, and all of `analyze`, whose presence score weeds out."
    )
    columns = ["false alarms in 100 pictures", "pictures with any, %"]
    return Table(
        "Pictures without a face",
        note,
        columns,
        [(name, [100 * np.mean(c), 100 * np.mean(np.array(c) > 0)]) for name, c in rows],
    )


def false_alarm_sheet(trials: Sequence[Trial], name: str, most: int = 60) -> RGBImage:
    """Return the surest false alarms of a contender, cut out: its box white, labelled ones green.

    Their scores are written on them.
    """
    tiles: list[tuple[float, RGBImage]] = []
    for trial in trials:
        verdicts = trial.verdicts(name)
        boxes = np.concatenate([each.boxes for each in trial.found[name]])
        for i in verdicts.false_alarms()[:most]:
            score = float(verdicts.scores[i])
            tiles.append((score, _tile(trial.pictures, verdicts.picture[i], boxes[i], score)))
    drawn = [tile for _, tile in sorted(tiles, key=lambda each: -each[0])[:most]]
    lines = max(1, -(-len(drawn) // _TILE_COLUMNS))
    drawn += [np.zeros((_TILE, _TILE, 3), np.uint8)] * (lines * _TILE_COLUMNS - len(drawn))
    grid = np.reshape(drawn, (lines, _TILE_COLUMNS, _TILE, _TILE, 3))
    return grid.swapaxes(1, 2).reshape(lines * _TILE, _TILE_COLUMNS * _TILE, 3)


def _tile(pictures: TestSet, number: int, box: NDArray[np.float32], score: float) -> RGBImage:
    transform = crop_transforms(box, 0.0, _TILE, _TILE_MARGIN)
    tile = warp_crop(pictures.pictures[int(number)], transform[0], _TILE)
    labelled = pictures.boxes[pictures.faces_of(int(number))]
    white, green = (255, 255, 255), (0, 255, 0)
    for corners, colour in [*((each, green) for each in labelled), (box, white)]:
        low, high = apply_transforms(transform, corners.reshape(1, 2, 2))[0].round().astype(int)
        cv2.rectangle(tile, low.tolist(), high.tolist(), colour, 1)
    cv2.putText(tile, f"{score:.2f}", (3, _TILE - 5), cv2.FONT_HERSHEY_SIMPLEX, 0.4, white, 1)
    return tile
