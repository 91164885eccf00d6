"""AnalyzeFace over HTTP, for any of Tencent's SDKs: an ASGI application.

Every answer of the API has status 200 and the Content-Type ``application/json``, errors too: for
the SDK anything else is a failure of the network.
"""

import asyncio
import contextlib
import json
import logging
import os
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route, Router
from starlette.types import Receive, Scope, Send

from faceshape.errors import FaceShapeError
from faceshape.tencent.api import Engine, analyze_face, error_response
from faceshape.tencent.api import Response as ApiResponse
from faceshape.tencent.fetch import FetchPolicy
from faceshape.tencent.protocol_errors import DeadlineError, ProtocolError, RequestSizeError
from faceshape.tencent.server.metrics import CONTENT_TYPE_LATEST, MULTIPROCESS_VARIABLE, Metrics
from faceshape.tencent.server.pool import InferencePool
from faceshape.tencent.server.signature import SignatureVerifier
from faceshape.tencent.server.wire import (
    HttpRequest,
    body_limit,
    media_type,
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

LARGEST_HEAD = 256 * 1024
"""Bytes of a request line with headers; longer queries than GET's 32 KB are answered up to here."""

_DRAIN_LIMIT = 64 * 1024 * 1024  # bytes of a refused body that are read before the answer
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
        urls: how pictures are downloaded.
        explorer: serve the API Explorer, a page for browsers, too.
    """

    secrets: Mapping[str, str] | None = field(repr=False)
    threads: int = os.cpu_count() or 1
    queue: int = 64
    request_timeout: float = 10.0
    body_timeout: float = 30.0
    urls: FetchPolicy = field(default_factory=FetchPolicy)
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
    async def lifespan(_: Router) -> AsyncIterator[None]:
        await asyncio.get_running_loop().run_in_executor(None, api.load)
        yield
        await asyncio.get_running_loop().run_in_executor(None, api.pool.close)

    async def healthz(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def metrics(_: Request) -> Response:
        return Response(api.metrics.text(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    routes: list[BaseRoute] = [Route("/healthz", healthz), Route("/metrics", metrics)]
    if settings.explorer:
        from faceshape.tencent.server.explorer import explorer_routes

        routes += explorer_routes(
            any_signature=settings.secrets is None, urls=settings.urls.allow_urls
        )
    routes.append(Mount("/", app=api))
    return Router(routes, redirect_slashes=False, lifespan=lifespan)


def app_from_environment() -> Router:
    """Return the application with the settings that `SETTINGS_VARIABLE` carries."""
    return create_app(ServerSettings.from_json(os.environ[SETTINGS_VARIABLE]))


class _Api:
    """The ASGI application behind the API's paths."""

    def __init__(self, settings: ServerSettings, engine: Engine | None) -> None:
        self._settings = settings
        self._engine = engine
        secrets = settings.secrets
        self._verifier = None if secrets is None else SignatureVerifier(secrets)
        self.pool = InferencePool(settings.threads, settings.queue)
        self.metrics = Metrics()

    def load(self) -> None:
        """Load the engine, all of it, now rather than at the first request."""
        if self._engine is None:
            from faceshape.engine import FaceShapeEngine

            # The pool's threads already use all cores.
            engine = FaceShapeEngine(threads=1)
            # What it loads at first use, the first request need not wait for.
            nothing = np.zeros((64, 64, 3), np.uint8)
            engine.detect(nothing)
            engine.landmarks(nothing, [[16, 16, 48, 48]])
            self._engine = engine

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        started = time.perf_counter()
        with self.metrics.in_progress.track_inprogress():
            try:
                answer = await self._answer(request)
            except ClientDisconnect:
                return
        seconds = time.perf_counter() - started
        self.metrics.requests.labels(answer.code).inc()
        self.metrics.seconds.observe(seconds)
        await Response(answer.body, media_type="application/json")(scope, receive, send)
        _access_logger.info(
            "%s %s code=%s id=%s milliseconds=%.1f",
            request.client.host if request.client else "-",
            request.method if request.method in ("GET", "POST") else "other",
            answer.code,
            answer.request_id,
            1000 * seconds,
        )

    async def _answer(self, request: Request) -> "_Answer":
        language = request_language(request.headers)
        try:
            limit = body_limit(request.method, media_type(request.headers))
            place = self.pool.enter()
        except ProtocolError as error:
            # A client listens only after it has sent everything.
            with contextlib.suppress(ProtocolError):
                await self._read(request, 0)
            return _encode(error_response(error, language))
        with place:
            try:
                body = await self._read(request, limit)
                return await place.run(
                    lambda: self._analyze(request, body), self._settings.request_timeout
                )
            except ProtocolError as error:
                return _encode(error_response(error, language))

    async def _read(self, request: Request, keep: int) -> bytes:
        """Return the body, of which at most so many bytes are ever in memory.

        Raises:
            RequestSizeError: there is more; it has been read, within reason, and dropped.
            DeadlineError: it did not come in time.
        """
        body = bytearray()

        async def read() -> None:
            received = 0
            async for chunk in request.stream():
                received += len(chunk)
                body.extend(chunk[: keep + 1 - len(body)])
                if received > _DRAIN_LIMIT:
                    return

        try:
            await asyncio.wait_for(read(), self._settings.body_timeout)
        except asyncio.TimeoutError:
            raise DeadlineError from None
        if len(body) > keep:
            raise RequestSizeError(str(keep))
        return bytes(body)

    def _analyze(self, request: Request, body: bytes) -> "_Answer":
        """Answer a request that has been read; runs in a thread of the pool."""
        query = request.scope["query_string"].decode("latin-1")
        language = request_language(request.headers)
        try:
            http_request = HttpRequest(request.method, query, request.headers, body)
            params = read_call(http_request, self._verifier)
        except ProtocolError as error:
            return _encode(error_response(error, language))
        except Exception:
            _logger.exception("a request could not be read")
            return _encode(error_response(FaceShapeError(), language))
        return _encode(analyze_face(params, self._engine, self._settings.urls))


class _Answer(NamedTuple):
    body: bytes
    code: str
    request_id: str


def _encode(response: ApiResponse) -> _Answer:
    content = response["Response"]
    code = content["Error"]["Code"] if "Error" in content else "OK"
    body = json.dumps(response, separators=(",", ":")).encode("ascii")
    return _Answer(body, code, content["RequestId"])
