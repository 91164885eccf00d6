"""A circuit breaker: stops asking a service that keeps failing, and finds out when it is back.

The names and defaults are those of the SDK's ``RegionBreakerProfile``.
"""

import threading
import time
from collections.abc import Callable
from enum import Enum

__all__ = ["BreakerState", "CircuitBreaker"]


class BreakerState(Enum):
    """What the breaker does with calls."""

    CLOSED = "closed"
    """All go through."""
    OPEN = "open"
    """None does."""
    HALF_OPEN = "half-open"
    """A few do, to find out."""


class CircuitBreaker:
    """The state machine; safe to share between threads.

    Each call asks with `acquire`, and reports with exactly one of `succeed`, `fail`, `trip` and
    `release`, giving back what it got. A report that comes after the state has changed says
    nothing about the new state and is ignored.
    """

    def __init__(
        self,
        max_fail_num: int = 5,
        max_fail_percent: float = 0.75,
        window_interval: float = 300,
        timeout: float = 60,
        max_requests: int = 5,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start closed.

        Args:
            max_fail_num: failures that open it, if they are frequent enough, or in a row.
            max_fail_percent: which part of the calls of a window "frequent enough" is, 0 to 1.
            window_interval: seconds after which calls are counted anew.
            timeout: seconds that it stays open.
            max_requests: successes that close it again, and calls that it lets through for them.
            clock: returns seconds.
        """
        self._max_fail_num = max_fail_num
        self._max_fail_percent = max_fail_percent
        self._window_interval = window_interval
        self._timeout = timeout
        self._max_requests = max_requests
        self._clock = clock
        self._lock = threading.Lock()
        self._generation = 0
        self._enter(BreakerState.CLOSED, window_interval)

    @property
    def state(self) -> BreakerState:
        """What it does with the next call."""
        with self._lock:
            self._tick()
            return self._state

    def acquire(self) -> int | None:
        """Return the permission for one call, or None: make none."""
        with self._lock:
            self._tick()
            if self._state is BreakerState.OPEN:
                return None
            if self._state is BreakerState.HALF_OPEN:
                if self._running + self._successes >= self._max_requests:
                    return None
                self._running += 1
            return self._generation

    def succeed(self, permission: int) -> None:
        """Report that the service answered."""
        with self._lock:
            if not self._settle(permission):
                return
            self._successes += 1
            self._failures_in_a_row = 0
            if self._state is BreakerState.HALF_OPEN and self._successes >= self._max_requests:
                self._enter(BreakerState.CLOSED, self._window_interval)

    def fail(self, permission: int) -> None:
        """Report that the service did not answer, or not sensibly."""
        with self._lock:
            if not self._settle(permission):
                return
            self._failures += 1
            self._failures_in_a_row += 1
            if self._state is BreakerState.HALF_OPEN or self._is_broken():
                self._enter(BreakerState.OPEN, self._timeout)

    def trip(self, permission: int, seconds: float) -> None:
        """Report that the service wants no calls, and open for so many seconds."""
        with self._lock:
            if self._settle(permission):
                self._enter(BreakerState.OPEN, seconds)

    def release(self, permission: int) -> None:
        """Report that the call says nothing about the service."""
        with self._lock:
            self._settle(permission)

    def _is_broken(self) -> bool:
        total = self._failures + self._successes
        return self._failures_in_a_row >= self._max_fail_num or (
            self._failures >= self._max_fail_num
            and self._failures >= self._max_fail_percent * total
        )

    def _settle(self, permission: int) -> bool:
        if permission != self._generation:
            return False
        self._running -= self._state is BreakerState.HALF_OPEN
        return True

    def _tick(self) -> None:
        """Do what the time that has passed asks for."""
        if self._clock() < self._until:
            return
        if self._state is BreakerState.CLOSED:
            self._enter(BreakerState.CLOSED, self._window_interval)
        elif self._state is BreakerState.OPEN:
            self._enter(BreakerState.HALF_OPEN, float("inf"))

    def _enter(self, state: BreakerState, seconds: float) -> None:
        self._state = state
        self._until = self._clock() + seconds
        self._generation += 1
        self._running = 0
        self._successes = 0
        self._failures = 0
        self._failures_in_a_row = 0
