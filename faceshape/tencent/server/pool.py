"""A bounded pool of threads behind an event loop: what does not fit is refused, not queued."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from types import TracebackType
from typing import TypeVar

from faceshape.tencent.protocol_errors import BusyError, DeadlineError

__all__ = ["BoundedPool", "Place", "threads_at_work"]

_Result = TypeVar("_Result")
_THREAD_NAME = "faceshape-pool-"


class BoundedPool:
    """Threads that work, and places for requests that work or wait."""

    def __init__(self, name: str, threads: int, queue: int, ahead: int = 0) -> None:
        """Start no thread yet; they start with the first requests.

        Args:
            name: of the threads.
            threads: requests that are worked on at the same time.
            queue: requests that may wait beside those.
            ahead: of those that wait how many are made ready meanwhile, each in a thread of its
                own; what they do then waits for `Place.turn`.
        """
        workers = min(threads + ahead, threads + queue)
        self._executor = ThreadPoolExecutor(workers, thread_name_prefix=_THREAD_NAME + name)
        self._turns = threading.Semaphore(threads)
        self._places = threading.Semaphore(threads + queue)
        self._threads = threads
        self._overdue = 0
        self._lock = threading.Lock()

    @property
    def stuck(self) -> bool:
        """Whether every thread works on something whose time is over."""
        return self._overdue >= self._threads

    def enter(self) -> "Place":
        """Return a place for a request.

        Raises:
            BusyError: all are taken.
        """
        if not self._places.acquire(blocking=False):
            raise BusyError
        return Place(self._executor, self._places, self._turns, self._count_overdue)

    def close(self) -> None:
        """Drop what waits; do not wait for what is being worked on."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _count_overdue(self, change: int) -> None:
        with self._lock:
            self._overdue += change


class Place:
    """One request's place, as a context: free again once nothing works for it any more.

    That may be later than the end of the context: a thread cannot be stopped, so a request whose
    time is over keeps its place until the thread returns.
    """

    def __init__(
        self,
        executor: ThreadPoolExecutor,
        places: threading.Semaphore,
        turns: threading.Semaphore,
        count_overdue: Callable[[int], None],
    ) -> None:
        self._executor = executor
        self._places = places
        self._turns = turns
        self._count_overdue = count_overdue
        self._work: Future[object] | None = None
        self._over = False
        self._waits = False  # for its turn

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Let a function that `run` runs wait until as few work as may at the same time.

        Raises:
            DeadlineError: meanwhile the request's time ended.
        """
        self._waits = True
        with self._turns:
            self._waits = False
            if self._over:
                raise DeadlineError
            yield

    async def run(self, function: Callable[[], _Result], seconds: float) -> _Result:
        """Run a function in a thread of the pool; at most once per place.

        Raises:
            DeadlineError: it did not return within so many seconds. If it still waited for a
                thread, it never runs.
        """
        work = self._executor.submit(function)
        self._work = work  # type: ignore[assignment]  # a Future of any result; only its end matters
        answer = asyncio.wrap_future(work)
        done, _ = await asyncio.wait((answer,), timeout=seconds)
        try:
            if done:
                return answer.result()
            answer.cancel()
            self._over = True
            if not work.cancel() and not self._waits:
                self._count_overdue(1)
                work.add_done_callback(lambda _: self._count_overdue(-1))
            raise DeadlineError
        finally:
            # An error holds this frame. Would the frame hold the error, too, then with them the
            # request would stay in memory until Python's garbage collector looks for cycles.
            del work, answer, done

    def __enter__(self) -> "Place":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._work is None:
            self._places.release()
        else:
            self._work.add_done_callback(lambda _: self._places.release())
            self._work = None  # its error holds this place; see `run`


def threads_at_work(seconds: float = 0.5) -> bool:
    """Return whether closed pools of this process still work on something.

    Args:
        seconds: how long idle threads have to end.
    """
    threads = [one for one in threading.enumerate() if one.name.startswith(_THREAD_NAME)]
    for one in threads:
        one.join(seconds)
    return any(one.is_alive() for one in threads)
