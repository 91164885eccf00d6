"""The detection benchmark: its measures on hand-made cases, its pictures made of the astronaut."""

import json

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from benchmarks.detection import __main__ as detection
from benchmarks.detection import calibrate_peer_boxes, contenders, measures, pictures, tables
from benchmarks.detection import speed as detection_speed
from benchmarks.detection.measures import FALSE, IGNORED, Curve, Verdicts
from faceshape.types import Detections
from faceshape.vision.geometry import box_iou
from scripts.detector.data import LabelledPictures

_TWO_FACES = np.array([[0, 0, 10, 10], [20, 0, 30, 10]], float)
_BOTH = np.array([True, True])


@st.composite
def scored(draw):
    """Scores (N,) with ties, which of them are correct (N,), and how many faces there are."""
    count = draw(st.integers(1, 30))
    scores = draw(arrays(float, count, elements=st.integers(0, 8).map(float)))
    correct = draw(arrays(bool, count))
    return scores, correct, int(correct.sum()) + draw(st.integers(0, 5))


@st.composite
def box_arrays(draw):
    corners = draw(arrays(float, (draw(st.integers(0, 8)), 2), elements=st.integers(0, 30)))
    sides = draw(arrays(float, corners.shape, elements=st.integers(1, 20)))
    return np.concatenate([corners, corners + sides], axis=1)


@pytest.fixture(scope="module")
def astronaut_faces(portrait, face) -> LabelledPictures:
    """The same picture three times, the first never trained on."""
    box, eyes = face.box, face.points[[88, 89]]
    nose_and_mouth = np.tile((box[:2] + box[2:]) / 2, (3, 1))
    return LabelledPictures(
        pictures=[portrait] * 3,
        exhaustive=np.zeros(3, bool),
        validation=np.array([True, False, False]),
        source=np.array(["a"] * 3),
        picture=np.arange(3),
        boxes=np.tile(box, (3, 1)),
        keypoints=np.tile(np.concatenate([eyes, nose_and_mouth]), (3, 1, 1)).astype(np.float32),
        trusted=np.ones(3, bool),
    )


@pytest.fixture(scope="module")
def astronaut_scenes(astronaut, astronaut_faces) -> LabelledPictures:
    """Two scenes: her rocket, without a face, and her portrait."""
    one = astronaut_faces.only(np.array([True, False, False]))
    return LabelledPictures(
        pictures=[np.ascontiguousarray(astronaut[:160, 300:]), *one.pictures],
        exhaustive=np.ones(2, bool),
        validation=np.ones(2, bool),
        source=np.array(["b"] * 2),
        picture=np.array([1]),
        boxes=one.boxes,
        keypoints=one.keypoints,
        trusted=one.trusted,
    )


@pytest.fixture
def astronaut_data(monkeypatch, astronaut_faces, astronaut_scenes) -> None:
    """Let the benchmark read these wherever --data points to."""
    monkeypatch.setattr(pictures, "load_face_pictures", lambda _: astronaut_faces)
    monkeypatch.setattr(pictures, "load_scenes", lambda _: astronaut_scenes)
    for command in (calibrate_peer_boxes, detection):
        monkeypatch.setattr(command, "load_face_pictures", lambda _: astronaut_faces)
    monkeypatch.setattr(detection, "load_scenes", lambda _: astronaut_scenes)
    for command in (detection, calibrate_peer_boxes):  # it would outlive the test
        monkeypatch.setattr(command, "use_one_core", lambda: None)


def test_the_better_detection_takes_the_face_and_the_other_one_is_false():
    boxes = [[0, 0, 10, 9], [0, 0, 10, 10], [19, 0, 29, 10], [50, 50, 60, 60]]
    answer = measures.match(boxes, [0.9, 0.8, 0.5, 0.99], _TWO_FACES, _BOTH)
    np.testing.assert_array_equal(answer, [0, FALSE, 1, FALSE])


