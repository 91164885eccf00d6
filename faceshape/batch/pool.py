"""Many pictures: results in the order of the pictures, from workers in processes of their own.

Processes, because a decoder or a detector that crashes takes down its process: here it costs that
one picture. Each worker has an engine that uses one thread. Little is on the way at any time: two
pictures per worker, and the answers that wait for a slower one before them.

What a worker does is in `faceshape.batch.worker`. Nothing heavy is loaded here, not even numpy, so
that the workers start at once.
"""

import logging
import multiprocessing
import os
import signal
import uuid
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

from faceshape.errors import FaceShapeError, ParameterError
from faceshape.mode import Mode

if TYPE_CHECKING:
    from faceshape.batch.worker import Answer
    from faceshape.tencent.api import Response
    from faceshape.tencent.parameters import Language

__all__ = ["BatchResult", "WorkerError", "analyze_many"]

# Pictures that a worker holds: while one is answered the next is there already.
_HELD = 2
# Pictures begun but not handed on yet, per worker: a slow one lets the others run ahead so far.
_WINDOW = 8
# A worker may die without fault of its picture, for want of memory for example.
_ATTEMPTS = 2

_logger = logging.getLogger(__name__)
# Each worker gets a fresh interpreter: forked ones may inherit locks that nobody opens any more.
_processes = multiprocessing.get_context("spawn")


class WorkerError(FaceShapeError):
    """A worker process ended before it could take its first picture."""


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What became of one picture.

    Attributes:
        path: as it was given.
        response: AnalyzeFace's, ``{"Response": {...}}``. Its RequestId depends on the path alone:
            the UUID of version 5 in the namespace of URLs, so that equal runs answer equally.
        detail: what exactly was wrong, in English; empty if nothing was.
    """

    path: str
    response: "Response"
    detail: str = ""

    @property
    def faces(self) -> list[dict[str, list[dict[str, int]]]]:
        """The response's FaceShapeSet, the largest face first; empty if there is an error."""
        shapes: list[dict[str, list[dict[str, int]]]]
        shapes = self.response["Response"].get("FaceShapeSet", [])
        return shapes

    @property
    def error(self) -> str | None:
        """The cloud's error code, or None."""
        code: str | None = self.response["Response"].get("Error", {}).get("Code")
        return code


class _Settings(NamedTuple):
    mode: Mode
    rotate: bool
    detector: Literal["auto", "onnx", "dlib"]
    language: "Language"


def analyze_many(
    paths: Iterable[str | PathLike[str]],
    *,
    workers: int = 1,
    mode: Mode = Mode.ALL,
    rotate: bool = False,
    detector: Literal["auto", "onnx", "dlib"] = "auto",
    language: "Language" = "zh-CN",
) -> Generator[BatchResult, None, None]:
    """Answer AnalyzeFace for many pictures; the results come in the order of the paths.

    A picture that cannot be read, has no face, exceeds the document's limits or kills its worker
    is a result with an error. The worker processes start with the first result that is asked for,
    and end with the last one or when the generator is closed.

    A script that calls this must do so below ``if __name__ == "__main__":``, because every worker
    imports the script.

    Args:
        paths: JPEG, PNG or BMP files; read as they are needed, so they may be endless.
        workers: processes, at least 1; no more are started than there are pictures.
        mode: which faces of a picture to answer.
        rotate: answer faces of any roll, not only those within 45 degrees of upright.
        detector: as for `faceshape.FaceShapeEngine`.
        language: of the messages inside error responses.

    Raises:
        ParameterError: workers is below 1, or mode is neither 0 nor 1. Raised at once; what
            follows is raised by the generator.
        ParameterError: no such detector.
        ModelError: a model is missing or is not the one that the manifest names.
        WorkerError: a worker could not start.
    """
    if workers < 1:
        raise ParameterError(f"workers must be at least 1, not {workers}")
    if mode not in tuple(Mode):
        raise ParameterError(f"mode is 0 (all faces) or 1 (the largest), not {mode!r}")
    crew = _Crew(_Settings(Mode(mode), rotate, detector, language), workers)
    return _in_order((_Task(os.fspath(path)) for path in paths), crew)


# In the calling process ---------------------------------------------------------------------------


