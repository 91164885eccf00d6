"""Tracking, on videos made of the astronaut: her head, moved by known transforms."""

from collections.abc import Sequence

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

import faceshape
from faceshape import Detections, FaceShape, Mode, Tracker
from faceshape.core.contract import interocular_distance
from faceshape.errors import EmptyImageError, ParameterError, ShapeError
from faceshape.video.one_euro import Smoothing
from faceshape.vision.geometry import apply_transforms, box_iou, pixel_matrix, undo_similarities

SIZE = (320, 240)
RATE = 30
HEAD = (222, 115)  # in the astronaut's picture
PAUSE = np.full((240, 320, 3), 90, np.uint8)


class Counted:
    """The engine, and how often its stages were asked."""

    def __init__(self, engine):
        self._engine = engine
        self.detections = self.looks = 0

    def detect(self, image, rotate=False):
        self.detections += 1
        return self._engine.detect(image, rotate)

    def shapes(self, image, found):
        self.looks += 1
        return self._engine.shapes(image, found)


@pytest.fixture
def counted(engine):
    return Counted(engine)


def transform(x, y, scale=0.9, roll=0.0) -> NDArray[np.float64]:
    """The transform (2, 3) that brings the head to (x, y)."""
    angle = np.radians(roll)
    cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
    linear = np.array([[cosine, -sine], [sine, cosine]])
    return np.column_stack([linear, np.array([x, y]) - linear @ HEAD])


def frame_of(picture, matrix, size=SIZE):
    matrix = pixel_matrix(matrix)
    return cv2.warpAffine(
        picture, matrix, size, flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REFLECT
    )


def heads(astronaut, *places, size=SIZE):
    """Heads (x, y, scale, mirrored) cut out and laid over each other, the last one in front."""
    canvas = np.full((size[1], size[0], 3), 110, np.uint8)
    rows, columns = np.mgrid[: astronaut.shape[0], : astronaut.shape[1]]
    inside = 1 - ((columns - HEAD[0]) / 75) ** 2 - ((rows - HEAD[1]) / 100) ** 2
    inside = np.clip(6 * inside, 0, 1).astype(np.float32)
    for x, y, scale, mirrored in places:
        matrix = transform(x, y, scale)
        if mirrored:
            matrix = np.array([[-1, 0, 2 * x], [0, 1, 0]]) @ np.vstack([matrix, [0, 0, 1]])
        matrix = pixel_matrix(matrix)
        weight = cv2.warpAffine(inside, matrix, size)[:, :, None]
        canvas = (canvas * (1 - weight) + cv2.warpAffine(astronaut, matrix, size) * weight).astype(
            np.uint8
        )
    return canvas


def run(tracker, frames, start=0):
    return [tracker.update(frame, (start + n) / RATE) for n, frame in enumerate(frames)]


def ids(answers):
    return [sorted(each.id for each in answer) for answer in answers]


def only(answers) -> NDArray[np.float32]:
    """The points (T, 90, 2) of the one face that each frame has."""
    return np.stack([face.face.points for [face] in answers])


def errors(points, expected) -> NDArray[np.float64]:
    """Mean error (T,) of points (T, 90, 2), % of the inter-ocular distance."""
    apart = np.linalg.norm(points - expected, axis=2).mean(axis=1)
    return 100 * apart / interocular_distance(expected)


@pytest.fixture(scope="module")
def journey(astronaut):
    """40 frames: the head moves, grows and turns; and the transforms."""
    steps = np.arange(40)
    matrices = [
        transform(120 + 2 * n, 110 + 15 * np.sin(n / 6), 0.8 + 0.01 * n, 25 * np.sin(n / 10))
        for n in steps
    ]
    return [frame_of(astronaut, matrix) for matrix in matrices], np.stack(matrices)


