"""The command line: ``faceshape analyze · serve · models``."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

if TYPE_CHECKING:
    from faceshape.image import RGBImage
    from faceshape.types import FaceShape

__all__ = ["main"]

_EXIT_REFUSED = 1  # the answer is an error of the API; 2 is click's for a wrong command line


@click.group()
@click.version_option(package_name="faceshape")
def main() -> None:
    """AnalyzeFace on the device: 90 face landmarks, without a network."""


@main.command()
@click.argument("photo", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option(
    "--mode", type=click.Choice(["all", "largest"]), default="all", help="Which faces to answer."
)
@click.option("--rotate", is_flag=True, help="Look for faces turned by 90, 180 or 270 degrees too.")
@click.option(
    "--draw", type=click.Path(dir_okay=False, path_type=Path), help="Save an overlay PNG."
)
@click.option("--pretty", is_flag=True, help="Indent the JSON.")
@click.option(
    "--language", type=click.Choice(["zh-CN", "en-US"]), default="zh-CN", help="Of error messages."
)
@click.option("--detector", type=click.Choice(["auto", "dlib"]), default="auto", show_default=True)
@click.option("--threads", type=click.IntRange(min=1), help="At most so many; all cores if absent.")
def analyze(
    photo: str,
    mode: str,
    rotate: bool,
    draw: Path | None,
    pretty: bool,
    language: Literal["zh-CN", "en-US"],
    detector: Literal["auto", "dlib"],
    threads: int | None,
) -> None:
    """Print the AnalyzeFace response for PHOTO (- is standard input).

    Exits with 0, with 1 if the response is an error (no face, not a picture, too large, …).
    """
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
            _save_overlay(draw, pixels, faces)
    except FaceShapeError as error:
        response, refused = error_response(error, language), True
        click.echo(f"{photo}: {error}", err=True)
    click.echo(json.dumps(response, ensure_ascii=False, indent=2 if pretty else None))
    if refused:
        sys.exit(_EXIT_REFUSED)


def _save_overlay(path: Path, pixels: "RGBImage", faces: "Sequence[FaceShape]") -> None:
    from PIL import Image

    from faceshape.draw import overlay

    try:
        Image.fromarray(overlay(pixels, faces)).save(path, "PNG")
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


@main.command(
    add_help_option=False, context_settings={"ignore_unknown_options": True}, options_metavar=""
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def serve(arguments: tuple[str, ...]) -> None:
    """Answer Tencent's SDKs on a local port (serve --help)."""
    # The server's own options live beside it: they and it need the extra `server`.
    try:
        from faceshape.tencent.command import serve as command
    except ModuleNotFoundError as error:
        message = f"{error}; install it with: pip install 'faceshape[server]'"
        raise click.ClickException(message) from error
    command.main(list(arguments), prog_name="faceshape serve")
