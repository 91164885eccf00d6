"""The command line: ``faceshape analyze · fleet · track · serve · models · bench · doctor``."""

import os
import sys

import click

from faceshape import __version__
from faceshape.cli.analyze import analyze
from faceshape.cli.bench import bench
from faceshape.cli.console import CommandLine
from faceshape.cli.doctor import doctor
from faceshape.cli.fleet import fleet
from faceshape.cli.models import models
from faceshape.cli.serve import serve
from faceshape.cli.track import track

__all__ = ["main"]


@click.group(cls=CommandLine, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """AnalyzeFace on the device: 90 face landmarks, without a network."""
    if getattr(sys, "frozen", False):  # a batch's workers are started with the program's own file
        import multiprocessing

        multiprocessing.freeze_support()
    # All products of matrices are small here: OpenBLAS's threads would cost their start alone.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


for command in (analyze, fleet, track, serve, models, bench, doctor):
    main.add_command(command)
