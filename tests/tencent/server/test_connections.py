"""What clients do on the wire that is no good request: each is answered or closed, in time."""

import contextlib
import json
import re
import socket
import threading
import time
from dataclasses import replace

import pytest

from faceshape.tencent.server import bodies, http_protocol
from faceshape.tencent.server.connections import Connections, most_connections
from faceshape.tencent.server.http_protocol import LARGEST_HEAD

HEAD = (
    b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    b"X-TC-Action: AnalyzeFace\r\nX-TC-Version: 2020-03-03\r\n"
)
GOOD = HEAD + b"Content-Length: 2\r\n\r\n{}"
NO_PICTURE = "MissingParameter.ErrorParameterEmpty"


@pytest.fixture
def short_times(monkeypatch):
    for name in ("_HEAD", "_IDLE", "_WRITE", "_LINGER_SILENT"):
        monkeypatch.setattr(http_protocol, name, 0.3)


@pytest.fixture
def open_port(settings, stub, serving):
    with serving(replace(settings, secrets=None), stub) as number:
        yield number


def connect(port, data=b""):
    connection = socket.create_connection(("127.0.0.1", port), timeout=20)
    connection.sendall(data)
    return connection


def read_all(connection):
    """Return what comes until the server closes; a connection that is reset has nothing more."""
    received = b""
    with contextlib.suppress(ConnectionError):
        while part := connection.recv(65536):
            received += part
    connection.close()
    return received


