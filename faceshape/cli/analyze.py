"""``faceshape analyze``: the response for one photo, or for many."""

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Literal

import click

from faceshape.cli.one_photo import Overlay, Question, analyze_photo, is_one_photo

__all__ = ["analyze"]

_FILE = click.Path(dir_okay=False, path_type=Path)
_PICTURE_TIMEOUT = 60.0  # seconds


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
@click.option(
    "--cloud-limits",
    is_flag=True,
    help="Refuse what the cloud refuses: more than 4000 pixels a side, 5 MB as base64, ...",
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
    metavar="FILE",
    help="Many: also the pictures that this file names, one on a line, in UTF-8 or UTF-16; - is "
    "standard input.",
)
@click.option("--output", type=_FILE, help="Many: the JSONL file; standard output if absent.")
@click.option("--resume", is_flag=True, help="Many: continue the JSONL file if it is there.")
@click.option(
    "--resume-anyway",
    is_flag=True,
    help="Many: the same, also if it was begun with options that give other answers.",
)
@click.option("--csv", type=_FILE, help="Many: also save a table, a row for each face.")
@click.option("--contact-sheet", type=_FILE, help="Many: also save a PNG of at most 100 faces.")
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    help="Many: processes; as many as processors that may be used if absent.",
)
@click.option(
    "--picture-timeout",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Many: what takes longer is answered FailedOperation.RequestTimeout; "
    f"{_PICTURE_TIMEOUT:g} if absent.",
)
def analyze(
    sources: tuple[str, ...],
    mode: Literal["all", "largest"],
    rotate: bool,
    language: Literal["zh-CN", "en-US"],
    detector: Literal["auto", "onnx", "dlib"],
    cloud_limits: bool,
    draw: Path | None,
    indices: bool,
    pretty: bool,
    threads: int | None,
    listed: str | None,
    output: Path | None,
    resume: bool,
    resume_anyway: bool,
    csv: Path | None,
    contact_sheet: Path | None,
    workers: int | None,
    picture_timeout: float | None,
) -> None:
    """Print the AnalyzeFace response for one PHOTO (- is standard input), or for many.

    One photo: exits with 0, or with 1 if the response is an error (no face, not a picture, too
    large, ...).

    Many, which is a FOLDER with all that is below it, a quoted GLOB, several of these, or any of
    the options marked so: one line of JSON for each picture, in their order, {"Path": ...,
    "Response": {...}}, and a summary on standard error. Exits with 0 if every picture was
    answered, be it with an error, and with 1 if there is none. Beside --output a small file keeps
    the options that the answers depend on, for --resume.
    """
    if indices and draw is None:
        raise click.UsageError("--indices needs --draw")
    question = Question(mode, rotate, language, detector, cloud_limits)
    resumed = resume or resume_anyway
    many_only = (listed, output, resumed or None, csv, contact_sheet, workers, picture_timeout)
    if len(sources) == 1 and set(many_only) == {None} and is_one_photo(sources[0]):
        analyze_photo(
            sources[0], question, threads, Overlay(draw, indices) if draw else None, pretty
        )
        return
    if (draw, pretty, threads) != (None, False, None):
        raise click.UsageError("--draw, --pretty and --threads are for one photo")
    if resumed and output is None:
        raise click.UsageError("--resume needs the --output to continue")
    if not sources and listed is None:
        raise click.UsageError("give a photo, a folder, a pattern or --list")
    from faceshape.batch.pool import analyze_many
    from faceshape.cli.many_pictures import (
        Outputs,
        Resume,
        analyze_pictures,
        list_pictures,
    )
    from faceshape.mode import Mode
    from faceshape.processors import usable_processors

    analysis = partial(
        analyze_many,
        workers=workers or usable_processors(),
        mode=Mode[mode.upper()],
        rotate=rotate,
        detector=detector,
        language=language,
        cloud_limits=cloud_limits,
        picture_timeout=picture_timeout or _PICTURE_TIMEOUT,
    )
    how_to_resume: Resume = "any options" if resume_anyway else "same options" if resume else "no"
    outputs = Outputs(output, how_to_resume, csv, contact_sheet, asdict(question))
    named_by = [*sources, *([listed] if listed else [])]
    analyze_pictures(list_pictures(sources, listed), named_by, outputs, analysis)
