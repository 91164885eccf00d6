import json

import pytest

from faceshape.core.topology import CURVES, available_topologies, load_topology, parse_topology
from faceshape.errors import TopologyError
from faceshape.resources import models_directory


def document(name: str = "contract90") -> dict:
    path = models_directory() / "topologies" / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8"))


def test_the_five_topologies_are_there():
    assert available_topologies() == ("contract90", "dense166", "ibug68", "mesh478", "wflw98")


@pytest.mark.parametrize("name", available_topologies())
def test_points_are_used_once_along_a_curve(name):
    for curve, controls in load_topology(name).curves.items():
        marked = [next(iter(control)) for control in controls if len(control) == 1]
        assert len(set(marked)) == len(marked), curve


@pytest.mark.parametrize("name", ["contract90", "dense166"])
def test_mirror_is_an_involution(name):
    topology = load_topology(name)
    mirror = topology.mirror()
    assert (mirror[mirror] == range(topology.points)).all()
    assert {index for curve in topology.curves for index in topology.indices(curve)} == set(
        range(topology.points)
    )


@pytest.mark.parametrize("name", available_topologies())
def test_a_curve_and_its_mirror_image_have_equally_many_points(name):
    curves = load_topology(name).curves
    for curve, (other, _) in CURVES.items():
        assert len(curves[curve]) == len(curves[other])
        assert CURVES[other][0] == curve


def test_what_a_layout_lacks_is_flagged():
    assert {"LeftPupil", "RightPupil"} <= load_topology("ibug68").derived
    assert load_topology("wflw98").derived == {"Nose"}
    assert not load_topology("mesh478").derived


def test_combined_points_have_no_index():
    with pytest.raises(TopologyError, match="combinations"):
        load_topology("ibug68").indices("left_pupil")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"points": "90"}, "integer 'points'"),
        ({"points": 89}, "outside 0..88"),
        ({"curves": {}}, "profile_left"),
        ({"evenly_spaced": 1}, "'evenly_spaced' is true or false"),
    ],
)
def test_malformed_documents_are_refused(change, message):
    with pytest.raises(TopologyError, match=message):
        parse_topology("odd", document() | change)


@pytest.mark.parametrize(
    ("controls", "message"),
    [
        ([], "curves without points: nose_tip"),
        ([90], "outside 0..89"),
        ([-1], "outside 0..89"),
        ([{}], "a control point is"),
        ([{"1": 0.5, "2": 0.6}], "do not sum to one"),
        (["1"], "a control point is"),
    ],
)
def test_malformed_control_points_are_refused(controls, message):
    changed = document()
    changed["curves"]["nose_tip"] = controls
    with pytest.raises(TopologyError, match=message):
        parse_topology("odd", changed)


def test_unequal_sides_have_no_mirror():
    changed = document()
    changed["curves"]["profile_left"] = [0, 10]
    with pytest.raises(TopologyError, match="differ in length"):
        parse_topology("odd", changed).mirror()
