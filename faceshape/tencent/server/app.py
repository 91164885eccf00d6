"""AnalyzeFace over HTTP, for any of Tencent's SDKs: an ASGI application.

Every answer of the API has status 200 and the Content-Type ``application/json``, errors too: for
the SDK anything else is a failure of the network.
"""

import asyncio
import contextlib
import ipaddress
import json
import logging
import os
import re
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple, TypeVar

import cv2
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route, Router
from starlette.types import Receive, Scope, Send

from faceshape.errors import FaceShapeError
from faceshape.processors import usable_processors
from faceshape.tencent.api import Engine, answer, error_response
from faceshape.tencent.api import Response as ApiResponse
from faceshape.tencent.fetch import FetchPolicy, fetch
from faceshape.tencent.parameters import (
    Language,
    PictureParameters,
    parse_language,
    parse_request,
)
from faceshape.tencent.picture import decode_base64
from faceshape.tencent.protocol_errors import DeadlineError
from faceshape.tencent.server.bodies import Bodies, Body
from faceshape.tencent.server.connections import Connections, most_connections
from faceshape.tencent.server.foreign_pages import refuse_foreign_pages
from faceshape.tencent.server.http_protocol import BODIES, CONNECTIONS, LARGEST_HEAD
from faceshape.tencent.server.metrics import CONTENT_TYPE_LATEST, MULTIPROCESS_VARIABLE, Metrics
from faceshape.tencent.server.pool import BoundedPool
from faceshape.tencent.server.processes import end_with_parent
from faceshape.tencent.server.signature import SignatureVerifier
from faceshape.tencent.server.wire import (
    HttpRequest,
    check_head,
    encode,
    first_values,
    read_call,
    request_language,
)

__all__ = [
    "LARGEST_HEAD",
    "MULTIPROCESS_VARIABLE",
    "SETTINGS_VARIABLE",
    "ServerSettings",
    "app_from_environment",
    "create_app",
]

SETTINGS_VARIABLE = "FACESHAPE_SERVER_SETTINGS"
"""The environment variable that carries the settings to worker processes, as JSON."""

# Threads that check signatures, parse and decode base64: milliseconds for the largest bodies.
_READERS = 2
# Pictures that are decoded while others are analysed; each takes up to 48 MB.
_DECODED_AHEAD = 1
# Downloads at the same time, and those that wait: a silent host keeps a thread for seconds.
_DOWNLOADS, _WAITING_DOWNLOADS = 32, 32
_ABSOLUTE_FORM = re.compile(r"https?://[^/]*(?P<path>.*)", re.IGNORECASE | re.DOTALL)
_Result = TypeVar("_Result")
_logger = logging.getLogger(__name__)
_access_logger = logging.getLogger("faceshape.access")


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """How the server behaves.

    Attributes:
        secrets: SecretId → SecretKey; None accepts any signature.
        threads: pictures that are analysed at the same time.
        queue: requests that may wait beside those; more are answered RequestLimitExceeded.
        request_timeout: seconds for the answer once the request is read.
        body_timeout: seconds for reading a request's body.
        bodies: bodies that are read at the same time; where there are more, the slowest goes.
        body_bytes: of all bodies that are read, wait or are worked on.
        body_rate: bytes per second that a body must bring after its first ten seconds.
        connections: that may be open; where there are more, the one that idles longest is closed.
            What the system's limit on file descriptors allows may be fewer.
        any_host: without signatures, a request's Host may also be another than loopback.
        urls: how pictures are downloaded.
        tokens: SecretId → the token that its requests must carry; see `SignatureVerifier`.
        explorer: serve the API Explorer, a page for browsers, too.
    """

    secrets: Mapping[str, str] | None = field(repr=False)
    threads: int = field(default_factory=usable_processors)
    queue: int = 64
    request_timeout: float = 10.0
    body_timeout: float = 30.0
    bodies: int = 128
    body_bytes: int = 256 * 1024 * 1024
    body_rate: int = 1024
    connections: int = 16_384
    any_host: bool = False
    urls: FetchPolicy = field(default_factory=FetchPolicy)
    tokens: Mapping[str, str] = field(default_factory=dict, repr=False)
    explorer: bool = False

    def to_json(self) -> str:
        """Return the settings as text, the secrets included."""
        values = {name: getattr(self, name) for name in self.__slots__ if name != "urls"}
        urls = {name: getattr(self.urls, name) for name in self.urls.__slots__}
        return json.dumps({**values, "urls": urls})

    @classmethod
    def from_json(cls, text: str) -> "ServerSettings":
        """Return what `to_json` was called on."""
        values = json.loads(text)
        return cls(**{**values, "urls": FetchPolicy(**values["urls"])})


