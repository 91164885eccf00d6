"""What a command writes: never over what it reads, and never two things into one file."""

import os
import stat
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import click

__all__ = ["named", "refuse_overwriting", "written_anew"]

_Identity = tuple[int, int] | str


def refuse_overwriting(outputs: Mapping[str, Path | None], inputs: Iterable[str | Path]) -> None:
    """Check that all files are different ones, whatever links and spellings name them.

    Args:
        outputs: name of the option → file; None is standard output.
        inputs: what is read; "-" is standard input.

    Raises:
        click.UsageError: two outputs are one file, or an output is an input.
    """
    taken: dict[_Identity, str] = {}
    for option, path in outputs.items():
        status = _status(_number(sys.stdout) if path is None else path)
        if status is not None and stat.S_ISCHR(status.st_mode):
            continue  # a terminal, the null device
        identity = _identity(status, path)
        if identity in taken:
            raise click.UsageError(f"{option} and {taken[identity]} would write the same file")
        taken[identity] = option
    if not any(isinstance(identity, tuple) for identity in taken):
        return  # what is not there yet cannot be overwritten
    for source in inputs:
        status = _status(_number(sys.stdin) if source == "-" else source)
        # A socket may well be the one and the other, for who comes through ssh for example.
        if status is not None and stat.S_ISREG(status.st_mode):
            option = taken.get(_identity(status, None), "")
            if option:
                raise click.UsageError(f"{option} would overwrite {source}, which is read")


@contextmanager
def written_anew(path: Path) -> Iterator[BinaryIO]:
    """Give a file to write; it is emptied now, and removed if it is new and the work fails.

    Raises:
        OSError: it cannot be written.
    """
    is_new = not path.exists()
    file = path.open("wb")
    try:
        yield file
        with named(path):
            file.close()
    except BaseException:
        with suppress(OSError):  # what it still holds cannot be written either
            file.close()
        if is_new:
            with suppress(OSError):
                path.unlink()
        raise


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Put the name of a file into the errors of writing it, which do not say where."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def _number(stream: object) -> int | None:
    try:
        return stream.fileno()  # type: ignore[attr-defined,no-any-return]
    except (AttributeError, OSError, ValueError):
        return None  # not a file


def _status(file: str | Path | int | None) -> os.stat_result | None:
    """Return what is known of a file that is there, by its name or its number."""
    try:
        return None if file is None else os.stat(file)  # noqa: PTH116, of a number as well
    except (OSError, ValueError):
        return None


def _identity(status: os.stat_result | None, path: Path | None) -> _Identity:
    """Return what all the names of a file have in common."""
    if status is not None:
        return status.st_dev, status.st_ino
    # Some disks do not tell upper case from lower: better one name refused than a file lost.
    return os.path.realpath(path).casefold() if path is not None else "standard output"
