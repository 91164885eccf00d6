"""``faceshape serve`` as a process of its own, with the official SDK as its client."""

import base64
import contextlib
import http.client
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException

SECRET = "AKIDEXAMPLEFAKEFAKEFAKEFAKEFAKE00:FAKEsecretKEYforTESTSonly0000000"
CODE = "from faceshape.cli.serve import serve; serve()"
# What Python imports when it starts, in the server's workers, too: an engine that is stuck in C.
STUCK = """
import ctypes, sys
if "serve" in " ".join(sys.orig_argv) or "spawn_main" in " ".join(sys.orig_argv):
    from faceshape.engine import FaceShapeEngine
    FaceShapeEngine.analyze = lambda *_, **__: ctypes.CDLL(None).sleep(600)
"""
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4} "

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals")


def few_descriptors():
    """Of which the server may have more, and takes them."""
    with contextlib.suppress(ImportError):
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(512, hard), hard))


class Served:
    """A server's process."""

    def __init__(self, *options, environment=None, secret=SECRET, workers=1, directory):
        command = [sys.executable, "-c", CODE, "--port", "0", "--threads", "1"]
        self.workers = workers
        self.temporary = directory / "tmp"
        self.temporary.mkdir()
        self.log = directory / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, "--workers", str(workers), *options],
                env={
                    **os.environ,
                    **({} if secret is None else {"FACESHAPE_SECRETS": secret}),
                    "TMPDIR": str(self.temporary),
                    **(environment or {}),
                },
                stderr=log,
                preexec_fn=few_descriptors,
            )
        until = time.monotonic() + 120
        while self.logged().count("startup complete") < workers or not (
            address := re.search(r"http://127\.0\.0\.1:(\d+)", self.logged())
        ):
            assert self.process.poll() is None, self.logged()
            assert time.monotonic() < until, self.logged()
            time.sleep(0.05)
        self.port = int(address[1])

    def logged(self):
        return self.log.read_text()

    def get(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("GET", path)
        with connection.getresponse() as response:
            content = response.read().decode()
        connection.close()
        return response.status, content

    def children(self):
        """Return the worker processes that are alive."""
        pids = map(int, set(re.findall(r"Started server process \[(\d+)\]", self.logged())))
        return [pid for pid in pids if is_alive(pid)]

    def end(self, number=signal.SIGTERM, seconds=60):
        """Return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(seconds)


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    with contextlib.suppress(OSError):  # a zombie, whose parent was killed, too
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    return True


def wait_for(condition, seconds=60):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.fixture
def serve(tmp_path):
    """Start a server; whatever happens, it does not outlive the test."""
    started = []

    def start(*options, **more):
        directory = tmp_path / str(len(started))
        directory.mkdir()
        started.append(Served(*options, directory=directory, **more))
        return started[-1]

    yield start
    for server in started:
        for pid in server.children():
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        if server.process.poll() is None:
            server.process.kill()
        server.process.wait()


def encoded(portrait):
    buffer = io.BytesIO()
    Image.fromarray(portrait).save(buffer, "JPEG")
    return base64.b64encode(buffer.getvalue()).decode()


@pytest.mark.parametrize("workers", [1, 2])
def test_serving_a_real_face(workers, portrait, sdk_client, sdk_request, serve):
    image = encoded(portrait)
    server = serve("--request-timeout", "60", workers=workers)
    for options in ({}, {"sign": "HmacSHA256"}):
        client = sdk_client(server.port, **options)  # a connection of its own: another worker
        response = client.AnalyzeFace(sdk_request(Image=image))
        assert len(response.FaceShapeSet[0].FaceProfile) == 21
    with pytest.raises(TencentCloudSDKException, match="MissingParameter"):
        sdk_client(server.port).AnalyzeFace(sdk_request())
    # All workers' numbers are added.
    wait_for(lambda: 'faceshape_requests_total{code="OK"} 2.0' in server.get("/metrics")[1])
    assert server.end() == 0
    assert list(server.temporary.glob("faceshape*")) == []
    logged = server.logged()
    assert logged.count("code=OK") == 2
    assert "Traceback" not in logged
    assert all(re.match(TIME, line) for line in logged.splitlines())
    for private in (image[:30], *SECRET.split(":")):
        assert private not in logged


def half_a_body(port):
    """Return a connection over which a part of a plausible request was sent."""
    from faceshape.tencent.server.signature import tc3_signature

    secret_id, key = SECRET.split(":")
    now = int(time.time())
    signed = {"content-type": "application/json", "host": f"127.0.0.1:{port}"}
    signature = tc3_signature(
        key,
        method="POST",
        query="",
        headers=list(signed.items()),
        payload=b"{}",
        timestamp=now,
        service="iai",
    )
    date = time.strftime("%Y-%m-%d", time.gmtime(now))
    lines = {
        **signed,
        "X-TC-Action": "AnalyzeFace",
        "X-TC-Version": "2020-03-03",
        "X-TC-Timestamp": str(now),
        "Content-Length": "2",
        "Authorization": f"TC3-HMAC-SHA256 Credential={secret_id}/{date}/iai/tc3_request, "
        f"SignedHeaders=content-type;host, Signature={signature}",
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    connection = socket.create_connection(("127.0.0.1", port), timeout=60)
    connection.sendall(f"POST / HTTP/1.1\r\n{head}\r\n{{".encode())
    return connection


def everything(connection) -> bytes:
    """Return what comes until the other side closes."""
    return b"".join(iter(lambda: connection.recv(4096), b""))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_end(number, serve):
    """What is half sent is answered, what idles is closed, and nothing takes long."""
    server = serve()
    idle = socket.create_connection(("127.0.0.1", server.port), timeout=60)
    with half_a_body(server.port) as half, half_a_body(server.port) as late, idle:
        time.sleep(0.5)
        server.process.send_signal(number)
        time.sleep(0.5)
        late.sendall(b"}")
        assert b"MissingParameter.ErrorParameterEmpty" in everything(late)
        head, _, body = everything(half).partition(b"\r\n\r\n")
        assert b"connection: close" in head
        answer = json.loads(body)["Response"]
        assert answer["Error"]["Code"] == "FailedOperation.RequestTimeout"
        assert idle.recv(1) == b""
    assert server.process.wait(30) == 0
    assert list(server.temporary.glob("faceshape*")) == []


@pytest.mark.parametrize("workers", [1, 2])
def test_a_thread_that_is_stuck(workers, portrait, sdk_client, sdk_request, serve, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(STUCK)
    paths = os.pathsep.join(
        path for path in (str(tmp_path), os.environ.get("PYTHONPATH"), str(Path.cwd())) if path
    )
    server = serve("--request-timeout", "1", workers=workers, environment={"PYTHONPATH": paths})
    assert server.get("/healthz")[0] == 200
    image = encoded(portrait)
    with pytest.raises(TencentCloudSDKException) as caught:
        sdk_client(server.port).AnalyzeFace(sdk_request(Image=image))
    assert caught.value.code == "FailedOperation.RequestTimeout"
    wait_for(lambda: server.get("/healthz")[0] == 503)
    started = time.monotonic()
    assert server.end() == 0
    assert time.monotonic() - started < 30
    assert list(server.temporary.glob("faceshape*")) == []


def test_a_worker_that_is_killed(portrait, sdk_client, sdk_request, serve):
    server = serve(workers=2)
    half = [half_a_body(server.port) for _ in range(20)]

    def in_progress():
        [line] = [
            line
            for line in server.get("/metrics")[1].splitlines()
            if line.startswith("faceshape_requests_in_progress ")
        ]
        return float(line.split()[1])

    wait_for(lambda: in_progress() == 20)
    os.kill(server.children()[0], signal.SIGKILL)
    wait_for(lambda: in_progress() < 20)
    for connection in half:
        connection.close()
    wait_for(lambda: in_progress() == 0)
    assert sdk_client(server.port).AnalyzeFace(sdk_request(Image=encoded(portrait))).FaceShapeSet
    wait_for(lambda: server.logged().count("startup complete") == 3)
    assert server.end() == 0


def test_workers_end_with_their_parent(serve):
    server = serve(workers=2)
    children = server.children()
    assert len(children) == 2
    server.process.kill()
    server.process.wait()
    wait_for(lambda: not any(map(is_alive, children)))
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port), timeout=5)
    assert list(server.temporary.glob("faceshape*")) == []


def test_secrets_from_a_file(serve, tmp_path, sdk_client, sdk_request):
    file = tmp_path / "secrets"
    file.write_text(f"# for the tests\n\n{SECRET}\n")
    server = serve("--secrets-file", str(file), secret=None)
    with pytest.raises(TencentCloudSDKException, match="MissingParameter"):
        sdk_client(server.port).AnalyzeFace(sdk_request())


FORWARDED = "6.6.6.6 POST code=OK id=forged milliseconds=0.1"


@pytest.mark.parametrize(
    ("options", "header", "logged"),
    [
        ([], "6.6.6.6", "127.0.0.1"),
        (["--forwarded-allow-ips", "127.0.0.1"], "6.6.6.6", "6.6.6.6"),
        (["--forwarded-allow-ips", "127.0.0.1"], "2001:db8::1", "2001:db8::1"),
        (["--forwarded-allow-ips", "127.0.0.1"], FORWARDED, "-"),
        (["--forwarded-allow-ips", "127.0.0.1"], f"fe80::1%{FORWARDED}", "-"),
        (["--forwarded-allow-ips", "10.0.0.0/8"], "6.6.6.6", "127.0.0.1"),
    ],
)
def test_what_a_proxy_says_of_the_client(serve, options, header, logged):
    server = serve(*options)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("PUT", "/", b"", {"X-Forwarded-For": header})
    connection.getresponse().read()
    connection.close()
    wait_for(lambda: "code=UnsupportedProtocol" in server.logged())
    [line] = [line for line in server.logged().splitlines() if "code=" in line]
    assert re.search(rf"{TIME}INFO: +{re.escape(logged)} other code=UnsupportedProtocol id=", line)
    assert "forged" not in server.logged()


def test_all_file_descriptors_are_used(serve):
    resource = pytest.importorskip("resource")
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limits = Path(f"/proc/{serve().process.pid}/limits")
    if not limits.exists():
        pytest.skip("no /proc here")
    assert re.search(rf"Max open files +{hard} +{hard} ", limits.read_text())