def create_app(settings: ServerSettings, engine: Engine | None = None) -> Router:
    """Return the application: the API at every path but /healthz, /metrics and the Explorer's.

    Args:
        settings: how it behaves.
        engine: None loads one when the server starts.
    """
    api = _Api(settings, engine)

    @contextlib.asynccontextmanager
    async def lifespan(_: Router) -> AsyncIterator[Mapping[str, object]]:
        await asyncio.get_running_loop().run_in_executor(None, api.load)
        yield {CONNECTIONS: api.connections, BODIES: api.bodies}
        api.close()

    async def healthz(_: Request) -> Response:
        if api.pool.stuck:
            return JSONResponse({"status": "all threads are past their time"}, 503)
        return JSONResponse({"status": "ok"})

    async def metrics(_: Request) -> Response:
        return Response(api.metrics.text(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    routes: list[BaseRoute] = [Route("/healthz", healthz), Route("/metrics", metrics)]
    if settings.explorer:
        from faceshape.tencent.server.explorer import explorer_routes

        routes += explorer_routes(
            any_signature=settings.secrets is None, urls=settings.urls.allow_urls
        )
    return _TargetRouter(routes, redirect_slashes=False, default=api, lifespan=lifespan)


def app_from_environment() -> Router:
    """Return the application with the settings that `SETTINGS_VARIABLE` carries.

    For a process of its own: OpenCV is given one thread in all of it. A worker process also ends
    with its parent.
    """
    cv2.setNumThreads(1)  # the pool's threads already use all processors
    end_with_parent()
    return create_app(ServerSettings.from_json(os.environ[SETTINGS_VARIABLE]))


class _TargetRouter(Router):
    """A router that understands each form of request target (RFC 9112, section 3.2).

    uvicorn hands on the absolute form as a path with its parser h11, not with httptools.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Route a request whose target may be ``/path``, ``http://host/path`` or ``*``."""
        if scope["type"] == "http" and (absolute := _ABSOLUTE_FORM.match(scope["path"])):
            scope = {**scope, "path": absolute["path"] or "/"}
        await super().__call__(scope, receive, send)


class _Api:
    """The ASGI application behind the API's paths."""

    def __init__(self, settings: ServerSettings, engine: Engine | None) -> None:
        self._settings = settings
        self._engine = engine
        secrets = settings.secrets
        self._verifier = (
            None if secrets is None else SignatureVerifier(secrets, tokens=settings.tokens)
        )
        self.connections = Connections(most_connections(settings.connections))
        self.bodies = Bodies(
            settings.bodies, settings.body_bytes, settings.body_rate, settings.body_timeout
        )
        self._readers = BoundedPool("reading", _READERS, settings.bodies)
        self._downloads = BoundedPool("download", _DOWNLOADS, _WAITING_DOWNLOADS)
        self.pool = BoundedPool("inference", settings.threads, settings.queue, _DECODED_AHEAD)
        self.metrics = Metrics()

    def close(self) -> None:
        """End the threads that have nothing to do."""
        for pool in (self._readers, self._downloads, self.pool):
            pool.close()

    def load(self) -> None:
        """Load the engine, all of it, now rather than at the first request."""
        if self._engine is None:
            from faceshape.engine import FaceShapeEngine

            # The pool's threads already use all processors.
            engine = FaceShapeEngine(threads=1)
            engine.warm_up()
            self._engine = engine

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        headers = first_values(scope["headers"])
        with self.metrics.in_progress.track_inprogress():
            try:
                answer = await self._answer(scope, headers, receive)
            except ClientDisconnect:
                return
            except asyncio.CancelledError:  # the server ends, and cannot wait any longer
                answer = _encode_error(DeadlineError(), request_language(headers))
        seconds = time.perf_counter() - started
        self.metrics.requests.labels(answer.code).inc()
        self.metrics.seconds.observe(seconds)
        # Status 200 would tell a client of CONNECT that the bytes from now on are a tunnel's.
        status = 405 if scope["method"] == "CONNECT" else 200
        await Response(answer.body, status, media_type="application/json")(scope, receive, send)
        _access_logger.info(
            "%s %s code=%s id=%s milliseconds=%.1f%s",
            _address(scope),
            scope["method"] if scope["method"] in ("GET", "POST") else "other",
            answer.code,
            answer.request_id,
            1000 * seconds,
            f" reason: {answer.reason}" if answer.reason else "",
        )

    async def _answer(
        self, scope: Scope, headers: Mapping[str, str], receive: Receive
    ) -> "_Answer":
        method, query = scope["method"], scope["query_string"].decode("latin-1")
        language: Language | None = None
        data = bytearray()
        try:
            if self._verifier is None:
                refuse_foreign_pages(headers, self._settings.any_host)
            # A body that cannot be part of a good request is not read at all.
            limit = check_head(method, headers, self._verifier)
            with Body(self.bodies) as body:
                data = await body.read(receive, limit)
                deadline = time.monotonic() + self._settings.request_timeout
                request = HttpRequest(method, query, headers, data)
                read = await self._run(
                    self._readers, partial(_read, request, self._verifier), deadline
                )
                # What was made of the bytes is as large, and may have to wait.
                del request
                data = bytearray()
                body.forget()
                if isinstance(read, _Answer):
                    return read
                language = read.language
                return await self._analyze(read, deadline)
        except ClientDisconnect:
            raise
        except FaceShapeError as error:
            return _encode_error(error, language or request_language(headers, query, data))
        except Exception:
            _logger.exception("a request could not be answered")
            return _encode_error(FaceShapeError(), request_language(headers))

    async def _analyze(self, call: "_Call", deadline: float) -> "_Answer":
        """Answer a call; what it must download first takes no thread from other calls."""
        picture = call.picture
        if picture is None:
            download = partial(fetch, call.parameters.picture, self._settings.urls)
            picture = await self._run(self._downloads, download, deadline)
        with self.pool.enter() as place:
            work = partial(_respond, call, picture, self._engine, place.turn())
            return await place.run(work, deadline - time.monotonic())

    async def _run(
        self, pool: BoundedPool, function: Callable[[], _Result], deadline: float
    ) -> _Result:
        with pool.enter() as place:
            return await place.run(function, deadline - time.monotonic())


class _Answer(NamedTuple):
    body: bytes
    code: str
    request_id: str
    reason: str = ""


class _Call(NamedTuple):
    """A valid request.

    Attributes:
        language: of error messages.
        parameters: what it asks for, without the text of its picture.
        picture: the bytes of its picture's file; None if they are to be downloaded.
    """

    language: Language
    parameters: PictureParameters
    picture: bytes | None


def _read(request: HttpRequest, verifier: SignatureVerifier | None) -> _Call | _Answer:
    """Return what a request asks for, or the answer if that is no good.

    Raises:
        FaceShapeError: see `read_call`; in which language to say so is not known.
    """
    call = read_call(request, verifier)
    language = parse_language(call)
    try:
        parameters = parse_request(call)
        if parameters.source == "Url":
            return _Call(language, parameters, None)
        picture = decode_base64(parameters.picture)
    except FaceShapeError as error:
        return _encode_error(error, language)
    return _Call(language, replace(parameters, picture=""), picture)


def _respond(
    call: _Call,
    picture: bytes,
    engine: Engine | None,
    turn: contextlib.AbstractContextManager[object],
) -> _Answer:
    return _encode(answer(call.parameters, picture, engine, call.language, turn))


def _encode(response: ApiResponse, reason: str = "") -> _Answer:
    content = response["Response"]
    code = content["Error"]["Code"] if "Error" in content else "OK"
    return _Answer(encode(response), code, content["RequestId"], reason)


def _encode_error(error: FaceShapeError, language: Language) -> _Answer:
    return _encode(error_response(error, language), getattr(error, "reason", ""))


def _address(scope: Scope) -> str:
    """Return the client's address as it may stand in a log: a proxy may have said anything."""
    host = scope["client"][0] if scope.get("client") else ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "-"
    return "-" if "%" in host else str(address)  # what is behind a % may be any text