def test_a_detection_takes_the_free_face_that_it_overlaps_most():
    faces = [[0, 0, 10, 10], [0, 2, 10, 12]]
    answer = measures.match([[0, 2, 10, 12], [0, 2, 10, 12]], [1, 0.5], faces, _BOTH)
    np.testing.assert_array_equal(answer, [1, 0])


def test_the_least_overlap_is_enough():
    assert measures.match([[0, 0, 10, 5]], [1], _TWO_FACES, _BOTH)[0] == 0
    assert measures.match([[0, 0, 10, 4.9]], [1], _TWO_FACES, _BOTH)[0] == FALSE


def test_faces_that_are_not_trusted_count_neither_way():
    boxes = [[20, 0, 30, 10], [20, 0, 30, 4], [0, 0, 10, 10]]
    answer = measures.match(boxes, [0.9, 0.8, 0.7], _TWO_FACES, [True, False])
    np.testing.assert_array_equal(answer, [IGNORED, IGNORED, 0])


def test_unlabelled_faces_may_be_beside_a_labelled_one_but_not_on_it():
    boxes = [[40, 40, 50, 50], [4, 0, 14, 10], [70, 70, 80, 80]]
    answer = measures.match(
        boxes, [1, 1, 1], [[0, 0, 10, 10]], [True], iou=0.6, unlabelled=(0, 0, 60, 60)
    )
    np.testing.assert_array_equal(answer, [IGNORED, FALSE, FALSE])


@pytest.mark.parametrize("count", [0, 2])
def test_no_faces_or_no_detections(count):
    boxes = _TWO_FACES[:count]
    answer = measures.match(boxes, np.ones(count), np.empty((0, 4)), np.empty(0, bool))
    np.testing.assert_array_equal(answer, [FALSE] * count)
    assert len(measures.match(np.empty((0, 4)), [], _TWO_FACES[:count], _BOTH[:count])) == 0


@given(box_arrays(), box_arrays())
def test_no_face_is_found_twice_and_none_that_is_too_far(boxes, faces):
    scores = np.arange(len(boxes))[::-1]
    answer = measures.match(boxes, scores, faces, np.ones(len(faces), bool))
    hits = np.flatnonzero(answer >= 0)
    assert len(set(answer[hits])) == len(hits)
    assert (box_iou(boxes, faces)[hits, answer[hits]] >= 0.5).all()
    # What is left over overlaps nothing that is free.
    free = np.setdiff1d(np.arange(len(faces)), answer[hits])
    assert (box_iou(boxes, faces)[answer == FALSE][:, free] < 0.5).all()


def test_average_precision_by_hand():
    curve = Curve.of([0.9, 0.8, 0.7, 0.6], [True, False, True, False], total=4)
    np.testing.assert_allclose(curve.precision, [1, 1 / 2, 2 / 3, 1 / 2])
    np.testing.assert_allclose(curve.recall, [0.25, 0.25, 0.5, 0.5])
    assert curve.average_precision() == pytest.approx(0.25 * 1 + 0.25 * 2 / 3)
    assert curve.at(0.75) == (0.5, 0.25)
    assert curve.at(0.7) == pytest.approx((2 / 3, 0.5))
    assert np.isnan(curve.at(0.95)[0])
    assert curve.at(0.95)[1] == 0
    assert curve.recall_at_precision(0.97) == 0.25
    assert curve.recall_at_precision(0.6) == 0.5
    assert curve.least_threshold(0.6) == 0.7


def test_no_threshold_may_be_sure_enough():
    curve = Curve.of([0.9], [False], total=1)
    assert curve.least_threshold(0.97) == np.inf
    assert curve.recall_at_precision(0.97) == 0


def test_nothing_found_and_nothing_to_be_found():
    nothing = Curve.of([], [], total=3)
    assert nothing.average_precision() == nothing.recall_at_precision(0.5) == 0
    assert np.isnan(Curve.of([0.9], [False], total=0).average_precision())


