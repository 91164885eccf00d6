"""The run: a plan of chunks, and what is done with one of them.

A folder OUT, local or not, holds everything: ``plan/chunk-000000.parquet`` the paths of a chunk,
``answers/chunk-000000.parquet`` its answers, ``_run.json`` what they are made with. A chunk is done
if its answers are there. They are written as a whole, so that whoever runs chunks may be killed at
any time, and a chunk that two run at once comes out the same.
"""

import io
import json
import math
import time
from collections import Counter, deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from itertools import islice
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from faceshape.batch.pictures import PICTURE_SUFFIXES
from faceshape.errors import DownloadError, FaceShapeError
from faceshape.fleet.sandbox import Picture, PictureAnswer, Sandbox
from faceshape.fleet.schema import to_table, write_parquet
from faceshape.fleet.settings import FleetSettings
from faceshape.fleet.store import Place, StoreError, download, is_local, read_picture_names

__all__ = [
    "ChunkReport",
    "RunError",
    "RunStatus",
    "pending",
    "plan",
    "read_run",
    "run_chunk",
    "status",
]

_CODES = ["error_code"]
_PATHS = pa.schema([pa.field("path", pa.string())])
# Downloads that run ahead of the picture that is analysed.
_AHEAD = 8


class RunError(FaceShapeError):
    """A folder is not a run, or not one with these settings."""


@dataclass(frozen=True, slots=True)
class ChunkReport:
    """What became of a chunk.

    Attributes:
        index: its number.
        pictures: how many it has.
        analyzed: how many of them were analysed now; 0 if it was done before.
        errors: error code → how many of all.
        seconds: that it took; 0 if it was done before.
    """

    index: int
    pictures: int
    analyzed: int
    errors: dict[str, int]
    seconds: float


@dataclass(frozen=True, slots=True)
class Run:
    """What ``_run.json`` says.

    Attributes:
        source: where the pictures were listed.
        chunk: pictures in a chunk.
        chunks, pictures: how many there are.
        settings: how they are analysed.
    """

    source: str
    chunk: int
    chunks: int
    pictures: int
    settings: FleetSettings


@dataclass(frozen=True, slots=True)
class RunStatus:
    """How far a run is.

    Attributes:
        run: what it is.
        done: chunks that are done.
        answered: pictures in them.
        errors: error code → how many of these.
        rate: pictures a second while chunks were being run, by whomever; None if nobody knows.
    """

    run: Run
    done: int
    answered: int
    errors: dict[str, int]
    rate: float | None

    @property
    def seconds_left(self) -> float | None:
        """How long the rest takes at this rate; None if nobody knows."""
        return (self.run.pictures - self.answered) / self.rate if self.rate else None


class _Work(NamedTuple):
    """Who wrote an answer file was busy with it: until when and for how long, with how many."""

    end: float
    seconds: float
    analyzed: int


def plan(source: str, out: str, chunk: int = 10_000, settings: FleetSettings | None = None) -> Run:
    """List pictures and write the chunks of a run; a run that is planned already is returned.

    Args:
        source: a folder, whose pictures at any depth are taken, or an inventory: a Parquet file
            with a column ``path``, or a text file with a path on each line.
        out: the folder of the run.
        chunk: pictures in a chunk.
        settings: how they are analysed; None is the default.

    Raises:
        RunError: there is a run with another source, chunk or settings; or there are no pictures.
        StoreError: a place cannot be read or written.
    """
    settings = settings or FleetSettings()
    if chunk < 1:
        raise RunError(f"a chunk has at least 1 picture, not {chunk}")
    place = Place(out)
    if place.child("_run.json").exists():
        run = read_run(out)
        if (run.source, run.chunk, run.settings) != (source, chunk, settings):
            raise RunError(f"{out} is a run of {run.source} with other settings: {run}")
        return run
    names = _picture_names(Place(source))
    chunks = pictures = 0
    while paths := list(islice(names, chunk)):
        table = pa.table({"path": pa.array(paths, pa.string())}, schema=_PATHS)
        _chunk_place(place, "plan", chunks).write(_as_parquet(table))
        chunks += 1
        pictures += len(paths)
    if not pictures:
        raise RunError(f"there are no pictures in {source}")
    run = Run(source, chunk, chunks, pictures, settings)
    # Last: what has this file is planned to the end.
    place.child("_run.json").write(json.dumps(asdict(run), indent=1).encode())
    return run


def read_run(out: str) -> Run:
    """Return what a run is.

    Raises:
        RunError: the folder has none, or a damaged one.
    """
    try:
        content = json.loads(Place(out).child("_run.json").read())
        return Run(**content | {"settings": FleetSettings.from_mapping(content["settings"])})
    except FileNotFoundError as error:
        raise RunError(f"{out} is not planned: run `faceshape fleet plan` first") from error
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise RunError(f"{out}/_run.json cannot be read: {error}") from error


def pending(out: str) -> list[int]:
    """Return the numbers of the chunks that are not done.

    Raises:
        RunError: the folder is not a run.
        StoreError: it cannot be listed.
    """
    done = Place(out).child("answers").files()
    return [i for i in range(read_run(out).chunks) if _chunk_name(i) not in done]


