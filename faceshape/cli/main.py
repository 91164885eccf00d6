"""The command line: ``faceshape analyze · fleet · track · serve · models · bench · doctor``."""

import os
import sys
from importlib import import_module

import click

from faceshape import __version__
from faceshape.cli.console import CommandLine

__all__ = ["main"]

_COMMANDS = ("analyze", "fleet", "track", "serve", "models", "bench", "doctor")


class _Commands(CommandLine):
    """Each command is a module of its name, which is loaded when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"faceshape.cli.{cmd_name}"), cmd_name)
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """AnalyzeFace on the device: 90 face landmarks, without a network."""
    if getattr(sys, "frozen", False):  # a batch's workers are started with the program's own file
        import multiprocessing

        multiprocessing.freeze_support()
    # All products of matrices are small here: OpenBLAS's threads would cost their start alone.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