@given(scored())
def test_average_precision_is_the_area_under_the_best_precision_at_each_recall(case):
    scores, correct, total = case
    if total == 0:
        return
    points = []
    for limit in np.unique(scores):
        kept = scores >= limit
        points.append((correct[kept].sum() / total, correct[kept].mean()))
    levels = [k / total for k in range(1, total + 1)]
    best = [max((p for r, p in points if r >= level - 1e-9), default=0.0) for level in levels]
    area = Curve.of(scores, correct, total).average_precision()
    assert area == pytest.approx(sum(best) / total)
    assert 0 <= area <= 1


@given(scored(), st.floats(0.01, 1))
def test_curves_know_only_the_order_of_scores(case, wanted):
    scores, correct, total = case
    curve, other = (Curve.of(each, correct, total) for each in (scores, np.exp(scores / 3) - 5))
    np.testing.assert_array_equal(curve.precision, other.precision)
    np.testing.assert_array_equal(curve.recall, other.recall)
    if total:
        assert curve.recall_at_precision(wanted) == max(
            curve.recall[curve.precision >= wanted], default=0.0
        )


@given(scored())
def test_false_detections_below_all_others_change_no_average_precision(case):
    scores, correct, total = case
    more = Curve.of(np.append(scores, -1), np.append(correct, False), max(total, 1))
    before = Curve.of(scores, correct, max(total, 1)).average_precision()
    assert more.average_precision() == pytest.approx(before)


def _verdicts() -> Verdicts:
    return Verdicts(
        scores=np.array([0.9, 0.8, 0.7, 0.6, 0.5]),
        sizes=np.array([11.0, 50, 10, 60, 13]),
        found=np.array([0, 1, FALSE, FALSE, IGNORED]),
        picture=np.array([0, 0, 1, 2, 2]),
        face_sizes=np.array([13.0, 50, 14]),
        counted=np.array([True, True, False]),
    )


def test_sizes_are_those_of_the_faces_and_of_false_detections():
    small, large = _verdicts().curve(0, 20), _verdicts().curve(20)
    np.testing.assert_array_equal(small.thresholds, [0.9, 0.7])
    np.testing.assert_array_equal(small.precision, [1, 0.5])
    np.testing.assert_array_equal(large.thresholds, [0.8, 0.6])
    np.testing.assert_array_equal(large.recall, [1, 1])
    np.testing.assert_array_equal(_verdicts().false_alarms(), [2, 3])


def test_verdicts_of_two_sets_make_those_of_one():
    both = measures.joined([_verdicts(), _verdicts()])
    np.testing.assert_array_equal(both.found[5:], [3, 4, FALSE, FALSE, IGNORED])
    np.testing.assert_array_equal(both.picture[5:], [3, 3, 4, 5, 5])
    assert both.curve().average_precision() == _verdicts().curve().average_precision()
    assert both.curve().recall[-1] == 1


def test_quarter_turns_move_pictures_and_faces_exactly(astronaut_faces, portrait):
    upright = pictures.as_test_set("set", astronaut_faces.only(np.array([True, False, False])))
    box, size = upright.boxes[0], portrait.shape[0]
    for quarters in range(4):
        turned = upright.turned(np.array([90.0 * quarters]))
        np.testing.assert_array_equal(turned.pictures[0], np.rot90(portrait, -quarters))
        np.testing.assert_allclose(turned.unlabelled[0], [0, 0, size, size], atol=1e-3)
        corners = box.reshape(2, 2)
        for _ in range(quarters):  # clockwise: (x, y) → (height − y, x)
            corners = np.stack([size - corners[:, 1], corners[:, 0]], axis=1)
        expected = np.concatenate([corners.min(axis=0), corners.max(axis=0)])
        np.testing.assert_allclose(turned.boxes[0], expected, atol=1e-3)


