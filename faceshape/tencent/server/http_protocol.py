"""uvicorn's HTTP protocol on h11, without the delay of Nagle's algorithm."""

import asyncio
import socket

from uvicorn.protocols.http.h11_impl import H11Protocol

__all__ = ["NoDelayProtocol"]


class NoDelayProtocol(H11Protocol):
    """Sends an answer's body at once.

    The head and the body of an answer are two writes. asyncio switches Nagle's algorithm off only
    for sockets that were made with their protocol's number, which uvicorn's for several workers
    are not; then the body waits 40 ms for the client's delayed acknowledgement of the head.
    """

    # As uvicorn's own: a stream's transport, where asyncio's base names any.
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Prepare a new connection."""
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().connection_made(transport)
