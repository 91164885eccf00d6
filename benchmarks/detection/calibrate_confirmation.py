"""Choose how score and presence decide together: ``confirmation`` of the detector's manifest entry.

``python -m benchmarks.detection.calibrate_confirmation --data DIR`` looks at the candidates in the
validation pictures, upright and turned, fits a logistic regression on the log-odds of score and
presence, and takes the least evidence at which the confirmed ones keep a precision. Run it after
the detector or the landmark networks have been trained anew.
"""

from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from tqdm import tqdm

from benchmarks.cores import use_one_core
from benchmarks.detection.measures import FALSE, Curve, match
from benchmarks.detection.pictures import TURNS, TestSet, load_test_sets
from faceshape.vision.confirmation import DOUBTFUL_PRESENCE, LEAST_PRESENCE, log_odds
from faceshape.vision.detector import OnnxDetector
from faceshape.vision.geometry import boxes_along_roll, ellipse_boxes
from faceshape.vision.landmarker import Landmarker
from faceshape.vision.light import lit
from faceshape.vision.networks import OnnxModel, model_entry
from faceshape.vision.pyramid import Pyramid
from scripts.training.manifest import record

_SETS = ("scenes", "composed", "portraits")
_LEAST_SIDE = 16.0  # pixels; what is smaller was not asked for
_FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)


def judged_candidates(
    detector: OnnxDetector, landmarker: Landmarker, pictures: TestSet
) -> Iterator[tuple[float, float, bool]]:
    """Give score, presence and whether it is a face of each candidate that counts."""
    boxes = pictures.boxes
    for i, picture in enumerate(tqdm(pictures.pictures, pictures.name, disable=None)):
        pyramid = Pyramid(lit(picture))
        found = detector.candidates(pyramid)
        located = landmarker.locate(pyramid, found.boxes, found.roll)
        upright = boxes_along_roll(located.dense, located.roll)
        low, high = upright[:, :2], upright[:, 2:]
        extents = ellipse_boxes((low + high) / 2, high - low, located.roll)
        rows = pictures.faces_of(i)
        answers = match(
            extents,
            found.scores * located.presence,
            boxes[rows],
            pictures.counted[rows],
            unlabelled=pictures.unlabelled[i],
        )
        large = np.sqrt((high - low).prod(axis=1)) >= _LEAST_SIDE
        for k in np.flatnonzero(large & ((answers >= 0) | (answers == FALSE))):
            yield float(found.scores[k]), float(located.presence[k]), bool(answers[k] >= 0)


def fitted_weights(odds: NDArray[np.float64], faces: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the weights (K,) of the logistic regression of what is a face on log-odds (N, K)."""
    sign = np.where(faces, 1.0, -1.0)

    def loss(parameters: NDArray[np.float64]) -> float:
        return float(np.logaddexp(0, -sign * (odds @ parameters[:-1] + parameters[-1])).mean())

    best: NDArray[np.float64] = minimize(loss, np.zeros(odds.shape[1] + 1)).x
    return best[:-1]


@click.command()
@click.option("--data", type=_FOLDER, required=True, help="has faces/ and scenes/")
@click.option("--precision", default=0.983, show_default=True, help="of the confirmed candidates")
@click.option("--sample", default=700, show_default=True, help="pictures of each set, at most")
def main(data: Path, precision: float, sample: int) -> None:
    """Write the numbers into the manifest and print what they do."""
    use_one_core()
    entry = model_entry("detector")
    detector = OnnxDetector(OnnxModel(entry, threads=1))
    landmarker = Landmarker.shipped(threads=1)
    rng = np.random.default_rng(0)
    rows: list[tuple[float, float, bool]] = []
    for each in load_test_sets(data):
        if each.name not in _SETS:
            continue
        for turn, count in (("upright", sample), ("any angle", sample // 2)):
            chosen = each.sample(count)
            turned = chosen.turned(TURNS[turn](rng, len(chosen)))
            rows += judged_candidates(detector, landmarker, turned)
    scores, presence, faces = (np.array(column) for column in zip(*rows, strict=True))
    odds = np.stack([log_odds(scores), log_odds(presence)], axis=1)
    weights = fitted_weights(odds, faces).round(2)
    present = presence >= DOUBTFUL_PRESENCE
    curve = Curve.of((odds @ weights)[present], faces[present], int(faces.sum()))
    least = round(curve.least_threshold(precision), 2)
    numbers = {
        "score_weight": float(weights[0]),
        "presence_weight": float(weights[1]),
        "least_evidence": least,
    }
    record("detector", entry.path, {"confirmation": numbers})
    alone = (presence >= LEAST_PRESENCE) & (scores >= entry.facts["threshold"])
    click.echo(f"{numbers}, of {len(rows)} candidates {faces.sum()} faces")
    for name, (sure, recall) in {
        "together": curve.at(least),
        f"score ≥ {entry.facts['threshold']} and presence ≥ {LEAST_PRESENCE}": (
            faces[alone].mean(),
            faces[alone].sum() / faces.sum(),
        ),
    }.items():
        click.echo(f"{name}: precision {100 * sure:.1f} %, recall {100 * recall:.1f} %")


if __name__ == "__main__":
    main()
