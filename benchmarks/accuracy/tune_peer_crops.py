"""Choose the margins of the peers' crops on training faces: the constants of contenders.py.

``python -m benchmarks.accuracy.tune_peer_crops --data DIR --peers DIR --mediapipe-python PATH``
"""

from pathlib import Path

import click
import numpy as np

from benchmarks.accuracy.contenders import Contender, FaceMesh, PfldGhostOne
from benchmarks.accuracy.faces import LabelledFaces, load_split
from benchmarks.accuracy.measures import (
    as_ibug68,
    contour_errors,
    mean_over_found,
    missed,
    point_errors,
)
from faceshape.core.contract import interocular_distance

_MARGINS = {"pfld": (1.0, 1.1, 1.2, 1.3, 1.4), "mesh": (1.3, 1.6, 2.0, 2.5, 3.0)}


def describe(contender: Contender, faces: LabelledFaces) -> str:
    """Return the errors of a model on faces, some of which have 68-point labels."""
    points = contender.locate(faces.pictures, faces.boxes).points
    errors = point_errors(points, faces.points, interocular_distance(faces.points)).mean(axis=1)
    marked = np.flatnonzero(np.isfinite(faces.raw[:, 0, 0]))
    scale = np.linalg.norm(faces.raw[marked, 36] - faces.raw[marked, 45], axis=1)
    inner = point_errors(as_ibug68(points[marked]), faces.raw[marked], scale)[:, 17:]
    jaw = contour_errors(points[marked, :21], faces.raw[marked, :17], scale)
    return (
        f"NME {mean_over_found(errors):.2f}, not found {missed(errors):.1f} %, 68-point labels: "
        f"points {mean_over_found(inner):.2f}, jaw {mean_over_found(jaw):.2f}"
    )


@click.command()
@click.option("--data", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--peers", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--mediapipe-python", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--faces", "count", default=600, show_default=True, help="how many to look at")
def main(data: Path, peers: Path, mediapipe_python: Path, count: int) -> None:
    """Print each peer's errors on training faces for several margins."""
    faces = load_split(data / "faces", validation=False)
    trusted = np.flatnonzero(faces.weight > 0)
    # Half of them with the independent labels, which only a sixth of the faces have.
    rng = np.random.default_rng(0)
    marked = trusted[np.isfinite(faces.raw[trusted, 0, 0])]
    others = np.setdiff1d(trusted, marked)
    faces = faces.take(
        np.r_[rng.permutation(marked)[: count // 2], rng.permutation(others)[: count // 2]]
    )
    for margin in _MARGINS["pfld"]:
        print(f"PFLD-GhostOne {margin}: {describe(PfldGhostOne(peers, margin), faces)}")
    for margin in _MARGINS["mesh"]:
        print(f"FaceMesh {margin}: {describe(FaceMesh(mediapipe_python, margin), faces)}")


if __name__ == "__main__":
    main()
