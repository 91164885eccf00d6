"""Tencent Cloud's AnalyzeFace and DetectFace: the functions, the clients and the server.

The names below are imported on first use: the clients load Tencent's SDK where it is installed,
the server needs Starlette.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from faceshape.tencent.api import analyze_face, detect_face
    from faceshape.tencent.client import IaiClient
    from faceshape.tencent.fallback.async_client import AsyncFallbackIaiClient
    from faceshape.tencent.fallback.client import FallbackIaiClient
    from faceshape.tencent.fallback.policy import FallbackPolicy
    from faceshape.tencent.fetch import FetchPolicy

__all__ = [
    "AsyncFallbackIaiClient",
    "FallbackIaiClient",
    "FallbackPolicy",
    "FetchPolicy",
    "IaiClient",
    "analyze_face",
    "detect_face",
]

_HOMES = {
    "AsyncFallbackIaiClient": "faceshape.tencent.fallback.async_client",
    "FallbackIaiClient": "faceshape.tencent.fallback.client",
    "FallbackPolicy": "faceshape.tencent.fallback.policy",
    "FetchPolicy": "faceshape.tencent.fetch",
    "IaiClient": "faceshape.tencent.client",
    "analyze_face": "faceshape.tencent.api",
    "detect_face": "faceshape.tencent.api",
}


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'faceshape.tencent' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
