"""The connections of a server: bounded, and those that wait for a client are the first to go."""

import sys
from typing import Protocol

__all__ = ["Connection", "Connections", "most_connections"]

_MOST_HEAD_BYTES = 64 * 1024 * 1024  # of all heads that are not complete yet
# File descriptors for all else: libraries, downloads, and what one turn of the loop may accept.
_RESERVED_DESCRIPTORS = 384
_FEWEST = 16


class Connection(Protocol):
    """What is asked of a connection here."""

    def abort(self) -> None:
        """Close it, whatever is under way."""
        ...


class Connections:
    """All connections of a server; used by one event loop."""

    def __init__(self, most: int) -> None:
        """Know none yet.

        Args:
            most: connections at the same time.
        """
        self._most = most
        self._open: set[Connection] = set()
        # Bytes that are held for each; the one that has been waiting longest comes first.
        self._waiting: dict[Connection, int] = {}
        self._bytes = 0

    def opened(self, connection: Connection) -> None:
        """Count a new connection, which waits for a request; where it is too many, one must go."""
        self._open.add(connection)
        self.waits(connection)
        while len(self._open) > self._most:
            self._abort_one()

    def waits(self, connection: Connection) -> None:
        """Remember that it is the client's turn."""
        self.works(connection)
        self._waiting[connection] = 0

    def holds(self, connection: Connection, count: int) -> None:
        """Remember how many bytes of an incomplete head a waiting connection holds."""
        self._bytes += count - self._waiting.get(connection, 0)
        self._waiting[connection] = count
        while self._bytes > _MOST_HEAD_BYTES:
            self._abort_one()

    def works(self, connection: Connection) -> None:
        """Remember that it is the server's turn, or that a body is read."""
        self._bytes -= self._waiting.pop(connection, 0)

    def closed(self, connection: Connection) -> None:
        """Count it no longer."""
        self.works(connection)
        self._open.discard(connection)

    def _abort_one(self) -> None:
        """Close the connection that has been waiting longest; any if none waits."""
        connection = next(iter(self._waiting or self._open))
        self.closed(connection)
        connection.abort()


def most_connections(wanted: int) -> int:
    """Return how many connections there may be with the file descriptors that there are."""
    if sys.platform == "win32":  # which has no such limit
        return wanted
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return wanted
    return min(wanted, max(_FEWEST, limit - _RESERVED_DESCRIPTORS))