@pytest.mark.parametrize("smooth", [False, True])
def test_a_face_is_followed_where_it_goes(counted, journey, smooth):
    frames, matrices = journey
    smoothing = Smoothing() if smooth else None
    answers = run(Tracker(counted, smoothing=smoothing), frames)
    assert ids(answers) == [[1]] * 40
    assert counted.detections == 2  # at 0 s and at 1 s
    assert counted.looks <= 42
    points = only(answers)
    home = undo_similarities(matrices[:1], points[:1])
    true = apply_transforms(matrices, np.repeat(home, 40, axis=0))
    off = errors(points, true)
    assert off.mean() < 0.8
    assert off.max() < (2.5 if smooth else 1.1)
    assert off[15:].max() < 1.1  # the lag of the start is over
    for n, [each] in enumerate(answers):
        turn = 25 * np.sin(n / 10) - 25 * np.sin(0)
        assert abs(each.face.roll - answers[0][0].face.roll - turn) < 2
        np.testing.assert_allclose(each.face.box[:2], each.face.points.min(axis=0))
        assert each.face.presence >= 0.9


def test_without_smoothing_the_first_frame_is_what_the_engine_says(engine, journey):
    [expected] = engine.analyze(journey[0][0])
    for smoothing in (None, Smoothing()):
        [found] = Tracker(engine, smoothing=smoothing).update(journey[0][0], 0.0)
        np.testing.assert_allclose(found.face.points, expected.points, atol=1e-3)
        np.testing.assert_allclose(found.face.dense, expected.dense, atol=1e-3)
        assert found.face.score == expected.score


def test_smoothing_takes_jitter_off_a_still_face(engine, astronaut):
    noise = np.random.default_rng(0)
    still = frame_of(astronaut, transform(160, 115)).astype(float)
    frames = [
        np.clip(still + noise.normal(0, 10, still.shape), 0, 255).astype(np.uint8)
        for _ in range(30)
    ]
    raw = only(run(Tracker(engine, smoothing=None), frames))[8:]
    smooth = only(run(Tracker(engine), frames))[8:]
    assert smooth.std(axis=0).mean() < 0.5 * raw.std(axis=0).mean()
    assert np.abs(np.diff(smooth, axis=0)).mean() < 0.25 * np.abs(np.diff(raw, axis=0)).mean()
    assert errors(smooth.mean(axis=0)[None], raw.mean(axis=0)[None])[0] < 0.3


def test_a_face_that_leaves_is_gone_and_one_that_comes_is_new(counted, astronaut):
    leaving = [heads(astronaut, (160 + 12 * n, 120, 0.9, False)) for n in range(30)]
    tracker = Tracker(counted)
    answers = run(tracker, leaving)
    assert ids(answers)[:8] == [[1]] * 8
    assert ids(answers)[-8:] == [[]] * 8
    empty = ids(answers).count([])
    assert counted.detections <= 2 + empty / 3 + 1  # ten times a second while there is nobody
    back = [heads(astronaut, (100, 120, 0.9, False))] * 4
    assert ids(run(tracker, back, start=90))[-1] == [2]


def test_a_short_cut_keeps_the_id_and_a_long_one_does_not(counted, astronaut):
    shown = frame_of(astronaut, transform(160, 115))
    tracker = Tracker(counted)
    answers = run(tracker, [shown] * 3 + [PAUSE] * 6 + [shown] * 5)
    assert ids(answers[:3]) == [[1]] * 3
    assert ids(answers[3:9]) == [[]] * 6
    assert ids(answers)[-1] == [1]
    answers = run(tracker, [PAUSE] * 3, start=20) + run(tracker, [shown] * 3, start=60)
    assert ids(answers) == [[]] * 3 + [[2]] * 3


def test_a_face_elsewhere_is_another(engine, astronaut):
    here, there = (heads(astronaut, (x, 120, 0.6, False)) for x in (60, 250))
    answers = run(Tracker(engine), [here, here, there, there])
    assert ids(answers) == [[1], [1], [2], [2]]


@pytest.mark.parametrize("scale", [0.6, 0.75])
def test_faces_that_cross_keep_their_ids(counted, astronaut, scale):
    tracker, answers = Tracker(counted), []
    for n in range(42):
        front, back = 70 + 4 * n, 250 - 4 * n
        frame = heads(astronaut, (back, 115, scale, True), (front, 120, 0.9, False))
        found = tracker.update(frame, n / RATE)
        boxes = [each.face.box for each in found]
        assert (box_iou(boxes, boxes) - np.eye(len(boxes)) <= 0.55).all()
        answers.append({each.id: each.face.points[:, 0].mean() for each in found})
        assert abs(answers[-1][1] - front) < 8
    assert set().union(*answers) == {1, 2}
    assert sum(len(answer) == 1 for answer in answers) > 8  # one was hidden
    for n in (*range(10), *range(36, 42)):
        assert abs(answers[n][2] - (250 - 4 * n)) < 8
    assert counted.detections < 12


