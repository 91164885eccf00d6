from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from faceshape.types import Detections
from faceshape.vision.detector import (
    CoarseLook,
    DlibDetector,
    OnnxDetector,
    RotationSearch,
    UprightFaces,
)
from faceshape.vision.geometry import box_iou, enclosing_boxes, turn_boxes, wrap_degrees
from faceshape.vision.networks import OnnxModel, model_entry
from faceshape.vision.pyramid import Pyramid


@pytest.fixture(scope="module")
def detector() -> DlibDetector:
    return DlibDetector()


@pytest.fixture(scope="module")
def network() -> OnnxModel:
    return OnnxModel(model_entry("detector"), threads=1)


@pytest.fixture(scope="module")
def own(network) -> OnnxDetector:
    return OnnxDetector(network)


def turned_canvas(picture: np.ndarray, degrees: float) -> tuple[np.ndarray, np.ndarray]:
    """A picture turned clockwise about its centre on a larger canvas, and the transform (2, 3)."""
    height, width = picture.shape[:2]
    side = int(np.hypot(height, width)) + 1
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), -degrees, 1.0)
    matrix[:, 2] += (side - width) / 2, (side - height) / 2
    return cv2.warpAffine(picture, matrix, (side, side)), matrix


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
    small = cv2.resize(astronaut, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    found = detector.detect(small)
    assert box_iou(found.boxes, [[90, 45, 132, 86]]).max() > 0.5


def test_a_large_picture_gives_the_same_place(detector, astronaut):
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


@pytest.mark.parametrize("shape", [(1, 1), (1, 700), (33, 5), (64, 64), (31, 1500), (700, 900)])
def test_own_detector_takes_any_shape_and_sees_nothing_in_grey(own, shape):
    assert len(own.detect(np.full((*shape, 3), 120, np.uint8))) == 0


def test_own_box_is_the_landmarks_extent(own, portrait, face):
    found = own.detect(portrait)
    assert box_iou(found.boxes[:1], enclosing_boxes(face.points[None]))[0, 0] > 0.75
    assert found.scores[0] > 0.7
    assert abs(found.roll[0] - face.roll) < 8


@pytest.mark.parametrize("degrees", [0, 30, 75, 90, 135, 180, 200, 270, 320])
def test_own_detector_finds_a_face_of_any_roll_and_tells_it(own, portrait, face, degrees):
    picture, matrix = turned_canvas(portrait, degrees)
    found = own.detect(picture)
    points = face.points @ matrix[:, :2].T + matrix[:, 2]
    assert box_iou(found.boxes[:1], enclosing_boxes(points[None]))[0, 0] > 0.6
    assert abs(wrap_degrees(found.roll[0] - face.roll - degrees)) < 20


@pytest.mark.parametrize("height", [20, 40, 80, 160, 400, 900])
def test_own_detector_finds_faces_of_all_sizes(own, astronaut, height):
    scale = height / 80  # the face is 80 pixels high
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    part = astronaut[:256, 96:352] if height > 160 else astronaut
    offset = 96 if height > 160 else 0
    picture = cv2.resize(part, None, fx=scale, fy=scale, interpolation=way)
    expected = (np.array([[181, 88, 266, 170]]) - [offset, 0, offset, 0]) * scale
    assert box_iou(own.detect(picture).boxes, expected).max() > 0.6


@pytest.mark.parametrize("height", [9, 12, 16])
def test_faces_below_20_pixels_are_found_where_they_are_asked_for(network, astronaut, height):
    scale = height / 82
    picture = cv2.resize(astronaut, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    found = OnnxDetector(network, smallest_face=8).detect(picture)
    expected = np.array([[181, 88, 266, 170]]) * scale
    assert box_iou(found.boxes, expected).max() > 0.6


@pytest.mark.parametrize(
    ("smallest", "size", "fine"),
    [
        (20, (300, 200), (200, 300)),  # as it is
        (8, (300, 200), (400, 600)),  # enlarged twice
        (14, (640, 480), (535, 713)),
        (8, (640, 480), (624, 831)),  # as far as the area goes
        (1, (100, 100), (200, 200)),  # no further
    ],
)
def test_small_faces_get_more_pixels(network, smallest, size, fine):
    noted = Sizes(network)
    OnnxDetector(noted, smallest_face=smallest).detect(np.zeros((size[1], size[0], 3), np.uint8))
    assert noted.copies[0] == tuple(-(-side // 32) * 32 for side in fine)


def test_a_coarse_look_sees_the_large_face_only(own, portrait, astronaut):
    look = CoarseLook(own)
    assert len(look.detect(portrait)) == 1
    small = np.zeros((1200, 1600, 3), np.uint8)
    small[300:428, 500:628] = cv2.resize(portrait, (128, 128))  # a face of 40 pixels
    assert len(look.detect(small)) == 0
    assert box_iou(own.detect(small).boxes, [[542, 344, 585, 384]]).max() > 0.5


def test_only_upright_faces_are_kept(own, portrait):
    upright = UprightFaces(own)
    for degrees, count in ((0, 1), (25, 1), (40, 1), (60, 0), (90, 0), (180, 0)):
        picture, _ = turned_canvas(portrait, degrees)
        assert len(upright.detect(picture)) == count
        assert len(own.detect(picture)) == 1


def test_own_detector_and_rotation_search_agree(own, detector, portrait):
    for turns in range(4):
        picture = np.ascontiguousarray(np.rot90(portrait, turns))
        ours, theirs = own.detect(picture), RotationSearch(detector).detect(picture)
        assert box_iou(ours.boxes[:1], theirs.boxes[:1])[0, 0] > 0.6
        assert abs(wrap_degrees(ours.roll[0] - theirs.roll[0])) < 45


class Sizes:
    """The network, which notes the sizes (height, width) of the copies that it is shown."""

    def __init__(self, network):
        self._network, self.entry, self.copies = network, network.entry, []

    def run(self, batch):
        self.copies.append(batch.shape[1:3])
        return self._network.run(batch)


@pytest.mark.parametrize(
    ("size", "fine", "count"),
    [
        ((640, 480), (288, 384), 2),
        ((1920, 1080), (540, 960), 3),
        ((4000, 400), (228, 2277), 2),  # the area is bounded, not the side
        ((4000, 3000), (624, 831), 3),
        ((200, 200), (200, 200), 2),  # a face may fill it
        ((140, 120), (120, 140), 1),
    ],
)
def test_copies_have_a_bounded_area_and_go_down_to_where_no_face_is_too_large(
    network, size, fine, count
):
    noted = Sizes(network)
    OnnxDetector(noted).detect(np.zeros((size[1], size[0], 3), np.uint8))
    assert noted.copies[0] == tuple(-(-side // 32) * 32 for side in fine)
    assert len(noted.copies) == count


def test_a_panorama_keeps_the_pixels_of_its_faces(own, portrait):
    panorama = np.full((400, 4000, 3), 128, np.uint8)
    lefts = range(120, 3700, 470)
    for left in lefts:
        panorama[70:326, left : left + 256] = portrait
    found = own.detect(panorama)
    expected = [[left + 82, 70 + 86, left + 174, 70 + 174] for left in lefts]
    assert (box_iou(expected, found.boxes).max(axis=1) > 0.5).all()


@pytest.mark.parametrize("side", [130, 200, 300, 600, 1200])
@pytest.mark.parametrize("margin", [1.0, 1.15, 1.3])
def test_a_face_that_fills_the_picture_is_found(own, astronaut, face, margin, side):
    corner_of_portrait = np.array([96, 0])
    low, high = (corner_of_portrait + each for each in (face.points.min(0), face.points.max(0)))
    corner = ((low + high) / 2 - margin * (high - low).max() / 2).astype(int)
    edge = round(margin * (high - low).max())
    close = astronaut[corner[1] : corner[1] + edge, corner[0] : corner[0] + edge]
    found = own.detect(cv2.resize(close, (side, side), interpolation=cv2.INTER_CUBIC))
    expected = np.concatenate([low - corner, high - corner]) * side / edge
    assert box_iou(found.boxes, expected).max() > 0.5


def test_candidates_go_further_down_and_detections_are_sure_ones(own, astronaut):
    facts = model_entry("detector").facts
    half = np.ascontiguousarray(astronaut[:, 150:])
    candidates, found = own.candidates(Pyramid(half)), own.detect(half)
    assert len(found) < len(candidates)
    assert found.scores.min() >= facts["threshold"] > candidates.scores.min()
    assert candidates.scores.min() >= facts["least_score"]
    assert (np.diff(candidates.scores) <= 0).all()


def test_keypoints_lie_on_eyes_nose_and_mouth(own, portrait, face):
    keypoints = own.detect(portrait).keypoints[0]
    mouth = face.group("Mouth")
    expected = [*face.points[[88, 89]], face.group("Nose")[0], mouth[0], mouth[6]]
    unit = np.linalg.norm(face.points[89] - face.points[88])
    assert np.linalg.norm(keypoints - expected, axis=1).max() < 0.3 * unit


class BothWaysUp:
    """Finds one face twice: upright and, with the mouth on the forehead, upside down."""

    def detect(self, image):
        eyes = np.array([[40, 50], [60, 50]])
        below, above = [[50, 60], [42, 70], [58, 70]], [[50, 40], [58, 30], [42, 30]]
        keypoints = [[*eyes, *below], [*eyes[::-1], *above]]
        return Detections([[28, 40, 72, 80], [28, 20, 72, 60]], [0.6, 0.9], [0, 180], keypoints)


def test_the_same_eyes_are_one_face_before_upright_ones_are_chosen(own, portrait):
    large = cv2.resize(portrait, (1000, 1000), interpolation=cv2.INTER_CUBIC)
    upside_down = np.ascontiguousarray(large[::-1, ::-1])
    assert len(own.detect(upside_down)) == 1
    assert len(UprightFaces(own).detect(upside_down)) == 0
    found = own.sure(BothWaysUp().detect(None))
    assert found.roll.tolist() == [180]


class UprightAndUpsideDown:
    """Finds a face in the picture as it is and in the one that is upside down: the same eyes."""

    def detect(self, image):
        if image[0, 0].any() or image[-1, -1].any():
            return Detections([[28, 40, 72, 80]], [0.6], [0])
        return Detections.none()


def test_rotation_search_answers_the_same_eyes_once():
    picture = np.zeros((100, 100, 3), np.uint8)
    picture[0, 0] = 1
    found = RotationSearch(UprightAndUpsideDown()).detect(picture)
    assert found.roll.tolist() == [0]


def test_smallest_face_and_threshold_leave_faces_out(network, astronaut):
    assert len(OnnxDetector(network, smallest_face=120).detect(astronaut)) == 0
    assert len(OnnxDetector(network, threshold=1.0).detect(astronaut)) == 0
    assert len(OnnxDetector(network, threshold=0.05).detect(astronaut)) > 1
    assert len(DlibDetector(smallest_face=120).detect(astronaut)) == 0


def test_a_picture_of_noise_takes_no_longer_for_a_low_threshold(network):
    noise = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    assert len(OnnxDetector(network, threshold=0.0).detect(noise)) <= 500


def test_threads_share_the_own_detector(own, portrait):
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(own.detect, [portrait] * 8))
    for answer in answers:
        np.testing.assert_array_equal(answer.boxes, answers[0].boxes)
