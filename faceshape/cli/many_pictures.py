"""``faceshape analyze`` for many pictures: which, where the answers go, what is said meanwhile."""

import errno
import sys
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from io import RawIOBase, TextIOWrapper
from itertools import chain
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

import click

from faceshape.batch.answer import BatchResult
from faceshape.batch.pictures import Pictures, find_pictures, parse_list
from faceshape.batch.results import (
    OtherOptionsError,
    ResultFile,
    ResultFileError,
    options_path,
    to_line,
)
from faceshape.batch.table import CsvTable
from faceshape.cli.console import put, say
from faceshape.cli.outputs import named, refuse_overwriting, written_anew
from faceshape.errors import FaceShapeError

__all__ = ["Outputs", "Resume", "analyze_pictures", "list_pictures"]

Analysis = Callable[[list[str]], Generator[BatchResult, None, None]]
Resume: TypeAlias = Literal["no", "same options", "any options"]
"""Whether a file is continued, and if so with which options."""


@dataclass(frozen=True, slots=True)
class Outputs:
    """Where the answers go.

    Attributes:
        jsonl: the file; None is standard output.
        resume: whether the file is continued, and whether the options have to be the same then.
        csv: a table of the faces, beside.
        contact_sheet: a picture of the faces, beside.
        options: what the answers depend on, kept beside the file.
    """

    jsonl: Path | None
    resume: Resume
    csv: Path | None
    contact_sheet: Path | None
    options: dict[str, str | bool]

    @property
    def files(self) -> dict[str, Path | None]:
        """Name of the option → file that is written; None is standard output."""
        sides = {"--csv": self.csv, "--contact-sheet": self.contact_sheet}
        given = {option: path for option, path in sides.items() if path is not None}
        if self.jsonl is None:
            return {"standard output": None, **given}
        beside = {"the options beside --output": options_path(self.jsonl)}
        return {"--output": self.jsonl, **beside, **given}


def list_pictures(sources: tuple[str, ...], listed: str | None) -> Pictures:
    """Return the pictures that the sources and the lines of a list name, each path once.

    Args:
        sources: files, folders and patterns.
        listed: a file with a path on each line; "-" is standard input.

    Raises:
        click.BadParameter: a source or the list is not there or cannot be read.
    """
    try:
        pictures = find_pictures(sources)
    except OSError as error:
        raise click.BadParameter(str(error), param_hint="PHOTO") from error
    if listed is not None:
        try:
            content = sys.stdin.buffer.read() if listed == "-" else Path(listed).read_bytes()
            pictures.paths = list(dict.fromkeys([*pictures.paths, *parse_list(content)]))
        except (OSError, UnicodeError) as error:
            message = f"cannot read {listed}: {error}"
            raise click.BadParameter(message, param_hint="--list") from error
    return pictures


def analyze_pictures(
    pictures: Pictures, named_by: list[str], outputs: Outputs, analysis: Analysis
) -> None:
    """Write the answers for all pictures; the progress and a summary go to standard error.

    Args:
        pictures: which.
        named_by: the sources and the list that they come from; these are not to be overwritten.
        outputs: where to.
        analysis: starts the analysis of those pictures that are not answered yet.

    Raises:
        click.UsageError: an output would overwrite another one, or what is read.
        click.ClickException: there is no picture; a file is there already or is not what it should
            be; or no worker could start.
        click.Abort: the user wants no more.
        OSError: a file cannot be read or written.
    """
    if not pictures.paths:
        nothing = f"there is no picture in {', '.join(named_by)}"
        raise click.ClickException("\n".join([nothing, *_left_out(pictures)]))
    refuse_overwriting(outputs.files, [*named_by, *pictures.paths])
    tally = _Tally(len(pictures.paths))
    try:
        _analyze_pictures(pictures.paths, outputs, analysis, tally)
    except KeyboardInterrupt:
        say(f"\n{tally.summary()}\n{_how_to_go_on(outputs, tally)}".rstrip())
        raise click.Abort from None
    except (FaceShapeError, OSError) as error:
        if isinstance(error, OSError) and error.errno == errno.EPIPE:
            raise  # whoever read standard output has enough
        hint = _how_to_go_on(outputs, tally)
        raise click.ClickException(f"{error}\n{hint}".rstrip()) from error
    say("\n".join([tally.summary(), *_left_out(pictures)]))


def _analyze_pictures(
    pictures: list[str], outputs: Outputs, analysis: Analysis, tally: "_Tally"
) -> None:
    with ExitStack() as stack:
        answers = stack.enter_context(_open_answers(outputs))
        waiting = [picture for picture in pictures if picture not in answers.answered]
        takers: list[Callable[[BatchResult], None]] = [tally.add]
        if outputs.csv:
            takers.append(stack.enter_context(_csv_table(outputs.csv)))
        if outputs.contact_sheet:
            takers.append(stack.enter_context(_contact_sheet(outputs.contact_sheet)))
        results = stack.enter_context(closing(analysis(waiting)))
        progress = stack.enter_context(_progress(len(waiting), outputs))
        # What is derived from the answers is made anew from all of them, also in a resumed run.
        written = _written(results, answers, progress)
        for result in chain(tally.counted_before(answers.earlier()), written):
            for take in takers:
                take(result)


