"""What the detector takes for faces in labelled scenes; needs no PyTorch."""

from dataclasses import replace

import numpy as np
import pytest
from skimage import data

from faceshape.vision.detector import OnnxDetector
from faceshape.vision.geometry import boxes_along_roll
from faceshape.vision.landmarker import Landmarker
from faceshape.vision.networks import OnnxModel, model_entry

ONE = slice(0, 1)


@pytest.fixture(scope="module")
def finds():
    from scripts.landmarks import finds

    return finds


@pytest.fixture(scope="module")
def scenes(portrait, face):
    """The astronaut, labelled, and a gravel path."""
    from scripts.detector.data import LabelledPictures

    mouth = face.group("Mouth")
    pupils = [face.group("LeftPupil")[0], face.group("RightPupil")[0]]
    return LabelledPictures(
        pictures=[portrait, np.dstack([data.gravel()] * 3)],
        exhaustive=np.array([True, True]),
        validation=np.array([False, False]),
        source=np.array(["k", "x"]),
        picture=np.array([0]),
        boxes=boxes_along_roll(face.dense[None], np.float32([face.roll])),
        keypoints=np.float32([[*pupils, face.group("Nose")[0], mouth[0], mouth[6]]]),
        trusted=np.array([True]),
    )


@pytest.fixture(scope="module")
def own(finds):
    model = OnnxModel(model_entry("detector"), threads=1)
    return OnnxDetector(model, threshold=0.05), Landmarker.shipped(threads=1)


def test_a_labelled_face_is_found_as_one_and_what_a_path_shows_is_none(finds, scenes, own, face):
    found = list(finds.finds_in(scenes, *own))
    faces = [dense for _, dense, is_face, _ in found if is_face]
    np.testing.assert_allclose(faces[0], face.dense, atol=0.02 * np.ptp(face.dense))
    assert {picture for picture, _, is_face, _ in found if is_face} == {0}
    assert any(picture == 1 for picture, *_ in found)
    assert all(0.05 <= score <= 1 for *_, score in found)


def test_pictures_that_are_held_back_are_left_out(finds, scenes, own):
    assert not list(finds.finds_in(replace(scenes, validation=np.array([True, True])), *own))


def test_what_is_a_face(finds, scenes):
    box = scenes.boxes[0]
    middle, side = (box[:2] + box[2:]) / 2, np.sqrt((box[2:] - box[:2]).prod())
    roll = scenes.roll()[0]
    beside = np.float32([side, 0])
    places = {
        "itself": (middle, side, roll, 1),
        "a little off": (middle + 0.15 * side, side * 1.2, roll - 30, 1),
        "on its side": (middle, side, roll + 80, -1),
        "upside down": (middle, side, roll + 180, 0),
        "its nose": (middle, side / 3, roll, -1),
        "half beside it": (middle + 0.5 * beside, side, roll, -1),
        "beside it": (middle + 0.9 * beside, side, roll, 0),
        "much larger": (middle, 3 * side, roll, -1),
    }
    centre, sides, rolls, expected = (
        np.float32(column) for column in zip(*places.values(), strict=True)
    )
    answers = finds.judged(centre, sides, rolls, scenes, ONE)
    assert dict(zip(places, answers, strict=True)) == dict(zip(places, expected, strict=True))
    unsure = finds.judged(centre, sides, rolls, replace(scenes, trusted=np.array([False])), ONE)
    assert set(unsure[[0, 1, 3]]) == {-1}
    assert set(finds.judged(centre, sides, rolls, scenes, slice(1, 1))) == {0}


@pytest.fixture(scope="module")
def few(finds):
    """A hundred finds of every score, seven of them faces."""
    face, score = np.arange(100) < 7, np.linspace(0.2, 0.9, 100, dtype=np.float32)
    return finds.Finds([], np.zeros(100, int), np.zeros((100, 166, 2)), face, score)


@pytest.fixture(scope="module")
def drawn(few):
    rng = np.random.default_rng(0)
    return np.array([few.drawn(rng) for _ in range(4000)])


def test_faces_are_drawn_as_often_as_false_alarms(few, drawn):
    assert 0.46 < few.face[drawn].mean() < 0.54


def test_what_the_score_is_wrong_about_is_drawn_more_often(few, drawn):
    faces, alarms = np.bincount(drawn, minlength=100)[:7], np.bincount(drawn, minlength=100)[7:]
    sure, unsure = few.score[7:] > 0.7, few.score[7:] < 0.4
    assert alarms[sure].mean() > 3 * alarms[unsure].mean()
    shares = (1.1 - few.score[:7]) / (1.1 - few.score[:7]).sum()
    np.testing.assert_allclose(faces / faces.sum(), shares, atol=0.03)
