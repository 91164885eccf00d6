"""Which candidates are answered, with a stand-in for the networks."""

import numpy as np
import pytest

from faceshape.types import Detections
from faceshape.vision.choice import FaceChooser, landmark_areas
from faceshape.vision.confirmation import PRESENCE_ALONE, Confirmation
from faceshape.vision.landmarker import DenseLandmarks
from faceshape.vision.pyramid import Pyramid

PICTURE = Pyramid(np.zeros((1000, 1000, 3), np.uint8))


class Eyes:
    """Sees in each box a face of a size that is told, with the eyes at two fifths of its height.

    It counts the boxes that it is shown.
    """

    def __init__(self, truth):
        self.truth, self.seen = truth, 0

    def locate(self, pyramid, boxes, roll, least_presence=0.0):
        self.seen += len(boxes)
        rows = [self.truth[tuple(np.round(box).astype(int))] for box in boxes]
        points = np.stack([self.face(*row[:3]) for row in rows])
        presence = np.float32([row[3] for row in rows])
        return DenseLandmarks(points[:, :10], points, presence, np.float32(roll))

    def first_presence(self, pyramid, boxes, roll):
        located = self.locate(pyramid, boxes, roll)
        self.seen -= len(boxes)
        return located.presence

    @staticmethod
    def face(centre, side, upside_down):
        points = np.random.default_rng(0).uniform(-0.5, 0.5, (90, 2)).astype(np.float32)
        points[:2] = [[-0.5, -0.5], [0.5, 0.5]]
        points[21:29] = [-0.23, -0.1]
        points[29:37] = [0.23, -0.1]
        points = points * (-1 if upside_down else 1)
        return np.float32(centre) + side * points


def chooser(truth, confirmation=PRESENCE_ALONE):
    eyes = Eyes(truth)
    return FaceChooser(eyes, confirmation), eyes


def detections(*rows):
    boxes, scores, roll = zip(*rows, strict=True)
    return Detections(np.array(boxes, float), scores, roll)


def test_the_largest_is_the_largest_by_its_landmarks():
    small, large = (100, 100, 300, 300), (600, 600, 750, 750)  # the boxes have it the wrong way
    choice, _ = chooser(
        {small: ((200, 200), 140, False, 1.0), large: ((675, 675), 180, False, 1.0)}
    )
    found = detections((small, 0.9, 0.0), (large, 0.9, 0.0))
    for wanted in (1, 2, None):
        faces = choice.choose(PICTURE, found, wanted, False)
        assert len(faces) == (wanted or 2)
        assert landmark_areas(faces)[0] == pytest.approx(180**2)
        np.testing.assert_array_equal(faces[0].box, large)


def test_all_that_may_be_among_the_largest_is_looked_at_and_no_more():
    sides = [200, 190, 150, 100, 60, 50, 40]
    boxes = [(40, 10 + 140 * n, 40 + side, 10 + 140 * n + side) for n, side in enumerate(sides)]
    truth = {
        box: (((box[0] + box[2]) / 2, (box[1] + box[3]) / 2), side, False, 1.0)
        for box, side in zip(boxes, sides, strict=True)
    }
    choice, eyes = chooser(truth)
    faces = choice.choose(PICTURE, detections(*((box, 0.9, 0.0) for box in boxes)), 1, False)
    assert [face.box[2] - face.box[0] for face in faces] == [200]
    assert eyes.seen == 3  # 150² is more than 0.4 of 200², 100² is less


def test_a_large_false_alarm_does_not_hide_the_faces_behind_it():
    boxes = [(0, 0, 900, 900), (100, 100, 200, 200), (400, 400, 490, 490)]
    truth = {
        boxes[0]: ((450, 450), 900, False, 0.1),
        boxes[1]: ((150, 150), 100, False, 1.0),
        boxes[2]: ((445, 445), 90, False, 1.0),
    }
    choice, _ = chooser(truth)
    [face] = choice.choose(PICTURE, detections(*((box, 0.9, 0.0) for box in boxes)), 1, False)
    np.testing.assert_array_equal(face.box, boxes[1])
    refused = {boxes[0]: truth[boxes[0]]}
    assert chooser(refused)[0].choose(PICTURE, detections((boxes[0], 1, 0)), None, True) == []
    assert choice.choose(PICTURE, Detections.none(), 1, False) == []


@pytest.mark.parametrize("upright_score", [0.3, 0.995])
def test_of_two_ways_up_the_evidence_decides(upright_score):
    """The same eyes, once with the mouth below and once above; the scores do not decide alone."""
    above, below = (400, 338, 500, 438), (400, 400, 500, 500)
    rule = Confirmation(1.0, 1.0, 0.0, 0.5)
    truth = {
        below: ((450, 450), 100, False, 0.99),
        above: ((450, 430), 100, True, 0.999),
    }
    choice, _ = chooser(truth, rule)
    found = detections((below, upright_score, 0.0), (above, 0.8, 180.0))
    upright = choice.choose(PICTURE, found, None, False)
    anyhow = choice.choose(PICTURE, found, None, True)
    assert len(anyhow) == 1
    if upright_score == 0.3:
        assert upright == []  # it is upside down, which was not asked for
        np.testing.assert_array_equal(anyhow[0].box, above)
    else:
        np.testing.assert_array_equal(upright[0].box, below)
        np.testing.assert_array_equal(anyhow[0].box, below)


def test_turned_faces_alone_are_not_looked_at_for_nothing():
    box = (400, 400, 500, 500)
    choice, eyes = chooser({box: ((450, 450), 100, False, 1.0)})
    assert choice.choose(PICTURE, detections((box, 0.9, 90.0)), None, False) == []
    assert eyes.seen == 0
    assert len(choice.choose(PICTURE, detections((box, 0.9, 90.0)), None, True)) == 1


def test_doubtful_candidates_that_the_first_look_refuses_cost_no_more():
    boxes = [(0, 0, 100, 100), (300, 300, 400, 400), (600, 600, 700, 700)]
    truth = {
        boxes[0]: ((50, 50), 100, False, 1.0),
        boxes[1]: ((350, 350), 100, False, 0.2),
        boxes[2]: ((650, 650), 100, False, 0.9999),
    }
    choice, eyes = chooser(truth, Confirmation(1.0, 1.0, 2.0, 0.5))
    found = detections((boxes[0], 0.9, 0.0), (boxes[1], 0.3, 0.0), (boxes[2], 0.3, 0.0))
    faces = choice.choose(PICTURE, found, None, False)
    assert sorted(face.box[0] for face in faces) == [0, 600]
    assert eyes.seen == 2


@pytest.mark.parametrize(
    ("second", "settled"),
    [
        (((600, 100, 900, 400), 0.9), False),  # sure, larger and elsewhere: the answer may be wrong
        (((600, 100, 900, 400), 0.4), True),  # not sure
        (((600, 100, 810, 310), 0.9), True),  # about as large, as boxes go
        (((80, 80, 380, 380), 0.9), True),  # the answer itself
    ],
)
def test_what_the_detector_is_sure_of_elsewhere_leaves_the_largest_open(second, settled):
    box, score = second
    first = (100, 100, 300, 300)
    truth = {first: ((200, 200), 200, False, 1.0), box: ((700, 250), 200, False, 0.0)}
    choice, _ = chooser(truth, Confirmation(1.5, 0.6, 0.0, 0.5))
    found = detections((first, 0.9, 0.0), (box, score, 0.0))
    [answer] = choice.choose(PICTURE, found, 1, False)
    assert choice.settled(found, answer, 150.0**2) == settled
    assert not choice.settled(found, answer, 250.0**2)