class _Answers(Protocol):
    """Where answers are written; what was answered there before can be read before."""

    answered: frozenset[str]

    def earlier(self) -> Iterable[BatchResult]: ...

    def write(self, result: BatchResult) -> None: ...


class _Stream:
    """Answers that nobody can read again: on standard output, in a pipe or a device."""

    answered: frozenset[str] = frozenset()

    def __init__(self, put_line: Callable[[str], object]) -> None:
        self._put_line = put_line

    def earlier(self) -> Iterable[BatchResult]:
        return ()

    def write(self, result: BatchResult) -> None:
        self._put_line(to_line(result))


@contextmanager
def _open_answers(outputs: Outputs) -> Iterator[_Answers]:
    path = outputs.jsonl
    if path is None:
        yield _Stream(put)
    elif path.exists() and not path.is_file():
        # Unbuffered: lines in one piece, for whoever reads along.
        with path.open("wb", buffering=0) as stream:
            yield _Stream(partial(_put_into, path, stream))
    else:
        with _result_file(path, outputs) as file:
            yield file


def _put_into(path: Path, stream: RawIOBase, line: str) -> None:
    with named(path):
        rest = line.encode("ascii") + b"\n"
        while rest:
            rest = rest[stream.write(rest) or 0 :]


def _result_file(path: Path, outputs: Outputs) -> ResultFile:
    try:
        if outputs.resume == "no":
            return ResultFile.create(path, outputs.options)
        any_options = outputs.resume == "any options"
        return ResultFile.resume(path, outputs.options, any_options)
    except FileExistsError as error:
        message = f"{path} is there already: continue it with --resume, or remove it"
        raise ResultFileError(message) from error
    except OtherOptionsError as error:
        message = f"{path} cannot be continued: {error}; --resume-anyway continues it all the same"
        raise ResultFileError(message) from error


@contextmanager
def _csv_table(path: Path) -> Iterator[Callable[[BatchResult], None]]:
    with written_anew(path) as file:
        # File names that are no text get the bytes back that they have on the disk.
        text = TextIOWrapper(file, "utf-8", sys.getfilesystemencodeerrors(), newline="")
        table = CsvTable(text)

        def add(result: BatchResult) -> None:
            with named(path):
                table.add(result)

        yield add
        with named(path):
            text.close()


@contextmanager
def _contact_sheet(path: Path) -> Iterator[Callable[[BatchResult], None]]:
    from PIL import Image

    from faceshape.batch.contact_sheet import ContactSheet  # loads OpenCV: only when asked for

    sheet = ContactSheet()
    with written_anew(path) as file:  # now, not after hours: it may be impossible
        yield lambda result: sheet.add(result.path, result.faces)
        picture = Image.fromarray(sheet.render())
        with named(path):
            picture.save(file, "PNG")


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
    results: Iterable[BatchResult], answers: _Answers, progress: Callable[[], object]
) -> Iterator[BatchResult]:
    for result in results:
        answers.write(result)
        progress()
        yield result


@dataclass(slots=True)
class _Tally:
    wanted: int
    started: float = field(default_factory=time.perf_counter)
    before: int = 0
    pictures: int = 0
    faces: int = 0
    errors: Counter[str] = field(default_factory=Counter)

    def add(self, result: BatchResult) -> None:
        self.pictures += 1
        self.faces += result.face_count
        if result.error:
            self.errors[result.error] += 1

    def counted_before(self, results: Iterable[BatchResult]) -> Iterator[BatchResult]:
        for result in results:
            self.before += 1
            yield result

    def summary(self) -> str:
        seconds = time.perf_counter() - self.started
        rate = (self.pictures - self.before) / seconds
        earlier = f" ({self.before} from before)" if self.before else ""
        head = f"pictures {self.pictures}{earlier}, faces {self.faces}, {rate:.1f} pictures/s"
        return "\n".join([head, *(f"{n:8} {code}" for code, n in self.errors.most_common())])


def _left_out(pictures: Pictures) -> list[str]:
    """Return lines about what is not among the pictures."""
    lines = [f"cannot read {folder}" for folder in pictures.unreadable]
    if pictures.skipped:
        kinds = ", ".join(f"{count} {kind}" for kind, count in pictures.skipped.most_common())
        lines.append(f"skipped {pictures.skipped.total()} in folders: {kinds}")
    if pictures.skipped.keys() & {".heic", ".heif"}:
        lines.append("pip install 'faceshape[heif]' to have .heic and .heif read")
    return lines


def _how_to_go_on(outputs: Outputs, tally: "_Tally") -> str:
    if outputs.jsonl is None or not outputs.jsonl.is_file() or not tally.pictures:
        return ""
    return (
        f"{tally.pictures} of {tally.wanted} pictures are answered in {outputs.jsonl}; "
        "the same command with --resume does the rest"
    )
