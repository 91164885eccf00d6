"""AnalyzeFace on the device: 90 named face landmarks, without a network.

The names below are imported on first use, so that ``import faceshape`` costs next to nothing.
"""

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from faceshape import batch, draw, tencent
    from faceshape.core.contract import resample
    from faceshape.engine import FaceShapeEngine
    from faceshape.errors import FaceShapeError
    from faceshape.mode import Mode
    from faceshape.types import Detections, FaceShape
    from faceshape.video.tracker import Tracker

__all__ = [
    "Detections",
    "FaceShape",
    "FaceShapeEngine",
    "FaceShapeError",
    "Mode",
    "Tracker",
    "__version__",
    "batch",
    "draw",
    "resample",
    "tencent",
]

__version__ = "0.1.0"

# onnxruntime from 1.29 on writes below the home folder and talks to a host of its maker's, unless
# the environment says otherwise before it is imported. It is said here rather than where faceshape
# imports onnxruntime, because the program may import it before that.
if "onnxruntime" not in sys.modules:
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

_MODULES = ("batch", "draw", "tencent")

_HOMES = {
    "Detections": "faceshape.types",
    "FaceShape": "faceshape.types",
    "FaceShapeEngine": "faceshape.engine",
    "FaceShapeError": "faceshape.errors",
    "Mode": "faceshape.mode",
    "Tracker": "faceshape.video.tracker",
    "resample": "faceshape.core.contract",
}


def __getattr__(name: str) -> object:
    if name in _MODULES:
        return import_module(f"faceshape.{name}")
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'faceshape' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