def read_answer(connection):
    """Return the error code of one answer, "OK" if there is none, or the status if not 200."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(1) or pytest.fail(f"closed after {received!r}")
    status = int(received.split()[1])
    length = int(re.search(rb"content-length: (\d+)", received, re.IGNORECASE)[1])
    body = b""
    while len(body) < length:
        body += connection.recv(length - len(body)) or pytest.fail("an answer cut short")
    if status != 200:
        return status
    assert b"content-type: application/json\r\n" in received.lower()
    response = json.loads(body)["Response"]
    return response.get("Error", {}).get("Code", "OK")


def ask(port, data):
    with connect(port, data) as connection:
        return read_answer(connection)


def is_closed(connection):
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True


@pytest.mark.parametrize("sent", [b"", b"POST", GOOD[:60], b"\r\n\r\n", GOOD + b"GET"])
def test_a_head_that_does_not_come(short_times, open_port, sent):
    with connect(open_port, sent) as connection:
        if sent.startswith(GOOD):
            assert read_answer(connection) == NO_PICTURE
        started = time.monotonic()
        assert is_closed(connection)
        assert time.monotonic() - started < 5


def test_a_head_that_drips_is_no_longer_waited_for(short_times, open_port):
    with connect(open_port) as connection, contextlib.suppress(ConnectionError):
        for byte in GOOD * 10:
            connection.sendall(bytes([byte]))
            time.sleep(0.02)
        pytest.fail("all of it was taken")


@pytest.mark.parametrize("between", [b"", b"\r\n"])
def test_an_idle_connection(short_times, open_port, between):
    with connect(open_port, GOOD) as connection:
        assert read_answer(connection) == NO_PICTURE
        with contextlib.suppress(ConnectionError):
            for _ in range(20 if between else 0):  # what is no request keeps no connection
                connection.sendall(between)
                time.sleep(0.05)
        assert is_closed(connection)


def test_a_connection_is_kept_for_the_next_request(open_port):
    with connect(open_port) as connection:
        for _ in range(3):
            connection.sendall(GOOD)
            assert read_answer(connection) == NO_PICTURE


def test_the_longest_idle_connection_makes_room(settings, stub, serving):
    with serving(replace(settings, secrets=None, connections=5), stub) as port:
        idle = []
        for number in range(12):
            idle.append(connect(port, (b"", GOOD, b"POST / HT")[number % 3]))
            if number % 3 == 1:
                assert read_answer(idle[-1]) == NO_PICTURE
            assert ask(port, GOOD) == NO_PICTURE  # and so there are six
        assert is_closed(idle[0])
        idle[-2].sendall(GOOD)
        assert read_answer(idle[-2]) == NO_PICTURE
        for connection in idle:
            connection.close()


class FakeConnection:
    def __init__(self):
        self.aborted = False

    def abort(self):
        self.aborted = True


def test_incomplete_heads_hold_little_altogether():
    connections = Connections(most=10_000)
    heads = [FakeConnection() for _ in range(2000)]
    for head in heads:
        connections.opened(head)
        connections.holds(head, 1)
        connections.holds(head, LARGEST_HEAD)
    kept = [head for head in heads if not head.aborted]
    assert len(kept) * LARGEST_HEAD <= 64 * 1024 * 1024
    assert kept == heads[-len(kept) :]
    for head in kept:
        connections.closed(head)
    assert connections._bytes == 0


def test_a_connection_that_works_is_closed_only_where_none_waits():
    connections = Connections(most=2)
    busy = [FakeConnection() for _ in range(2)]
    for one in busy:
        connections.opened(one)
        connections.works(one)
    late = FakeConnection()
    connections.opened(late)
    assert late.aborted
    assert not any(one.aborted for one in busy)


def test_as_many_connections_as_descriptors(monkeypatch):
    resource = pytest.importorskip("resource")
    for limit, wanted, most in ((1024, 16_384, 640), (10**6, 16_384, 16_384), (10, 100, 16)):
        monkeypatch.setattr(resource, "getrlimit", lambda _, limit=limit: (limit, limit))
        assert most_connections(wanted) == most


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (HEAD + b"X: " + b"a" * 300_000 + b"\r\nContent-Length: 2\r\n\r\n{}", "size"),
        (HEAD + b"X: " + b"a" * 70_000 + b"\r\nContent-Length: 2\r\n\r\n{}", "size"),
        (HEAD + b"a:\r\n" * 60_000 + b"\r\n", "size"),
        (b"GET /?" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", "size"),
        (b"GET /?" + b"a" * 40_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "size"),
        (HEAD + b"Content-Length: 99999999\r\n\r\n", "size"),
        (HEAD + b"Content-Length: 99999999\r\nExpect: 100-continue\r\n\r\n", "size"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\na\r\n" * 60_000, "size"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;" + b"x" * 200_000, "size"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX: " + b"x" * 200_000, "size"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"X: y\r\n" * 60_000, "size"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n-5\r\nabc", 400),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\nabc", 400),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nZ\r\nabc", 400),
        (HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400),
        (HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", 400),
        (HEAD + b"Content-Length: -1\r\n\r\n{}", 400),
        (HEAD + b"Content-Length: 1" + b"0" * 30 + b"\r\n\r\n{}", 400),
        (HEAD + b"Host: evil.example\r\nContent-Length: 2\r\n\r\n{}", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}", 400),
        (b"GET /\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200), "UnsupportedProtocol"),
        (b"post / HTTP/1.1\r\nHost: x\r\n\r\n", "UnsupportedProtocol"),
        (b"BREW / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "UnsupportedProtocol"),
        (b"OPTIONS * HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "UnsupportedProtocol"),
        (b"CONNECT a:443 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 405),
        (GOOD.replace(b"HTTP/1.1", b"HTTP/1.0"), NO_PICTURE),
        (GOOD.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n"), NO_PICTURE),
        (GOOD + b"GARBAGE\r\n\r\n", NO_PICTURE),
        (GOOD.replace(b"POST / ", b"POST http://127.0.0.1/ "), NO_PICTURE),
        (GOOD.replace(b"POST / ", b"POST http://127.0.0.1 "), NO_PICTURE),
        (GOOD.replace(b"POST / ", b"POST HTTP://127.0.0.1?a=b "), NO_PICTURE),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n2;a=b\r\n{}\r\n0\r\nT: x\r\n\r\n", NO_PICTURE),
        (GOOD.replace(b"Host", b"Connection: Upgrade\r\nUpgrade: h2c\r\nHost"), NO_PICTURE),
    ],
)
def test_odd_requests(open_port, sent, expected):
    with connect(open_port) as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(sent)
        if b"100-continue" in sent and expected == NO_PICTURE:
            assert connection.recv(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        expected = "RequestSizeLimitExceeded" if expected == "size" else expected
        assert read_answer(connection) == expected
    assert ask(open_port, GOOD) == NO_PICTURE


@pytest.mark.parametrize("size", [1000, 12_000_000, 70_000_000])
def test_a_refused_body_is_answered_while_it_is_sent(open_port, size):
    """A client that listens only after it has sent everything gets the answer, too."""
    sent = b"PUT / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n" % size
    with connect(open_port, sent) as connection:
        connection.sendall(bytes(size))
        assert read_answer(connection) == "UnsupportedProtocol"
        if size == 1000:  # what is small does not cost the connection
            connection.sendall(GOOD)
            assert read_answer(connection) == NO_PICTURE
        else:
            assert read_all(connection) == b""


def test_a_client_that_sends_for_ever_is_not_listened_to_for_ever(
    monkeypatch, short_times, open_port
):
    monkeypatch.setattr(http_protocol, "_LINGER", 0.5)
    head = b"PUT / HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    with connect(open_port, head) as connection:
        started = time.monotonic()
        with pytest.raises(ConnectionError):  # noqa: PT012 - when it ends is the question
            while time.monotonic() - started < 20:
                connection.sendall(b"1000\r\n" + bytes(4096) + b"\r\n")


@pytest.mark.parametrize("sent", [GOOD, GOOD.replace(b"HTTP/1.1", b"HTTP/1.0"), GOOD * 3])
def test_a_client_that_has_said_everything_may_close_its_side(open_port, sent):
    with connect(open_port, sent) as connection:
        connection.shutdown(socket.SHUT_WR)
        answers = read_all(connection)
    assert answers.count(NO_PICTURE.encode()) == sent.count(b"POST")


def test_a_body_that_ends_too_early(open_port):
    with connect(open_port, HEAD + b"Content-Length: 200\r\n\r\n{}") as connection:
        connection.shutdown(socket.SHUT_WR)
        assert read_all(connection) == b""


def test_pipelined_requests_are_answered_in_order(open_port):
    put = b"PUT / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 3\r\n\r\nabc"
    with connect(open_port, (GOOD + put) * 50) as connection:
        for _ in range(50):
            assert read_answer(connection) == NO_PICTURE
            assert read_answer(connection) == "UnsupportedProtocol"


def test_garbage_behind_a_request_does_not_take_its_answer(open_port, stub, image_body):
    release = threading.Event()
    stub.action = lambda: release.wait(20)
    sent = HEAD + b"Content-Length: %d\r\n\r\n" % len(image_body) + image_body
    with connect(open_port, sent + b"GARBAGE\r\n\r\n") as connection:
        time.sleep(0.2)
        release.set()
        assert read_answer(connection) == "OK"
        assert read_all(connection) == b""


def test_a_client_that_does_not_take_its_answers(short_times, open_port):
    """Its connection goes, and what it asked for takes no place from others."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(0.5)
        connection.connect(("127.0.0.1", open_port))
        sent = 0
        with contextlib.suppress(ConnectionError, TimeoutError):
            while sent < 20_000:
                connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 100)
                sent += 100
        assert ask(open_port, GOOD) == NO_PICTURE
        time.sleep(2)
        connection.settimeout(20)
        assert read_all(connection).count(b"HTTP/1.1 200 OK") < 20_000


