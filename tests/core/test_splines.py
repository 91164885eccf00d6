import numpy as np
import pytest
from scipy.interpolate import CubicSpline

from faceshape.core.splines import spline_weights


@pytest.mark.parametrize("derivative", [0, 1, 2])
@pytest.mark.parametrize("controls", [2, 3, 4, 5, 9, 21, 60])
def test_agrees_with_scipys_not_a_knot_spline(controls, derivative):
    parameters = np.linspace(0, controls - 1, 7 * controls)
    spline = CubicSpline(np.arange(controls), np.eye(controls))
    weights = spline_weights(parameters, controls, derivative)
    np.testing.assert_allclose(weights, spline(parameters, derivative), atol=1e-8)


def test_one_control_point_is_a_place():
    assert spline_weights([0, 0.5], 1).tolist() == [[1], [1]]
    assert spline_weights([0, 0.5], 1, derivative=1).tolist() == [[0], [0]]


def test_weights_sum_to_one_and_slopes_to_nothing():
    parameters = np.linspace(0, 8, 33)
    np.testing.assert_allclose(spline_weights(parameters, 9).sum(axis=1), 1, atol=1e-12)
    slopes = spline_weights(parameters, 9, derivative=1)
    np.testing.assert_allclose(slopes.sum(axis=1), 0, atol=1e-12)
