import contextlib
import socket
import threading
import time
import tracemalloc
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

import faceshape.tencent.fetch as module
from faceshape.errors import DownloadError, ImageSizeError, UrlError
from faceshape.tencent.fetch import FetchPolicy, fetch
from faceshape.tencent.protocol_errors import UrlsDisabledError

LOCAL = FetchPolicy(allow_urls=True, allow_private_urls=True, max_bytes=1000, timeout=20.0)
PUBLIC = FetchPolicy(allow_urls=True, timeout=2.0)


class Handler(BaseHTTPRequestHandler):
    """Answers by path; what it was asked is kept by the server."""

    def do_GET(self):
        self.server.asked.append((self.path, self.headers["Host"]))
        name, _, rest = self.path[1:].partition("/")
        getattr(self, f"answer_{name}")(rest.partition("?")[0])

    def reply(self, body=b"", status=200, **headers):
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        if "Content_Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def answer_bytes(self, count):
        self.reply(b"x" * int(count))

    def answer_endless(self, _):
        self.send_response(200)
        self.end_headers()
        for _ in range(100):
            self.wfile.write(b"x" * 100)

    def answer_liar(self, _):
        self.reply(b"xx", Content_Length="900")

    def answer_truncated(self, _):
        self.reply(b"xx", Content_Length="5")

    def answer_status(self, status):
        self.reply(b"nothing", int(status))

    def answer_gzip(self, _):
        self.reply(b"zipped", Content_Encoding="gzip")

    def answer_to(self, rest):
        self.reply(b"", 302, Location=rest)

    def answer_loop(self, _):
        self.reply(b"", 301, Location="/loop/")

    def answer_drip(self, _):
        self.send_response(200)
        self.end_headers()
        for _ in range(100):
            self.wfile.write(b"x")
            time.sleep(0.05)

    def answer_dripping_head(self, _):
        for _ in range(100):
            self.wfile.write(b"x")
            time.sleep(0.05)

    def log_message(self, *_):
        pass

    def handle(self):
        with contextlib.suppress(OSError):  # the client hung up, as it should
            super().handle()


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http_server:
        http_server.asked = []
        thread = threading.Thread(target=http_server.serve_forever, args=(0.02,))
        thread.start()
        yield http_server
        http_server.shutdown()
        thread.join()


@pytest.fixture
def url(server):
    return f"http://127.0.0.1:{server.server_port}"


@contextlib.contextmanager
def raw_server(*parts, repeated=b""):
    """Yield a URL that is answered with these bytes, and then with others until nobody listens."""

    def answer():
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection, contextlib.suppress(OSError):
                    connection.recv(65536)
                    for part in parts:
                        connection.sendall(part)
                    while repeated:
                        connection.sendall(repeated)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()


OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("start", "repeated"),
    [
        (CHUNKED + b"-1\r\n", b"a" * 65536),
        (CHUNKED + b"-5\r\nabc", b""),
        (CHUNKED + b"ffffffffffffffffff\r\n", b"a" * 65536),
        (CHUNKED + b"1_0\r\n", b"a" * 65536),
        (CHUNKED, b"1;" + b"x" * 60_000 + b"\r\na\r\n"),
        (CHUNKED, b"1\r\na\r\n" * 1000),
        (CHUNKED + b"0\r\n", b"X: y\r\n" * 1000),
        (OK, b"X: y\r\n" * 1000),
        (OK + b"X: ", b"y" * 65536),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
        (OK + b"Content-Length: -5\r\n\r\n", b"a" * 65536),
        (OK + b"Content-Length: 99999999999999999999\r\n\r\n", b"a" * 65536),
        (OK + b"Content-Length: 1e3\r\n\r\n", b"a" * 65536),
        (OK + b"\r\n", b"a" * 65536),
        (b"HTTP/1.1 abc OK\r\n\r\n", b""),
        (b"<html>", b"a" * 65536),
    ],
)
def test_bytes_are_counted_where_they_are_received(start, repeated):
    policy = FetchPolicy(True, True, max_bytes=100_000, timeout=20.0)
    tracemalloc.start()
    try:
        with (
            raw_server(start, repeated=repeated) as url,
            pytest.raises((DownloadError, ImageSizeError)),
        ):
            fetch(url, policy)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


