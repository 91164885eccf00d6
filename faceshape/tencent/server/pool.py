"""A bounded pool of threads behind an event loop: what does not fit is refused, not queued."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import TypeVar

from faceshape.tencent.protocol_errors import BusyError, DeadlineError

__all__ = ["InferencePool", "Place"]

_Result = TypeVar("_Result")


class InferencePool:
    """Threads that work, and places for requests that work or wait."""

    def __init__(self, threads: int, queue: int) -> None:
        """Start no thread yet; they start with the first requests.

        Args:
            threads: requests that are worked on at the same time.
            queue: requests that may be held beside those: read from the network, or waiting.
        """
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="faceshape-inference")
        self._places = threading.Semaphore(threads + queue)

    def enter(self) -> "Place":
        """Return a place for a request.

        Raises:
            BusyError: all are taken.
        """
        if not self._places.acquire(blocking=False):
            raise BusyError
        return Place(self._executor, self._places)

    def close(self) -> None:
        """Finish what is being worked on, drop what waits."""
        self._executor.shutdown(wait=True, cancel_futures=True)


class Place:
    """One request's place, as a context: free again once nothing works for it any more.

    That may be later than the end of the context: a thread cannot be stopped, so a request whose
    time is over keeps its place until the thread returns.
    """

    def __init__(self, executor: ThreadPoolExecutor, places: threading.Semaphore) -> None:
        self._executor = executor
        self._places = places
        self._work: Future[object] | None = None

    async def run(self, function: Callable[[], _Result], seconds: float) -> _Result:
        """Run a function in a thread of the pool; at most once per place.

        Raises:
            DeadlineError: it did not return within so many seconds. If it still waited for a
                thread, it never runs.
        """
        work = self._executor.submit(function)
        self._work = work  # type: ignore[assignment]  # a Future of any result; only its end matters
        try:
            return await asyncio.wait_for(asyncio.wrap_future(work), seconds)
        except asyncio.TimeoutError:
            raise DeadlineError from None

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
