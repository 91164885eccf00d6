"""A stub engine, pictures, the server on a real socket, and the official SDK as its client."""

import base64
import contextlib
import io
import socket
import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import numpy as np
import pytest
import uvicorn
from PIL import Image
from tencentcloud.common.credential import Credential
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from tencentcloud.iai.v20200303.iai_client import IaiClient as CloudClient
from tencentcloud.iai.v20200303.models import AnalyzeFaceRequest

from faceshape.tencent.server.app import ServerSettings, create_app
from faceshape.tencent.server.http_protocol import GuardedProtocol
from faceshape.types import FaceShape, Mode

SECRET_ID = "AKIDEXAMPLEFAKEFAKEFAKEFAKEFAKE00"
SECRET_KEY = "FAKEsecretKEYforTESTSonly0000000"


class StubEngine:
    """Two faces in every picture that is not black, at places that depend on the call."""

    def __init__(self) -> None:
        self.action: Callable[[], None] = lambda: None
        self.calls: list[SimpleNamespace] = []

    def analyze(self, image, mode=Mode.ALL, rotate=False) -> list[FaceShape]:
        self.calls.append(SimpleNamespace(shape=image.shape, mode=mode, rotate=rotate))
        self.action()
        if not image.any():
            return []
        grid = np.arange(180, dtype=np.float32).reshape(90, 2)
        return [
            FaceShape(
                points=grid * 1.5 - 20 + size + 100 * rotate,
                dense=grid,
                box=np.array([0, 0, size, size], np.float32),
                score=1.0,
                presence=1.0,
                roll=0.0,
            )
            for size in ([40.0, 30.0] if mode == Mode.ALL else [40.0])
        ]


@pytest.fixture
def stub() -> StubEngine:
    return StubEngine()


def picture(width=80, height=64, *, kind="PNG", value=200) -> str:
    """Base64 text of a picture of one grey value."""
    buffer = io.BytesIO()
    Image.new("L", (width, height), value).save(buffer, kind)
    return base64.b64encode(buffer.getvalue()).decode()


@pytest.fixture(scope="session")
def make_picture() -> Callable[..., str]:
    return picture


@contextlib.contextmanager
def running(settings: ServerSettings, engine) -> Iterator[int]:
    """Serve on a free loopback port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(
            create_app(settings, engine),
            http=GuardedProtocol,
            backlog=256,
            ws="none",
            access_log=False,
            log_level="warning",
            timeout_keep_alive=75,
            timeout_graceful_shutdown=2,
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            until = time.monotonic() + 60
            while not server.started:
                assert time.monotonic() < until, "the server did not start"
                time.sleep(0.01)
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(timeout=60)
            assert not thread.is_alive()


@pytest.fixture(scope="session")
def serving() -> Callable[..., contextlib.AbstractContextManager[int]]:
    return running


@pytest.fixture
def settings() -> ServerSettings:
    return ServerSettings(secrets={SECRET_ID: SECRET_KEY}, threads=2, queue=8, request_timeout=30.0)


@pytest.fixture
def port(settings: ServerSettings, stub: StubEngine) -> Iterator[int]:
    """Of a server with the stub engine that checks signatures."""
    with running(settings, stub) as number:
        yield number


def profile(port, *, sign="TC3-HMAC-SHA256", method="POST", unsigned=False, language="zh-CN"):
    http = HttpProfile(
        protocol="http", endpoint=f"127.0.0.1:{port}", reqMethod=method, reqTimeout=60
    )
    result = ClientProfile(signMethod=sign, httpProfile=http, language=language)
    result.unsignedPayload = unsigned
    return result


@pytest.fixture(scope="session")
def sdk_profile() -> Callable[..., ClientProfile]:
    return profile


@pytest.fixture(scope="session")
def credential() -> Credential:
    return Credential(SECRET_ID, SECRET_KEY)


@pytest.fixture(scope="session")
def sdk_client(credential: Credential) -> Callable[..., CloudClient]:
    """The unmodified SDK's client of a local server."""
    return lambda port, **options: CloudClient(credential, "ap-guangzhou", profile(port, **options))


@pytest.fixture(scope="session")
def sdk_request() -> Callable[..., AnalyzeFaceRequest]:
    def build(**fields) -> AnalyzeFaceRequest:
        request = AnalyzeFaceRequest()
        for name, value in fields.items():
            setattr(request, name, value)
        return request

    return build


@pytest.fixture(scope="module")
def shared_stub() -> StubEngine:
    return StubEngine()
