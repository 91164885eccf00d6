"""uvicorn's HTTP protocol on httptools, for clients that may be anybody.

What uvicorn leaves open has an end here: how long a head may take and how large it may be, how
long a connection may idle, what may surround a body. An answer arrives also when the client is
still sending.
"""

import asyncio
import logging
import re
import socket
import weakref
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from faceshape.tencent.api import error_response
from faceshape.tencent.protocol_errors import (
    ProtocolError,
    RequestSizeError,
    UnsupportedProtocolError,
)
from faceshape.tencent.server.bodies import Bodies
from faceshape.tencent.server.connections import Connections
from faceshape.tencent.server.wire import encode, request_language

__all__ = ["BODIES", "CONNECTIONS", "LARGEST_HEAD", "GuardedProtocol"]

CONNECTIONS, BODIES = "faceshape.connections", "faceshape.bodies"
"""The names of an application's `Connections` and `Bodies` in the state of its lifespan."""

LARGEST_HEAD = 64 * 1024
"""Bytes of a request line with headers. Around a body there may be as many, and an eighth of it."""

# Seconds.
_HEAD = 10.0
_IDLE = 75.0  # longer than SDKs keep connections: a server that closes first makes requests fail
_WRITE = 30.0  # for a client to take what is sent to it
_LINGER, _LINGER_SILENT, _LINGER_LAST = 30.0, 5.0, 0.5

_SLICE = 64 * 1024  # bytes that are parsed before the limits are looked at
_SMALL_BODY = 64 * 1024  # a refused body that is read to keep the connection
_IDLING, _IN_HEAD, _IN_BODY = range(3)
_AUTHORITY = re.compile(rb"https?://[^/?#]*", re.IGNORECASE)
_BAD_REQUEST = b"Invalid HTTP request received."
_logger = logging.getLogger(__name__)


class _Transport:
    """A connection's transport that closes as its protocol wants it to."""

    def __init__(self, transport: asyncio.Transport, protocol: "GuardedProtocol") -> None:
        self._transport = transport
        self._protocol = weakref.proxy(protocol)  # no cycle: what it holds goes with it

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def is_closing(self) -> bool:
        return bool(self._protocol.lingers) or self._transport.is_closing()

    def close(self) -> None:
        self._protocol.close()