@given(st.floats(0, 360), st.integers(3, 40), st.integers(3, 40))
def test_a_turned_picture_is_seen_as_a_whole(angle, width, height):
    transforms, [grown] = pictures._turns(np.array([[width, height]]), np.array([angle]))
    corners = np.array([[[0, 0], [width, 0], [0, height], [width, height]]])
    places = pictures.apply_transforms(transforms, corners)[0]
    assert (places >= -1e-6).all()
    assert (places <= grown + 1e-6).all()
    assert (grown <= np.ceil(np.ptp(places, axis=0) - 1e-6)).all()


def test_a_turned_face_is_where_its_label_is(engine, astronaut_faces):
    turned = pictures.as_test_set("set", astronaut_faces).turned(np.array([10.0, 160.0, 275.0]))
    rolls = (turned.roll + 180) % 360 - 180
    sides = turned.size / 2
    boxes = np.concatenate([turned.centre - sides, turned.centre + sides], axis=1)
    for i in range(3):
        points = engine.landmarks(turned.pictures[i], boxes[i : i + 1], rolls[i : i + 1])
        around = pictures.enclosing_boxes(points)
        assert box_iou(around, turned.boxes[i])[0, 0] > 0.7


def test_a_sample_keeps_pictures_and_faces_together(astronaut_scenes, portrait):
    scenes = pictures.as_test_set("scenes", astronaut_scenes)
    assert scenes.sample(None) is scenes.sample(2) is scenes
    second = scenes.take(np.array([1]))
    np.testing.assert_array_equal(second.pictures[0], portrait)
    np.testing.assert_array_equal(second.picture, [0])
    assert len(scenes.take(np.array([0])).boxes) == 0
    assert len(scenes.sample(1)) == 1


def test_composed_faces_are_where_they_are_said_to_be(astronaut, astronaut_faces, engine):
    backdrop = np.ascontiguousarray(astronaut[:160, 300:])
    made = pictures.composed(astronaut_faces, [backdrop], times=4)
    again = pictures.composed(astronaut_faces, [backdrop], times=4)
    assert len(made) == len(made.boxes) == 12
    side = np.sqrt(made.size.prod(axis=1))
    assert ((side > 7.5) & (side < 105)).all()
    assert side.max() / side.min() > 2
    for i in range(12):
        picture = made.pictures[i]
        np.testing.assert_array_equal(picture, again.pictures[i])
        assert picture.shape[1::-1] in ((320, 240), (640, 480))
        x0, y0, x1, y1 = made.unlabelled[i]
        assert 0 <= x0 < x1 <= picture.shape[1]
        assert 0 <= y0 < y1 <= picture.shape[0]
    i = int(side.argmax())
    found = pictures.enclosing_boxes(engine.landmarks(made.pictures[i], made.boxes[i : i + 1]))
    assert box_iou(found, made.boxes[i])[0, 0] > 0.7


def test_room_around_a_face_is_seen(astronaut_faces):
    assert pictures.with_surroundings(astronaut_faces).all()
    box = astronaut_faces.boxes[0].astype(int)
    close = [each[box[1] : box[3], box[0] : box[2]] for each in astronaut_faces.pictures]
    shifted = astronaut_faces.boxes - np.tile(box[:2], 2)
    cut = LabelledPictures(
        close,
        *(getattr(astronaut_faces, n) for n in ("exhaustive", "validation", "source", "picture")),
        shifted.astype(np.float32),
        astronaut_faces.keypoints,
        astronaut_faces.trusted,
    )
    assert not pictures.with_surroundings(cut).any()


