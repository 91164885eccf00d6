"""``faceshape analyze``: the response for one photo, or for many."""

import json
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TextIO

import click

if TYPE_CHECKING:
    from faceshape.types import FaceShape
    from faceshape.vision.image import RGBImage

__all__ = ["analyze"]

_FILE = click.Path(dir_okay=False, path_type=Path)
_EXIT_REFUSED = 1  # the answer is an error of the API; 2 is click's for a wrong command line


@click.command()
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
    help="One photo: at most so many; all that may be used if absent.",
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
    "--workers",
    type=click.IntRange(min=1),
    help="Many: processes; as many as processors that may be used if absent.",
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
    from faceshape.batch.pool import analyze_many
    from faceshape.cli.many_pictures import Outputs, analyze_pictures, list_pictures
    from faceshape.mode import Mode
    from faceshape.processors import usable_processors

    analysis = partial(
        analyze_many,
        workers=workers or usable_processors(),
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
    import cv2

    from faceshape.engine import FaceShapeEngine
    from faceshape.errors import FaceShapeError
    from faceshape.processors import usable_processors
    from faceshape.tencent.api import error_response, face_response
    from faceshape.tencent.limits import DOCUMENT_LIMITS
    from faceshape.types import Mode
    from faceshape.vision.image import load_image

    threads = threads or usable_processors()
    cv2.setNumThreads(threads)  # for the whole process, which is ours
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
