import pytest

from faceshape.tencent.protocol_errors import ForeignPageError
from faceshape.tencent.server.foreign_pages import is_loopback, refuse_foreign_pages


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"host": "127.0.0.1:8360"},
        {"host": "127.1.2.3"},
        {"host": "localhost:8360"},
        {"host": "LOCALHOST.:8360"},
        {"host": "[::1]:8360"},
        # SDKs whose endpoint is a URL.
        {"host": "http://127.0.0.1:8360"},
        {"host": "127.0.0.1:8360/faces"},
        {"host": "127.0.0.1:8360", "origin": "http://127.0.0.1:8360"},
        {"host": "localhost", "origin": "http://localhost", "sec-fetch-site": "same-origin"},
        {"host": "localhost", "sec-fetch-site": "none"},
    ],
)
def test_what_is_taken(headers):
    refuse_foreign_pages(headers, any_host=False)
    refuse_foreign_pages(headers, any_host=True)


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "127.0.0.1:8360", "origin": "https://evil.example"},
        {"host": "127.0.0.1:8360", "origin": "null"},
        {"host": "127.0.0.1:8360", "origin": ""},
        {"host": "127.0.0.1:8360", "origin": "http://127.0.0.1:3000"},
        {"host": "127.0.0.1:8360", "origin": "http://127.0.0.1.evil.example:8360"},
        {"host": "127.0.0.1:8360", "origin": "file://127.0.0.1:8360"},
        {"host": "127.0.0.1:8360", "origin": "127.0.0.1:8360"},
        {"host": "127.0.0.1:8360", "sec-fetch-site": "cross-site"},
        {"host": "127.0.0.1:8360", "sec-fetch-site": "same-site"},
        {"host": "127.0.0.1:8360", "sec-fetch-site": "Cross-Site"},
    ],
)
@pytest.mark.parametrize("any_host", [False, True])
def test_what_comes_from_foreign_pages(headers, any_host):
    with pytest.raises(ForeignPageError):
        refuse_foreign_pages(headers, any_host)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8360",
        "127.0.0.1.evil.example",
        "localhost.evil.example:8360",
        "evil.example/127.0.0.1",
        "http://evil.example/127.0.0.1",
        "127.0.0.1@evil.example",
        "[::1",
        "192.168.1.5:8360",
        "0.0.0.0:8360",
        "[::]:8360",
    ],
)
def test_hosts_that_are_not_this_machine(host):
    """A page may have its own name pointed at a loopback address."""
    with pytest.raises(ForeignPageError):
        refuse_foreign_pages({"host": host}, any_host=False)
    refuse_foreign_pages({"host": host}, any_host=True)
    own = {"host": host, "origin": f"http://{host.removeprefix('http://')}"}
    refuse_foreign_pages(own, any_host=True)


def test_loopback():
    assert is_loopback("::1")
    assert not is_loopback("")
    assert not is_loopback("::ffff:8.8.8.8")
