import numpy as np
import pytest

from faceshape import Detections, FaceShape, Mode
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
    "changes", [{"points": np.zeros((89, 2))}, {"dense": np.zeros(166)}, {"box": np.zeros((1, 4))}]
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