@pytest.mark.parametrize("roll", [0, 30, 90, -90, 180, 250])
def test_a_convention_turns_with_the_face(roll):
    convention = contenders.BoxConvention((0.1, 0.25), (0.5, 0.75))
    boxes, rolls = np.array([[10, 20, 50, 100]], float), np.array([roll], float)
    landmarks = convention.to_landmarks(boxes, rolls)
    np.testing.assert_allclose(convention.from_landmarks(landmarks, rolls), boxes, atol=1e-4)
    quarter = round(roll / 90) % 4
    right = np.array([[1, 0], [0, 1], [-1, 0], [0, -1]])[quarter]
    down = np.array([[0, 1], [-1, 0], [0, -1], [1, 0]])[quarter]
    width, height = (80, 40) if quarter % 2 else (40, 80)  # of the face
    corners = landmarks.reshape(2, 2)
    shift = 0.1 * width * right + 0.25 * height * down
    np.testing.assert_allclose(corners.mean(axis=0) - [30, 60], shift, atol=1e-4)
    sides = [0.75 * height, 0.5 * width] if quarter % 2 else [0.5 * width, 0.75 * height]
    np.testing.assert_allclose(np.ptp(corners, axis=0), sides, atol=1e-4)


def test_wider_lists_are_read(tmp_path, portrait):
    (tmp_path / "0--Parade").mkdir()
    bgr = cv2.cvtColor(portrait, cv2.COLOR_RGB2BGR)
    for name in ("a b", "c"):
        cv2.imwrite(str(tmp_path / "0--Parade" / f"{name}.png"), bgr)
    listed = tmp_path / "list.txt"
    listed.write_text(
        "0--Parade/a b.png\n3\n78 20 99 120 0 0 0 0 0 0 \n1 2 30 40 2 0 0 1 0 0\n"
        "5 5 4 6 0 0 0 0 0 0\n0--Parade/c.png\n0\n0 0 0 0 0 0 0 0 0 0\n"
    )
    faces = pictures.load_wider_list(listed, tmp_path)
    assert len(faces) == 2
    np.testing.assert_array_equal(faces.pictures[1], portrait)
    np.testing.assert_array_equal(faces.picture, [0, 0, 0])
    np.testing.assert_allclose(faces.boxes[0], [78, 20, 177, 140], atol=1e-4)
    np.testing.assert_array_equal(faces.counted, [True, False, False])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("a.png\n", "2 is not the number"),
        ("a.png\nx\n", "2 is not the number"),
        ("a.png\n1\n1 2 3 4\n", "3 has 4 fields"),
        ("a.png\n2\n1 2 3 4 0 0 0 0 0 0\n", "4 has 0 fields"),
    ],
)
def test_malformed_wider_lists_are_refused(tmp_path, text, message):
    listed = tmp_path / "list.txt"
    listed.write_text(text)
    with pytest.raises(ValueError, match=message):
        pictures.load_wider_list(listed, tmp_path)


def test_hog_as_it_comes_and_calibrated_finds_her(portrait, face):
    [plain, doubled, rotate] = contenders.dlib_contenders()
    for each in (plain, doubled, rotate):
        found = each.open(each.threshold).detect(portrait)
        assert box_iou(found.boxes[:1], face.box)[0, 0] > 0.6
    turned = np.ascontiguousarray(np.rot90(portrait))
    assert len(rotate.open(0.0).detect(turned)) == 1
    assert len(plain.open(0.0).detect(turned)) == 0


def test_rounds_give_each_call_its_turn():
    order = []
    calls = {name: lambda name=name: order.append(name) for name in "ab"}
    times = detection_speed.by_turns(calls, 3)
    assert order == list("ab" * 4)
    assert {name: len(each) for name, each in times.items()} == {"a": 3, "b": 3}


def test_the_timed_face_is_a_quarter_of_the_height(engine):
    [found] = engine.analyze(detection_speed.portrait((640, 480)))
    assert found.box[3] - found.box[1] == pytest.approx(120, abs=25)


def test_false_alarms_are_drawn_surest_first(astronaut_scenes):
    scenes = pictures.as_test_set("scenes", astronaut_scenes)
    wrong = Detections([[10, 10, 30, 30], [40, 40, 60, 60]], [0.2, 0.7], [0, 0])
    trial = tables.Trial(scenes, {"x": [wrong, Detections.none()]})
    sheet = tables.false_alarm_sheet([trial], "x")
    assert sheet.shape == (128, 1280, 3)
    assert sheet[:100, :256].std() > 0
    assert (sheet[:, 256:] == 0).all()
    assert tables.false_alarm_sheet(
        [tables.Trial(scenes, {"x": [Detections.none()] * 2})], "x"
    ).size


