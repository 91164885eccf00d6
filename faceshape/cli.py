"""The command line: ``faceshape analyze · track · serve · models · bench``."""

import json
import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TextIO

import click

from faceshape.tencent.command import serve
from faceshape.track_command import track

if TYPE_CHECKING:
    from faceshape.image import RGBImage
    from faceshape.types import FaceShape

__all__ = ["main"]

_FILE = click.Path(dir_okay=False, path_type=Path)
_EXIT_REFUSED = 1  # the answer is an error of the API; 2 is click's for a wrong command line


@click.group()
@click.version_option(package_name="faceshape")
def main() -> None:
    """AnalyzeFace on the device: 90 face landmarks, without a network."""
    # All products of matrices are small here: OpenBLAS's threads would cost their start alone.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


@main.command()
@click.argument("sources", metavar="[PHOTO|FOLDER|GLOB]...", nargs=-1)
@click.option(
    "--mode", type=click.Choice(["all", "largest"]), default="all", help="Which faces to answer."
)
@click.option("--rotate", is_flag=True, help="Faces of any roll, not only about upright ones.")
@click.option(
    "--language", type=click.Choice(["zh-CN", "en-US"]), default="zh-CN", help="Of error messages."
)
@click.option(
    "--detector", type=click.Choice(["auto", "onnx", "dlib"]), default="auto", show_default=True
)
@click.option("--draw", type=_FILE, help="One photo: save an overlay PNG.")
@click.option("--indices", is_flag=True, help="With --draw: number the points of each group.")
@click.option("--pretty", is_flag=True, help="One photo: indent the JSON.")
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    help="One photo: at most so many; all cores if absent.",
)
@click.option(
    "--list",
    "listed",
    type=click.File(encoding="utf-8", errors="surrogateescape"),
    help="Many: also the pictures that this file names, one on a line; - is standard input.",
)
@click.option("--output", type=_FILE, help="Many: the JSONL file; standard output if absent.")
@click.option("--resume", is_flag=True, help="Many: continue the JSONL file if it is there.")
@click.option("--csv", type=_FILE, help="Many: also save a table, a row for each face.")
@click.option("--contact-sheet", type=_FILE, help="Many: also save a PNG of at most 100 faces.")
@click.option(
    "--workers", type=click.IntRange(min=1), help="Many: processes; as many as cores if absent."
)
def analyze(
    sources: tuple[str, ...],
    mode: str,
    rotate: bool,
    language: Literal["zh-CN", "en-US"],
    detector: Literal["auto", "onnx", "dlib"],
    draw: Path | None,
    indices: bool,
    pretty: bool,
    threads: int | None,
    listed: TextIO | None,
    output: Path | None,
    resume: bool,
    csv: Path | None,
    contact_sheet: Path | None,
    workers: int | None,
) -> None:
    """Print the AnalyzeFace response for one PHOTO (- is standard input), or for many.

    One photo: exits with 0, or with 1 if the response is an error (no face, not a picture, too
    large, ...).

    Many, which is a FOLDER with all that is below it, a quoted GLOB, several of these, or any of
    the options marked so: one line of JSON for each picture, in their order, {"Path": ...,
    "Response": {...}}, and a summary on standard error. Exits with 0 if every picture was
    answered, be it with an error.
    """
    if indices and draw is None:
        raise click.UsageError("--indices needs --draw")
    many_only = (listed, output, resume or None, csv, contact_sheet, workers)
    if len(sources) == 1 and many_only == (None,) * 6 and _is_one_photo(sources[0]):
        _analyze_photo(sources[0], mode, rotate, language, detector, draw, indices, pretty, threads)
        return
    if (draw, pretty, threads) != (None, False, None):
        raise click.UsageError("--draw, --pretty and --threads are for one photo")
    if resume and output is None:
        raise click.UsageError("--resume needs the --output to continue")
    if not sources and listed is None:
        raise click.UsageError("give a photo, a folder, a pattern or --list")
    from faceshape.batch import analyze_many
    from faceshape.batch_command import Outputs, analyze_pictures, list_pictures, usable_cores
    from faceshape.mode import Mode

    analysis = partial(
        analyze_many,
        workers=workers or usable_cores(),
        mode=Mode[mode.upper()],
        rotate=rotate,
        detector=detector,
        language=language,
    )
    outputs = Outputs(output, resume, csv, contact_sheet)
    analyze_pictures(list_pictures(sources, listed), outputs, analysis)


def _is_one_photo(source: str) -> bool:
    path = Path(source)
    return source == "-" or (path.exists() and not path.is_dir())


def _analyze_photo(
    photo: str,
    mode: str,
    rotate: bool,
    language: Literal["zh-CN", "en-US"],
    detector: Literal["auto", "onnx", "dlib"],
    draw: Path | None,
    indices: bool,
    pretty: bool,
    threads: int | None,
) -> None:
    from faceshape.engine import FaceShapeEngine
    from faceshape.errors import FaceShapeError
    from faceshape.image import DOCUMENT_LIMITS, load_image
    from faceshape.tencent.api import error_response, face_response
    from faceshape.types import Mode

    try:
        source = sys.stdin.buffer.read() if photo == "-" else photo
        pixels = load_image(source, DOCUMENT_LIMITS)
        faces = FaceShapeEngine(detector, threads).analyze(pixels, Mode[mode.upper()], rotate)
        response, refused = face_response(faces, pixels.shape[:2]), False
        if draw:
            _save_overlay(draw, pixels, faces, indices)
    except FaceShapeError as error:
        response, refused = error_response(error, language), True
        click.echo(f"{photo}: {error}", err=True)
    except OSError as error:
        raise click.BadParameter(f"cannot read {photo}: {error}", param_hint="PHOTO") from error
    click.echo(json.dumps(response, ensure_ascii=False, indent=2 if pretty else None))
    if refused:
        sys.exit(_EXIT_REFUSED)


def _save_overlay(
    path: Path, pixels: "RGBImage", faces: "Sequence[FaceShape]", indices: bool
) -> None:
    from PIL import Image

    from faceshape.draw import overlay

    try:
        Image.fromarray(overlay(pixels, faces, indices)).save(path, "PNG")
    except OSError as error:
        raise click.ClickException(f"cannot write {path}: {error}") from error


@main.command()
@click.option("--verify", is_flag=True, help="Check every file against its SHA-256.")
def models(verify: bool) -> None:
    """List the models that come with the package."""
    from faceshape.errors import FaceShapeError
    from faceshape.models import manifest, verified_bytes

    try:
        for name, entry in manifest().items():
            verdict = f"{len(verified_bytes(entry))} bytes, as the manifest says" if verify else ""
            click.echo(f"{name}  {entry.path}  {entry.sha256[:12]}  {verdict}".rstrip())
    except FaceShapeError as error:
        raise click.ClickException(str(error)) from error


@main.command()
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

    try:
        click.echo("faces in a batch, ms, faces/s, times a plain copy of the bytes")
        for batch in resampler_times(faces, min(rounds, 5)):
            rate, ratio = batch.faces_per_second, batch.times_a_copy
            click.echo(f"{batch.faces:8}  {spread(batch.resample):28} {rate:10,.0f} {ratio:8.1f}")
        if photo is not None:
            click.echo(f"\nstage, ms with {threads} thread{'s' if threads > 1 else ''}")
            for stage, times in stage_times(photo.read_bytes(), threads, rounds).items():
                click.echo(f"{stage:20} {spread(times)}")
    except FaceShapeError as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.BadParameter(f"cannot read {photo}: {error}", param_hint="PHOTO") from error


main.add_command(serve)
main.add_command(track)
