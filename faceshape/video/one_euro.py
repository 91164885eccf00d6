"""The One-Euro filter: less jitter where points rest, little lag where they move.

Casiez, Roussel & Vogel, "1 € filter: a simple speed-based low-pass filter for noisy input in
interactive systems", CHI 2012. A first-order low-pass whose cutoff grows with the speed. Three
things are different here, so that equal motion is smoothed equally whatever the picture's size and
the frame rate:

* A speed is in units (the face's size) per second, and it is that of a point, not of a coordinate.
* It is measured between two inputs. Measured from the last output, as in the paper, it would count
  the lag as motion, and the more so the shorter the frames are.
* A weight is the exact answer of the low-pass to an input that is held for one interval,
  1 − exp(−2π · cutoff · interval); the paper's is its first-order approximation.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from faceshape.errors import ParameterError

__all__ = ["OneEuroFilter", "Smoothing"]


@dataclass(frozen=True, slots=True)
class Smoothing:
    """How much is smoothed.

    A point that moves steadily is behind by its speed / (2π · (cutoff + gain · speed)) at most, so
    by less than 1 / (2π · gain) units however fast it is.

    Attributes:
        cutoff: Hz, of a point that rests; less is smoother.
        gain: Hz for each unit per second of speed (the paper's β); more lags less.
        speed_cutoff: Hz, of the low-pass on the speed.
    """

    cutoff: float = 0.5
    gain: float = 20.0
    speed_cutoff: float = 2.0

    def __post_init__(self) -> None:
        finite = np.isfinite([self.cutoff, self.gain, self.speed_cutoff]).all()
        if not (finite and self.cutoff > 0 and self.gain >= 0 and self.speed_cutoff > 0):
            raise ParameterError(f"cutoffs must be above 0 and the gain 0 or more, not {self}")


class OneEuroFilter:
    """Smooths one set of points over time; its state is one sequence's. Not for several threads."""

    def __init__(self, smoothing: Smoothing) -> None:
        self._smoothing = smoothing
        self._seconds: float | None = None
        self._input: NDArray[np.float64]
        self._velocity: NDArray[np.float64]
        self._output: NDArray[np.float64]

    def smooth(self, points: ArrayLike, seconds: float, unit: float) -> NDArray[np.float64]:
        """Return the points without their jitter; the first ones as they are.

        Args:
            points: (K, 2), the same K each time.
            seconds: when; later than the time before.
            unit: of length, in the frame of the points, above 0: the inter-ocular distance of a
                face, for example.

        Raises:
            ParameterError: the time is not later, or the unit not above 0.
        """
        points = np.asarray(points, np.float64)
        if not unit > 0:
            raise ParameterError(f"the unit must be above 0, not {unit}")
        if self._seconds is None:
            self._velocity, self._output = np.zeros_like(points), points
        else:
            interval = seconds - self._seconds
            if not interval > 0:
                raise ParameterError(f"{seconds} s is not after {self._seconds} s")
            self._advance(points, interval, unit)
        self._seconds, self._input = seconds, points
        return self._output

    def _advance(self, points: NDArray[np.float64], interval: float, unit: float) -> None:
        settings = self._smoothing
        velocity = (points - self._input) / interval
        weight = _weight(settings.speed_cutoff, interval)
        self._velocity = self._velocity + weight * (velocity - self._velocity)
        speed = np.linalg.norm(self._velocity, axis=-1, keepdims=True) / unit
        weight = _weight(settings.cutoff + settings.gain * speed, interval)
        self._output = self._output + weight * (points - self._output)


def _weight(cutoff: ArrayLike, interval: float) -> NDArray[np.float64]:
    """Return how much of a new input counts, 0 to 1; cutoff in Hz, interval in seconds."""
    weight: NDArray[np.float64] = -np.expm1(-2 * np.pi * np.asarray(cutoff) * interval)
    return weight