@pytest.fixture
def image_body(make_picture):
    return json.dumps({"Image": make_picture()}).encode()


def test_a_body_slower_than_the_least_rate(monkeypatch, settings, stub, serving):
    monkeypatch.setattr(bodies, "_PATIENCE", 0.4)
    head = HEAD + b"Content-Length: 1000000\r\n\r\n"
    with serving(replace(settings, secrets=None), stub) as port, connect(port, head) as connection:
        connection.settimeout(0.05)
        answer = b""
        for _ in range(200):
            with contextlib.suppress(TimeoutError):
                answer += connection.recv(4096)
            if answer.endswith(b"}}"):
                break
            if not answer:
                connection.sendall(b"a")
        assert b"FailedOperation.RequestTimeout" in answer


def test_slow_bodies_lock_nobody_out(settings, stub, serving, image_body):
    few = replace(settings, secrets=None, bodies=4, threads=1, queue=0)
    with serving(few, stub) as port:
        slow = [connect(port, HEAD + b"Content-Length: 1000000\r\n\r\n[") for _ in range(20)]
        good = HEAD + b"Content-Length: %d\r\n\r\n" % len(image_body) + image_body
        for _ in range(20):
            assert ask(port, good) == "OK"
        assert read_answer(slow[0]) == "RequestLimitExceeded"
        for connection in slow:
            connection.close()


def test_bodies_in_tiny_chunks_leave_time_for_others(open_port):
    """The limit of what may surround a body ends them; the ratio is one of processor time."""
    stop = threading.Event()

    def send_chunks():
        head = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
        while not stop.is_set():
            with contextlib.suppress(OSError), connect(open_port, head) as connection:
                while not stop.is_set():
                    connection.sendall(b"1\r\na\r\n" * 2000)

    threads = [threading.Thread(target=send_chunks) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(20):
            assert ask(open_port, GOOD) == NO_PICTURE
    finally:
        stop.set()
        for thread in threads:
            thread.join()
