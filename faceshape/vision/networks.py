"""The models that come with the package: found, verified and opened. All of onnxruntime is here.

``models/manifest.json`` names each model's file, its SHA-256, what it takes and gives, and where
it comes from.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceshape.errors import ModelError
from faceshape.resources import models_directory

__all__ = ["ModelEntry", "OnnxModel", "manifest", "model_entry", "verified_bytes"]


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


class OnnxModel:
    """A model in an onnxruntime session on the CPU; safe to share between threads."""

    def __init__(self, entry: ModelEntry, threads: int | None = None) -> None:
        """Verify and open a model.

        Args:
            entry: which one.
            threads: for one call, at least 1; None leaves it to onnxruntime (all cores).

        Raises:
            ModelError: the file is missing, not the right one, or onnxruntime refuses it.
        """
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or 0
        options.inter_op_num_threads = 1
        # Threads that wait in a busy loop take the cores from whoever else could use them.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        content = verified_bytes(entry)
        try:
            self._session = onnxruntime.InferenceSession(
                content, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its exception classes have no common base
            raise ModelError(f"onnxruntime cannot open {entry.path}: {error}") from error
        self._input = self._session.get_inputs()[0].name
        self.entry = entry

    def run(self, batch: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """Return the model's outputs for one batch.

        Raises:
            ModelError: onnxruntime failed.
        """
        try:
            outputs: list[NDArray[np.float32]] = self._session.run(None, {self._input: batch})
        except Exception as error:  # see above
            raise ModelError(f"{self.entry.name} failed on {batch.shape}: {error}") from error
        return outputs
