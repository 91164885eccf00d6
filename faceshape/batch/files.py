"""What a batch reads and writes: lists of pictures in, JSONL and CSV out.

A line of JSONL is ``{"Path": ..., "Response": {...}}``, with ``"Detail"`` if there is an error,
in ASCII. Lines are in the order of the pictures, so a file that was cut anywhere is the beginning
of the whole, and can be continued.
"""

import csv
import glob
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from faceshape.batch.pool import BatchResult
from faceshape.errors import FaceShapeError

__all__ = [
    "PICTURE_SUFFIXES",
    "CsvTable",
    "ResultFileError",
    "find_pictures",
    "read_results",
    "recover_results",
    "to_line",
]

PICTURE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png")
"""What is taken for a picture in a folder, in upper or lower case."""


class ResultFileError(FaceShapeError):
    """A file is not one that an earlier run wrote."""


def find_pictures(source: str) -> list[str]:
    """Return the files that a source stands for, sorted.

    Args:
        source: a file; a folder, which stands for all the pictures in it and in the folders
            below, links to folders left out; or a pattern with ``*``, ``?``, ``[…]`` or ``**``.

    Raises:
        FileNotFoundError: there is no such file, and no file that fits the pattern.
        OSError: a folder cannot be read.
    """
    if Path(source).is_dir():
        return _pictures_below(source)
    if Path(source).exists():
        return [source]
    # pathlib's own glob takes relative patterns only, which one from a command line may not be.
    found = glob.glob(source, recursive=True)  # noqa: PTH207
    matches = [match for match in found if Path(match).is_file()]
    if not matches:
        raise FileNotFoundError(f"{source!r} does not exist, and no file fits it as a pattern")
    return sorted(matches)


def _pictures_below(folder: str) -> list[str]:
    def refuse(error: OSError) -> None:
        raise error

    pictures = [
        Path(parent, name)
        for parent, _, names in os.walk(folder, onerror=refuse)
        for name in names
        if name.lower().endswith(PICTURE_SUFFIXES)
    ]
    return [str(picture) for picture in sorted(pictures)]


def to_line(result: BatchResult) -> str:
    """Return a result as one line of JSON, without its end; nothing but ASCII."""
    detail = {"Detail": result.detail} if result.detail else {}
    return json.dumps({"Path": result.path, **detail, **result.response})


def read_results(path: Path) -> Iterator[BatchResult]:
    """Return the results in a JSONL file.

    Raises:
        ResultFileError: a line is not a result.
        OSError: the file cannot be read.
    """
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            yield _from_line(line, f"{path}, line {number}")


def recover_results(path: Path) -> set[str]:
    """Return the paths that a JSONL file answers, after cutting off a last line without an end.

    Such a line is what a run leaves behind that was killed while it wrote.

    Raises:
        ResultFileError: a line that has an end is not a result; nothing is cut then.
        OSError: the file cannot be read or written.
    """
    answered, end = set(), 0
    with path.open("rb+") as lines:
        for number, line in enumerate(lines, 1):
            if not line.endswith(b"\n"):
                lines.truncate(end)
                break
            answered.add(_from_line(line, f"{path}, line {number}").path)
            end += len(line)
    return answered


def _from_line(line: bytes, where: str) -> BatchResult:
    try:
        entry = json.loads(line)
        return BatchResult(
            entry["Path"], {"Response": dict(entry["Response"])}, entry.get("Detail", "")
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ResultFileError(f"{where} is not a result of faceshape analyze") from error


class CsvTable:
    """Faces as rows of CSV: Path, Face (from 0, the largest), then the 90 points in their order.

    A point has two columns, ``LeftEye_0_X`` and ``LeftEye_0_Y`` for example, in whole pixels as
    in the response. Pictures without a face have no row.
    """

    def __init__(self, file: TextIO) -> None:
        """Write the head; open the file with ``newline=""``."""
        from faceshape.core.contract import GROUPS  # loads numpy: when a table is asked for

        self._groups = tuple(GROUPS)
        points = [
            f"{group}_{member}"
            for group, rows in GROUPS.items()
            for member in range(rows.stop - rows.start)
        ]
        self._writer = csv.writer(file, lineterminator="\n")
        head = [f"{point}_{axis}" for point in points for axis in ("X", "Y")]
        self._writer.writerow(["Path", "Face", *head])

    def add(self, result: BatchResult) -> None:
        """Write the rows of one picture's faces."""
        for index, face in enumerate(result.faces):
            points = [point for group in self._groups for point in face[group]]
            places = [point[axis] for point in points for axis in ("X", "Y")]
            self._writer.writerow([result.path, index, *places])