@dataclass(slots=True)
class _Task:
    path: str
    attempts: int = 0
    result: BatchResult | None = None

    def finish(self, answer: "Answer") -> None:
        response, detail = answer
        # File names may contain bytes that are no text; these have no UTF-8.
        name = self.path.encode("utf-8", "backslashreplace").decode("utf-8")
        response["Response"]["RequestId"] = str(uuid.uuid5(uuid.NAMESPACE_URL, name))
        self.result = BatchResult(self.path, response, detail)


def _in_order(tasks: Iterator[_Task], crew: "_Crew") -> Generator[BatchResult, None, None]:
    begun: deque[_Task] = deque()
    try:
        while True:
            while begun and begun[0].result is not None:
                yield cast("BatchResult", begun.popleft().result)
            while len(begun) < crew.window and crew.has_room:
                task = next(tasks, None)
                if task is None:
                    break
                begun.append(task)
                crew.give(task)
            if not begun:
                return
            crew.collect()
    finally:
        crew.stop()


class _Crew:
    """The workers, started when they are needed and replaced when they die."""

    def __init__(self, settings: _Settings, size: int) -> None:
        self._settings = settings
        self._size = size
        self._workers: list[_Worker] = []
        self.window = _WINDOW * size

    @property
    def has_room(self) -> bool:
        """Whether a worker could hold one more picture."""
        return sum(len(worker.tasks) for worker in self._workers) < _HELD * self._size

    def give(self, task: _Task) -> None:
        """Hand a task to the worker that holds the fewest."""
        if len(self._workers) < self._size and all(worker.tasks for worker in self._workers):
            self._workers.append(_Worker(self._settings))
        min(self._workers, key=lambda worker: len(worker.tasks)).give(task)

    def collect(self) -> None:
        """Wait until a worker reports something, and note it.

        Raises:
            FaceShapeError: a worker could not start.
        """
        ready = wait([worker.connection for worker in self._workers if worker.tasks])
        for place, worker in enumerate(self._workers):
            if worker.connection in ready and not worker.receive():
                worker.stop()
                self._workers[place] = successor = _Worker(self._settings)
                for task in worker.tasks:
                    successor.give(task)

    def stop(self) -> None:
        """End all workers, whatever they are doing."""
        for worker in self._workers:
            worker.stop()


@dataclass(slots=True)
class _Worker:
    """A process and the tasks that it holds, in the order in which it answers them."""

    settings: _Settings
    tasks: deque[_Task] = field(default_factory=deque)
    connection: "Connection[Any, Any]" = field(init=False)
    _process: multiprocessing.process.BaseProcess = field(init=False)
    _started: bool = False

    def __post_init__(self) -> None:
        self.connection, theirs = _processes.Pipe()
        arguments = (theirs, self.settings)
        self._process = _processes.Process(target=_work, args=arguments, daemon=True)
        self._process.start()
        theirs.close()  # now it is open in the worker alone, and closes when that dies

    def give(self, task: _Task) -> None:
        self.tasks.append(task)
        try:
            self.connection.send(task.path)
        except OSError:
            _logger.debug("a worker died unnoticed")  # `receive` finds out

    def receive(self) -> bool:
        """Note what the worker says; False if it is dead instead.

        Raises:
            FaceShapeError: it could not start.
        """
        try:
            message = self.connection.recv()
        except (EOFError, OSError):
            self._note_death()
            return False
        if isinstance(message, FaceShapeError):
            raise message
        if message is not None:
            self.tasks.popleft().finish(message)
        self._started = True
        return True

    def stop(self) -> None:
        self.connection.close()
        self._process.kill()  # it owns nothing that would have to be put in order
        self._process.join()
        self._process.close()

    def _note_death(self) -> None:
        self._process.join()
        how = f"ended with exit code {self._process.exitcode}"
        if not self._started:
            raise WorkerError(
                f"a worker process {how} before it could start; if the program that called "
                'analyze_many is a script, does it call it below if __name__ == "__main__"?'
            )
        self.tasks[0].attempts += 1
        if self.tasks[0].attempts == _ATTEMPTS:
            from faceshape.tencent.api import error_response

            error = FaceShapeError(f"the worker process {how}")
            answer = error_response(error, self.settings.language), str(error)
            self.tasks.popleft().finish(answer)


def _work(connection: "Connection[Any, Any]", settings: _Settings) -> None:
    """Be a worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the caller ends the workers
    # Asked for when numpy is loaded, which is 0.06 s faster so; nothing here needs more threads.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from faceshape.batch.worker import serve

    serve(connection, *settings)
