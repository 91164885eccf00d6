import numpy as np
import pytest
from scipy.interpolate import CubicSpline

from faceshape.core.splines import spline_slope_weights, spline_weights


@pytest.mark.parametrize("controls", [2, 3, 4, 5, 9, 21, 60])
def test_agrees_with_scipys_not_a_knot_spline(controls):
    parameters = np.linspace(0, controls - 1, 7 * controls)
    spline = CubicSpline(np.arange(controls), np.eye(controls))
    np.testing.assert_allclose(spline_weights(parameters, controls), spline(parameters), atol=1e-9)
    slopes = spline_slope_weights(parameters, controls)
    np.testing.assert_allclose(slopes, spline(parameters, 1), atol=1e-9)


def test_one_control_point_is_a_place():
    assert spline_weights([0, 0.5], 1).tolist() == [[1], [1]]
    assert spline_slope_weights([0, 0.5], 1).tolist() == [[0], [0]]


def test_weights_sum_to_one_and_slopes_to_nothing():
    parameters = np.linspace(0, 8, 33)
    np.testing.assert_allclose(spline_weights(parameters, 9).sum(axis=1), 1, atol=1e-12)
    np.testing.assert_allclose(spline_slope_weights(parameters, 9).sum(axis=1), 0, atol=1e-12)
