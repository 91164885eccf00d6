"""Interpolating cubic splines as matrices: weights of the control points at given parameters.

A spline is linear in its control points, so that one matrix evaluates it for all faces.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["spline_slope_weights", "spline_weights"]


def spline_weights(parameters: ArrayLike, controls: int) -> NDArray[np.float64]:
    """Return the weights (M, K) that K control points have in their spline at M parameters.

    The control points lie at the parameters 0 to K − 1. The ends are "not-a-knot" (de Boor 1978):
    the cubic goes on over the second and the last but one. Fewer than four control points have
    the polynomial through them.
    """
    return _powers(np.asarray(parameters, float), controls) @ _coefficients(controls)


def spline_slope_weights(parameters: ArrayLike, controls: int) -> NDArray[np.float64]:
    """Return the weights (M, K) of the control points in the derivative by the parameter."""
    return _power_slopes(np.asarray(parameters, float), controls) @ _coefficients(controls)


def _coefficients(controls: int) -> NDArray[np.float64]:
    """Return the matrix (K, K) from control points to factors of the powers."""
    places = np.arange(controls, dtype=float)
    return np.linalg.inv(_powers(places, controls)).astype(float)


def _powers(t: NDArray[np.float64], controls: int) -> NDArray[np.float64]:
    """Return 1, t, t², t³ and the truncated powers (t − knot)³₊, which span the splines (M, K)."""
    exponents = np.arange(min(controls, 4))
    over = np.maximum(t[:, None] - _knots(controls), 0)
    return np.hstack([t[:, None] ** exponents, over**3])


def _power_slopes(t: NDArray[np.float64], controls: int) -> NDArray[np.float64]:
    exponents = np.arange(min(controls, 4))
    over = np.maximum(t[:, None] - _knots(controls), 0)
    return np.hstack([exponents * t[:, None] ** np.maximum(exponents - 1, 0), 3 * over**2])


def _knots(controls: int) -> NDArray[np.intp]:
    return np.arange(2, controls - 2)
