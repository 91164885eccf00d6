"""Downloads a picture from a URL that a stranger chose, without serving as his way inside.

The host is resolved once; every address it has is checked; the connection goes to one of the
checked addresses. So a name that changes its address between check and use ("DNS rebinding")
gains nothing. Redirects go through the same checks. One deadline holds for everything, and bytes
are counted where they are received, whatever the answer calls them.
"""

import contextlib
import http.client
import io
import ipaddress
import queue
import socket
import ssl
import threading
import time
from dataclasses import dataclass
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from faceshape.errors import DownloadError, ImageSizeError, UrlError
from faceshape.tencent.protocol_errors import UrlsDisabledError

__all__ = ["FetchPolicy", "fetch"]

_PORTS = {"http": 80, "https": 443}
_LONGEST_URL = 4096
_CHUNK = 64 * 1024
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
# What may stand in the path and the query of a request line; everything else is escaped.
_SAFE = "/?%:@!$&'()*+,;=~-._[]"
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
# What is routed on the internet lies within the first, and outside of the others: protocols'
# own addresses, relays, documentation. Python's tables differ from version to version.
_GLOBAL_V6 = ipaddress.ip_network("2000::/3")
_SPECIAL = tuple(
    ipaddress.ip_network(network)
    for network in ("192.0.0.0/24", "192.88.99.0/24", "2001::/23", "2001:db8::/32", "3fff::/20")
)
# Bytes of an answer beside its body: status line, headers, the frames of chunks, trailers.
_MOST_OVERHEAD = 128 * 1024
# Threads that ask for a host's addresses: a resolver may keep them longer than any timeout.
_RESOLVERS = threading.BoundedSemaphore(64)

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class FetchPolicy:
    """What may be downloaded, and for how long it may be tried.

    Attributes:
        allow_urls: download at all.
        allow_private_urls: also from addresses that are not public: loopback, private networks,
            link-local ones with a cloud's metadata service.
        max_bytes: of the picture; the default is the document's 5 MB of base64 text.
        timeout: seconds for everything together: resolving, connecting, redirects, reading.
        max_redirects: how many are followed.
    """

    allow_urls: bool = False
    allow_private_urls: bool = False
    max_bytes: int = 5 * 1024 * 1024 * 3 // 4
    timeout: float = 5.0
    max_redirects: int = 3


def fetch(url: str, policy: FetchPolicy) -> bytes:
    """Return what a URL holds.

    Args:
        url: http or https, without user and password.
        policy: what is allowed.

    Raises:
        UrlError: this is not such a URL.
        UrlsDisabledError: the policy allows no downloads.
        ImageSizeError: it holds more than the policy allows.
        DownloadError: no answer in time, a status other than 200, a truncated answer, an address
            that is not public, too many redirects.
    """
    target = _parse(url)
    if not policy.allow_urls:
        raise UrlsDisabledError("the picture was given as a Url")
    deadline = time.monotonic() + policy.timeout
    for _ in range(policy.max_redirects + 1):
        try:
            answer = _get(target, policy, deadline)
        # ValueError: http.client lets numbers of any kind into the frames of chunks.
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise DownloadError(f"{target.hostname}: {error or type(error).__name__}") from error
        if isinstance(answer, bytes):
            return answer
        try:
            target = _parse(urljoin(target.geturl(), answer.location))
        except ValueError as error:
            raise DownloadError(f"{target.hostname} redirects to no URL: {error}") from error
    raise DownloadError(f"more than {policy.max_redirects} redirects")


@dataclass(frozen=True, slots=True)
class _Redirect:
    location: str


def _parse(url: str) -> SplitResult:
    """Return the parts of a URL, its host in ASCII."""
    if len(url) > _LONGEST_URL or not url.isprintable() or any(char in url for char in ' \\"<>'):
        raise UrlError('a URL has at most 4096 characters, and neither white space nor \\ " < >')
    try:
        parts = urlsplit(url)
        port = parts.port
        host = (parts.hostname or "").encode("idna").decode("ascii")
        if ":" in host or "[" in parts.netloc:
            ipaddress.IPv6Address(host)
    except ValueError as error:
        raise UrlError(f"not a URL: {error}") from error
    if parts.scheme not in _PORTS or not host or port == 0 or "@" in parts.netloc:
        raise UrlError("a URL is http(s)://host[:port]/path, without user and password")
    netloc = f"[{host}]" if ":" in host else host
    if port is not None:
        netloc += f":{port}"
    return parts._replace(
        netloc=netloc, path=quote(parts.path or "/", _SAFE), query=quote(parts.query, _SAFE)
    )


def _get(target: SplitResult, policy: FetchPolicy, deadline: float) -> bytes | _Redirect:
    """Ask once; OSError, HTTPException and ValueError are the network's."""
    connection = http.client.HTTPConnection(target.netloc)
    with contextlib.closing(_connect(target, policy, deadline)) as sock:
        # http.client only writes to and reads from what it finds here.
        connection.sock = _GuardedSocket(sock, deadline, policy.max_bytes)
        connection.request(
            "GET",
            target.path + ("?" + target.query if target.query else ""),
            headers={"Host": target.netloc, "Accept-Encoding": "identity", "Connection": "close"},
        )
        with connection.getresponse() as response:
            if response.status in _REDIRECTS:
                return _Redirect(response.getheader("Location", ""))
            return _body(response, policy.max_bytes)


