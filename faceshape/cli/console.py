"""Standard streams that are closed, full or in another encoding than UTF-8, and how a command ends.

Whatever the streams are, a command ends with an exit code and, if it failed, with a line that says
why; never with a traceback about a stream, and never by writing into a file that happened to get
the number of a closed one.
"""

import codecs
import errno
import json
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from io import TextIOWrapper
from typing import Any, TextIO

import click

__all__ = ["CommandLine", "put", "say", "to_json"]

_FAILED = 1  # exit code; 2 is click's for a wrong command line


class CommandLine(click.Group):
    """A group of commands that ends in order on any standard streams."""

    def main(self, *args: Any, standalone_mode: bool = True, **extra: Any) -> Any:
        """Run the command that the arguments name, and end the process, unless not standalone."""
        in_click: Any = super().main  # whatever the release of click lets it take
        if not standalone_mode:
            return in_click(*args, standalone_mode=False, **extra)
        _open_closed_streams()
        _allow_every_character(sys.stdout)
        # Patterns are expanded by the command that takes them, on Windows as well.
        run = partial(in_click, *args, standalone_mode=False, windows_expand_args=False, **extra)
        code, reason = _outcome(run)
        unwritten = _settle(sys.stdout)
        if unwritten and code == 0:
            code, reason = _FAILED, _complaint(unwritten)
        if reason:
            say(reason)
        _settle(sys.stderr)
        sys.exit(code)


def _outcome(run: Callable[[], object]) -> tuple[int, str]:
    """Return the exit code of a command, and what is still to be said."""
    try:
        code = run()
    except click.ClickException as error:
        with suppress(OSError):
            error.show()
        return error.exit_code, ""
    except click.Abort:
        return _FAILED, "Aborted!"
    except SystemExit as error:
        code = error.code
    except OSError as error:
        return _FAILED, _complaint(error)
    return code if isinstance(code, int) else 0, ""


def _complaint(error: OSError) -> str:
    # Whoever read standard output through a pipe has enough: nothing to complain about.
    return "" if error.errno == errno.EPIPE else f"Error: {error}"


def put(text: str) -> None:
    """Write a line to standard output, at once.

    Raises:
        OSError: it cannot be written; the error names standard output.
    """
    try:
        click.echo(text)
    except OSError as error:
        raise _named(error) from error


def say(text: str) -> None:
    """Write a line to standard error; where that is impossible the answers still count."""
    with suppress(OSError):
        click.echo(text, err=True)


def to_json(value: object, indent: int | None = None) -> str:
    """Return JSON for standard output: nothing but ASCII where that is not UTF-8."""
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    return json.dumps(value, ensure_ascii=codecs.lookup(encoding).name != "utf-8", indent=indent)


def _open_closed_streams() -> None:
    """Give a stream that the caller closed something that fails, or for errors, takes all.

    Else the next file that is opened would get its number, and what libraries print into it.
    """
    for name, access, mode in (
        ("stdin", os.O_WRONLY, "r"),
        ("stdout", os.O_RDONLY, "w"),
        ("stderr", os.O_WRONLY, "w"),
    ):
        if getattr(sys, name) is None:
            number = os.open(os.devnull, access)  # the lowest that is free: that of the stream
            os.set_inheritable(number, True)  # worker processes need one as well
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


def _allow_every_character(stream: TextIO) -> None:
    if isinstance(stream, TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")


def _settle(stream: TextIO) -> OSError | None:
    """Write what a stream still holds; if it cannot be written, return why, and drop it."""
    try:
        stream.flush()
    except OSError as failed:
        # The interpreter would try again at its end, complain, and change the exit code.
        null = os.open(os.devnull, os.O_WRONLY)
        with suppress(OSError):
            os.dup2(null, stream.fileno())
        os.close(null)
        return _named(failed)
    return None


def _named(error: OSError) -> OSError:
    return OSError(error.errno, error.strerror, "standard output")
