"""The benchmark of the detector: how many faces it finds, how many it invents, how fast, who else.

``python -m benchmarks.detection --data DIR --peers DIR`` prints tables in markdown. DIR of --data
has ``faces/`` and ``scenes/``; --peers has the ONNX files of YuNet, RFB-320 and SCRFD-500M. Without
--data and --peers there remains how fast our detectors are. ``--wider IMAGES --wider-list FILE``
measures on WIDER FACE.

All run on one thread. What the sets of pictures are: pictures.py; what the numbers are:
measures.py; where the peers' boxes lie on a face: calibrate_peer_boxes.py.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import click
import cv2
import numpy as np

from benchmarks.accuracy.contenders import EndToEnd, GivenBoxes
from benchmarks.accuracy.faces import load_split
from benchmarks.accuracy.tables import Comparison, main_table
from benchmarks.cores import use_one_core
from benchmarks.detection.contenders import (
    Contender,
    dlib_contenders,
    first_look_contenders,
    own_contenders,
    peer_contenders,
)
from benchmarks.detection.pictures import TestSet, load_test_sets, load_wider_list
from benchmarks.detection.speed import engine_speed_table, speed_table
from benchmarks.detection.staged import (
    close_ups,
    dimmed,
    groups,
    large_portraits,
    panoramas,
    plain_backdrops,
)
from benchmarks.detection.staged_tables import hard_table, largest_table, upside_down_table
from benchmarks.detection.tables import (
    Trial,
    accuracy_table,
    false_alarm_sheet,
    false_alarms_table,
    rotation_table,
    size_table,
    wider_table,
)
from benchmarks.result_table import Table
from faceshape import FaceShapeEngine
from faceshape.vision.networks import manifest
from scripts.detector.data import load_face_pictures, load_scenes

_SECTIONS = ("upright", "turned", "empty", "portraits", "groups", "hard", "landmarks", "speed")
_DIMMED = (0.2, 0.08)
_FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)
_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


def open_engines() -> dict[str, FaceShapeEngine]:
    """Return an engine with one thread for each detector that the package has a model of."""
    names = ("onnx", "dlib") if "detector" in manifest() else ("dlib",)
    return {name: FaceShapeEngine(detector=name, threads=1) for name in names}


def picture_tables(
    contenders: Sequence[Contender],
    sets: Sequence[TestSet],
    sections: Sequence[str],
    sheet: Path | None,
) -> Iterator[Table]:
    """Give the tables on upright and on turned pictures.

    Args:
        contenders: the columns.
        sets: those with all faces labelled first, two of them.
        sections: which tables.
        sheet: where the surest false alarms of the first contender are drawn.
    """
    upright = [Trial.run(contenders, each) for each in sets if len(each)]
    exhaustive, recall_only = upright[:2], upright[2:]
    if "upright" in sections:
        yield accuracy_table(contenders, exhaustive, recall_only)
        yield size_table(contenders, exhaustive)
    if sheet is not None:
        drawn = false_alarm_sheet(exhaustive, contenders[0].name)
        cv2.imwrite(str(sheet), cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR))
    if "turned" in sections:
        yield rotation_table(contenders, exhaustive, recall_only)


def staged_tables(
    contenders: Sequence[Contender],
    engines: Mapping[str, FaceShapeEngine],
    data: Path,
    sections: Sequence[str],
    sample: int | None,
) -> Iterator[Table]:
    """Give the tables on pictures that are hard in one respect; for the arguments see `main`."""
    faces, scenes = load_face_pictures(data / "faces"), load_scenes(data / "scenes")
    faces, scenes = faces.only(faces.validation), scenes.only(scenes.validation)
    portraits, backdrops = large_portraits(faces), plain_backdrops(scenes)
    if "portraits" in sections:
        yield upside_down_table(contenders, portraits.sample(sample))
    if "groups" in sections:
        yield largest_table(contenders, engines, groups(faces, backdrops).sample(sample))
    if "hard" in sections:
        plain = [panoramas(faces, backdrops), close_ups(faces), portraits]
        sets = [*plain, *(dimmed(portraits, factor) for factor in _DIMMED)]
        yield hard_table(contenders, [each.sample(sample) for each in sets])


def landmarks_table(engines: Mapping[str, FaceShapeEngine], data: Path, limit: int | None) -> Table:
    """Return what the crops that the detectors hand over cost the landmarks."""
    first, *_ = engines.values()
    models = [GivenBoxes(first)]
    models += [EndToEnd(engine, f"faceshape, {name}") for name, engine in engines.items()]
    everyone = Comparison.run(models, load_split(data / "faces", True).sample(limit))
    return main_table(everyone.take(np.flatnonzero(everyone.faces.weight > 0)), everyone)


def tables(
    contenders: Sequence[Contender],
    data: Path | None,
    wider: TestSet | None,
    sections: Sequence[str],
    sample: int | None,
    repetitions: int,
    sheet: Path | None,
) -> Iterator[Table]:
    """Give the tables of some sections, as far as there is data for them; see `main`."""
    engines = open_engines()
    if data is not None and {"upright", "turned", "empty"} & set(sections):
        sets = load_test_sets(data)
        if {"upright", "turned"} & set(sections):
            chosen = [each.sample(sample) for each in sets]
            yield from picture_tables(contenders, chosen, sections, sheet)
        if "empty" in sections:
            scenes = sets[0]
            empty = np.setdiff1d(np.arange(len(scenes)), scenes.picture)
            yield false_alarms_table(contenders, engines, scenes.take(empty).pictures)
    if data is not None and {"portraits", "groups", "hard"} & set(sections):
        yield from staged_tables(contenders, engines, data, sections, sample)
    if data is not None and "landmarks" in sections:
        yield landmarks_table(engines, data, sample)
    if "speed" in sections:
        yield speed_table([*contenders, *first_look_contenders()], repetitions)
        yield engine_speed_table(engines, repetitions)
    if wider is not None:
        yield wider_table(contenders, wider)


@click.command()
@click.option("--data", type=_FOLDER, help="has faces/ and scenes/")
@click.option("--peers", type=_FOLDER, help="has the peers' ONNX files")
@click.option("--wider", type=_FOLDER, help="WIDER FACE's pictures; needs --wider-list")
@click.option("--wider-list", type=_FILE, help="wider_face_val_bbx_gt.txt")
@click.option(
    "--section", "sections", type=click.Choice(_SECTIONS), multiple=True, help="some only"
)
@click.option("--contender", "names", multiple=True, help="some only, by the head of their column")
@click.option("--sample", type=click.IntRange(min=1), help="look at so many pictures of a set only")
@click.option("--repetitions", default=30, show_default=True, help="rounds of the timing")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="the tables, as JSON")
@click.option("--sheet", type=click.Path(path_type=Path), help="our surest false alarms, as PNG")
def main(
    data: Path | None,
    peers: Path | None,
    wider: Path | None,
    wider_list: Path | None,
    sections: tuple[str, ...],
    names: tuple[str, ...],
    sample: int | None,
    repetitions: int,
    json_file: Path | None,
    sheet: Path | None,
) -> None:
    """Print the detection benchmark's tables as markdown."""
    if (wider is None) != (wider_list is None):
        raise click.UsageError("--wider and --wider-list belong together")
    use_one_core()
    contenders = own_contenders() + dlib_contenders()
    if peers is None:
        click.echo("YuNet, RFB-320 and SCRFD-500M are left out: no --peers.\n")
    else:
        contenders += peer_contenders(peers)
    if unknown := set(names) - {each.name for each in contenders}:
        raise click.UsageError(f"no contender is called {', '.join(sorted(unknown))}")
    contenders = [each for each in contenders if not names or each.name in names]
    if data is None:
        click.echo("How exact they are is left out: no --data.\n")
    listed = None
    if wider is not None and wider_list is not None:
        listed = load_wider_list(wider_list, wider).sample(sample)
    printed = []
    chosen = sections or _SECTIONS
    for table in tables(contenders, data, listed, chosen, sample, repetitions, sheet):
        click.echo(table.markdown())
        printed.append(table.as_json())
    if json_file is not None:
        json_file.write_text(json.dumps(printed, indent=2, ensure_ascii=False), encoding="utf-8")


if __name__ == "__main__":
    main()