def test_fast_motion_is_followed(engine, astronaut):
    """A fifth of the face's height from frame to frame, back and forth."""
    height = 0.9 * 100
    frames = [
        frame_of(astronaut, transform(160 + 0.2 * height * (-1) ** n / 2, 115)) for n in range(10)
    ]
    answers = run(Tracker(engine, smoothing=None, detect_every=100), frames)
    assert ids(answers) == [[1]] * 10
    np.testing.assert_allclose(only(answers)[1::2], only(answers)[1][None].repeat(5, 0), atol=1)


def test_a_face_turns_all_the_way_round(counted, astronaut):
    frames = [frame_of(astronaut, transform(160, 120, 0.8, 15 * n)) for n in range(25)]
    answers = run(Tracker(counted, smoothing=None), frames)
    assert ids(answers) == [[1]] * 25
    assert counted.detections == 1
    assert errors(only(answers)[-1:], only(answers)[:1])[0] < 1


def test_rotate_finds_a_face_that_lies(engine, astronaut):
    lying = frame_of(astronaut, transform(160, 120, 0.9, 90))
    assert Tracker(engine).update(lying, 0.0) == []
    [found] = Tracker(engine, rotate=True).update(lying, 0.0)
    assert abs(found.face.roll - 94) < 4


def test_the_largest_is_only_given_up_for_a_clearly_larger_one(engine, astronaut):
    tracker = Tracker(engine, Mode.LARGEST, detect_every=0.1)

    def largest(n, left, right):
        frame = heads(astronaut, (80, 120, left, False), (240, 120, right, True))
        [found] = tracker.update(frame, n * 0.2)
        return found.id, found.face.points[:, 0].mean() < 160

    assert largest(0, 0.85, 0.8) == (1, True)
    assert largest(1, 0.8, 0.85) == (1, True)
    assert largest(2, 0.6, 0.9) == (2, False)
    assert largest(3, 0.6, 0.9) == (2, False)


def test_another_size_of_frame_starts_anew(counted, astronaut):
    shown = frame_of(astronaut, transform(160, 115))
    answers = run(Tracker(counted), [shown, shown, shown[:200], shown[:200]])
    assert ids(answers) == [[1], [1], [2], [2]]
    assert counted.detections == 2


def test_bad_arguments_change_nothing(engine, astronaut):
    shown = frame_of(astronaut, transform(160, 115))
    tracker = Tracker(engine)
    tracker.update(shown, 1.0)
    for seconds in (1.0, 0.5, float("nan"), float("inf")):
        with pytest.raises(ParameterError, match="cannot follow"):
            tracker.update(shown, seconds)
    with pytest.raises(ShapeError):
        tracker.update(shown.astype(float), 2.0)
    with pytest.raises(EmptyImageError):
        tracker.update(shown[:0], 2.0)
    assert ids([tracker.update(shown, 1.1)]) == [[1]]
    tracker.reset()
    assert ids([tracker.update(shown, 0.0)]) == [[2]]  # no id comes twice
    with pytest.raises(ParameterError, match="mode"):
        Tracker(engine, mode=2)
    with pytest.raises(ParameterError, match="detect_every"):
        Tracker(engine, detect_every=0)


# With a stand-in for the engine: what is decided, without pictures -------------------------------


class Scripted:
    """Sees faces of 100 pixels at places (x, y) that change with each frame; all times a scale."""

    def __init__(self, face: FaceShape, scale=1.0):
        low, high = face.points.min(axis=0), face.points.max(axis=0)
        self._unit = (face.points - (low + high) / 2) / (high - low).max()
        self._scale = scale
        self.places: Sequence[tuple[float, float]] = ()
        self.detections = self.looks = 0

    def detect(self, image, rotate=False):
        self.detections += 1
        boxes = [[x - 50, y - 50, x + 50, y + 50] for x, y in self.places]
        boxes = self._scale * np.reshape(boxes, (-1, 4))
        return Detections(boxes, np.ones(len(boxes)), np.zeros(len(boxes)))

    def shapes(self, image, found):
        self.looks += len(found)
        return [self._nearest(box) for box in found.boxes]

    def _nearest(self, box):
        """The face within 0.8 of its size, which need not be the one that was there before."""
        centre = (box[:2] + box[2:]) / 2 / self._scale
        away = [np.linalg.norm(centre - place) for place in self.places] or [np.inf]
        nearest = int(np.argmin(away))
        place = self.places[nearest] if self.places else centre
        points = (self._scale * (self._unit * 100 + place)).astype(np.float32)
        return FaceShape(points, points, box, 1.0, float(away[nearest] < 80), 0.0)


