import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faceshape.types import Detections
from faceshape.vision.same_face import Places, distinct, same_faces, turned_against

# A face of 100 pixels at (100, 100), and the same eyes with the mouth on the forehead.
BOX, EYES = [50, 50, 150, 150], [[77, 69], [123, 69]]
UPSIDE_DOWN = [50, -12, 150, 88]


def moved(shift: float) -> Places:
    return Places(np.add(BOX, [shift, 0, shift, 0]), np.add(EYES, [shift, 0]))


def same(places: Places, others: Places) -> bool:
    return bool(same_faces(places, others)[0, 0])


def test_the_same_eyes_are_one_face_though_the_boxes_hardly_overlap():
    upright, wrong = Places(BOX, EYES), Places(UPSIDE_DOWN, EYES[::-1])
    assert same(upright, wrong)
    far = Places(UPSIDE_DOWN, np.add(EYES, [0, -45]))
    assert not same(upright, far)


def test_neighbours_cheek_to_cheek_are_two():
    assert same(moved(0), moved(15))
    assert not same(moved(0), moved(90))


def test_the_eyes_of_a_profile_still_have_a_unit():
    profile = [[100, 69], [101, 69]]
    shifted = np.add(profile, [8, 0])
    assert same(Places([50, 50, 150, 150], profile), Places([95, -12, 215, 62], shifted))


@settings(deadline=None)  # other work on the machine is no failure
@given(st.floats(0.1, 30), st.floats(-180, 180), st.floats(-150, 150), st.floats(-150, 150))
def test_it_is_symmetrical_and_does_not_depend_on_scale(scale, roll, x, y):
    eyes = np.array([[-23.0, 0.0], [23.0, 0.0]])
    angle = np.radians(roll)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    other = eyes @ turn + [x, y] + [100, 69]
    box = np.concatenate([other.mean(axis=0) - 50, other.mean(axis=0) + 50])
    first, second = Places(BOX, EYES), Places(box, other)
    answer = same(first, second)
    assert same(second, first) == answer
    assert same(Places(box, other[::-1]), first) == answer  # which eye is which does not matter
    larger = Places(scale * np.array(BOX), scale * np.array(EYES))
    assert same(larger, Places(scale * box, scale * other)) == answer


def test_the_preferred_find_of_a_face_stays():
    places = Places([BOX, UPSIDE_DOWN, [300, 50, 400, 150]], [EYES, EYES, np.add(EYES, [250, 0])])
    assert distinct(places, [0.5, 0.9, 0.7]).tolist() == [1, 2]
    assert distinct(places, [0.9, 0.5, 0.95]).tolist() == [2, 0]
    assert distinct(Places([], []), []).shape == (0,)


@pytest.mark.parametrize("roll", [0, 30, 90, 180, -90])
def test_eyes_that_a_detector_does_not_tell_are_where_faces_have_them(portrait, engine, roll):
    [face] = engine.analyze(portrait)
    box = face.box
    told = Places.of_shapes([face])
    angle = np.radians(roll)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    middle = (box[:2] + box[2:]) / 2
    eyes = (told.eyes[0] - middle) @ turn + middle
    guessed = Places.of_detections(Detections([box], [1.0], [face.roll + roll]))
    distance = np.linalg.norm(eyes[1] - eyes[0])
    assert np.linalg.norm(guessed.eyes[0] - eyes, axis=1).max() < 0.35 * distance


def test_keypoints_are_believed():
    keypoints = np.full((1, 5, 2), 7.0)
    found = Detections([BOX], [1.0], [0.0], keypoints)
    np.testing.assert_array_equal(Places.of_detections(found).eyes, np.full((1, 2, 2), 7.0))


def test_rolls_contradict_each_other_from_a_quarter_turn_on():
    against = turned_against(np.float32([0, 80, 100, 180, -175]))
    assert against[0].tolist() == [False, False, True, True, True]
    assert not against[3, 4]
    assert (against == against.T).all()
