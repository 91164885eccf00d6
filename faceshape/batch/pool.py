"""Many pictures: results in the order of the pictures, from workers in processes of their own.

Processes, because a decoder or a detector that crashes takes down its process: here it costs that
one picture. Each worker has an engine that uses one thread. Little is on the way at any time: two
pictures per worker, and the answers that wait for a slower one before them.

What a worker does is in `faceshape.batch.worker`. Nothing heavy is loaded here, not even numpy, so
that the workers start at once.
"""

import logging
import math
import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

from faceshape.batch.answer import BatchResult
from faceshape.errors import FaceShapeError, ParameterError
from faceshape.mode import Mode

if TYPE_CHECKING:
    from faceshape.batch.worker import Connection
    from faceshape.tencent.parameters import Language

__all__ = ["WorkerError", "analyze_many"]

# Pictures that a worker holds: while one is answered the next is there already.
_HELD = 2
# Pictures begun but not handed on yet, per worker: a slow one lets the others run ahead so far.
_WINDOW = 8
# A worker may die without fault of its picture, for want of memory for example.
_ATTEMPTS = 2
# How long at most nothing is looked after, seconds.
_TICK = 1.0

_logger = logging.getLogger(__name__)
# Each worker gets a fresh interpreter: forked ones may inherit locks that nobody opens any more.
_processes = multiprocessing.get_context("spawn")


class WorkerError(FaceShapeError):
    """Worker processes ended before they could take their first picture."""


class _Settings(NamedTuple):
    mode: Mode
    rotate: bool
    detector: Literal["auto", "onnx", "dlib"]
    language: "Language"
    cloud_limits: bool


def analyze_many(
    paths: Iterable[str | PathLike[str]],
    *,
    workers: int = 1,
    mode: Mode = Mode.ALL,
    rotate: bool = False,
    detector: Literal["auto", "onnx", "dlib"] = "auto",
    language: "Language" = "zh-CN",
    cloud_limits: bool = False,
    picture_timeout: float | None = 60.0,
) -> Generator[BatchResult, None, None]:
    """Answer AnalyzeFace for many pictures; the results come in the order of the paths.

    A picture that cannot be read, has no face, is too large, takes too long or kills its worker is
    a result with an error. The worker processes start with the first result that is asked for, and
    end with the last one or when the generator is closed.

    A script that calls this must do so below ``if __name__ == "__main__":``, because every worker
    imports the script.

    Args:
        paths: files of pictures; read as they are needed, so they may be endless.
        workers: processes, at least 1; no more are started than there are pictures.
        mode: which faces of a picture to answer.
        rotate: answer faces of any roll, not only those within about 45 degrees of upright.
        detector: as for `faceshape.FaceShapeEngine`.
        language: of the messages inside error responses.
        cloud_limits: refuse what the cloud's document refuses; if not, only what could harm the
            machine is refused, such as pictures of more than 80 million pixels.
        picture_timeout: seconds that a picture may take, more than 0; then its worker is replaced,
            and its result is the error FailedOperation.RequestTimeout. None is for ever.

    Raises:
        ParameterError: workers is below 1, mode is neither 0 nor 1, or picture_timeout is not more
            than 0. Raised at once; what follows is raised by the generator.
        ParameterError: no such detector.
        ModelError: a model is missing or is not the one that the manifest names.
        WorkerError: no worker could start.
    """
    if workers < 1:
        raise ParameterError(f"workers must be at least 1, not {workers}")
    if mode not in tuple(Mode):
        raise ParameterError(f"mode is 0 (all faces) or 1 (the largest), not {mode!r}")
    timeout = math.inf if picture_timeout is None else picture_timeout
    if not timeout > 0:  # nor is NaN
        raise ParameterError(f"picture_timeout must be more than 0, not {timeout}")
    crew = _Crew(_Settings(Mode(mode), rotate, detector, language, cloud_limits), workers, timeout)
    return _in_order((_Task(os.fspath(path)) for path in paths), crew)


# In the calling process ---------------------------------------------------------------------------