def _body(response: http.client.HTTPResponse, max_bytes: int) -> bytes:
    if response.status != 200:
        raise DownloadError(f"the status is {response.status}")
    if response.getheader("Content-Encoding", "identity") != "identity":
        raise DownloadError("the answer is compressed, though this was not asked for")
    announced = response.length
    if announced is not None and announced > max_bytes:
        raise ImageSizeError(f"{announced} bytes, at most {max_bytes}")
    body = bytearray()
    while chunk := response.read(_CHUNK):
        body += chunk
        if len(body) > max_bytes:
            raise ImageSizeError(f"more than {max_bytes} bytes")
    if announced is not None and len(body) != announced:
        raise DownloadError(f"{len(body)} of {announced} bytes came")
    return bytes(body)


def _connect(target: SplitResult, policy: FetchPolicy, deadline: float) -> socket.socket:
    """Return a connection to one of the host's addresses after all of them were checked."""
    host, port = str(target.hostname), target.port or _PORTS[target.scheme]
    addresses = _resolve(host, port, deadline)
    if not policy.allow_private_urls:
        for address in addresses:
            if not _is_public(ipaddress.ip_address(address)):
                raise DownloadError(f"{host} has an address that is not public")
    sock = _first_connection(addresses, port, deadline)
    try:
        sock.settimeout(_remaining(deadline))
        if target.scheme == "https":
            return ssl.create_default_context().wrap_socket(sock, server_hostname=host)
    except BaseException:
        sock.close()
        raise
    return sock


def _first_connection(addresses: list[str], port: int, deadline: float) -> socket.socket:
    failures: list[OSError] = []
    for address in addresses:
        try:
            return socket.create_connection((address, port), timeout=_remaining(deadline))
        except OSError as error:  # noqa: PERF203 - the next address is the point
            failures.append(error)
    raise failures[0] if failures else OSError("the name has no address")


def _resolve(host: str, port: int, deadline: float) -> list[str]:
    """Return the host's addresses; getaddrinfo knows no timeout, so a thread waits for it."""
    answers: queue.Queue[list[str] | OSError] = queue.Queue()

    def ask() -> None:
        try:
            infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            answers.put(list(dict.fromkeys(str(info[4][0]).partition("%")[0] for info in infos)))
        except OSError as error:
            answers.put(error)
        except UnicodeError as error:  # a label that is too long
            answers.put(OSError(str(error)))
        finally:
            _RESOLVERS.release()

    if not _RESOLVERS.acquire(blocking=False):
        raise OSError("too many names are being resolved")
    threading.Thread(target=ask, name="faceshape-resolve", daemon=True).start()
    try:
        answer = answers.get(timeout=_remaining(deadline))
    except queue.Empty:
        raise TimeoutError("resolving the name took too long") from None
    if isinstance(answer, OSError):
        raise answer
    return answer


def _is_public(address: _Address) -> bool:
    """Whether an address, and the IPv4 address it may stand for, is on the public internet."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        if inner is not None:
            return _is_public(inner)
        if address not in _GLOBAL_V6:
            return False
    special = any(address in network for network in _SPECIAL)
    return address.is_global and not (special or address.is_multicast or address.is_reserved)


def _remaining(deadline: float) -> float:
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise TimeoutError("the time is over")
    return seconds


class _GuardedSocket:
    """The part of a socket that http.client uses, with one deadline and one size for everything.

    A socket's own timeout starts anew with each byte that drips in. http.client believes what an
    answer says of its size: a chunk of -1 bytes is read to the end.
    """

    def __init__(self, sock: socket.socket, deadline: float, max_bytes: int) -> None:
        self._sock = sock
        self._deadline = deadline
        self._max_bytes = max_bytes

    def sendall(self, data: bytes) -> None:
        self._sock.settimeout(_remaining(self._deadline))
        self._sock.sendall(data)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_GuardedReader(self._sock, self._deadline, self._max_bytes))

    def close(self) -> None:
        # http.client closes before it reads the body; the socket is its opener's to close.
        pass


class _GuardedReader(io.RawIOBase):
    def __init__(self, sock: socket.socket, deadline: float, max_bytes: int) -> None:
        self._sock = sock
        self._deadline = deadline
        self._max_bytes = max_bytes
        self._left = max_bytes + max_bytes // 8 + _MOST_OVERHEAD

    def readable(self) -> bool:
        return True

    # The base takes any buffer, for which there is no type before Python 3.12.
    def readinto(self, buffer: "memoryview[int] | bytearray") -> int:  # type: ignore[override]
        self._sock.settimeout(_remaining(self._deadline))
        count = self._sock.recv_into(buffer)
        self._left -= count
        if self._left < 0:
            raise ImageSizeError(f"more than {self._max_bytes} bytes")
        return count
