"""``faceshape models``: what comes with the package, and whether it is intact."""

import click

from faceshape.cli.console import put

__all__ = ["models"]


@click.command()
@click.option("--verify", is_flag=True, help="Check every file against its SHA-256.")
def models(verify: bool) -> None:
    """List the models that come with the package."""
    from faceshape.errors import FaceShapeError
    from faceshape.vision.networks import manifest, verified_bytes

    try:
        for name, entry in manifest().items():
            verdict = f"{len(verified_bytes(entry))} bytes, as the manifest says" if verify else ""
            put(f"{name}  {entry.path}  {entry.sha256[:12]}  {verdict}".rstrip())
    except FaceShapeError as error:
        raise click.ClickException(str(error)) from error
