"""The answers of a batch as JSONL: written by one run at a time, and continued after a break.

A line is ``{"Path": ..., "Response": {...}}``, with ``"Detail"`` if there is an error, in ASCII.
Lines are in the order of the pictures, so a file that was cut anywhere is the beginning of the
whole, and can be continued. The options that the answers depend on are kept in a file beside it.
"""

import errno
import json
import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, Literal

from faceshape.batch.answer import BatchResult
from faceshape.errors import FaceShapeError

if TYPE_CHECKING:
    from faceshape.tencent.api import Response

__all__ = [
    "OtherOptionsError",
    "ResultFile",
    "ResultFileError",
    "options_path",
    "to_line",
]

Options = Mapping[str, str | bool]

# Far behind the end, because nobody else can read on Windows what is locked; C's `long` ends there.
_LOCKED_BYTE = 2**31 - 2
_HELD_BY_ANOTHER = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)

_logger = logging.getLogger(__name__)


class ResultFileError(FaceShapeError):
    """A file is not one that an earlier run wrote, or another run is writing it."""


class OtherOptionsError(ResultFileError):
    """The answers in a file were made with other options."""


def to_line(result: BatchResult) -> str:
    """Return a result as one line of JSON, without its end; nothing but ASCII."""
    detail = {"Detail": result.detail} if result.detail else {}
    head = json.dumps({"Path": result.path, **detail})
    return f"{head[:-1]}, {result.json[1:]}"  # two objects as one


def options_path(path: Path) -> Path:
    """Return where the options are kept that the answers in a JSONL file were made with."""
    return path.with_name(f"{path.name}.options.json")


