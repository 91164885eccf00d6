"""What becomes of the files of public suites of pictures: ``python -m benchmarks.decoding FOLDER``.

FOLDER is a checkout of PngSuite, of bmpsuite after its ``make``, or any other folder of pictures;
nothing is fetched. Of two suites it is known what is right: PngSuite's files whose names begin with
x are damaged and must be refused, its others be read; bmpsuite's in ``g/`` must be read. Each file
must give a picture or a typed error. The exit code is 1 if one does not do what it must.
"""

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np

from benchmarks.result_table import Table
from faceshape.errors import FaceShapeError
from faceshape.vision.image import load_image

SUFFIXES = {
    *(".avif", ".bmp", ".gif", ".heic", ".heif", ".jfif", ".jpe", ".jpeg", ".jpg", ".mpo", ".png"),
    *(".tif", ".tiff", ".webp"),
}


@dataclass(frozen=True)
class Outcome:
    """What became of a file.

    Attributes:
        path: relative to the suite's folder.
        answer: "read", "refused" or "untyped", the latter for an error that is none of ours.
        detail: the size, or the error.
        seconds: that it took.
        wanted: what the suite asks for; None if it says nothing.
    """

    path: Path
    answer: str
    detail: str
    seconds: float
    wanted: str | None

    @property
    def is_wrong(self) -> bool:
        """Whether the file did not do what it must."""
        return self.answer == "untyped" or self.wanted not in (None, self.answer)


def wanted_answer(path: Path) -> str | None:
    """Return what a suite asks for, by a file's path below the suite's folder."""
    folder = path.parent.name
    if path.suffix == ".bmp":
        return "read" if folder == "g" else None
    if path.suffix == ".png" and len(path.stem) == 8 and folder in ("", "png", "PngSuite"):
        return "refused" if path.stem.startswith("x") else "read"
    return None


def outcomes(folder: Path) -> Iterator[Outcome]:
    """Decode every picture below a folder, in the order of their paths."""
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in SUFFIXES or not path.is_file():
            continue
        start = time.perf_counter()
        try:
            height, width = load_image(path).shape[:2]
            answer, detail = "read", f"{width} × {height}"
        except FaceShapeError as error:
            answer, detail = "refused", f"{type(error).__name__}: {error}"
        except Exception as error:  # noqa: BLE001 - to be found is what this is for
            answer, detail = "untyped", repr(error)
        seconds = time.perf_counter() - start
        below = path.relative_to(folder)
        yield Outcome(below, answer, detail, seconds, wanted_answer(below))


def summary(found: list[Outcome]) -> Table:
    """Return how many files of each folder were read, refused, and not as they must be."""
    rows = []
    for folder in sorted({each.path.parent for each in found}):
        here = [each for each in found if each.path.parent == folder]
        answers = [sum(each.answer == answer for each in here) for answer in ANSWERS]
        wrong = sum(each.is_wrong for each in here)
        milliseconds = 1000 * float(np.max([each.seconds for each in here]))
        rows.append((str(folder), [str(n) for n in (*answers, wrong)] + [f"{milliseconds:.0f}"]))
    return Table(
        "Public suites",
        "Files by what became of them; *wrong*: not what the suite asks for.",
        [*ANSWERS, "wrong", "slowest, ms"],
        rows,
    )


ANSWERS = ("read", "refused", "untyped")


@click.command(help=__doc__)
@click.argument("folders", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--all", "show_all", is_flag=True, help="List each file, not only those refused.")
def main(folders: tuple[Path, ...], show_all: bool) -> None:
    """Print a line for each file that is not simply read, and a table for each suite."""
    wrong = False
    for folder in folders:
        found = list(outcomes(folder))
        for each in found:
            if show_all or each.answer != "read" or each.is_wrong:
                mark = "WRONG " if each.is_wrong else ""
                print(f"{mark}{each.path}: {each.answer}, {each.detail}")
        print(f"\n{summary(found).markdown()}")
        wrong = wrong or any(each.is_wrong for each in found)
    sys.exit(wrong)


if __name__ == "__main__":
    main()
