import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.interpolate import CubicSpline

from faceshape.core.contract import (
    GROUPS,
    MIRROR,
    POINT_COUNT,
    RUNS,
    interocular_distance,
    resample,
)
from faceshape.core.topology import available_topologies, load_topology
from faceshape.errors import ShapeError, TopologyError

FACTS = Path(__file__).parents[3] / "shared/contract-facts.json"


def smooth_faces(count: int, points: int, seed: int = 0) -> np.ndarray:
    """Random landmarks (N, P, 2) of about the size of a face."""
    return np.random.default_rng(seed).normal(100, 40, (count, points, 2)).astype(np.float32)


def naive_run(controls: np.ndarray, count: int) -> np.ndarray:
    """One run of one face, by scipy, sampled so finely that its error does not count."""
    if len(controls) == 1:
        return controls
    spline = CubicSpline(np.arange(len(controls)), controls)
    fine = spline(np.linspace(0, len(controls) - 1, 4001))
    length = np.r_[0, np.cumsum(np.linalg.norm(np.diff(fine, axis=0), axis=1))]
    wanted = np.linspace(0, length[-1], count)
    return np.stack([np.interp(wanted, length, fine[:, axis]) for axis in (0, 1)], axis=1)


def test_group_counts_are_the_documents():
    counts = {name: rows.stop - rows.start for name, rows in GROUPS.items()}
    assert counts == {
        "FaceProfile": 21,
        "LeftEye": 8,
        "RightEye": 8,
        "LeftEyeBrow": 8,
        "RightEyeBrow": 8,
        "Mouth": 22,
        "Nose": 13,
        "LeftPupil": 1,
        "RightPupil": 1,
    }
    rows = np.concatenate([np.arange(POINT_COUNT)[rows] for rows in GROUPS.values()])
    assert rows.tolist() == list(range(POINT_COUNT))


def test_every_point_is_the_target_of_exactly_one_run():
    targets = sorted(target for run in RUNS for target in run.targets if target >= 0)
    assert targets == list(range(POINT_COUNT))


def test_mirror_is_an_involution_that_keeps_the_midline():
    assert (MIRROR[MIRROR] == np.arange(POINT_COUNT)).all()
    midline = np.flatnonzero(np.arange(POINT_COUNT) == MIRROR)
    mouth, nose = GROUPS["Mouth"].start, GROUPS["Nose"].start
    assert midline.tolist() == [
        10,
        mouth + 3,
        mouth + 9,
        mouth + 14,
        mouth + 19,
        nose,
        nose + 1,
        nose + 7,
    ]


@pytest.mark.parametrize("name", available_topologies())
def test_no_faces_give_no_points(name):
    topology = load_topology(name)
    assert resample(np.empty((0, topology.points, 2)), topology).shape == (0, 90, 2)


@pytest.mark.parametrize("name", ["mesh478", "wflw98", "ibug68", "dense166", "contract90"])
def test_agrees_with_scipy_splines_run_by_run(name, face):
    topology = load_topology(name)
    # A real face in this topology: sample the curves of the contract's points where they run.
    dense = np.full((1, topology.points, 2), np.nan, np.float32)
    source = load_topology("dense166")
    for curve, controls in topology.curves.items():
        line = naive_run(face.dense[list(source.indices(curve))], len(controls))
        for control, place in zip(controls, line, strict=True):
            if len(control) == 1:
                dense[0, next(iter(control))] = place
    for controls in topology.curves.values():  # what only combinations refer to
        for control in controls:
            for index in control:
                if np.isnan(dense[0, index]).any():
                    dense[0, index] = face.points[10]
    found = resample(dense, topology)[0]
    unit = interocular_distance(face.points)
    for run in RUNS:
        controls = np.array(
            [
                sum(weight * dense[0, index] for index, weight in control.items())
                for control in topology.curves[run.curve]
            ]
        )
        expected = naive_run(controls, len(run.targets))
        for target, place in zip(run.targets, expected, strict=True):
            if target >= 0:
                assert np.linalg.norm(found[target] - place) < 0.002 * unit


@pytest.mark.parametrize("output", ["published_output_yawed", "published_output_frontal"])
@pytest.mark.skipif(not FACTS.exists(), reason="the published outputs are not in the repository")
def test_published_outputs_come_back_within_a_pixel(output):
    groups = json.loads(FACTS.read_text(encoding="utf-8"))[output]["groups"]
    points = np.concatenate([groups[name] for name in GROUPS]).astype(np.float32)
    assert np.abs(resample(points[None], "contract90")[0] - points).max() < 1.0


def test_resampling_twice_changes_little(face):
    again = resample(face.points[None], "contract90")[0]
    unit = interocular_distance(face.points)
    assert (
        np.linalg.norm(again - face.points, axis=1).max() < 0.025 * unit
    )  # at the ends of the brows


