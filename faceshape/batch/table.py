"""Faces as a table of CSV."""

import csv
from typing import TextIO

from faceshape.batch.answer import BatchResult

__all__ = ["CsvTable"]


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
