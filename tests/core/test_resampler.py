from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from faceshape.core.contract import interocular_distance, resample
from faceshape.core.layout import Run
from faceshape.core.resampler import resample_onto
from faceshape.core.topology import load_topology


def jittered(face, count: int, deviation: float) -> np.ndarray:
    """The same real face (N, 166, 2), each with its own jitter in pixels."""
    noise = np.random.default_rng(0).normal(0, deviation, (count, *face.dense.shape))
    return (face.dense + noise).astype(np.float32)


@pytest.mark.parametrize("count", [2, 151, 152, 153, 305, 700])
def test_faces_do_not_depend_on_their_block(face, count):
    dense = jittered(face, count, 0.3)
    together = resample(dense, "dense166")
    for place in {0, 1, count // 2, count - 1}:
        alone = resample(dense[place : place + 1], "dense166")[0]
        np.testing.assert_allclose(together[place], alone, atol=2e-3)


def test_threads_do_not_share_what_they_work_in(face):
    batches = [jittered(face, count, 0.3) for count in (1, 40, 300, 40, 7, 300) * 4]
    expected = [resample(dense, "dense166") for dense in batches]
    with ThreadPoolExecutor(4) as pool:
        found = pool.map(lambda dense: resample(dense, "dense166"), batches)
        for points, same in zip(found, expected, strict=True):
            np.testing.assert_array_equal(points, same)


def test_the_answer_is_the_callers_own(face):
    dense = jittered(face, 5, 0.3)
    first = resample(dense, "dense166")
    kept = first.copy()
    resample(dense + 100, "dense166")
    np.testing.assert_array_equal(first, kept)


def test_more_samples_lie_on_the_same_curve_and_keep_its_length(face):
    topology = load_topology("dense166")
    fine = (Run("profile_left", tuple(range(201))),)
    line = resample_onto(face.dense[None], topology, fine)[0]
    coarse = resample(face.dense[None], "dense166")[0, :11]
    np.testing.assert_allclose(line[::20], coarse, atol=0.02)
    steps = np.linalg.norm(np.diff(line, axis=0), axis=1)
    assert np.ptp(steps) < 0.01 * steps.mean()


def test_runs_may_share_their_ends(face):
    runs = (Run("profile_left", (0, 1, 2)), Run("profile_right", (2, 3, 4)))
    points = resample_onto(face.dense[None], load_topology("dense166"), runs)[0]
    whole = resample(face.dense[None], "dense166")[0]
    np.testing.assert_allclose(points, whole[[0, 5, 10, 15, 20]], atol=0.02)


def test_runs_of_single_points_need_no_curve(face):
    topology = load_topology("dense166")
    [index] = topology.indices("left_pupil")
    pupil = resample_onto(face.dense[None], topology, (Run("left_pupil", (0,)),))
    np.testing.assert_array_equal(pupil[0, 0], face.dense[index])


def test_jitter_moves_points_no_further_than_itself(face):
    dense = jittered(face, 200, 0.3)
    off = np.linalg.norm(resample(dense, "dense166") - face.points, axis=2)
    assert np.median(off) < 0.6
    assert off.max() < 0.05 * interocular_distance(face.points)


def test_small_units_are_no_trouble(face):
    unit = face.dense[None] / 1e4
    np.testing.assert_allclose(
        resample(unit, "dense166") * 1e4, resample(face.dense[None], "dense166"), atol=0.01
    )


def test_faces_that_are_far_from_even_are_searched(face):
    """Squeezed along its profile by so much that the starts lead nowhere."""
    topology = load_topology("dense166")
    profile = list(topology.indices("profile_left"))
    uneven = np.tile(face.dense, (3, 1, 1))
    places = np.linspace(0, 1, len(profile)) ** 2.5 * (len(profile) - 1)
    for axis in range(2):
        line = uneven[1, profile, axis]
        uneven[1, profile, axis] = np.interp(places, np.arange(len(profile)), line)
    found = resample(uneven, topology)
    off = np.linalg.norm(found[1] - found[0], axis=1)
    assert off.max() < 0.01 * interocular_distance(face.points)  # chords instead of the spline
    np.testing.assert_array_equal(found[2], found[0])


@pytest.mark.parametrize("curve", ["left_brow_upper", "inner_lip_upper_left", "profile_right"])
def test_both_ways_agree_where_they_meet(face, curve):
    """Control points slip along their curve, more and more: no jump where the search begins."""
    rows = list(load_topology("dense166").indices(curve))
    steps = np.linspace(0, 1, 60)
    dense = np.tile(face.dense, (len(steps), 1, 1))
    even = np.arange(len(rows))
    for slipped, step in zip(dense, steps, strict=True):
        places = even + 0.9 * step * np.sin(np.pi * even / even[-1])
        slipped[rows] = np.stack([np.interp(places, even, axis) for axis in slipped[rows].T], 1)
    moved = np.linalg.norm(np.diff(resample(dense, "dense166"), axis=0), axis=2).max(axis=1)
    assert moved.max() < 0.004 * interocular_distance(face.points)


def test_single_faces_and_many_agree(face):
    """They are evaluated in other bundles."""
    dense = jittered(face, 20, 0.3)
    singly = np.concatenate([resample(one[None], "dense166") for one in dense])
    np.testing.assert_allclose(resample(dense, "dense166"), singly, atol=2e-3)


def test_a_standstill_within_a_curve_is_no_trouble(face):
    rows = list(load_topology("dense166").indices("left_eye_lower"))
    dense = face.dense[None].copy()
    dense[0, rows[3:6]] = dense[0, rows[4]]
    found = resample(dense, "dense166")
    assert np.isfinite(found).all()
    lid = found[0, 21:26]
    assert (np.diff(lid[:, 0]) > 0).all()
