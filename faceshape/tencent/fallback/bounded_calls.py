"""Calls with a time limit, for functions that know none; bounded in number."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import TypeVar

__all__ = ["BoundedCalls", "TooManyCallsError"]

_Result = TypeVar("_Result")


class TooManyCallsError(RuntimeError):
    """As many calls as allowed have not returned yet."""


class BoundedCalls:
    """Runs functions in daemon threads, so that one that hangs holds up neither caller nor exit."""

    def __init__(self, limit: int, name: str) -> None:
        """Start no thread yet.

        Args:
            limit: calls at the same time, those included that were given up on.
            name: of the threads.
        """
        self._places = threading.Semaphore(limit)
        self._name = name

    def submit(self, function: Callable[[], _Result]) -> "Future[_Result]":
        """Start a function and return where its result will be.

        Raises:
            TooManyCallsError: it was not started.
        """
        if not self._places.acquire(blocking=False):
            raise TooManyCallsError(f"{self._name}: too many calls have not returned")
        future: Future[_Result] = Future()
        future.set_running_or_notify_cancel()  # from now on nobody can cancel it
        threading.Thread(
            target=self._work, args=(function, future), name=self._name, daemon=True
        ).start()
        return future

    def run(self, function: Callable[[], _Result], seconds: float) -> _Result:
        """Return what a function returns, or raise what it raises.

        Raises:
            TimeoutError: it did not return within so many seconds; it goes on, unheard.
            TooManyCallsError: it was not called.
        """
        future = self.submit(function)
        try:
            return future.result(seconds)
        except FutureTimeoutError:
            if future.done():  # the error is the function's own, or the answer came just now
                return future.result()
            raise TimeoutError(f"{self._name}: no answer within {seconds:.1f} s") from None

    def _work(self, function: Callable[[], _Result], future: "Future[_Result]") -> None:
        try:
            result = function()
        except BaseException as error:  # noqa: BLE001 - it is the caller's
            self._places.release()
            future.set_exception(error)
        else:
            self._places.release()
            future.set_result(result)