@pytest.mark.usefixtures("astronaut_data")
def test_one_command_prints_every_table(tmp_path, monkeypatch, portrait, face):
    monkeypatch.setattr(detection_speed, "_SIZES", ((320, 240),))
    monkeypatch.setattr(detection_speed, "_ENGINE_SIZE", (320, 240))
    monkeypatch.setattr(pictures, "_CANVASES", ((200, 150),))
    light = contenders.dlib_contenders()[:2]
    monkeypatch.setattr(detection, "dlib_contenders", lambda: light)
    monkeypatch.setattr(detection, "landmarks_table", lambda *_: pytest.fail("not asked for"))
    cv2.imwrite(str(tmp_path / "a.png"), cv2.cvtColor(portrait, cv2.COLOR_RGB2BGR))
    marked = tables._WIDER.from_landmarks(face.box[None], np.zeros(1))[0]
    numbers = " ".join(f"{value:.1f}" for value in [*marked[:2], *(marked[2:] - marked[:2])])
    (tmp_path / "list.txt").write_text(f"a.png\n1\n{numbers} 0 0 0 0 0 0\n")
    target = tmp_path / "tables.json"
    arguments = ["--data", tmp_path, "--wider", tmp_path, "--wider-list", tmp_path / "list.txt"]
    arguments += ["--json", target, "--sample", 2, "--repetitions", 1]
    arguments += ["--sheet", tmp_path / "sheet.png"]
    for section in ("upright", "turned", "empty", "portraits", "hard", "speed"):
        arguments += ["--section", section]
    result = CliRunner().invoke(detection.main, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    assert "SCRFD-500M are left out" in result.output
    printed = {each["title"]: each["rows"] for each in json.loads(target.read_text("utf-8"))}
    upright = printed["Upright pictures"]
    assert upright["scenes: AP, %"]["HOG ×2"] == upright["portraits: recall, %"]["HOG ×2"] == 100
    turned = printed["Turned pictures"]
    assert turned["upright: AP, %"]["HOG ×2"] > turned["180°: AP, %"]["HOG ×2"]
    assert printed["By size"]["from 96 px: AP, %"]["faces"] != ""
    assert printed["Pictures without a face"]["analyze, detector dlib"]
    assert printed["Speed of detection"]["HOG"]["320 × 240: to HOG"] == 1
    assert printed["WIDER FACE"]["all sizes: AP, %"]["HOG ×2"] == 100
    assert printed["Large portraits, upright and upside down"]["180°: answered as it is, %"]
    assert printed["Hard pictures"]
    assert (tmp_path / "sheet.png").exists()


def test_incomplete_commands_are_refused(tmp_path):
    result = CliRunner().invoke(detection.main, ["--wider", str(tmp_path)])
    assert result.exit_code == 2
    assert "belong together" in result.output
    result = CliRunner().invoke(detection.main, ["--contender", "nobody"])
    assert result.exit_code == 2
    assert "nobody" in result.output


def test_confirmed_faces_have_their_landmarks_as_box(portrait, face):
    [alone, confirmed] = [
        contenders.open_detector(each, each.threshold).detect(portrait)
        for each in contenders.own_contenders()
        if each.name in ("faceshape", "analyze")
    ]
    assert len(alone) == len(confirmed) == 1
    extent = [[*face.points.min(axis=0), *face.points.max(axis=0)]]
    assert box_iou(confirmed.boxes, extent)[0, 0] > max(0.85, box_iou(alone.boxes, extent)[0, 0])
    [used] = [each.threshold for each in contenders.own_contenders() if each.name == "analyze"]
    assert confirmed.scores[0] > used
