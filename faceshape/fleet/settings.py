"""What a run is made with; it stands in ``_run.json`` and in the metadata of every answer file."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from faceshape.errors import ParameterError
from faceshape.mode import Mode

__all__ = ["FleetSettings"]


@dataclass(frozen=True, slots=True)
class FleetSettings:
    """How pictures are analysed.

    Attributes:
        mode: 0 (all faces) or 1 (the largest one).
        rotate: answer faces of any roll.
        detector: as for `faceshape.FaceShapeEngine`.
        smallest_face: the same, pixels.
        max_faces: the same; None answers all.
        cloud_json: also write AnalyzeFace's response, as text.
        picture_seconds: a picture that takes longer is an error.
        memory_mib: a picture that needs more than this beside the engine is an error; None sets
            no limit. Only where the system has RLIMIT_AS (Linux, macOS).
    """

    mode: int = 0
    rotate: bool = False
    detector: Literal["auto", "onnx", "dlib"] = "auto"
    smallest_face: float = 20.0
    max_faces: int | None = 10
    cloud_json: bool = False
    picture_seconds: float = 60.0
    memory_mib: int | None = 2048

    def __post_init__(self) -> None:
        if self.mode not in tuple(Mode):
            raise ParameterError(f"mode is 0 (all faces) or 1 (the largest), not {self.mode!r}")
        if not self.picture_seconds > 0:
            raise ParameterError(f"picture_seconds must be above 0, not {self.picture_seconds}")
        if self.memory_mib is not None and self.memory_mib < 64:
            raise ParameterError(f"memory_mib must be at least 64 or None, not {self.memory_mib}")

    def to_json(self) -> str:
        """Return the settings as one line of JSON."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> "FleetSettings":
        """Return the settings that a mapping holds.

        Raises:
            ParameterError: a name or a value is not one of the settings'.
        """
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise ParameterError(f"no setting is called {unknown[0]!r}; there are {sorted(known)}")
        return cls(**values)
