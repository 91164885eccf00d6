"""The command line: ``faceshape analyze · fleet · track · serve · models · bench``."""

import os

import click

from faceshape.cli.analyze import analyze
from faceshape.cli.bench import bench
from faceshape.cli.fleet import fleet
from faceshape.cli.models import models
from faceshape.cli.serve import serve
from faceshape.cli.track import track

__all__ = ["main"]


@click.group()
@click.version_option(package_name="faceshape")
def main() -> None:
    """AnalyzeFace on the device: 90 face landmarks, without a network."""
    # All products of matrices are small here: OpenBLAS's threads would cost their start alone.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


for command in (analyze, fleet, track, serve, models, bench):
    main.add_command(command)