@dataclass(slots=True)
class _Task:
    path: str
    attempts: int = 0
    result: BatchResult | None = None


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
    """The workers, started when they are needed and replaced when they die or take too long."""

    def __init__(self, settings: _Settings, size: int, timeout: float) -> None:
        self._settings = settings
        self._size = size
        self._timeout = timeout
        self._workers: list[_Worker] = []
        self._failed_starts = 0  # since one succeeded
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
        """Wait until a worker reports something or none has for a second, and note it.

        Raises:
            FaceShapeError: no worker could start.
        """
        busy = [worker for worker in self._workers if worker.tasks]
        left = [self._timeout - worker.spent for worker in busy if worker.started]
        patience = min([_TICK, *left])
        begun = time.monotonic()
        ready = wait([worker.connection for worker in busy], patience)
        # While this program is stopped, by Ctrl-Z for example, its workers are, too.
        waited = min(time.monotonic() - begun, patience)
        for worker in busy:
            if worker.connection in ready:
                if worker.receive():
                    self._failed_starts = 0
                else:
                    self._bury(worker)
            elif worker.started:
                worker.spent += waited
                if worker.spent >= self._timeout:
                    self._give_up(worker)

    def stop(self) -> None:
        """End all workers, whatever they are doing; all at once, because each takes its time."""
        for worker in self._workers:
            worker.kill()
        for worker in self._workers:
            worker.stop()

    def _bury(self, worker: "_Worker") -> None:
        """Replace a worker that died, perhaps of its picture."""
        how = f"ended with exit code {worker.exit_code()}"
        if worker.started:
            worker.tasks[0].attempts += 1
            if worker.tasks[0].attempts == _ATTEMPTS:
                self._refuse(worker, FaceShapeError(f"the worker process {how}"))
        else:
            self._failed_starts += 1
            if self._failed_starts == _ATTEMPTS:
                raise WorkerError(
                    f"a worker process {how} before it could start; if the program that called "
                    'analyze_many is a script, does it call it below if __name__ == "__main__"?'
                )
        self._replace(worker)

    def _give_up(self, worker: "_Worker") -> None:
        """Replace a worker whose picture takes too long."""
        from faceshape.tencent.protocol_errors import DeadlineError

        self._refuse(worker, DeadlineError(f"not answered in {self._timeout:g} s"))
        self._replace(worker)

    def _refuse(self, worker: "_Worker", error: FaceShapeError) -> None:
        """Answer the first task of a worker with an error."""
        from faceshape.tencent.api import error_response

        task = worker.tasks.popleft()
        response = error_response(error, self._settings.language)
        task.result = BatchResult.of(task.path, response, str(error))

    def _replace(self, worker: "_Worker") -> None:
        worker.stop()
        successor = _Worker(self._settings)
        self._workers[self._workers.index(worker)] = successor
        for task in worker.tasks:
            successor.give(task)


@dataclass(slots=True, eq=False)
class _Worker:
    """A process and the tasks that it holds, in the order in which it answers them.

    Attributes:
        settings: what it is started with.
        tasks: what it holds; it works on the first.
        connection: to it.
        started: whether it has said that it can work.
        spent: seconds that it was seen to work on the first task.
    """

    settings: _Settings
    tasks: deque[_Task] = field(default_factory=deque)
    connection: "Connection[Any, Any]" = field(init=False)
    started: bool = False
    spent: float = 0.0
    _process: multiprocessing.process.BaseProcess = field(init=False)

    def __post_init__(self) -> None:
        self.connection, theirs = _processes.Pipe()
        arguments = (theirs, self.settings)
        self._process = _processes.Process(target=_work, args=arguments, daemon=True)
        self._process.start()
        theirs.close()  # now it is open in the worker alone, and closes when that dies

    def give(self, task: _Task) -> None:
        """Hand over a task."""
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
            return False
        if isinstance(message, FaceShapeError):
            raise message
        if message is not None:
            task = self.tasks.popleft()
            task.result = BatchResult(task.path, *message)
        self.started = True
        self.spent = 0.0
        return True

    def exit_code(self) -> int | None:
        """Return how a worker ended that is dead."""
        self._process.join()
        return self._process.exitcode

    def kill(self) -> None:
        """Let it end, whatever it is doing: it owns nothing that would have to be put in order."""
        self.connection.close()
        self._process.kill()

    def stop(self) -> None:
        """End it, and wait until it has ended."""
        self.kill()
        self._process.join()
        self._process.close()


# In a worker process ------------------------------------------------------------------------------


def _work(connection: "Connection[Any, Any]", settings: _Settings) -> None:
    """Be a worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the caller ends the workers
    threading.Thread(target=_end_with_caller, daemon=True).start()
    # Asked for when numpy is loaded, which is 0.06 s faster so; nothing here needs more threads.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from faceshape.batch.worker import serve

    serve(connection, *settings)


def _end_with_caller() -> None:
    """End this process when its caller ends, also in the midst of a picture."""
    caller = multiprocessing.parent_process()
    if caller is not None:
        wait([caller.sentinel])
        os._exit(1)
