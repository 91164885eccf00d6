"""The bodies of requests while they are read: few, small altogether, and none of them slow.

A body that is being read has no place in the pool yet. Where one more does not fit, the slowest
one goes: whoever sends quickly is through before somebody slower is even looked at.
"""

from types import TracebackType

import anyio
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive

from faceshape.tencent.protocol_errors import BusyError, DeadlineError, RequestSizeError

__all__ = ["Bodies", "Body"]

_PATIENCE = 10.0  # seconds that a body may lag behind the least rate, or bring nothing at all
_LAST_SECONDS = 2.0  # for bodies that are half there when the server ends


class Bodies:
    """All bodies of a server's requests; used by one event loop."""

    def __init__(self, most: int, most_bytes: int, least_rate: int, seconds: float) -> None:
        """Hold nothing yet.

        Args:
            most: bodies that are read at the same time.
            most_bytes: of all bodies, also of those whose requests are being worked on.
            least_rate: bytes per second that a body must bring after its first ten seconds.
            seconds: for a whole body.
        """
        self.most_bytes = most_bytes
        self.least_rate = least_rate
        self.seconds = seconds
        self.held = 0  # bytes
        self._most = most
        self._reading: set[Body] = set()

    def hurry(self) -> None:
        """Let all that are being read be there soon, or be given up: the server ends."""
        for body in self._reading:
            body.hurry(_LAST_SECONDS)

    def begin(self, body: "Body") -> None:
        """Count one more that is being read; the slowest one makes room for it."""
        if len(self._reading) >= self._most:
            min(self._reading, key=lambda other: other.deadline).give_up()
        self._reading.add(body)

    def end(self, body: "Body") -> None:
        """Count it no longer as being read."""
        self._reading.discard(body)

    def make_room(self, body: "Body", count: int) -> None:
        """Let the bodies that are slower than this one make room for its next bytes.

        Raises:
            BusyError: they do not hold enough.
        """
        excess = self.held + count - self.most_bytes
        if excess <= 0:
            return
        slower = [other for other in self._reading if other.deadline < body.deadline]
        if sum(other.size for other in slower) < excess:
            raise BusyError
        for other in sorted(slower, key=lambda other: other.deadline):
            if excess > 0:
                excess -= other.size
                other.give_up()


class Body:
    """One request's body: read once, counted until the end of the context."""

    def __init__(self, bodies: Bodies) -> None:
        """Hold nothing yet.

        Args:
            bodies: the server's, of which it will be one.
        """
        self.size = 0
        self._bodies = bodies
        self._data = bytearray()
        self._scope = anyio.CancelScope()
        self._end = 0.0
        self._given_up = False

    @property
    def deadline(self) -> float:
        """The event loop's time at which it is given up unless more of it comes."""
        return self._scope.deadline

    async def read(self, receive: Receive, limit: int) -> bytearray:
        """Return the body.

        Args:
            receive: of the ASGI application.
            limit: bytes that it may have.

        Raises:
            RequestSizeError: it has more; the rest was not read.
            DeadlineError: it came too slowly.
            BusyError: there was no room for it, and others came faster.
            ClientDisconnect: the client hung up.
        """
        bodies = self._bodies
        now = anyio.current_time()
        self._end = now + bodies.seconds
        # No task is made for reading: the exception of one that fails would keep the body alive
        # until Python's garbage collector looks for cycles.
        with anyio.CancelScope(deadline=min(self._end, now + _PATIENCE)) as self._scope:
            bodies.begin(self)
            try:
                more = True
                while more:
                    more = self._add(await receive(), limit)
            finally:
                bodies.end(self)
        if self._scope.cancelled_caught:
            raise BusyError if self._given_up else DeadlineError
        return self._data

    def forget(self) -> None:
        """Drop the bytes, but count them still: what was made of them is as large."""
        self._data = bytearray()

    def give_up(self) -> None:
        """Stop reading, and hold nothing any more."""
        self._given_up = True
        self._bodies.end(self)
        self._free()
        self._scope.cancel()

    def hurry(self, seconds: float) -> None:
        """Give it no more than so many seconds."""
        self._end = min(self._end, anyio.current_time() + seconds)
        self._scope.deadline = min(self._scope.deadline, self._end)

    def _add(self, message: Message, limit: int) -> bool:
        """Add what came, and return whether there is more."""
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk = message.get("body", b"")
        if self.size + len(chunk) > limit:
            raise RequestSizeError(str(limit))
        self._bodies.make_room(self, len(chunk))
        self._bodies.held += len(chunk)
        self.size += len(chunk)
        self._data += chunk
        paid = self._scope.deadline + len(chunk) / self._bodies.least_rate
        self._scope.deadline = min(self._end, anyio.current_time() + _PATIENCE, paid)
        return bool(message.get("more_body", False))

    def _free(self) -> None:
        self._bodies.held -= self.size
        self.size = 0
        self._data = bytearray()

    def __enter__(self) -> "Body":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._free()
