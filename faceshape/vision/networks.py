"""The models that come with the package: found, verified and opened. All of onnxruntime is here.

``models/manifest.json`` names each model's file, its SHA-256, what it takes and gives, and where
it comes from.
"""

import ctypes
import hashlib
import json
import logging
import os
import threading
import warnings
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from faceshape.errors import ModelError, ParameterError
from faceshape.processors import usable_processors
from faceshape.resources import models_directory

__all__ = [
    "CPU_ONLY",
    "ModelEntry",
    "OnnxModel",
    "Provider",
    "manifest",
    "model_entry",
    "present_providers",
    "runtime",
    "verified_bytes",
]

Provider: TypeAlias = str | tuple[str, Mapping[str, object]]
"""An execution provider of onnxruntime: its name, or its name and its options."""

CPU_ONLY: tuple[Provider, ...] = ("CPUExecutionProvider",)

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """What the manifest says of a model.

    Attributes:
        name: "landmarks", for example.
        path: the ONNX file.
        sha256: of the file, hexadecimal.
        facts: the whole entry: input, topology, metrics, training, licence.
    """

    name: str
    path: Path
    sha256: str
    facts: Mapping[str, Any]


@cache
def manifest() -> Mapping[str, ModelEntry]:
    """Return the models that come with the package, by name.

    Raises:
        ModelError: the manifest is missing or malformed.
    """
    path = models_directory() / "manifest.json"
    try:
        models = json.loads(path.read_text(encoding="utf-8"))["models"]
        entries = {
            name: ModelEntry(name, path.parent / facts["file"], facts["sha256"], facts)
            for name, facts in models.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"cannot read {path}: {error!r}") from error
    return MappingProxyType(entries)


def model_entry(name: str) -> ModelEntry:
    """Return what the manifest says of one model.

    Raises:
        ModelError: there is no model of that name.
    """
    entries = manifest()
    if name not in entries:
        raise ModelError(f"no model is called {name!r}; there are {', '.join(entries)}")
    return entries[name]


def verified_bytes(entry: ModelEntry) -> bytes:
    """Return a model's file after a check of its SHA-256.

    Raises:
        ModelError: the file is missing, or is not the one that the manifest names.
    """
    try:
        content = entry.path.read_bytes()
    except OSError as error:
        raise ModelError(f"the model {entry.name} cannot be read: {error}") from error
    if (found := hashlib.sha256(content).hexdigest()) != entry.sha256:
        raise ModelError(f"{entry.path} has SHA-256 {found}, the manifest says {entry.sha256}")
    return content


@cache
def runtime() -> Any:  # it has no types
    """Return the module onnxruntime, imported at the first call, with its telemetry off.

    See ``faceshape/__init__.py``.
    """
    import onnxruntime

    if "ORT_DISABLE_TELEMETRY" not in os.environ:
        _logger.debug(
            "onnxruntime was imported before faceshape, so its telemetry may be on; "
            "ORT_DISABLE_TELEMETRY=1 in the environment prevents that"
        )
    # On Windows the environment says nothing. Elsewhere this alone would not be enough.
    onnxruntime.disable_telemetry_events()
    return onnxruntime


def present_providers(asked: Sequence[Provider]) -> list[Provider]:
    """Return those execution providers that this onnxruntime has; warn of each other one.

    Raises:
        ParameterError: not a sequence of names or of pairs of name and options.
    """
    if isinstance(asked, str) or not isinstance(asked, Sequence) or not asked:
        raise ParameterError(f"providers must be a list of names, not {asked!r}")
    there = runtime().get_available_providers()
    names = [_provider_name(each) for each in asked]
    for name in names:
        if name not in there:
            warnings.warn(
                f"onnxruntime has no {name} here, only {', '.join(there)}: faceshape runs without",
                RuntimeWarning,
                stacklevel=3,  # whoever makes the engine
            )
    return [each for each, name in zip(asked, names, strict=True) if name in there] or list(
        CPU_ONLY
    )


def _provider_name(provider: Provider) -> str:
    match provider:
        case str(name) | (str(name), Mapping()):
            return name
    raise ParameterError(f"a provider is a name or a pair of name and options, not {provider!r}")


class OnnxModel:
    """A model in an onnxruntime session; safe to share between threads.

    It survives a fork: the child opens a session of its own when it first runs the model.
    """

    def __init__(
        self,
        entry: ModelEntry,
        threads: int | None = None,
        providers: Sequence[Provider] = CPU_ONLY,
    ) -> None:
        """Verify and open a model.

        Args:
            entry: which one.
            threads: for one call, at least 1; None takes all processors that may be used.
            providers: onnxruntime's execution providers, the preferred first; all are there.

        Raises:
            ModelError: the file is missing, not the right one, or onnxruntime refuses it.
        """
        self.entry = entry
        self._threads = threads
        self._providers = providers
        self._session = self._open()
        self._input: str = self._session.get_inputs()[0].name
        self._outputs: list[str] = [each.name for each in self._session.get_outputs()]
        self._opening = threading.Lock()
        _models.add(self)

    def run(self, batch: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """Return the model's outputs for one batch.

        Raises:
            ModelError: onnxruntime failed; or it cannot open the model again after a fork.
        """
        session = self._session or self._reopened()
        try:
            outputs: list[NDArray[np.float32]] = session.run(self._outputs, {self._input: batch})
        except Exception as error:  # its exception classes have no common base
            raise ModelError(f"{self.entry.name} failed on {batch.shape}: {error}") from error
        return outputs

    def leave_session_to_parent(self) -> None:
        """Forget the session, in the child of a fork, without ever destroying it.

        The session's threads are not there in the child. Its end waits for them, so the child
        would not end.
        """
        if self._session is not None:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._session))
        self._session = None
        self._opening = threading.Lock()  # a thread that is not there may have held the other

    def _reopened(self) -> Any:
        with self._opening:
            if self._session is None:
                self._session = self._open()
            return self._session

    def _open(self) -> Any:
        options = runtime().SessionOptions()
        options.intra_op_num_threads = self._threads or usable_processors()
        options.inter_op_num_threads = 1
        # Threads that wait in a busy loop take the cores from whoever else could use them.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        content = verified_bytes(self.entry)
        try:
            session = runtime().InferenceSession(content, options, providers=list(self._providers))
        except Exception as error:  # see `run`
            raise ModelError(f"onnxruntime cannot open {self.entry.path}: {error}") from error
        asked = map(_provider_name, self._providers)
        if failed := [name for name in asked if name not in session.get_providers()]:
            message = f"onnxruntime cannot start {', '.join(failed)}: faceshape runs without"
            warnings.warn(message, RuntimeWarning, stacklevel=2)
        return session


_models: "weakref.WeakSet[OnnxModel]" = weakref.WeakSet()


def _leave_sessions_to_parent() -> None:
    for model in _models:
        model.leave_session_to_parent()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_leave_sessions_to_parent)