def test_resolvers_that_hang_are_bounded(monkeypatch):
    release = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: release.wait(60) and [])
    before = threading.active_count()
    for number in range(80):
        with pytest.raises(DownloadError):
            fetch(f"http://slow{number}.example/", FetchPolicy(True, timeout=0.01))
    assert threading.active_count() <= before + 64
    release.set()


@pytest.fixture
def resolver(monkeypatch):
    """A resolver that knows what a test tells it; an address when it is asked for itself."""

    class Resolver:
        def __init__(self):
            self.table = {}
            self.asked = []

        def __call__(self, host, port, *_, **__):
            if host in self.table:
                self.asked.append(host)
                addresses = self.table[host].pop(0)
            else:
                addresses = [host]
            return [
                (
                    socket.AF_INET6 if ":" in address else socket.AF_INET,
                    socket.SOCK_STREAM,
                    6,
                    "",
                    (address, port),
                )
                for address in addresses
            ]

    resolver = Resolver()
    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    return resolver


def test_downloads(server, url):
    assert fetch(f"{url}/bytes/1000?a=ä%20b#part", LOCAL) == b"x" * 1000
    [(path, host)] = server.asked
    assert path == "/bytes/1000?a=%C3%A4%20b"
    assert host == f"127.0.0.1:{server.server_port}"


def test_downloads_are_off_by_default(server, url):
    with pytest.raises(UrlsDisabledError):
        fetch(f"{url}/bytes/1", FetchPolicy())
    assert server.asked == []


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "picture.jpg",
        "//host/a",
        "http://",
        "http:///a",
        "ftp://host/a",
        "file:///etc/passwd",
        "gopher://host/a",
        "http://user@host/a",
        "http://user:password@host/a",
        "http://host:0/a",
        "http://host:65536/a",
        "http://host:port/a",
        "http://[::1/a",
        "http://[abc]/a",
        "http://ho st/a",
        "http://host/a b",
        "http://host/\r\nX: y",
        "http://host\\@other/a",
        "http://" + "a" * 64 + ".example/",
        "http://host/" + "a" * 5000,
        "http://host/\ud800",
        "data:image/png;base64,AAAA",
    ],
)
def test_what_is_no_url(wrong):
    for policy in (LOCAL, FetchPolicy()):
        with pytest.raises(UrlError):
            fetch(wrong, policy)


@pytest.mark.parametrize(
    ("path", "error", "words"),
    [
        ("bytes/1001", ImageSizeError, "1001 bytes, at most 1000"),
        ("endless/", ImageSizeError, "more than 1000"),
        ("liar/", DownloadError, "2 of 900|IncompleteRead"),
        ("truncated/", DownloadError, "2 of 5|IncompleteRead"),
        ("status/404", DownloadError, "404"),
        ("status/500", DownloadError, "500"),
        ("status/206", DownloadError, "206"),
        ("gzip/", DownloadError, "compressed"),
        ("loop/", DownloadError, "more than 3 redirects"),
        ("to/ftp://host/a", DownloadError, "no URL"),
        ("to/http://user@host/a", DownloadError, "no URL"),
        ("to/", DownloadError, "redirects"),
    ],
)
def test_answers_that_are_refused(url, path, error, words):
    with pytest.raises(error, match=words) as caught:
        fetch(f"{url}/{path}", LOCAL)
    assert type(caught.value) is error


def test_redirects(server, url):
    assert fetch(f"{url}/to//to/{url}/bytes/3", LOCAL) == b"xxx"
    assert len(server.asked) == 3


@pytest.mark.parametrize("path", ["drip/", "dripping_head/"])
def test_one_deadline_for_everything(url, path):
    started = time.monotonic()
    with pytest.raises(DownloadError):
        fetch(f"{url}/{path}", FetchPolicy(True, True, timeout=0.3))
    assert time.monotonic() - started < 3.0


def test_a_server_that_says_nothing():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        started = time.monotonic()
        for scheme in ("http", "https"):
            with pytest.raises(DownloadError):
                fetch(
                    f"{scheme}://127.0.0.1:{listener.getsockname()[1]}/",
                    FetchPolicy(True, True, timeout=0.2),
                )
        assert time.monotonic() - started < 3.0


