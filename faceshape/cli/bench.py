"""``faceshape bench``: how fast it is on this machine."""

from pathlib import Path

import click

from faceshape.cli.console import put

__all__ = ["bench"]


@click.command()
@click.argument(
    "photo", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=False
)
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True)
@click.option("--faces", type=click.IntRange(min=1), default=100_000, show_default=True)
@click.option("--rounds", type=click.IntRange(min=1), default=30, show_default=True)
def bench(photo: Path | None, threads: int, faces: int, rounds: int) -> None:
    """Measure the resampler with up to so many faces in a batch, and the stages on a PHOTO.

    Milliseconds are medians (10th–90th percentile).
    """
    from faceshape.bench import resampler_times, spread, stage_times
    from faceshape.errors import FaceShapeError

    content = _read(photo) if photo else None
    try:
        put("faces in a batch, ms, faces/s, times a plain copy of the bytes")
        for batch in resampler_times(faces, min(rounds, 5)):
            rate, ratio = batch.faces_per_second, batch.times_a_copy
            put(f"{batch.faces:8}  {spread(batch.resample):28} {rate:10,.0f} {ratio:8.1f}")
        if content is not None:
            put(f"\nstage, ms with {threads} thread{'s' if threads > 1 else ''}")
            for stage, times in stage_times(content, threads, rounds).items():
                put(f"{stage:20} {spread(times)}")
    except FaceShapeError as error:
        raise click.ClickException(str(error)) from error


def _read(photo: Path) -> bytes:
    try:
        return photo.read_bytes()
    except OSError as error:
        raise click.BadParameter(f"cannot read {photo}: {error}", param_hint="PHOTO") from error
