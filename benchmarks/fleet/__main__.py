"""What a fleet costs: ``python -m benchmarks.fleet FOLDER...``, each with JPEGs of one size.

Prints what `faceshape analyze`, chunks on this machine and chunks on Ray cost on the pictures of
each folder, and what a billion of them would. Only on Linux, with the extra `ray`. Processor
seconds are right on a machine that is busy with other things, too.
"""

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import click
import cv2
import pyarrow as pa

from benchmarks.fleet.listing import listing_cost
from benchmarks.fleet.processes import Cost
from benchmarks.fleet.ways import ENGINES, analyze, analyze_agrees, fleet, read_answers
from benchmarks.result_table import Table
from faceshape.batch.pictures import find_pictures

_BILLION = 10**9
_CHUNK = 10_000  # the command's default


class _Measured(NamedTuple):
    """What a way cost for all pictures of a folder, and for one picture a worker."""

    name: str
    whole: Cost
    start: Cost
    same_points: bool


class _Folder(NamedTuple):
    size: str
    pictures: int
    ways: list[_Measured]
    answer_bytes: float
    plan_bytes: float


@click.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1))
@click.option("--paths", default=200_000, show_default=True, help="Of the folder that is listed.")
@click.option("--json", "saved", type=click.Path(path_type=Path), help="Also save the tables.")
def main(folders: tuple[Path, ...], workers: int, paths: int, saved: Path | None) -> None:
    """Print the tables."""
    tables, measured = [], []
    for folder in folders:
        with tempfile.TemporaryDirectory() as scratch:
            measured.append(_measure(folder, Path(scratch), workers))
        tables.append(_ways_table(measured[-1], workers))
        print(tables[-1].markdown(), flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        tables.append(_billion_table(measured, workers, *listing_cost(Path(scratch), paths)))
    print(tables[-1].markdown())
    if saved:
        saved.write_text(json.dumps([table.as_json() for table in tables], indent=1))


def _measure(folder: Path, scratch: Path, workers: int) -> _Folder:
    pictures = find_pictures([str(folder)]).paths
    first = pictures[:workers]
    cost, jsonl = analyze(pictures, scratch / "analyze", workers)
    start, _ = analyze(first, scratch / "analyze-start", workers)
    outs: list[Path] = []
    answers: list[pa.Table] = []
    ways = [_Measured("`analyze`", cost, start, True)]
    for engine in ENGINES:
        cost, out = fleet(engine, pictures, scratch / engine, workers)
        start, _ = fleet(engine, first, scratch / f"{engine}-start", workers)
        outs.append(out)
        answers.append(read_answers(out))
        same = analyze_agrees(jsonl, answers[-1]) and answers[-1].equals(answers[0])
        ways.append(_Measured(f"chunks, `--engine {engine}`", cost, start, same))
    height, width = cv2.imread(pictures[0]).shape[:2]
    return _Folder(
        f"{width} × {height}",
        len(pictures),
        ways,
        _bytes(outs[0] / "answers") / len(pictures),
        _bytes(outs[0] / "plan") / len(pictures),
    )


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


def _ms_a_picture(way: _Measured, pictures: int, workers: int) -> float:
    seconds = way.whole.processor_seconds - way.start.processor_seconds
    return 1000 * seconds / (pictures - workers)


def _ways_table(folder: _Folder, workers: int) -> Table:
    rows: Sequence[tuple[str, list[float | str | None]]] = [
        (
            way.name,
            [
                f"{way.whole.processor_seconds:.1f}",
                f"{way.start.processor_seconds:.1f}",
                f"{_ms_a_picture(way, folder.pictures, workers):.1f}",
                f"{way.whole.peak_mib:.0f}",
                "yes" if way.same_points else "NO",
            ],
        )
        for way in folder.ways
    ]
    note = (
        f"{folder.pictures} pictures of {folder.size}, {workers} workers; processor seconds are "
        "user and system time of all processes, Ray's included. The start is a run of one picture "
        "a worker. Memory is the sum of the resident sets, ten looks a second; it counts shared "
        f"pages in each process. {folder.answer_bytes:.0f} bytes a picture in the answer files, "
        f"{folder.plan_bytes:.0f} in the plan."
    )
    columns = ["processor s", "of these start", "ms a picture", "peak MiB", "the same points"]
    return Table(f"{folder.pictures} pictures of {folder.size}", note, columns, rows)


def _billion_table(
    folders: list[_Folder], workers: int, listed_bytes: float, listed_seconds: float
) -> Table:
    rows: list[tuple[str, list[float | str | None]]] = []
    for folder in folders:
        local = folder.ways[1]
        pictures_hours = _ms_a_picture(local, folder.pictures, workers) / 1000 * _BILLION / 3600
        starts_hours = local.start.processor_seconds / workers * _BILLION / _CHUNK / 3600
        rows.append(
            (
                folder.size,
                [
                    f"{pictures_hours + starts_hours:,.0f}",
                    f"{starts_hours:,.0f}",
                    f"{folder.answer_bytes * _BILLION / 1e9:,.0f}",
                    f"{folder.plan_bytes * _BILLION / 1e9:,.0f}",
                    f"{2 * _BILLION // _CHUNK + 1:,}",
                ],
            )
        )
    note = (
        "Extrapolated: the milliseconds a picture of the local chunks times a billion, and a start "
        f"for each chunk of {_CHUNK:,} pictures, as in an array job; the bytes a picture times a "
        f"billion. Listing one flat folder took {listed_bytes:.0f} bytes of memory and "
        f"{listed_seconds * 1e6:.0f} µs of processor time a path: for 100 million paths "
        f"{listed_bytes / 10:.0f} GB and {listed_seconds * 1e8 / 3600:.1f} hours."
    )
    columns = ["core-hours", "of these starts", "GB of answers", "GB of plan", "files"]
    return Table("A billion pictures", note, columns, rows)


if __name__ == "__main__":
    main()
