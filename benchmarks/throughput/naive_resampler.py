"""The resampler as one would write it first, for comparison."""

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from faceshape.core.contract import POINT_COUNT, RUNS
from faceshape.core.topology import Topology

__all__ = ["resample_naively"]


def resample_naively(dense: NDArray[np.float32], topology: Topology) -> NDArray[np.float64]:
    """Do what `faceshape.resample` does face by face, run by run, with scipy (N, 90, 2)."""
    faces = np.empty((len(dense), POINT_COUNT, 2))
    for points, face in zip(dense, faces, strict=True):
        for run in RUNS:
            controls = np.array(
                [
                    sum(weight * points[index] for index, weight in control.items())
                    for control in topology.curves[run.curve]
                ]
            )
            if len(controls) == 1:
                samples = controls
            else:
                spline = CubicSpline(np.arange(len(controls)), controls)
                fine = spline(np.linspace(0, len(controls) - 1, 33))
                steps = np.linalg.norm(np.diff(fine, axis=0), axis=1)
                length = np.concatenate([[0], np.cumsum(steps)])
                wanted = np.linspace(0, length[-1], len(run.targets))
                samples = np.stack([np.interp(wanted, length, fine[:, axis]) for axis in (0, 1)], 1)
            for target, sample in zip(run.targets, samples, strict=True):
                if target >= 0:
                    face[target] = sample
    return faces
