"""What resampling needs to know of a topology and of a layout that consists of runs.

A point is a complex number in the resampler, x + iy: it moves in one piece, and its absolute value
is a length.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from faceshape.core.topology import Topology

__all__ = ["Curve", "Floats", "Layout", "Points", "Run", "layout_of", "padded"]

Points: TypeAlias = NDArray[np.complex64]
Floats: TypeAlias = NDArray[np.float32]

# Curves of up to so many control points may be evaluated together.
_FEW_CONTROLS = 12


class Run(NamedTuple):
    """A stretch between two anchors whose points are uniform in arc length.

    Attributes:
        curve: the curve of a topology (`faceshape.core.topology.CURVES`) that the run lies on.
        targets: the output row of each sample; −1 marks an end that belongs to another run.
    """

    curve: str
    targets: tuple[int, ...]


class Curve(NamedTuple):
    """A curve on which samples lie between its ends.

    Attributes:
        rows: of its control points.
        targets: of its samples, the ends left out.
    """

    rows: tuple[int, ...]
    targets: tuple[int, ...]

    @property
    def has_many_controls(self) -> bool:
        """Whether it had better be evaluated without those of few."""
        return len(self.rows) > _FEW_CONTROLS


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """A topology and the runs of a layout; there is one object for both.

    Attributes:
        topology: the meaning of the P dense points.
        term_rows: (M, S) of the up to S dense points that M combined control points are made of;
            these are appended to the dense ones, which makes P + M rows.
        term_weights: (M, S, 1).
        anchor_rows: (A,) the rows that are taken as they are.
        anchor_targets: A, the points of the layout that they are.
        curves: those with samples between their ends; alike ones stand together.
        points: Q, the number of points.
    """

    topology: Topology
    term_rows: NDArray[np.intp]
    term_weights: Floats
    anchor_rows: NDArray[np.intp]
    anchor_targets: tuple[int, ...]
    curves: tuple[Curve, ...]
    points: int


@cache
def layout_of(topology: Topology, runs: tuple[Run, ...]) -> Layout:
    """Return what there is to know, the same object for the same arguments.

    Args:
        topology: the meaning of the dense points.
        runs: which samples of which curve make the points, which are their targets from 0 on.
    """
    combined: list[Mapping[int, float]] = []
    anchors: list[tuple[int, int]] = []
    curves: list[Curve] = []
    for run in runs:
        rows: list[int] = []
        for control in topology.curves[run.curve]:
            if len(control) == 1:
                rows.extend(control)
            else:
                rows.append(topology.points + len(combined))
                combined.append(control)
        anchors.append((rows[0], run.targets[0]))
        if len(run.targets) > 1:
            anchors.append((rows[-1], run.targets[-1]))
        if len(run.targets) > 2:
            curves.append(Curve(tuple(rows), run.targets[1:-1]))
    anchors = [(row, target) for row, target in anchors if target >= 0]
    curves.sort(key=lambda curve: (curve.has_many_controls, len(curve.targets)))
    targets = {target for run in runs for target in run.targets if target >= 0}
    terms = max(map(len, combined), default=0)
    term_rows = [padded(control, terms) for control in combined]
    weights = [padded(control.values(), terms, padding=0.0) for control in combined]
    return Layout(
        topology,
        np.array(term_rows, np.intp).reshape(len(combined), terms),
        np.array(weights, np.float32).reshape(len(combined), terms, 1),
        np.array([row for row, _ in anchors], np.intp),
        tuple(target for _, target in anchors),
        tuple(curves),
        len(targets),
    )


_Number = TypeVar("_Number", int, float)


def padded(values: Iterable[_Number], length: int, padding: _Number | None = None) -> list[_Number]:
    """Return values and so many times the padding behind them that there are `length`.

    Rows are padded with one of their own, so that a NaN elsewhere cannot get in by 0 · NaN.
    """
    row = list(values)
    return row + [row[0] if padding is None else padding] * (length - len(row))
