"""The benchmark of the landmarks: how exact, how steady, how fast, beside the peers.

``python -m benchmarks.accuracy --human DIR --data DIR --peers DIR --mediapipe-python PATH --dlib68
FILE`` prints tables in markdown. --human comes first: faces that people labelled (see
`benchmarks.accuracy.human`). DIR of --data has ``faces/`` and ``scenes/``, whose labels are other
models' consensus; --peers has PFLD-GhostOne's ONNX file; PATH is the interpreter of a virtual
environment with ``mediapipe==0.10.21``; FILE is ``shape_predictor_68_face_landmarks.dat`` out of
the package ``face_recognition_models``. --pts and --wflw measure on other data sets.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import numpy as np

from benchmarks.accuracy.contenders import (
    Contender,
    Dlib68,
    EndToEnd,
    FaceMesh,
    GivenBoxes,
    PfldGhostOne,
)
from benchmarks.accuracy.faces import LabelledFaces, load_pts_folder, load_split, load_wflw_list
from benchmarks.accuracy.human import human_tables, load_human_sets
from benchmarks.accuracy.presence import presence_table
from benchmarks.accuracy.stability import stability_table
from benchmarks.accuracy.tables import (
    Comparison,
    ibug_table,
    kinds_table,
    main_table,
    robustness_table,
    wflw_table,
)
from benchmarks.cores import use_one_core
from benchmarks.result_table import Table
from faceshape import FaceShapeEngine
from faceshape.bench import spread

_STABILITY_FACES = 200
_ROBUSTNESS_FACES = 500
_FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)
_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


def open_contenders(
    peers: Path | None, mediapipe_python: Path | None, dlib68: Path | None
) -> list[Contender]:
    """Return ours, with given boxes and with its own detector, and the peers there are."""
    engine = FaceShapeEngine(threads=1)
    contenders: list[Contender] = [GivenBoxes(engine), EndToEnd(engine)]
    if peers is not None:
        contenders.append(PfldGhostOne(peers))
    if mediapipe_python is not None:
        contenders.append(FaceMesh(mediapipe_python))
    if dlib68 is not None:
        contenders.append(Dlib68(dlib68))
    return contenders


def validation_tables(
    contenders: Sequence[Contender], data: Path, limit: int | None
) -> Iterator[Table]:
    """Give every table that the validation split allows.

    Args:
        contenders: the models, in the order of the columns.
        data: has ``faces/`` and ``scenes/``.
        limit: how many faces to look at, None for all.
    """
    everyone = Comparison.run(contenders, load_split(data / "faces", True).sample(limit))
    trusted = everyone.take(np.flatnonzero(everyone.faces.weight > 0))
    yield main_table(trusted, everyone)
    if np.isfinite(trusted.faces.raw).any():  # a small --limit may leave none
        yield ibug_table(
            trusted,
            "Independent labels: 68 points",
            "The 68 points that came with some of the validation faces: coarse, with definitions "
            "of their own, but independent of every model here.",
        )
    yield kinds_table(trusted)
    given_boxes = [each for each in contenders if not isinstance(each, EndToEnd)]
    yield robustness_table(given_boxes, trusted.faces.sample(_ROBUSTNESS_FACES))
    yield stability_table(given_boxes, trusted.faces.sample(_STABILITY_FACES))
    yield presence_table(trusted.faces, data / "scenes")
    yield cost_table(contenders, trusted)


def cost_table(contenders: Sequence[Contender], comparison: Comparison) -> Table:
    """Return milliseconds per face and megabytes; the times are those of the comparison."""
    rows = []
    for contender in contenders:
        network = contender.network_milliseconds()
        whole = comparison.located[contender.name].milliseconds
        alone = None if network is None else spread(network)
        rows.append((contender.name, [contender.megabytes, alone, spread(whole)]))
    note = (
        "One face at a time on one core: median (10th–90th percentile). *Whole* is from the "
        "decoded picture to the 90 points: cropping, the network (ours looks more than once), "
        "resampling; with its own detector the search for the face, too. FaceMesh cannot be taken "
        "apart: it detects in its crop. dlib's detector has no file of its own."
    )
    return Table("Cost", note, ["megabytes", "network alone, ms", "whole, ms"], rows)


def pts_table(contenders: Sequence[Contender], faces: LabelledFaces) -> Table:
    """Return the published protocol's numbers on a folder of .pts files."""
    return ibug_table(Comparison.run(contenders, faces), "Folder of .pts files", "")


@click.command()
@click.option("--human", type=_FOLDER, help="SET.npz with people's labels, and layouts.json")
@click.option("--data", type=_FOLDER, help="has faces/ and scenes/: the validation split")
@click.option("--peers", type=_FOLDER, help="has PFLD-GhostOne's ONNX file")
@click.option("--mediapipe-python", type=_FILE, help="interpreter with mediapipe 0.10.21")
@click.option("--dlib68", type=_FILE, help="dlib's predictor of 68 points")
@click.option("--pts", type=_FOLDER, help="pictures with .pts files of 68 points beside them")
@click.option("--wflw", type=_FILE, help="a WFLW annotation list; needs --wflw-images")
@click.option("--wflw-images", type=_FOLDER, help="what the list's names are relative to")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="the tables, as JSON")
@click.option("--limit", type=click.IntRange(min=1), help="look at so many faces only")
def main(
    human: Path | None,
    data: Path | None,
    peers: Path | None,
    mediapipe_python: Path | None,
    dlib68: Path | None,
    pts: Path | None,
    wflw: Path | None,
    wflw_images: Path | None,
    json_file: Path | None,
    limit: int | None,
) -> None:
    """Print the landmark benchmark's tables as markdown."""
    if human is None and data is None and pts is None and wflw is None:
        raise click.UsageError("nothing to measure on: give --human, --data, --pts or --wflw")
    if (wflw is None) != (wflw_images is None):
        raise click.UsageError("--wflw and --wflw-images belong together")
    use_one_core()
    contenders = open_contenders(peers, mediapipe_python, dlib68)
    if peers is None:
        click.echo("PFLD-GhostOne is left out: no --peers.\n")
    if mediapipe_python is None:
        click.echo("FaceMesh is left out: no --mediapipe-python.\n")
    if dlib68 is None:
        click.echo("dlib's 68 points are left out: no --dlib68.\n")
    tables = []
    for table in _tables(contenders, human, data, pts, wflw, wflw_images, limit):
        click.echo(table.markdown())
        tables.append(table.as_json())
    if json_file is not None:
        json_file.write_text(json.dumps(tables, indent=2, ensure_ascii=False), encoding="utf-8")


def _tables(
    contenders: Sequence[Contender],
    human: Path | None,
    data: Path | None,
    pts: Path | None,
    wflw: Path | None,
    wflw_images: Path | None,
    limit: int | None,
) -> Iterator[Table]:
    if human is not None:
        yield from human_tables(contenders, load_human_sets(human))
    if data is not None:
        yield from validation_tables(contenders, data, limit)
    if pts is not None:
        yield pts_table(contenders, load_pts_folder(pts).sample(limit))
    if wflw is not None and wflw_images is not None:
        faces = load_wflw_list(wflw, wflw_images).sample(limit)
        yield wflw_table(Comparison.run(contenders, faces))


if __name__ == "__main__":
    main()