def run_chunk(
    out: str, index: int, sandbox: Sandbox | None = None, retry: Collection[str] = ()
) -> ChunkReport:
    """Answer the pictures of a chunk and write the file that says that it is done.

    Args:
        out: the folder of the run.
        index: the number of the chunk.
        sandbox: what analyses the pictures; None opens one for this chunk.
        retry: error codes; in a chunk that is done, pictures with these errors are analysed again.

    Raises:
        RunError: the folder is not a run, or has no such chunk.
        StoreError: the chunk cannot be read or its answers not written; it is not done then.
        FaceShapeError: the child process cannot start.
    """
    run, place = read_run(out), Place(out)
    if not 0 <= index < run.chunks:
        raise RunError(f"{out} has the chunks 0 to {run.chunks - 1}, not {index}")
    answers_place = _chunk_place(place, "answers", index)
    started = time.monotonic()
    paths = _read_parquet(_chunk_place(place, "plan", index)).column("path").to_pylist()
    before = _codes(_read_parquet(answers_place, _CODES)) if answers_place.exists() else None
    rows = [row for row in range(len(paths)) if before is None or before[row] in retry]
    if before is not None and not rows:
        return ChunkReport(index, len(before), 0, _counts(before), 0.0)
    chosen = [paths[row] for row in rows]
    with nullcontext(sandbox) if sandbox else Sandbox(run.settings) as used:
        table = to_table(chosen, list(_answers(chosen, used, run.settings)), run.settings)
    if before is not None:
        table = _put_in(_read_parquet(answers_place), table, rows)
    seconds = time.monotonic() - started
    answers_place.write(_as_parquet(_with_work(table, seconds, len(rows))))
    return ChunkReport(index, len(table), len(rows), _counts(_codes(table)), seconds)


def status(out: str) -> RunStatus:
    """Return how far a run is; reads the column of errors of every answer file.

    Raises:
        RunError: the folder is not a run.
        StoreError: it cannot be read.
    """
    run, place = read_run(out), Place(out)
    written = place.child("answers").files()
    done = [index for index in range(run.chunks) if _chunk_name(index) in written]
    errors: Counter[str] = Counter()
    answered = 0
    works = []
    for index in done:
        table = _read_parquet(_chunk_place(place, "answers", index), _CODES)
        answered += len(table)
        errors.update(_counts(_codes(table)))
        works.append(_work(table, written[_chunk_name(index)]))
    return RunStatus(run, len(done), answered, dict(errors), _rate(works))


def _picture_names(source: Place) -> Iterator[str]:
    if not source.exists():
        raise RunError(f"{source.where} is not there")
    if not source.is_folder():
        return read_picture_names(source)
    return (name for name in source.walk() if name.lower().endswith(PICTURE_SUFFIXES))


def _answers(
    paths: Iterable[str], sandbox: Sandbox, settings: FleetSettings
) -> Iterator[PictureAnswer]:
    with ThreadPoolExecutor(_AHEAD) as downloads:
        for picture in _fetched(paths, downloads):
            if isinstance(picture, DownloadError):
                yield PictureAnswer.failed(picture, settings)
            else:
                yield sandbox.analyze(picture)


def _fetched(
    paths: Iterable[str], downloads: ThreadPoolExecutor
) -> Iterator[Picture | DownloadError]:
    """Give what the sandbox is to see of each path: local paths themselves, bytes of others."""
    waiting: deque[Future[Picture | DownloadError]] = deque()
    rest = iter(paths)
    while True:
        missing = _AHEAD - len(waiting)
        waiting.extend(downloads.submit(_picture, path) for path in islice(rest, missing))
        if not waiting:
            return
        yield waiting.popleft().result()


def _picture(path: str) -> Picture | DownloadError:
    if is_local(path):
        return path
    try:
        return download(path)
    except DownloadError as error:
        return error


def _put_in(before: pa.Table, table: pa.Table, rows: list[int]) -> pa.Table:
    """Return the table before with other rows in some places."""
    order = list(range(len(before)))
    for place, row in enumerate(rows):
        order[row] = len(before) + place
    both = pa.concat_tables([before.cast(table.schema), table]).combine_chunks()
    return both.take(pa.array(order, pa.int64()))


def _codes(answers: pa.Table) -> list[str | None]:
    codes: list[str | None] = answers.column("error_code").to_pylist()
    return codes


def _counts(codes: Iterable[str | None]) -> dict[str, int]:
    return dict(Counter(code for code in codes if code is not None))


def _with_work(answers: pa.Table, seconds: float, analyzed: int) -> pa.Table:
    """Return answers that tell how long how many pictures took, for `_work`."""
    told = {"faceshape.seconds": f"{seconds:.3f}", "faceshape.analyzed": str(analyzed)}
    return answers.replace_schema_metadata({**answers.schema.metadata, **told})


def _work(answers: pa.Table, written: float | None) -> _Work | None:
    told = answers.schema.metadata or {}
    try:
        seconds, analyzed = float(told[b"faceshape.seconds"]), int(told[b"faceshape.analyzed"])
    except (KeyError, ValueError):
        return None
    return None if written is None else _Work(written, seconds, analyzed)


def _rate(works: Sequence[_Work | None]) -> float | None:
    """Return pictures a second of the time in which anybody was at work: stops do not count."""
    known = sorted(work for work in works if work is not None)
    busy, analyzed = 0.0, 0
    free_from = math.inf
    for end, seconds, pictures in reversed(known):
        begin = end - seconds
        busy += max(0.0, min(end, free_from) - begin)
        free_from = min(free_from, begin)
        analyzed += pictures
    return analyzed / busy if busy else None


def _chunk_name(index: int) -> str:
    return f"chunk-{index:06}.parquet"


def _chunk_place(out: Place, folder: str, index: int) -> Place:
    return out.child(folder).child(_chunk_name(index))


def _as_parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    if "faces" in table.schema.names:
        write_parquet(table, sink)
    else:
        pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()


def _read_parquet(place: Place, columns: list[str] | None = None) -> pa.Table:
    try:
        # Not by `read_table`: a process that ends at once may be aborted by the threads it leaves.
        with place.open_input() as content, pq.ParquetFile(content, pre_buffer=False) as file:
            return file.read(columns=columns, use_threads=False)
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"cannot read {place.where}: {error}") from error
