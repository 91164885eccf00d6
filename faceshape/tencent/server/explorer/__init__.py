"""The API Explorer at home: a static page beside the API, for trying calls in a browser.

The page signs and sends its requests itself, as any client does. It is plain HTML, CSS and
JavaScript modules in the folder ``page``; this module only hands the files out, with what the page
has to know of the server.
"""

from dataclasses import asdict
from pathlib import Path, PurePosixPath
from types import MappingProxyType

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Scope

from faceshape.core.contract import GROUPS
from faceshape.draw import GROUP_COLOURS, GROUP_CURVES
from faceshape.tencent.limits import DOCUMENT_LIMITS

__all__ = ["HEADERS", "PATH", "explorer_routes"]

PATH = "/explorer/"

HEADERS = MappingProxyType(
    {
        # The picture that was chosen, and the photograph that was taken, are blobs of the page's.
        "Content-Security-Policy": "default-src 'self'; img-src 'self' blob:; object-src 'none'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cache-Control": "no-cache",
    }
)
"""Of everything under `PATH`."""

_PAGE = Path(__file__).parent / "page"

# Not from `mimetypes`, which asks the operating system: Windows may say text/plain of a module.
_MEDIA_TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}


def explorer_routes(*, any_signature: bool, urls: bool) -> list[BaseRoute]:
    """Return the page's routes: all under `PATH`, and the way there for a browser at ``/``.

    Args:
        any_signature: the server checks no signatures, so no keys are needed.
        urls: the server downloads pictures given as Url.
    """
    page = {
        path.relative_to(_PAGE).as_posix(): path.read_bytes()
        for path in _PAGE.rglob("*")
        if path.suffix in _MEDIA_TYPES
    }
    facts = _facts() | {"anySignature": any_signature, "urls": urls}

    async def page_file(request: Request) -> Response:
        name = request.path_params["name"] or "index.html"
        if name not in page:
            return Response("no such file\n", 404, HEADERS, "text/plain")
        return Response(
            page[name], headers=HEADERS, media_type=_MEDIA_TYPES[PurePosixPath(name).suffix]
        )

    async def server_facts(_: Request) -> Response:
        return JSONResponse(facts, headers=HEADERS)

    async def redirect(_: Request) -> Response:
        return RedirectResponse(PATH, headers=HEADERS)

    return [
        Route(PATH + "server.json", server_facts),
        Route(PATH + "{name:path}", page_file),
        Route(PATH.rstrip("/"), redirect),
        _FrontDoor("/", redirect),
    ]


class _FrontDoor(Route):
    """Matches a browser that opens the server's address, and no call of the API."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Return a match only for a page that is asked for; the API has the same path."""
        asks_for_page = any(
            name == b"accept" and b"text/html" in value for name, value in scope["headers"]
        )
        if scope["query_string"] or not asks_for_page:
            return Match.NONE, {}
        match, child = super().matches(scope)
        return (match, child) if match is Match.FULL else (Match.NONE, {})


def _facts() -> dict[str, object]:
    """Return what the page would otherwise have to repeat."""
    groups = [
        {
            "name": name,
            "count": rows.stop - rows.start,
            "colour": "#{:02x}{:02x}{:02x}".format(*GROUP_COLOURS[name]),
            "curves": GROUP_CURVES.get(name, ()),
        }
        for name, rows in GROUPS.items()
    ]
    return {"groups": groups, "limits": asdict(DOCUMENT_LIMITS)}
