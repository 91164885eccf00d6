"""Calibrate the confidence: ``python -m scripts.landmarks.calibrate --human DIR``.

The exact network says how far off it expects each point to be, before the close looks and in its
teachers' terms. A factor for each part of the face makes that the mean error on faces that people
labelled (`benchmarks.accuracy.human`). Writes the factors into ``models/manifest.json``.
"""

from dataclasses import replace
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from benchmarks.accuracy.human import PARTS, HumanSet, face_means, human_errors, load_human_sets
from faceshape.core.contract import GROUPS
from faceshape.vision.landmarker import DenseLandmarks, Landmarker
from faceshape.vision.networks import OnnxModel, model_entry
from faceshape.vision.pyramid import Pyramid
from scripts.labels.choose import GROUPS_OF_PART
from scripts.training.manifest import record


def uncalibrated_landmarker() -> Landmarker:
    """Return the shipped landmarker, its confidence as the network has it."""
    entry = model_entry("landmarks")
    facts = {**entry.facts, "confidence": dict.fromkeys(GROUPS, 1.0)}
    close_looks = [OnnxModel(model_entry(name), 1) for name in ("eyes", "mouth")]
    alignment = OnnxModel(model_entry("alignment"), 1)
    return Landmarker(alignment, OnnxModel(replace(entry, facts=facts), 1), *close_looks)


def expected_and_found(
    landmarker: Landmarker, faces: HumanSet
) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Return for each part the expected and the true mean errors (N,) of faces, in %."""
    located: list[DenseLandmarks] = [
        landmarker.locate(Pyramid(picture), box[None], [0.0])
        for picture, box in zip(faces.pictures, faces.boxes, strict=True)
    ]
    points = np.concatenate([each.points for each in located])
    confidence = np.concatenate([each.confidence for each in located])
    errors = human_errors(faces, points)
    found = {}
    for part, groups in GROUPS_OF_PART.items():
        expected = np.concatenate([confidence[:, GROUPS[group]] for group in groups], axis=1)
        found[part] = expected.mean(axis=1), face_means(errors, PARTS[part])
    return found


@click.command()
@click.option("--human", type=click.Path(path_type=Path, exists=True), required=True)
def main(human: Path) -> None:
    """Find the factors, print how well the confidence orders the faces, and write them down."""
    landmarker = uncalibrated_landmarker()
    sets = [expected_and_found(landmarker, faces) for faces in load_human_sets(human)]
    factors = {}
    for part, groups in GROUPS_OF_PART.items():
        pairs = [each[part] for each in sets if np.isfinite(each[part][1]).any()]
        means = [(expected.mean(), np.nanmean(true)) for expected, true in pairs]
        factor = float(np.mean([true for _, true in means]) / np.mean([e for e, _ in means]))
        factors |= {group: round(factor, 3) for group in groups}
        order = np.mean([spearmanr(*pair, nan_policy="omit").statistic for pair in pairs])
        click.echo(f"{part}: factor {factor:.2f}, rank correlation {order:.2f}")
    record("landmarks", model_entry("landmarks").path, {"confidence": factors})


if __name__ == "__main__":
    main()
