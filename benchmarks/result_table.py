"""What a benchmark prints: tables in markdown, the same as JSON."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Table:
    """A titled table.

    Attributes:
        title: its heading.
        note: what a reader must know before the numbers.
        columns: the heads of the columns behind the first one.
        rows: (name, values); a number is printed with two decimals, None as a dash.
    """

    title: str
    note: str
    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[float | str | None]]]

    def markdown(self) -> str:
        """Return heading, note and table as markdown."""
        head = ["", *self.columns]
        lines = [head, ["---", *["---:"] * len(self.columns)]]
        lines += [[name, *map(_cell, values)] for name, values in self.rows]
        table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
        return f"### {self.title}\n\n{self.note}\n\n{table}\n"

    def as_json(self) -> dict[str, Any]:
        """Return title, note and a mapping row → column → value."""
        rows = {
            name: dict(zip(self.columns, map(_plain, values), strict=True))
            for name, values in self.rows
        }
        return {"title": self.title, "note": self.note, "rows": rows}


def _plain(value: float | str | None) -> float | str | None:
    if value is None or isinstance(value, str):
        return value
    return None if value != value else round(float(value), 4)  # NaN is no JSON


def _cell(value: float | str | None) -> str:
    value = _plain(value)
    if value is None:
        return "–"
    return value if isinstance(value, str) else f"{value:.2f}"