class ResultFile:
    """A JSONL file that this run alone writes, until it is closed; use it in a ``with``.

    The hold ends with the process, however that ends. A new file in which nothing was written is
    removed.

    Attributes:
        answered: the paths that the file answered when it was opened.
    """

    def __init__(self, path: Path, mode: Literal["x+b", "a+b"]) -> None:
        """Open the file, as `create` and `resume` do, and hold it.

        Raises:
            FileExistsError: the mode is that for a new file, and it is there already.
            ResultFileError: another run holds it.
            OSError: it cannot be written.
        """
        self._path = Path(os.path.realpath(path))  # the options lie beside the file, not its links
        self._is_new = not self._path.exists()
        self._file: BinaryIO = self._path.open(mode)
        self.answered: frozenset[str] = frozenset()
        with self._closed_on_failure():
            _hold(self._file, self._path)

    @classmethod
    def create(cls, path: Path, options: Options) -> "ResultFile":
        """Begin a file.

        Args:
            path: where; there must be nothing yet.
            options: what the answers depend on.

        Raises:
            FileExistsError: it is there already.
            OSError: it cannot be written.
        """
        created = cls(path, "x+b")
        with created._closed_on_failure():
            created._keep(options)
        return created

    @classmethod
    def resume(cls, path: Path, options: Options, any_options: bool = False) -> "ResultFile":
        """Continue a file, or begin it if it is not there.

        A last line without an end is cut off: it is what a run leaves behind that was killed while
        it wrote.

        Args:
            path: where.
            options: what the answers depend on.
            any_options: whether the answers in it may depend on others.

        Raises:
            OtherOptionsError: they do, and may not.
            ResultFileError: another run writes it, or a line that has an end is not a result;
                nothing is changed then.
            OSError: it cannot be read or written.
        """
        resumed = cls(path, "a+b")
        with resumed._closed_on_failure():
            end, answered = resumed._survey()
            if answered and not any_options:
                _check_options(options_path(resumed._path), options)
            resumed._file.truncate(end)
            resumed._keep(options)
            resumed.answered = answered
        return resumed

    def earlier(self) -> Iterator[BatchResult]:
        """Return the results that are in the file; before anything is written."""
        self._file.seek(0)
        for line in self._file:
            yield BatchResult.of(*_parsed(line))

    def write(self, result: BatchResult) -> None:
        """Append a result.

        Raises:
            OSError: it cannot be written; the file can be continued.
        """
        try:
            self._file.write(to_line(result).encode("ascii") + b"\n")
            self._file.flush()  # whoever follows the file sees whole lines
        except OSError as error:  # these do not say where
            raise OSError(error.errno, error.strerror, str(self._path)) from error

    def close(self) -> None:
        """Let go of the file."""
        with suppress(OSError):  # of what `write` could not write; that was reported
            self._file.close()
        if self._is_new:
            with suppress(OSError):
                if self._path.stat().st_size == 0:
                    self._path.unlink()
                    options_path(self._path).unlink()

    def __enter__(self) -> "ResultFile":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @contextmanager
    def _closed_on_failure(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.close()
            raise

    def _survey(self) -> tuple[int, frozenset[str]]:
        """Return where the last whole line ends, and the paths that are answered."""
        answered, end = set(), 0
        self._file.seek(0)
        for number, line in enumerate(self._file, 1):
            if not line.endswith(b"\n"):
                break
            try:
                answered.add(_parsed(line)[0])
            except ResultFileError as error:
                raise ResultFileError(f"{self._path}, line {number} {error}") from error
            end += len(line)
        return end, frozenset(answered)

    def _keep(self, options: Options) -> None:
        content = json.dumps(dict(options), indent=2) + "\n"
        options_path(self._path).write_text(content, encoding="ascii")


def _hold(file: BinaryIO, path: Path) -> None:
    """Keep all others from holding a file until it is closed, be it by the end of this process."""
    try:
        if sys.platform == "win32":
            import msvcrt

            file.seek(_LOCKED_BYTE)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            file.seek(0)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _HELD_BY_ANOTHER:
            raise ResultFileError(f"another run is writing {path}") from error
        _logger.warning("%s is not protected from other runs: %s", path, error.strerror)


def _check_options(record: Path, options: Options) -> None:
    try:
        kept = json.loads(record.read_bytes())
        others = {name: kept[name] for name in options if kept.get(name) != options[name]}
    except FileNotFoundError:
        _logger.warning("%s is missing: the options are taken to be the same", record)
        return
    except (OSError, ValueError, TypeError, AttributeError, RecursionError, KeyError) as error:
        raise OtherOptionsError(f"{record} does not say which options it was made with") from error
    if others:
        words = ", ".join(f"{name} {value}" for name, value in others.items())
        raise OtherOptionsError(f"the answers in it were made with other options: {words}")


def _parsed(line: bytes) -> "tuple[str, Response, str]":
    """Return path, response and detail of a line."""
    try:
        entry = json.loads(line)
        path, body, detail = entry["Path"], entry["Response"], entry.get("Detail", "")
        if not (isinstance(path, str) and isinstance(detail, str)):
            raise TypeError("not text")
        if "Error" in body:
            if not isinstance(body["Error"]["Code"], str) or "FaceShapeSet" in body:
                raise TypeError("not an error alone")
        elif not _are_faces(body["FaceShapeSet"]):
            raise TypeError("neither an error nor faces")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ResultFileError("is not a result of faceshape analyze") from error
    return path, {"Response": body}, detail


def _are_faces(faces: object) -> bool:
    """Say whether something is what FaceShapeSet should be: everything that is written of it."""
    from faceshape.core.contract import GROUPS  # loads numpy: when a run is continued

    return (
        isinstance(faces, list)
        and len(faces) > 0
        and all(
            len(face[group]) == rows.stop - rows.start
            and all(_is_pixel(point["X"]) and _is_pixel(point["Y"]) for point in face[group])
            for face in faces
            for group, rows in GROUPS.items()
        )
    )


def _is_pixel(value: object) -> bool:
    return type(value) is int and abs(value) < 2**31
