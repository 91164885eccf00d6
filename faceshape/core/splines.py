"""Interpolating cubic splines as matrices: weights of the control points at given parameters.

A spline is linear in its control points, so that one matrix evaluates it for all faces.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["spline_weights"]


def spline_weights(
    parameters: ArrayLike, controls: int, derivative: int = 0
) -> NDArray[np.float64]:
    """Return the weights (M, K) that K control points have in their spline at M parameters.

    The control points lie at the parameters 0 to K − 1. The ends are "not-a-knot" (de Boor 1978):
    the cubic goes on over the second and the last but one. Fewer than four control points have
    the polynomial through them.

    Args:
        parameters: (M,).
        controls: K.
        derivative: of the spline, by the parameter: which one, 0 is the spline itself.
    """
    return _powers(np.asarray(parameters, float), controls, derivative) @ _coefficients(controls)


def _coefficients(controls: int) -> NDArray[np.float64]:
    """Return the matrix (K, K) from control points to factors of the powers."""
    places = np.arange(controls, dtype=float)
    return np.linalg.inv(_powers(places, controls, 0)).astype(float)


def _powers(t: NDArray[np.float64], controls: int, derivative: int) -> NDArray[np.float64]:
    """Return the derivatives of what spans the splines (M, K).

    These are 1, t, t², t³ and the truncated powers (t − knot)³₊.
    """
    exponents = np.arange(min(controls, 4))
    over = np.maximum(t[:, None] - np.arange(2, controls - 2), 0)
    return np.hstack(
        [
            _power(t[:, None], exponents, derivative),
            _power(over, np.full(over.shape[1], 3), derivative),
        ]
    )


def _power(
    t: NDArray[np.float64], exponents: NDArray[np.intp], derivative: int
) -> NDArray[np.float64]:
    """Return the derivatives of t to the power of exponents that are not negative."""
    factors = np.prod([exponents - lower for lower in range(derivative)], axis=0)
    powers: NDArray[np.float64] = factors * t ** np.maximum(exponents - derivative, 0)
    return powers