def test_a_refused_connection():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(DownloadError, match="refused"):
        fetch(f"http://127.0.0.1:{port}/", LOCAL)


def test_a_resolver_that_hangs(monkeypatch):
    release = threading.Event()

    def hang(*_, **__):
        release.wait(60)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    started = time.monotonic()
    with pytest.raises(DownloadError, match="resolving"):
        fetch("http://slow.example/", FetchPolicy(True, timeout=0.2))
    assert time.monotonic() - started < 3.0
    release.set()


def test_a_name_that_does_not_resolve(monkeypatch):
    def fail(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(DownloadError, match="unknown"):
        fetch("http://unknown.example/", PUBLIC)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.1.2.3",
        "0.0.0.0",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "169.254.0.23",
        "100.100.100.200",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fc00::1",
        "fd00:ec2::254",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "2002:7f00:1::",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::7f00:1",
        "fec0::1",
        "fec0:0:0:ffff::1",
        "::127.0.0.1",
        "::8.8.8.8",
        "::ffff:0:127.0.0.1",
        "100::1",
        "2001::1",
        "2001:10::1",
        "2001:db8::1",
        "2001:0:0:0:0:0:80ff:fffe",
        "3fff::1",
        "5f00::1",
        "192.0.0.9",
        "192.88.99.1",
    ],
)
def test_addresses_that_are_not_public(address, resolver, monkeypatch):
    monkeypatch.setattr(socket, "create_connection", lambda *_, **__: pytest.fail("connected"))
    for host in (f"[{address}]" if ":" in address else address, "pictures.example"):
        resolver.table["pictures.example"] = [[address]]
        with pytest.raises(DownloadError, match="not public"):
            fetch(f"http://{host}/a.jpg", PUBLIC)
    # One such address among good ones is too many.
    resolver.table["pictures.example"] = [["93.184.216.34", address]]
    with pytest.raises(DownloadError, match="not public"):
        fetch("http://pictures.example/a.jpg", PUBLIC)


@pytest.mark.parametrize(
    "written", ["2130706433", "0x7f000001", "0177.0.0.1", "127.1", "localhost", "LOCALHOST."]
)
def test_other_ways_to_write_loopback(written):
    with pytest.raises(DownloadError):
        fetch(f"http://{written}/", PUBLIC)


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"])
def test_public_addresses_are_connected_to_as_they_were_checked(address, resolver, monkeypatch):
    connections = []

    def connect(target, timeout):
        connections.append(target)
        raise ConnectionRefusedError("as far as the test goes")

    monkeypatch.setattr(socket, "create_connection", connect)
    resolver.table["pictures.example"] = [[address], ["127.0.0.1"]]
    with pytest.raises(DownloadError, match="as far as"):
        fetch("https://pictures.example/a.jpg", PUBLIC)
    assert connections == [(address, 443)]


def test_a_name_is_resolved_once(server, resolver):
    """The second answer of the resolver, which a rebinding attack would use, is never asked for."""
    resolver.table["pictures.example"] = [["127.0.0.1"], ["192.0.2.1"]]
    url = f"http://pictures.example:{server.server_port}/bytes/4"
    assert fetch(url, LOCAL) == b"xxxx"
    assert resolver.asked == ["pictures.example"]
    assert server.asked == [("/bytes/4", f"pictures.example:{server.server_port}")]


def test_the_next_address_is_tried(server, resolver):
    # Nobody listens at 127.0.0.2 with this port.
    resolver.table["pictures.example"] = [["127.0.0.2", "127.0.0.1"]]
    assert fetch(f"http://pictures.example:{server.server_port}/bytes/4", LOCAL) == b"xxxx"


def test_redirects_are_checked_too(url, server, resolver, monkeypatch):
    really = module._is_public
    monkeypatch.setattr(
        module, "_is_public", lambda address: str(address) == "127.0.0.1" or really(address)
    )
    with pytest.raises(DownloadError, match="not public"):
        fetch(f"{url}/to/http://169.254.169.254/latest/meta-data", PUBLIC)
    resolver.table["inside.example"] = [["10.0.0.1"]]
    with pytest.raises(DownloadError, match=r"inside.* not public"):
        fetch(f"{url}/to/http://inside.example/", PUBLIC)
    assert len(server.asked) == 2
