"""What the dense output of a landmark model means: named curves over its point indices.

A topology is a data file, ``models/topologies/NAME.json``. It says how many points the model
gives and, for each curve that the 90-point contract is resampled from, which points the curve
runs through. A control point is an index, or an affine combination ``{"index": weight}`` for
places that a layout does not mark itself. "Left" is image-left of an upright face.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from faceshape.errors import TopologyError
from faceshape.resources import models_directory

__all__ = ["CURVES", "Topology", "available_topologies", "load_topology", "parse_topology"]

_REVERSED = True
_SAME = False

# Curve → (its mirror image, whether that one runs the other way). The profile runs from the left
# temple over the chin to the right temple; eyes and brows from the outer corner along the lower
# edge and back along the upper one; the lips anticlockwise as seen in the picture.
CURVES: Mapping[str, tuple[str, bool]] = MappingProxyType(
    {
        "profile_left": ("profile_right", _REVERSED),
        "profile_right": ("profile_left", _REVERSED),
        "left_eye_lower": ("right_eye_lower", _SAME),
        "left_eye_upper": ("right_eye_upper", _SAME),
        "right_eye_lower": ("left_eye_lower", _SAME),
        "right_eye_upper": ("left_eye_upper", _SAME),
        "left_brow_lower": ("right_brow_lower", _SAME),
        "left_brow_upper": ("right_brow_upper", _SAME),
        "right_brow_lower": ("left_brow_lower", _SAME),
        "right_brow_upper": ("left_brow_upper", _SAME),
        "outer_lip_lower_left": ("outer_lip_lower_right", _REVERSED),
        "outer_lip_lower_right": ("outer_lip_lower_left", _REVERSED),
        "outer_lip_upper_right": ("outer_lip_upper_left", _REVERSED),
        "outer_lip_peak_right": ("outer_lip_peak_left", _REVERSED),
        "outer_lip_peak_left": ("outer_lip_peak_right", _REVERSED),
        "outer_lip_upper_left": ("outer_lip_upper_right", _REVERSED),
        "inner_lip_lower_left": ("inner_lip_lower_right", _REVERSED),
        "inner_lip_lower_right": ("inner_lip_lower_left", _REVERSED),
        "inner_lip_upper_right": ("inner_lip_upper_left", _REVERSED),
        "inner_lip_upper_left": ("inner_lip_upper_right", _REVERSED),
        "nose_tip": ("nose_tip", _SAME),
        "nose_side_left": ("nose_side_right", _SAME),
        "nose_side_right": ("nose_side_left", _SAME),
        "nose_wing_left": ("nose_wing_right", _SAME),
        "nose_wing_right": ("nose_wing_left", _SAME),
        "nose_base": ("nose_base", _SAME),
        "left_pupil": ("right_pupil", _SAME),
        "right_pupil": ("left_pupil", _SAME),
    }
)

Control = Mapping[int, float]
"""A control point: dense index → weight; the weights sum to one."""


@dataclass(frozen=True, slots=True, eq=False)
class Topology:
    """The meaning of a landmark model's dense output.

    Attributes:
        name: the file's name without its ending.
        points: P, how many dense points the model gives.
        curves: for each name in `CURVES`, its control points in order.
        derived: the 90-point groups that the layout does not mark and that are computed from
            other points (a pupil from the eye's outline, say).
        evenly_spaced: whether the control points of each curve lie about evenly along it, which
            makes it faster to resample.
    """

    name: str
    points: int
    curves: Mapping[str, tuple[Control, ...]]
    derived: frozenset[str]
    evenly_spaced: bool = False

    def indices(self, curve: str) -> tuple[int, ...]:
        """Return the dense indices of a curve that consists of marked points only.

        Raises:
            TopologyError: a control point of the curve is a combination of several points.
        """
        controls = self.curves[curve]
        if any(len(control) != 1 for control in controls):
            raise TopologyError(f"{self.name}: {curve} has control points that are combinations")
        return tuple(next(iter(control)) for control in controls)

    def mirror(self) -> NDArray[np.intp]:
        """Return the permutation (P,) that renames the points of a mirrored face.

        ``mirrored_points[:, topology.mirror()]`` is in the topology's own order again. Points
        outside the curves keep their place.

        Raises:
            TopologyError: a curve has combined control points, or differs in length from its
                mirror image.
        """
        permutation = np.arange(self.points)
        for name, (other, is_reversed) in CURVES.items():
            here, there = self.indices(name), self.indices(other)
            if len(here) != len(there):
                raise TopologyError(f"{self.name}: {name} and {other} differ in length")
            permutation[list(here)] = there[::-1] if is_reversed else there
        return permutation


@cache
def load_topology(name: str) -> Topology:
    """Return one of the topologies that come with the package.

    Raises:
        TopologyError: there is none of that name, or its file is malformed.
    """
    path = _topology_path(name)
    if name not in available_topologies():
        known = ", ".join(available_topologies())
        raise TopologyError(f"no topology is called {name!r}; there are {known}")
    return parse_topology(name, json.loads(path.read_text(encoding="utf-8")))


@cache
def available_topologies() -> tuple[str, ...]:
    """Return the names of the topologies that come with the package, sorted."""
    return tuple(sorted(path.stem for path in _topology_path("any").parent.glob("*.json")))


def _topology_path(name: str) -> Path:
    return models_directory() / "topologies" / f"{name}.json"


def parse_topology(name: str, document: Mapping[str, object]) -> Topology:
    """Build a topology from the content of its JSON file and check it.

    Raises:
        TopologyError: a curve is missing or unknown, an index is out of range, or the weights of
            a combination do not sum to one.
    """
    points, curves = document.get("points"), document.get("curves")
    derived, even = document.get("derived", []), document.get("evenly_spaced", False)
    if not isinstance(points, int) or not isinstance(curves, dict) or not isinstance(derived, list):
        raise TopologyError(f"{name}: needs an integer 'points', an object 'curves'")
    if not isinstance(even, bool):
        raise TopologyError(f"{name}: 'evenly_spaced' is true or false, not {even!r}")
    if set(curves) != set(CURVES):
        odd = ", ".join(sorted(set(curves) ^ set(CURVES)))
        raise TopologyError(f"{name}: missing or unknown curves: {odd}")
    parsed = {
        curve: tuple(_parse_control(f"{name}.{curve}", entry, points) for entry in entries)
        for curve, entries in curves.items()
    }
    if empty := [curve for curve, controls in parsed.items() if not controls]:
        raise TopologyError(f"{name}: curves without points: {', '.join(empty)}")
    return Topology(name, points, MappingProxyType(parsed), frozenset(derived), even)


def _parse_control(where: str, entry: object, points: int) -> Control:
    if isinstance(entry, int):
        entry = {str(entry): 1.0}
    if not isinstance(entry, dict) or not entry:
        raise TopologyError(f"{where}: a control point is an index or {{index: weight}}")
    control = {int(index): float(weight) for index, weight in entry.items()}
    if not all(0 <= index < points for index in control):
        raise TopologyError(f"{where}: an index is outside 0..{points - 1}: {sorted(control)}")
    if abs(sum(control.values()) - 1.0) > 1e-6:
        raise TopologyError(f"{where}: the weights of {sorted(control)} do not sum to one")
    return MappingProxyType(control)
