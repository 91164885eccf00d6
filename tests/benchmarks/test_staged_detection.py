"""The pictures that are hard in one respect, made of the astronaut, and their tables."""

import numpy as np
import pytest

from benchmarks.detection import calibrate_confirmation, staged, staged_tables
from benchmarks.detection.contenders import Contender
from benchmarks.detection.pictures import TestSet
from faceshape.types import Detections
from faceshape.vision.geometry import box_iou
from scripts.detector.data import LabelledPictures


@pytest.fixture(scope="module")
def faces(portrait, face) -> LabelledPictures:
    """Twelve times the same portrait."""
    count = 12
    keypoints = np.concatenate([face.points[[88, 89]], np.tile(face.points[88], (3, 1))])
    return LabelledPictures(
        pictures=[portrait] * count,
        exhaustive=np.zeros(count, bool),
        validation=np.ones(count, bool),
        source=np.array(["u"] * count),
        picture=np.arange(count),
        boxes=np.tile([*face.points.min(axis=0), *face.points.max(axis=0)], (count, 1)),
        keypoints=np.tile(keypoints, (count, 1, 1)).astype(np.float32),
        trusted=np.ones(count, bool),
    )


@pytest.fixture(scope="module")
def backdrops() -> list[np.ndarray]:
    return [np.full((90, 120, 3), level, np.uint8) for level in (70, 160)]


def found_share(engine, pictures: TestSet, count: int) -> float:
    """How many of the labelled faces of the first pictures the detector finds."""
    shares = []
    for i in range(min(count, len(pictures))):
        boxes = pictures.boxes[pictures.faces_of(i)]
        found = engine.detect(pictures.pictures[i]).boxes
        shares += (box_iou(boxes, found).max(axis=1, initial=0) > 0.5).tolist()
    return float(np.mean(shares))


def test_large_portraits_are_as_large_as_said(engine, faces):
    portraits = staged.large_portraits(faces)
    sides = [max(picture.shape[:2]) for picture in portraits.pictures]
    assert 300 <= min(sides) < 500 < max(sides) <= 1400
    assert found_share(engine, portraits, 4) == 1


def test_groups_have_one_largest_face(engine, faces, backdrops):
    groups = staged.groups(faces, backdrops, count=8)
    assert found_share(engine, groups, 8) > 0.75
    for i in range(len(groups)):
        areas = np.sort(groups.size[groups.faces_of(i)].prod(axis=1))[::-1]
        assert 2 <= len(areas) <= 8
        assert areas[0] > 1.02 * areas[1]


def test_panoramas_and_close_ups(engine, faces, backdrops):
    panoramas = staged.panoramas(faces, backdrops, count=1)
    assert panoramas.pictures[0].shape == (400, 4000, 3)
    np.testing.assert_allclose(np.sqrt(panoramas.size.prod(axis=1)), 85, rtol=0.02)
    assert found_share(engine, panoramas, 1) == 1
    close = staged.close_ups(faces)
    assert len(close) == 12
    height, width = close.pictures[0].shape[:2]
    assert max(height, width) == pytest.approx(1.3 * close.size[0].max(), abs=2)
    assert found_share(engine, close, 1) == 1


def test_dimmed_pictures_have_their_brightness(faces):
    dark = staged.dimmed(staged.close_ups(faces), 0.2)
    bright = staged.close_ups(faces).pictures[0]
    assert dark.pictures[0].mean() == pytest.approx(0.2 * bright.mean(), abs=0.5)


class Says:
    """Answers the same finds of every picture."""

    def __init__(self, boxes, roll):
        self._found = Detections(boxes, np.ones(len(boxes)), roll)

    def detect(self, image):
        return self._found


def contender(name, boxes, roll) -> Contender:
    return Contender(name, lambda _: Says(boxes, roll), 0.5, 0.1, None)


def one_face(roll=0.0) -> TestSet:
    return TestSet(
        name="one",
        pictures=staged.in_memory([np.zeros((100, 100, 3), np.uint8)]),
        picture=np.array([0]),
        centre=np.float32([[50, 50]]),
        size=np.float32([[40, 40]]),
        roll=np.float32([roll]),
        counted=np.array([True]),
        unlabelled=np.zeros((1, 4), np.float32),
    )


def test_a_face_the_wrong_way_up_is_counted():
    right, wrong, elsewhere = [30, 30, 70, 70], [30, 12, 70, 52], [0, 0, 9, 9]
    table = staged_tables.upside_down_table(
        [
            contender("right", [right], [5]),
            contender("wrong", [wrong], [-170]),
            contender("both", [right, wrong], [5, -170]),
            contender("elsewhere", [elsewhere], [-170]),
        ],
        one_face(),
    )
    rows = dict(table.rows)
    assert rows["upright: answered as it is, %"] == [100, 0, 100, 0]
    assert rows["upright: answered the wrong way up, %"] == [0, 100, 100, 0]
    assert rows["upright: of these beside, %"] == [0, 0, 100, 0]
    assert rows["180°: answered the wrong way up, %"][0] == 100  # it says that it is upright


def test_the_largest_face_and_the_recall_are_counted(engine, faces, backdrops):
    groups = staged.groups(faces, backdrops, count=3)
    largest = contender("one corner", [[0, 0, 5, 5]], [0])
    rows = dict(staged_tables.largest_table([largest], {"onnx": engine}, groups).rows)
    assert rows["one corner"] == [0]
    assert rows["analyze, detector onnx, Mode 0"] == [100]
    assert rows["analyze, detector onnx, Mode 1"] == [100]
    hit, miss = contender("hit", [[31, 31, 70, 70]], [0]), contender("miss", np.empty((0, 4)), [])
    rows = dict(staged_tables.hard_table([hit, miss], [one_face()]).rows)
    assert rows["one (1 faces): recall, %"] == [100, 0]


def test_weights_follow_what_tells_faces_apart():
    rng = np.random.default_rng(0)
    odds = rng.normal(0, 3, (4000, 2))
    chance = 1 / (1 + np.exp(-(1.0 * odds[:, 0] + 0.25 * odds[:, 1] - 1)))
    weights = calibrate_confirmation.fitted_weights(odds, rng.random(4000) < chance)
    np.testing.assert_allclose(weights, [1.0, 0.25], atol=0.1)


def test_candidates_are_judged(engine, faces):
    from faceshape.vision.detector import OnnxDetector
    from faceshape.vision.landmarker import Landmarker
    from faceshape.vision.networks import OnnxModel, model_entry

    detector = OnnxDetector(OnnxModel(model_entry("detector"), threads=1))
    pictures = staged.large_portraits(faces).take(np.arange(2))
    rows = list(calibrate_confirmation.judged_candidates(detector, Landmarker.shipped(1), pictures))
    assert sum(is_face for _, _, is_face in rows) == 2
    assert all(0 <= score <= 1 and 0 <= presence <= 1 for score, presence, _ in rows)
