import copy
import dataclasses
import json
import pickle

import cv2
import numpy as np
import pytest

from faceshape import Detections, FaceShape, Mode
from faceshape.core.pose import head_pose
from faceshape.errors import ParameterError, ShapeError


def test_no_detections_are_empty():
    assert len(Detections.none()) == 0


def test_detections_are_selected_together():
    found = Detections(np.arange(12).reshape(3, 4), [0.1, 0.2, 0.3], [0, 90, 180])
    for which in ([2, 0], np.array([2, 0])):
        chosen = found[which]
        assert chosen.boxes[:, 0].tolist() == [8, 0]
        assert chosen.roll.tolist() == [180, 0]
    assert len(found[np.array([True, False, True])]) == 2
    assert found[:1].scores.dtype == np.float32


def test_keypoints_are_selected_too_and_unknown_where_left_out():
    keypoints = np.arange(20).reshape(2, 5, 2)
    found = Detections(np.zeros((2, 4)), [0.1, 0.2], [0, 0], keypoints)
    np.testing.assert_array_equal(found[[1]].keypoints, keypoints[1:])
    unknown = Detections(np.zeros((2, 4)), [0.1, 0.2], [0, 0]).keypoints
    assert unknown.shape == (2, 5, 2)
    assert np.isnan(unknown).all()
    with pytest.raises(ShapeError):
        Detections(np.zeros((2, 4)), [0.1, 0.2], [0, 0], keypoints[:1])


@pytest.mark.parametrize(
    ("boxes", "scores", "roll"),
    [
        (np.zeros((1, 3)), np.zeros(1), np.zeros(1)),
        (np.zeros(4), np.zeros(1), np.zeros(1)),
        (np.zeros((1, 4)), np.zeros((1, 1)), np.zeros(1)),
        (np.zeros((2, 4)), np.zeros(1), np.zeros(2)),
        (np.zeros((1, 4)), np.zeros(1), np.zeros(2)),
    ],
)
def test_detections_of_other_shapes_are_refused(boxes, scores, roll):
    with pytest.raises(ShapeError):
        Detections(boxes, scores, roll)


def shape(**changes) -> FaceShape:
    zeros = {"points": np.zeros((90, 2)), "dense": np.zeros((166, 2)), "box": np.zeros(4)}
    return FaceShape(**(zeros | changes), score=1.0, presence=1.0, roll=0.0)


@pytest.mark.parametrize(
    "changes",
    [
        {"points": np.zeros((89, 2))},
        {"dense": np.zeros(166)},
        {"box": np.zeros((1, 4))},
        {"confidence": np.zeros(166)},
    ],
)
def test_face_shapes_of_other_shapes_are_refused(changes):
    with pytest.raises(ShapeError):
        shape(**changes)


def test_groups_are_rows_of_the_points():
    points = np.arange(180, dtype=np.float32).reshape(90, 2)
    face = shape(points=points)
    assert face.group("LeftEye").tolist() == points[21:29].tolist()
    assert face.group("RightPupil").tolist() == points[89:].tolist()
    with pytest.raises(ParameterError, match="FaceProfile"):
        face.group("Ear")


def test_mode_has_the_clouds_numbers():
    assert (Mode.ALL, Mode.LARGEST) == (0, 1)


ROWS = np.arange(12, dtype=np.float32).reshape(3, 4)


@pytest.fixture
def found() -> Detections:
    return Detections(ROWS, [0.5, 0.25, 0.125], [0, 90, 180])


def test_detections_are_gone_through_one_by_one(found):
    boxes, scores, roll = zip(*found, strict=True)
    assert np.array_equal(boxes, ROWS)
    assert (scores, roll) == ((0.5, 0.25, 0.125), (0.0, 90.0, 180.0))
    assert [each.score for each in found] == [0.5, 0.25, 0.125]
    assert list(Detections.none()) == []


@pytest.mark.parametrize("index", [1, np.int64(1), -2, np.array(1)])
def test_an_index_is_one_detection(found, index):
    box, score, roll = found[index]
    assert box.tolist() == ROWS[1].tolist()
    assert (score, roll) == (0.25, 90.0)


@pytest.mark.parametrize("index", [3, -4])
def test_an_index_that_is_none_is_an_index_error(found, index):
    with pytest.raises(IndexError):
        found[index]


@pytest.mark.parametrize("nothing", [[], np.array([]), slice(0, 0), np.zeros(3, bool)])
def test_a_selection_of_nothing_is_empty(found, nothing):
    assert len(found[nothing]) == 0


def pickled(it):
    return pickle.loads(pickle.dumps(it))


@pytest.mark.parametrize("way", [copy.copy, copy.deepcopy, pickled])
def test_copies_are_the_same(found, face, way):
    for name in ("boxes", "scores", "roll"):
        assert np.array_equal(getattr(way(found), name), getattr(found, name))
    assert way(face).to_dict() == face.to_dict()
    assert way(face).points.dtype == np.float32


def test_a_representation_is_short_and_says_what_is_there(face, found):
    assert repr(shape(box=[1, 2, 3.25, 4])) == (
        "FaceShape(box=[1.0, 2.0, 3.2, 4.0], score=1, presence=1, roll=0)"
    )
    assert len(repr(face)) < 120
    assert repr(found[:1]) == "Detections(1, (box=[0.0, 1.0, 2.0, 3.0], score=0.5, roll=0))"
    many = Detections(np.zeros((100, 4)), np.zeros(100), np.zeros(100))
    assert len(repr(many)) < 250
    assert repr(many).endswith("...)")
    assert repr(Detections.none()) == "Detections(0)"


def test_a_face_is_a_dictionary_of_what_json_can_say(face):
    said = json.loads(json.dumps(face.to_dict()))
    assert list(said) == ["points", "dense", "box", "score", "presence", "roll", "confidence"]
    assert np.shape(said["points"]) == (90, 2)
    again = FaceShape(**said)
    for name in ("points", "dense", "box", "confidence"):
        assert np.array_equal(getattr(again, name), getattr(face, name))
    assert (again.score, again.presence, again.roll) == (face.score, face.presence, face.roll)


def test_a_notebook_shows_the_face(face):
    picture = cv2.imdecode(np.frombuffer(face._repr_png_(), np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == (320, 320, 3)
    rows, columns = np.nonzero(picture.any(axis=2))
    # All of the face is in the picture, and fills it.
    assert 4 < rows.min() < 160 < rows.max() < 316
    assert 4 < columns.min() < 160 < columns.max() < 316
    assert max(np.ptp(rows), np.ptp(columns)) > 270


def test_a_face_without_a_place_is_not_shown():
    assert shape(points=np.full((90, 2), np.nan))._repr_png_() is None
    assert shape()._repr_png_() is not None  # all points in one place


def test_the_pose_is_that_of_the_landmarks(face):
    pose = face.pose
    assert pose == pytest.approx(head_pose(face.points[None])[0], abs=1e-4)
    assert pose.roll == pytest.approx(face.roll, abs=6)
    assert abs(pose.yaw) < 25
    turned = dataclasses.replace(face, points=face.points @ np.float32([[0, 1], [-1, 0]]))
    assert turned.pose.roll == pytest.approx(pose.roll + 90, abs=0.01)
