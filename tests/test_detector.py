from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from faceshape.detector import DlibDetector, RotationSearch
from faceshape.geometry import box_iou, enclosing_boxes, turn_boxes
from faceshape.types import Detections


@pytest.fixture(scope="module")
def detector() -> DlibDetector:
    return DlibDetector()


class PixelDetector:
    """Finds bright blocks: every pixel value above 100 is a face of that score."""

    def detect(self, image):
        values = [value for value in np.unique(image[..., 0]) if value > 100]
        if not values:
            return Detections.none()
        boxes = []
        for value in values:
            rows, columns = np.nonzero(image[..., 0] == value)
            boxes.append([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
        return Detections(boxes, np.array(values) / 100, np.zeros(len(values)))


class OnlyWhenTurned(PixelDetector):
    """Sees faces only in a picture that was turned so that its marked corner is at the top left."""

    def detect(self, image):
        return super().detect(image) if image[0, 0, 1] == 255 else Detections.none()


def test_a_blank_picture_has_no_faces(detector):
    assert len(detector.detect(np.full((120, 160, 3), 90, np.uint8))) == 0
    assert len(RotationSearch(detector).detect(np.full((90, 90, 3), 90, np.uint8))) == 0


def test_the_box_is_the_landmarks_extent(detector, portrait, face):
    found = detector.detect(portrait)
    extent = enclosing_boxes(face.points[None])
    assert box_iou(found.boxes[:1], extent)[0, 0] > 0.75


@pytest.mark.parametrize("side", [64, 1, 2])
def test_tiny_pictures_are_no_problem(detector, side):
    assert len(detector.detect(np.zeros((side, side, 3), np.uint8))) == 0


def test_a_face_of_40_pixels_is_found_in_a_small_picture(detector, astronaut):
    import cv2

    small = cv2.resize(astronaut, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    found = detector.detect(small)
    assert box_iou(found.boxes, [[90, 45, 132, 86]]).max() > 0.5


def test_a_large_picture_gives_the_same_place(detector, astronaut):
    import cv2

    large = cv2.resize(astronaut, (3000, 3000), interpolation=cv2.INTER_CUBIC)
    found, small = detector.detect(large), detector.detect(astronaut)
    overlaps = box_iou(found.boxes * (512 / 3000), small.boxes[:1])
    assert overlaps.max() > 0.7


@pytest.mark.parametrize("turns", range(4))
def test_rotation_search_maps_boxes_and_roll_back(turns):
    upright = np.zeros((60, 80, 3), np.uint8)
    upright[0, 0, 1] = 255
    upright[10:30, 20:50, 0] = 150
    picture = np.rot90(upright, -turns)  # so that turning it by `turns` makes it upright
    found = RotationSearch(OnlyWhenTurned()).detect(picture)
    expected = turn_boxes([[20, 10, 50, 30]], turns, picture.shape[:2])
    np.testing.assert_array_equal(found.boxes, expected)
    assert found.roll.tolist() == [[0, 90, -180, -90][turns]]


def test_rotation_search_keeps_one_upright_answer_per_face():
    picture = np.zeros((60, 80, 3), np.uint8)
    picture[10:30, 20:50, 0] = 150
    picture[40:50, 60:70, 0] = 250
    found = RotationSearch(PixelDetector()).detect(picture)
    assert found.roll.tolist() == [0, 0]
    assert sorted(found.boxes[:, 0].tolist()) == [20, 60]


def test_upright_faces_are_found_the_same_with_and_without_search(detector, portrait):
    plain, searched = detector.detect(portrait), RotationSearch(detector).detect(portrait)
    np.testing.assert_array_equal(plain.boxes[0], searched.boxes[0])
    assert searched.roll[0] == 0


def test_threads_share_a_detector(detector, portrait):
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(detector.detect, [portrait] * 8))
    for answer in answers:
        np.testing.assert_array_equal(answer.boxes, answers[0].boxes)
