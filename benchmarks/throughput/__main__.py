"""How fast it is: ``python -m benchmarks.throughput``; every ratio is measured in one run.

Prints Markdown tables: the resampler, the regressor, the detectors, the stages and the whole, the
same pictures through others, and what a fresh process costs. --mediapipe-python is the interpreter
of an environment with ``mediapipe==0.10.21``, --peers has the files of YuNet and PFLD-GhostOne,
--dlib68 is dlib's predictor; without one what needs it is left out. --against prints one table
alone: this tree beside another revision of it.
"""

import json
import os
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy loads: no threads but those asked for
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import click

from benchmarks.cores import on_cores
from benchmarks.result_table import Table
from benchmarks.throughput.against import against_table
from benchmarks.throughput.batch import workers_table
from benchmarks.throughput.fresh_process import first_answer_table, installed_table, memory_table
from benchmarks.throughput.tables import (
    detector_table,
    peers_table,
    pipeline_table,
    regressor_table,
    resampler_table,
    stages_table,
)


class Others(NamedTuple):
    """Where the files of others are; None: not here.

    Attributes:
        mediapipe_python: an interpreter with MediaPipe.
        peers: the folder with the ONNX files of YuNet and PFLD-GhostOne.
        dlib68: dlib's predictor of 68 points.
    """

    mediapipe_python: Path | None
    peers: Path | None
    dlib68: Path | None


_FEW_ROUNDS = 5  # for what takes long
_RUNS = 3  # of a whole folder


def _sections(
    faces: int,
    pictures: int,
    rounds: int,
    others: Others,
    folder: Path,
) -> dict[str, Callable[[], Table]]:
    """Return what makes each table."""
    few = min(rounds, _FEW_ROUNDS)
    mediapipe = others.mediapipe_python
    environments = [] if mediapipe is None else [("mediapipe", mediapipe)]
    return {
        "resampler": _on_one_core(resampler_table, faces, few),
        "regressor": _on_one_core(regressor_table, rounds),
        "detector": _on_one_core(detector_table, rounds),
        "stages": _on_one_core(stages_table, rounds),
        "pipeline": partial(pipeline_table, rounds),
        "peers": _on_one_core(peers_table, *others, rounds),
        "workers": partial(workers_table, folder, pictures, min(rounds, _RUNS)),
        "start": partial(first_answer_table, folder, rounds),
        "memory": partial(memory_table, folder),
        "installed": partial(installed_table, environments),
    }


def _on_one_core(table: Callable[..., Table], *arguments: object) -> Callable[[], Table]:
    def measure() -> Table:
        with on_cores(1):
            return table(*arguments)

    return measure


_NAMES = tuple(_sections(1, 1, 1, Others(None, None, None), Path()))


@click.command()
@click.option("--faces", default=100_000, show_default=True, help="in the largest batch")
@click.option("--pictures", default=500, show_default=True, help="in the folder")
@click.option("--rounds", type=click.IntRange(min=1), default=30, show_default=True)
@click.option(
    "--section", "names", type=click.Choice(_NAMES), multiple=True, help="only this one; repeatable"
)
@click.option(
    "--mediapipe-python",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="interpreter with mediapipe 0.10.21",
)
@click.option(
    "--peers",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="folder with the ONNX files of YuNet and PFLD-GhostOne",
)
@click.option(
    "--dlib68",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="shape_predictor_68_face_landmarks.dat",
)
@click.option("--against", metavar="GIT_REV", help="compare with this revision, nothing else")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="the tables, as JSON")
def main(
    faces: int,
    pictures: int,
    rounds: int,
    names: Sequence[str],
    mediapipe_python: Path | None,
    peers: Path | None,
    dlib68: Path | None,
    against: str | None,
    json_file: Path | None,
) -> None:
    """Print all tables as markdown: medians (10th–90th percentile)."""
    tables = []
    with tempfile.TemporaryDirectory() as folder:
        if against is not None:
            makers = [_on_one_core(against_table, against, rounds)]
        else:
            others = Others(mediapipe_python, peers, dlib68)
            for name, path in zip(Others._fields, others, strict=True):
                if path is None:
                    click.echo(f"Left out is what needs --{name.replace('_', '-')}.\n")
            sections = _sections(faces, pictures, rounds, others, Path(folder))
            makers = [sections[name] for name in names or _NAMES]
        for make in makers:
            table = make()
            click.echo(table.markdown())
            tables.append(table.as_json())
    if json_file is not None:
        json_file.write_text(json.dumps(tables, indent=2, ensure_ascii=False), encoding="utf-8")


if __name__ == "__main__":
    main()
