"""``faceshape fleet``: plan a run over millions of pictures, run it, see how far it is."""

import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

import click

from faceshape.cli.console import put, say
from faceshape.errors import FaceShapeError
from faceshape.mode import Mode
from faceshape.processors import usable_processors

if TYPE_CHECKING:
    from faceshape.fleet.chunks import ChunkReport

__all__ = ["fleet"]


@click.group()
def fleet() -> None:
    """Analyse millions of pictures in chunks: on this machine, on Ray, Slurm or Kubernetes."""


@fleet.command()
@click.argument("source")
@click.argument("out")
@click.option("--chunk", default=10_000, show_default=True, type=click.IntRange(1))
@click.option("--mode", type=click.Choice(["all", "largest"]), default="all", show_default=True)
@click.option("--rotate", is_flag=True, help="Faces of any roll, not only about upright ones.")
@click.option("--cloud-json", is_flag=True, help="Also write AnalyzeFace's response, as text.")
@click.option("--picture-timeout", default=60.0, show_default=True, help="Seconds for a picture.")
@click.option("--picture-memory", default=2048, show_default=True, help="MiB for a picture.")
def plan(
    source: str,
    out: str,
    chunk: int,
    mode: str,
    rotate: bool,
    cloud_json: bool,
    picture_timeout: float,
    picture_memory: int,
) -> None:
    """List the pictures of SOURCE and write the chunks of a run to OUT.

    SOURCE is a folder, or an inventory: a Parquet file with a column path, or a text file with a
    path on each line. SOURCE and OUT may be local or s3://, gs:// and others.
    """
    with _errors_told():
        from faceshape import fleet as library

        settings = library.FleetSettings(
            mode=int(Mode[mode.upper()]),
            rotate=rotate,
            cloud_json=cloud_json,
            picture_seconds=picture_timeout,
            memory_mib=picture_memory,
        )
        run = library.plan(source, out, chunk, settings)
    put(f"{run.pictures} pictures in {run.chunks} chunks")


@fleet.command()
@click.argument("out")
@click.option("--engine", type=click.Choice(["local", "ray"]), default="local", show_default=True)
@click.option("--workers", type=click.IntRange(1), help="local: processes; all cores if absent.")
@click.option("--address", help="ray: the cluster's; this machine's or a new one if absent.")
@click.option(
    "--chunk-index", type=click.IntRange(0), help="Only this chunk: for the tasks of an array job."
)
@click.option(
    "--retry-errors",
    "retry",
    multiple=True,
    metavar="CODE",
    help="Analyse pictures with this error again, in chunks that are done, too.",
)
def run(
    out: str,
    engine: Literal["local", "ray"],
    workers: int | None,
    address: str | None,
    chunk_index: int | None,
    retry: tuple[str, ...],
) -> None:
    """Run the chunks of OUT that are not done. Run it again to go on after a stop."""
    with _errors_told():
        from faceshape import fleet as library

        wanted = range(library.read_run(out).chunks) if retry else library.pending(out)
        if chunk_index is not None:
            wanted = [chunk_index]
        if engine == "ray":
            reports = library.on_ray(out, wanted, address, retry)
        else:
            reports = library.on_local(out, wanted, workers or usable_processors(), retry)
        _show(reports, len(wanted))


@fleet.command()
@click.argument("out")
def status(out: str) -> None:
    """Print how far the run in OUT is: errors by code, rate, time left.

    Whoever runs the chunks, be they tasks of an array job. Exits with 1 if some are not done.
    """
    with _errors_told():
        from faceshape import fleet as library

        found = library.status(out)
    put(f"{found.done} of {found.run.chunks} chunks are done")
    put(f"{found.answered} of {found.run.pictures} pictures are answered")
    for line in _error_lines(found.errors):
        put(line)
    if found.rate is not None:
        put(f"{found.rate:.1f} pictures/s while it ran")
    if found.done == found.run.chunks:
        return
    if found.seconds_left is not None:
        put(f"{_duration(found.seconds_left)} left at this rate")
    sys.exit(1)


@contextmanager
def _errors_told() -> Iterator[None]:
    """Tell what went wrong in a line, an extra that is missing by its name."""
    try:
        yield
    except FaceShapeError as error:
        raise click.ClickException(str(error)) from error
    except ModuleNotFoundError as error:
        extra = "ray" if error.name == "ray" else "arrow"
        raise click.ClickException(f"{error}; pip install 'faceshape[{extra}]'") from error


def _show(reports: "Iterator[ChunkReport]", chunks: int) -> None:
    """Say a line for each chunk that is done, with the rate and the time that is left."""
    started, pictures, analyzed = time.monotonic(), 0, 0
    errors: Counter[str] = Counter()
    for number, report in enumerate(reports, 1):
        pictures += report.pictures
        analyzed += report.analyzed
        errors.update(report.errors)
        seconds = time.monotonic() - started
        left = seconds / number * (chunks - number)
        say(
            f"chunk {report.index}: {report.pictures} pictures, "
            f"{sum(report.errors.values())} errors; {number} of {chunks} chunks, "
            f"{analyzed / max(seconds, 1e-9):.1f} pictures/s, {_duration(left)} left"
        )
    put(f"{pictures} pictures, {analyzed} analysed now, {errors.total()} with an error")
    for line in _error_lines(errors):
        put(line)


def _error_lines(errors: Mapping[str, int]) -> list[str]:
    return [f"{count:8} {code}" for code, count in Counter(errors).most_common()]


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 2:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
