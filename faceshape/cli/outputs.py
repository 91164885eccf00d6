"""What a command writes: never over what it reads, and never two things into one file."""

import os
import stat
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import click

__all__ = ["refuse_overwriting", "written_anew"]

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
        identity = _identity(_number(sys.stdout) if path is None else path)
        if identity is None:
            continue
        if identity in taken:
            raise click.UsageError(f"{option} and {taken[identity]} would write the same file")
        taken[identity] = option
    if not any(isinstance(identity, tuple) for identity in taken):
        return  # what is not there yet cannot be overwritten
    for source in inputs:
        identity = _identity(_number(sys.stdin) if source == "-" else source)
        if identity is not None and identity in taken:
            raise click.UsageError(f"{taken[identity]} would overwrite {source}, which is read")


@contextmanager
def written_anew(path: Path) -> Iterator[BinaryIO]:
    """Give a file to write; it is emptied now, and removed if it is new and the work fails.

    Raises:
        OSError: it cannot be written.
    """
    is_new = not path.exists()
    try:
        with path.open("wb") as file:
            yield file
    except BaseException:
        if is_new:
            with suppress(OSError):
                path.unlink()
        raise


def _number(stream: object) -> int | None:
    try:
        return stream.fileno()  # type: ignore[attr-defined,no-any-return]
    except (AttributeError, OSError, ValueError):
        return None  # not a file


def _identity(file: str | Path | int | None) -> _Identity | None:
    """Return what all the names of a file have in common; None if nothing can be lost there."""
    if file is None:
        return None
    try:
        status = os.stat(file)  # noqa: PTH116, of a number as well
    except (OSError, ValueError):
        # Some disks do not tell upper case from lower: better one name refused than a file lost.
        return os.path.realpath(file).casefold() if not isinstance(file, int) else None
    if stat.S_ISCHR(status.st_mode):
        return None  # a terminal, the null device
    return status.st_dev, status.st_ino