class GuardedProtocol(HttpToolsProtocol):
    """One connection.

    Besides what it bounds, it sends an answer's body at once. The head and the body of an answer
    are two writes. asyncio switches Nagle's algorithm off only for sockets that were made with
    their protocol's number, which uvicorn's for several workers are not; then the body would wait
    40 ms for the client's delayed acknowledgement of the head.
    """

    lingers = False
    """Whether all has been said, and the client's bytes are only dropped."""

    # As uvicorn's own: a stream's transport, where asyncio's base names any.
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Prepare a new connection."""
        self._socket_transport = transport
        self._connections: Connections = self.app_state.get(CONNECTIONS) or Connections(2**31)
        self._timer: asyncio.TimerHandle | None = None
        self._deaf = False  # nothing that comes is parsed any more
        self._heard_all = False  # the client has closed its direction
        self._stopping = False
        self._refusal: ProtocolError | None = None
        self._phase = _IDLING
        self._lingers_until = 0.0
        self._forget_message()
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().connection_made(_Transport(transport, self))  # type: ignore[arg-type]
        self._connections.opened(self)
        self._expire_after(_HEAD)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._expire_after(None)
        self._connections.closed(self)
        super().connection_lost(exc)
        self._drop_body()
        self.pipeline.clear()

    def abort(self) -> None:
        """Close it, whatever is under way."""
        self._socket_transport.abort()

    # What comes in

    def data_received(self, data: bytes) -> None:
        """Parse bytes, as long as they keep to the limits."""
        self._unset_keepalive_if_required()
        if self.lingers:
            self._expire_after(min(_LINGER_SILENT, self._lingers_until - self.loop.time()))
            return
        for start in range(0, len(data), _SLICE):
            if self._deaf:
                return
            self._parse(data[start : start + _SLICE] if len(data) > _SLICE else data)
        if self._phase == _IN_HEAD and self._is_answered():
            self._connections.holds(self, self._received)

    def _parse(self, data: bytes) -> None:
        self._received += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._stay_with_http()
        except httptools.HttpParserInvalidMethodError:
            self._refuse(UnsupportedProtocolError())
        except httptools.HttpParserError:
            self._refuse(self._refusal)
        else:
            around = self._received - self._body_size
            if self._refusal is None and around > LARGEST_HEAD + self._body_size // 8:
                self._refusal = RequestSizeError(str(LARGEST_HEAD))
            if self._refusal is not None:
                self._refuse(self._refusal)

    def eof_received(self) -> bool:  # type: ignore[override]
        """Let a client that has said everything wait for the answer."""
        if self.lingers or self._phase != _IDLING or self._is_answered():
            return False
        self._heard_all = True
        self._hear_no_more()
        return True

    # What the parser finds

    def on_message_begin(self) -> None:
        """Expect the whole head soon."""
        super().on_message_begin()
        self._phase = _IN_HEAD
        if self._is_answered():
            self._expire_after(_HEAD)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; what comes behind a body is dropped."""
        if self._phase != _IN_HEAD:
            return
        super().on_header(name, value)
        name = name.lower()
        if name == b"content-length":
            self._stays_open = int(value) <= _SMALL_BODY
        elif name in (b"transfer-encoding", b"expect"):
            self._stays_open = False
        elif name == b"host":
            self._hosts += 1

    def on_headers_complete(self) -> None:
        """Let the application have the request, if it can be one."""
        version = self.parser.get_http_version()
        if self._hosts > 1 or (version == "1.1" and self._hosts == 0):
            raise ValueError("a request has one Host")
        if version not in ("1.0", "1.1"):
            raise ValueError("this speaks neither HTTP/0.9 nor HTTP/2")
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > LARGEST_HEAD:
            self._refusal = RequestSizeError(str(LARGEST_HEAD))
            raise ValueError("the head is too large")
        self.url = _path_of(self.url, self.parser.get_method())
        super().on_headers_complete()
        self._phase = _IN_BODY
        self._connections.works(self)
        if self._is_first():
            self._expire_after(None)
        self._keep_alive = self.cycle.keep_alive
        # An answer that comes before the body's end says whether it may be the last one.
        self.cycle.keep_alive = self._keep_alive and self._stays_open and not self._stopping

    def on_body(self, body: bytes) -> None:
        """Hand on a part of a body."""
        self._body_size += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Expect another request on the connection, once this one is answered."""
        super().on_message_complete()
        self.cycle.keep_alive = self._keep_alive and not self._stopping
        self._phase = _IDLING
        self._forget_message()
        if self._is_answered() and not self.lingers:
            self._connections.waits(self)
            self._expire_after(_IDLE)

    def _unsupported_upgrade_warning(self) -> None:
        pass  # Java's client offers HTTP/2 in each request; there is nothing to warn of

    def _forget_message(self) -> None:
        self._received = self._body_size = self._hosts = 0
        self._stays_open = self._keep_alive = True

    # What goes out

    def on_response_complete(self) -> None:
        """Wait for the next request, unless there is one already."""
        super().on_response_complete()
        if self.transport.is_closing() or not self.cycle.response_complete:
            return
        self._connections.waits(self)
        self._expire_after(_IDLE if self._phase == _IDLING else _HEAD)

    def pause_writing(self) -> None:
        """Give the client time to take what was sent."""
        super().pause_writing()
        self._expire_after(_WRITE)

    def resume_writing(self) -> None:
        """Go on after the client has taken what was sent."""
        super().resume_writing()
        if not self._is_answered():
            self._expire_after(None)

    def shutdown(self) -> None:
        """Answer what is there, then end."""
        self._stopping = True
        bodies: Bodies | None = self.app_state.get(BODIES)
        if bodies is not None:
            bodies.hurry()
        if self.lingers:
            self._expire_after(_LINGER_LAST)
        elif self._is_answered():
            self._socket_transport.close()
        else:
            self._say_that_it_ends()

    def close(self) -> None:
        """Close the connection when the client has taken its answer.

        To close while it sends would reset the connection: the answer might never be seen. So
        what still comes is dropped, for a while.
        """
        if self.lingers or self._socket_transport.is_closing():
            return
        if self._heard_all:
            self._socket_transport.close()
            return
        self.lingers = True
        self._drop_body()
        self.flow.resume_reading()
        try:
            self._socket_transport.write_eof()
        except OSError:  # the client has gone
            self.abort()
            return
        self._connections.waits(self)
        self._lingers_until = self.loop.time() + _LINGER
        self._expire_after(_LINGER_LAST if self._stopping else _LINGER_SILENT)

    # The end of requests that are none

    def _refuse(self, error: ProtocolError | None) -> None:
        """Answer something that is no request, and hear no more; None is the HTTP error 400."""
        self._deaf = True
        if self._phase == _IN_BODY and self._is_first() and not self.cycle.response_started:
            # The application learns that there is no client any more.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        elif self._phase == _IN_BODY:
            # Somewhere between requests that wait for their turn, or behind an answer.
            self.close() if self._is_answered() else self.abort()
            return
        elif not self._is_answered():
            self._hear_no_more()  # the answer to an earlier request is due
            return
        client = self.client[0] if self.client else "-"
        code = "none" if error is None else error.code
        _logger.info("%s sent what is no request code=%s", client, code)
        self._socket_transport.write(_bare_answer(error, self.headers or []))
        self.close()

    def _stay_with_http(self) -> None:
        """Refuse to speak another protocol by answering in this one, for the last time."""
        if self._is_answered():
            self.close()
        else:
            self._hear_no_more()

    def _hear_no_more(self) -> None:
        """Make the newest request the connection's last one."""
        self._deaf = True
        self._keep_alive = False
        self._say_that_it_ends()

    def _say_that_it_ends(self) -> None:
        """Close the connection behind the newest request's answer."""
        self.cycle.keep_alive = False
        # As if the client had asked for it: until 0.53 uvicorn tells nobody else.
        self.cycle.scope["headers"] = [*self.cycle.scope["headers"], (b"connection", b"close")]

    # Helpers

    def _is_answered(self) -> bool:
        """Whether all requests of which there is a head have got their answers."""
        return self.cycle is None or self.cycle.response_complete

    def _is_first(self) -> bool:
        """Whether the newest request is the one that is being answered."""
        return not self.pipeline and not self._is_answered()

    def _drop_body(self) -> None:
        if self.cycle is not None:
            self.cycle.body = bytearray()

    def _expire_after(self, seconds: float | None) -> None:
        """Close the connection after so many seconds, or not any more."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if seconds is None else self.loop.call_later(seconds, self._expire)

    def _expire(self) -> None:
        if self.lingers or self._socket_transport.get_write_buffer_size() > 0:
            self.abort()
        else:
            self._socket_transport.close()


def _path_of(target: bytes, method: bytes) -> bytes:
    """Return a request's target with a path, which uvicorn wants in all of them."""
    if method == b"CONNECT":
        return b"/"  # instead of a host and a port
    authority = _AUTHORITY.match(target)
    if authority is None or target.startswith(b"/", authority.end()):
        return target
    return authority[0] + b"/" + target[authority.end() :]


def _bare_answer(error: ProtocolError | None, headers: list[tuple[bytes, bytes]]) -> bytes:
    if error is None:
        status, kind, body = b"400 Bad Request", b"text/plain; charset=utf-8", _BAD_REQUEST
    else:
        known = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}
        body = encode(error_response(error, request_language(known)))
        status, kind = b"200 OK", b"application/json"
    lines = (
        b"HTTP/1.1 " + status,
        b"content-type: " + kind,
        b"content-length: %d" % len(body),
        b"connection: close",
    )
    return b"\r\n".join(lines) + b"\r\n\r\n" + body
