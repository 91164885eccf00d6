"""``faceshape analyze`` for many pictures: which, where the answers go, what is said meanwhile."""

import errno
import sys
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TextIO

import click

from faceshape.batch.files import (
    CsvTable,
    find_pictures,
    read_results,
    recover_results,
    to_line,
)
from faceshape.batch.pool import BatchResult
from faceshape.errors import FaceShapeError

__all__ = ["Outputs", "analyze_pictures", "list_pictures"]

Analysis = Callable[[list[str]], Generator[BatchResult, None, None]]


@dataclass(frozen=True, slots=True)
class Outputs:
    """Where the answers go.

    Attributes:
        jsonl: the file; None is standard output.
        resume: whether the file is continued.
        csv: a table of the faces, beside.
        contact_sheet: a picture of the faces, beside.
    """

    jsonl: Path | None
    resume: bool
    csv: Path | None
    contact_sheet: Path | None


def list_pictures(sources: tuple[str, ...], listed: TextIO | None) -> list[str]:
    """Return the pictures that the sources and the lines of a list name, each path once.

    Raises:
        click.BadParameter: a source is not there.
        click.ClickException: a folder or the list cannot be read.
    """
    pictures: list[str] = []
    try:
        for source in sources:
            pictures += find_pictures(source)
        if listed is not None:
            pictures += [name for line in listed if (name := line.strip("\r\n"))]
    except FileNotFoundError as error:
        raise click.BadParameter(str(error), param_hint="PHOTO") from error
    except (OSError, UnicodeError) as error:
        raise click.ClickException(str(error)) from error
    return list(dict.fromkeys(pictures))


def analyze_pictures(pictures: list[str], outputs: Outputs, analysis: Analysis) -> None:
    """Write the answers for all pictures; the progress and a summary go to standard error.

    Args:
        pictures: paths, each once.
        outputs: where to.
        analysis: starts the analysis of those pictures that are not answered yet.

    Raises:
        click.ClickException: a file cannot be read or written, is there already or is not what it
            should be; or no worker could start.
    """
    try:
        _analyze_pictures(pictures, outputs, analysis)
    except FaceShapeError as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        if error.errno == errno.EPIPE:  # whoever read standard output has enough
            raise
        raise click.ClickException(str(error)) from error


def _analyze_pictures(pictures: list[str], outputs: Outputs, analysis: Analysis) -> None:
    answered = _answered_before(outputs)
    waiting = [picture for picture in pictures if picture not in answered]
    tally = _Tally(before=len(answered))
    with ExitStack() as stack:
        jsonl = stack.enter_context(_open_jsonl(outputs))
        takers: list[Callable[[BatchResult], None]] = [tally.add]
        if outputs.csv:
            takers.append(CsvTable(stack.enter_context(_open_csv(outputs.csv))).add)
        if outputs.contact_sheet:
            takers.append(stack.enter_context(_contact_sheet(outputs.contact_sheet)))
        # What is derived from the answers is made anew from all of them, also in a resumed run.
        before = read_results(outputs.jsonl) if answered and outputs.jsonl else iter(())
        results = stack.enter_context(closing(analysis(waiting)))
        progress = stack.enter_context(_progress(len(waiting), outputs))
        for result in chain(before, _written(results, jsonl, progress)):
            for take in takers:
                take(result)
    click.echo(tally.summary(), err=True)


def _answered_before(outputs: Outputs) -> set[str]:
    if outputs.jsonl is None or not outputs.jsonl.is_file():  # there is nothing in a pipe
        return set()
    if not outputs.resume:
        raise click.ClickException(
            f"{outputs.jsonl} is there already: continue it with --resume, or remove it"
        )
    return recover_results(outputs.jsonl)


@contextmanager
def _open_jsonl(outputs: Outputs) -> Iterator[TextIO]:
    if outputs.jsonl is None:
        yield sys.stdout
    else:
        with outputs.jsonl.open("a", encoding="ascii", newline="\n") as file:
            yield file


def _open_csv(path: Path) -> TextIO:
    # File names that are no text get the bytes back that they have on the disk.
    return path.open("w", encoding="utf-8", errors="surrogateescape", newline="")


@contextmanager
def _contact_sheet(path: Path) -> Iterator[Callable[[BatchResult], None]]:
    from PIL import Image

    from faceshape.batch.contact_sheet import ContactSheet  # loads OpenCV: only when asked for

    sheet = ContactSheet()
    with path.open("wb") as file:  # now, not after hours: it may be impossible
        yield lambda result: sheet.add(result.path, result.faces)
        Image.fromarray(sheet.render()).save(file, "PNG")


@contextmanager
def _progress(total: int, outputs: Outputs) -> Iterator[Callable[[], object]]:
    """Give what is to be called after each picture."""
    # Only on a terminal. There it would be torn apart by answers on the same terminal.
    if not sys.stderr.isatty() or (outputs.jsonl is None and sys.stdout.isatty()):
        yield lambda: None
        return
    from tqdm import tqdm  # loads slowly: only where it is seen

    with tqdm(total=total, unit="picture", file=sys.stderr) as bar:
        yield bar.update


def _written(
    results: Iterable[BatchResult], jsonl: TextIO, progress: Callable[[], object]
) -> Iterator[BatchResult]:
    for result in results:
        jsonl.write(to_line(result) + "\n")
        jsonl.flush()  # whoever follows the file sees whole lines
        progress()
        yield result


@dataclass(slots=True)
class _Tally:
    before: int
    started: float = field(default_factory=time.perf_counter)
    pictures: int = 0
    faces: int = 0
    errors: Counter[str] = field(default_factory=Counter)

    def add(self, result: BatchResult) -> None:
        self.pictures += 1
        self.faces += len(result.faces)
        if result.error:
            self.errors[result.error] += 1

    def summary(self) -> str:
        seconds = time.perf_counter() - self.started
        rate = (self.pictures - self.before) / seconds
        earlier = f" ({self.before} from before)" if self.before else ""
        head = f"pictures {self.pictures}{earlier}, faces {self.faces}, {rate:.1f} pictures/s"
        return "\n".join([head, *(f"{n:8} {code}" for code, n in self.errors.most_common())])