def test_points_of_a_run_are_uniform_in_arc_length():
    angles = np.linspace(0, np.pi / 2, 21) ** 1.15  # a quarter circle, unevenly sampled
    dense = smooth_faces(1, 166)
    profile = list(load_topology("dense166").indices("profile_left"))
    dense[0, profile] = 100 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    steps = np.linalg.norm(np.diff(resample(dense, "dense166")[0, :11], axis=0), axis=1)
    assert np.ptp(steps) < 0.002 * steps.mean()


@settings(max_examples=30, deadline=None)
@given(
    scale=st.floats(0.05, 20),
    angle=st.floats(-180, 180),
    shift=arrays(float, 2, elements=st.floats(-500, 500)),
)
def test_moves_with_its_input(scale, angle, shift):
    dense = smooth_faces(3, 166)
    turn = np.radians(angle)
    linear = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    moved = resample(dense @ linear.T + shift, "dense166")
    expected = resample(dense, "dense166") @ linear.T + shift
    np.testing.assert_allclose(moved, expected, atol=0.05 * scale + 1e-3)


def test_mirrored_input_gives_mirrored_output():
    dense, topology = smooth_faces(5, 166), load_topology("dense166")
    mirrored = (dense * [-1, 1])[:, topology.mirror()]
    expected = (resample(dense, topology) * [-1, 1])[:, MIRROR]
    np.testing.assert_allclose(resample(mirrored, topology), expected, atol=0.05)


def test_batches_agree_with_single_faces_over_block_borders():
    dense = smooth_faces(300, 478)
    singly = np.concatenate([resample(one[None], "mesh478") for one in dense[[0, 127, 128, 299]]])
    np.testing.assert_allclose(resample(dense, "mesh478")[[0, 127, 128, 299]], singly, atol=1e-3)


def test_a_curve_without_length_gives_its_place():
    dense = np.full((2, 166, 2), 7.0)
    np.testing.assert_allclose(resample(dense, "dense166"), 7.0, rtol=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_stays_in_its_run(bad):
    dense = smooth_faces(2, 166)
    clean = resample(dense, "dense166")
    eye = load_topology("dense166").indices("left_eye_lower")
    dense[1, eye[4]] = bad
    found = resample(dense, "dense166")
    rows = np.arange(POINT_COUNT)
    inside = (rows > GROUPS["LeftEye"].start) & (rows < GROUPS["LeftEye"].start + 4)
    assert np.isnan(found[1, inside]).all()
    np.testing.assert_array_equal(found[0], clean[0])
    np.testing.assert_array_equal(found[1, ~inside], clean[1, ~inside])


@pytest.mark.parametrize("huge", [3e38, -3e38, 1e300])
@pytest.mark.parametrize("topology", [*available_topologies()])
def test_what_is_too_large_to_calculate_with_is_not_finite(topology, huge):
    """Without a word: the tests take a warning for an error."""
    points = load_topology(topology).points
    dense = smooth_faces(3, points)
    clean = resample(dense, topology)
    wild = dense.astype(np.float64)
    wild[1] = np.random.default_rng(0).choice([-huge, huge], (points, 2))
    found = resample(wild, topology)
    assert not np.isfinite(found[1]).all()
    np.testing.assert_array_equal(found[[0, 2]], clean[[0, 2]])


@pytest.mark.parametrize("values", [None, "x", [[1], [1, 2]], np.zeros((1, 166, 2)) * 1j])
def test_what_are_no_numbers_is_refused(values):
    with pytest.raises(ShapeError, match="numbers"):
        resample(values, "dense166")


@pytest.mark.parametrize("name", [None, 166, ["dense166"]])
def test_what_names_no_topology_is_refused(name):
    with pytest.raises(TopologyError, match="dense166"):
        resample(np.zeros((1, 166, 2)), name)


@pytest.mark.parametrize("shape", [(166, 2), (1, 165, 2), (1, 166, 3), (1, 166)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ShapeError, match="166"):
        resample(np.zeros(shape), "dense166")


def test_unknown_topology_is_refused():
    with pytest.raises(TopologyError, match="dense166"):
        resample(np.zeros((1, 166, 2)), "dense167")


def test_runs_of_a_group_join(face):
    """Neighbours along the profile are about equally far apart: no gap where two runs meet."""
    steps = [np.linalg.norm(b - a) for a, b in pairwise(face.group("FaceProfile"))]
    assert max(steps) < 1.6 * min(steps)


def test_interocular_distance_is_between_the_outer_corners():
    points = np.zeros((2, 90, 2))
    points[1, 21], points[1, 29] = [1, 2], [4, 6]
    assert interocular_distance(points).tolist() == [0, 5]
    assert interocular_distance(points[1]) == 5
