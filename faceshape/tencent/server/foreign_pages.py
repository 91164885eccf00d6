"""Requests that a page of somebody else's makes the browser of a user send.

Where no signature is checked, such a page could have pictures analysed and, with downloads
allowed, addresses of the user's network asked. What it cannot do is choose the headers that the
browser adds: Origin, Sec-Fetch-Site, and Host, which tells of names that were pointed at a
loopback address afterwards ("DNS rebinding").
"""

import ipaddress
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from faceshape.tencent.protocol_errors import ForeignPageError

__all__ = ["is_loopback", "refuse_foreign_pages"]

_OWN_SITES = ("same-origin", "none")  # none: the user typed the address
# SDKs whose endpoint is a URL send all of it as Host.
_HOST = re.compile(r"(?:https?://)?(?P<netloc>[^/?#]*).*", re.IGNORECASE | re.DOTALL)


def is_loopback(host: str) -> bool:
    """Return whether a host, without a port, can only be this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower().rstrip(".") == "localhost"


def refuse_foreign_pages(headers: Mapping[str, str], any_host: bool) -> None:
    """Return if a request does not come from a page, or from one of this server's own.

    Args:
        headers: name in lower case → value.
        any_host: the server is reached by other names than this machine's own, too.

    Raises:
        ForeignPageError: it does not.
    """
    netloc = _netloc(headers.get("host", ""))
    site = headers.get("sec-fetch-site")
    origin = headers.get("origin")
    if site is not None and site.strip().lower() not in _OWN_SITES:
        raise ForeignPageError("Sec-Fetch-Site")
    if origin is not None and (
        not origin.lower().startswith(("http://", "https://")) or _netloc(origin) != netloc
    ):
        raise ForeignPageError("Origin")
    if netloc and not any_host and not is_loopback(_hostname(netloc)):
        raise ForeignPageError("Host")


def _netloc(text: str) -> str:
    """Return the host, with the port if there is one, of a Host header or an origin."""
    match = _HOST.fullmatch(text.strip())
    return match["netloc"].lower() if match else ""


def _hostname(netloc: str) -> str:
    try:
        return urlsplit(f"//{netloc}").hostname or ""
    except ValueError:
        return ""