def play(tracker, engine, script, start=0):
    """Ids and centres of the faces in each frame of a script of places."""
    answers = []
    for n, places in enumerate(script, start):
        engine.places = places
        found = tracker.update(PAUSE, n / RATE)
        answers.append({each.id: centre(each.face.points) for each in found})
    return answers


def centre(points):
    return ((points.min(axis=0) + points.max(axis=0)) / 2).round()


@pytest.fixture
def scripted(face):
    return Scripted(face)


def test_the_detector_looks_at_key_frames_only(scripted):
    tracker = Tracker(scripted, detect_every=0.5)
    play(tracker, scripted, [[(100, 100)]] * 31)
    assert scripted.detections == 3  # at 0, 0.5 and 1 s
    assert scripted.looks == 31  # and what it finds again there is not looked at twice
    play(tracker, scripted, [[]] * 30, start=31)
    assert scripted.detections == 3 + 10  # at once, then ten times a second
    play(tracker, scripted, [[(100, 100)], [(100, 100), (250, 100)]] * 8, start=61)
    assert scripted.detections == 3 + 10 + 2


def test_two_tracks_never_follow_one_face(scripted):
    """One of two faces vanishes beside the other: its track jumps there, and is dropped."""
    tracker = Tracker(scripted, smoothing=None)
    script = [[(100 + 2 * n, 100), (220 - 2 * n, 100)] for n in range(16)]
    alone = [[(132 + 2 * n, 100)] for n in range(10)]
    answers = play(tracker, scripted, script + alone)
    stays, goes = sorted(answers[0], key=lambda each: answers[0][each][0])
    assert [set(each) for each in answers] == [{stays, goes}] * 16 + [{stays}] * 10
    assert [each[stays][0] for each in answers] == [100 + 2 * n for n in range(26)]
    # It comes out on the other side, where it was going.
    after = play(tracker, scripted, [[(152 + 2 * n, 100), (80, 100)] for n in range(5)], start=26)
    assert after[-1].keys() == {stays, goes}
    assert after[-1][goes][0] == 80


def test_lost_faces_are_recognised_by_their_places(scripted):
    tracker = Tracker(scripted, smoothing=None)
    two = [(80, 100), (240, 100)]
    [*_, before] = play(tracker, scripted, [two] * 3)
    assert play(tracker, scripted, [[]] * 10, start=3) == [{}] * 10
    [*_, after] = play(tracker, scripted, [two[::-1]] * 4, start=13)
    assert {each: tuple(place) for each, place in before.items()} == {
        each: tuple(place) for each, place in after.items()
    }


def test_smoothing_depends_on_neither_resolution_nor_frame_rate(face):
    def points(scale, rate):
        scripted = Scripted(face, scale)
        tracker = Tracker(scripted, smoothing=Smoothing(gain=1))
        for n in range(rate + 1):  # for one second, by a bit more than the face's size in all
            scripted.places = [(100 + 120 * n / rate, 100)]
            [found] = tracker.update(PAUSE, n / rate)
        return found.face.points / scale

    expected = points(1, 30)
    behind = 220 - (expected[:, 0].min() + expected[:, 0].max()) / 2
    assert 3 < behind < 7  # pixels: there is a lag that could depend on something
    np.testing.assert_allclose(points(8, 30), expected, atol=2e-3)
    np.testing.assert_allclose(points(1, 120), expected, atol=0.3 * behind)


def test_ten_faces_at_most_and_the_first_ones_stay(scripted):
    tracker = Tracker(scripted)
    row = [(110 * n, 100) for n in range(12)]
    answers = play(tracker, scripted, [row] * 40)
    assert all(set(each) == set(range(1, 11)) for each in answers)


def test_tracker_is_a_public_name():
    assert faceshape.Tracker is Tracker
    assert "Tracker" in faceshape.__all__
