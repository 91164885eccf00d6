import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faceshape.errors import ParameterError
from faceshape.video.one_euro import OneEuroFilter, Smoothing


def smoothed(points, times, unit=1.0, smoothing=None):
    """Run a sequence (T, K, 2) through one filter."""
    one_euro = OneEuroFilter(smoothing or Smoothing())
    return np.array([one_euro.smooth(each, t, unit) for each, t in zip(points, times, strict=True)])


def ramp(velocity, times):
    """One point that moves steadily: (T, 1, 2)."""
    return np.asarray(velocity) * np.asarray(times)[:, None, None]


def test_the_first_points_pass_and_still_ones_stay():
    points = np.random.default_rng(0).normal(0, 100, (90, 2))
    found = smoothed([points] * 5, np.arange(5) / 30)
    np.testing.assert_allclose(found, [points] * 5, atol=1e-12)


def test_a_step_decays_as_the_low_pass_says():
    """Without gain it is an exponential of the cutoff, exactly, at any frame rate."""
    for rate in (10, 30, 240):
        times = np.arange(rate + 1) / rate
        step = np.ones((rate + 1, 1, 2))
        step[0] = 0
        found = smoothed(step, times, smoothing=Smoothing(cutoff=0.5, gain=0))
        np.testing.assert_allclose(found[:, 0, 0], 1 - np.exp(-2 * np.pi * 0.5 * times))


@settings(max_examples=25, deadline=None)
@given(st.floats(0.01, 20), st.floats(0.3, 3), st.floats(0, 40), st.sampled_from([15, 30, 60]))
def test_steady_motion_lags_less_than_the_bound(speed, cutoff, gain, rate):
    times = np.arange(6 * rate) / rate
    points = ramp([speed, 0], times)
    found = smoothed(points, times, smoothing=Smoothing(cutoff, gain))
    lag = float((points - found)[-1, 0, 0])
    assert 0 <= lag <= speed / (2 * np.pi * (cutoff + gain * speed)) * (1 + 1e-3)


@settings(max_examples=15, deadline=None)
@given(st.floats(0.001, 1000), st.floats(-3000, 3000), st.floats(-3.2, 3.2), st.floats(0, 1e5))
def test_scale_place_direction_and_start_do_not_matter(scale, shift, angle, start):
    times = np.arange(30) / 30
    points = np.random.default_rng(1).normal(0, 0.2, (30, 5, 2)).cumsum(axis=0)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    found = smoothed(points @ turn.T + shift, times + start, unit=scale)
    expected = smoothed(points, times) @ turn.T + shift
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * scale + 1e-6)


def test_the_frame_rate_hardly_matters():
    """The same motion, seen at 30 and at 120 frames per second, at the times they share."""

    def place(times):
        return np.stack([np.sin(3 * times), np.cos(2 * times)], axis=1)[:, None]

    slow, fast = np.arange(60) / 30, np.arange(240) / 120
    found = smoothed(place(slow), slow)
    apart = np.abs(smoothed(place(fast), fast)[::4] - found)
    assert apart.max() < 0.02  # as it sets out, at three units per second
    assert apart.mean() < 0.004


def test_noise_is_taken_off_and_less_so_with_a_higher_cutoff():
    times = np.arange(150) / 30
    noise = np.random.default_rng(2).normal(0, 0.002, (150, 90, 2))
    left = [
        smoothed(noise, times, smoothing=Smoothing(cutoff=cutoff))[30:].std() / noise.std()
        for cutoff in (0.2, 0.5, 2, 10)
    ]
    assert (np.diff(left) > 0).all()
    assert left[1] < 0.4


def test_points_do_not_influence_each_other():
    times = np.arange(20) / 30
    points = np.random.default_rng(3).normal(0, 0.1, (20, 4, 2)).cumsum(axis=0)
    together = smoothed(points, times)
    for k in range(4):
        np.testing.assert_array_equal(smoothed(points[:, k : k + 1], times)[:, 0], together[:, k])


@pytest.mark.parametrize("seconds", [1.0, 0.5, float("nan")])
def test_time_must_go_on(seconds):
    one_euro = OneEuroFilter(Smoothing())
    one_euro.smooth([[0, 0]], 1.0, 1.0)
    with pytest.raises(ParameterError, match="not after"):
        one_euro.smooth([[0, 0]], seconds, 1.0)
    assert one_euro.smooth([[0, 0]], 2.0, 1.0).tolist() == [[0, 0]]


@pytest.mark.parametrize("unit", [0.0, -1.0, float("nan")])
def test_a_unit_has_a_length(unit):
    with pytest.raises(ParameterError, match="unit"):
        OneEuroFilter(Smoothing()).smooth([[0, 0]], 0.0, unit)


@pytest.mark.parametrize(
    "wrong", [{"cutoff": 0}, {"gain": -1}, {"speed_cutoff": 0}, {"cutoff": float("inf")}]
)
def test_settings_without_sense_are_refused(wrong):
    with pytest.raises(ParameterError, match="cutoffs"):
        Smoothing(**wrong)
