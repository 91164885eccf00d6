import copy
import io
import multiprocessing
import pickle
import sys
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from PIL import Image

from faceshape import FaceShapeEngine, Mode
from faceshape.core.contract import interocular_distance
from faceshape.errors import ImageDecodeError, ParameterError, ShapeError
from faceshape.vision.geometry import box_area, box_iou, enclosing_boxes
from faceshape.vision.networks import OnnxModel


def collage(portrait: np.ndarray, sides: list[int]) -> np.ndarray:
    """The same face in several sizes, side by side."""
    canvas = np.full((max(sides), sum(sides), 3), 128, np.uint8)
    left = 0
    for side in sides:
        canvas[:side, left : left + side] = cv2.resize(portrait, (side, side))
        left += side
    return canvas


def test_landmarks_lie_where_a_person_sees_them(engine, astronaut):
    """Places read off the enlarged photo by eye, to a pixel or two."""
    [face] = engine.analyze(astronaut, Mode.LARGEST)
    seen = {
        "LeftPupil": (0, (203.3, 101.0)),
        "RightPupil": (0, (247.0, 103.5)),
        "Nose": (0, (224.2, 127.5)),
        "FaceProfile": (10, (222.5, 177.5)),
    }
    for group, (member, place) in seen.items():
        assert np.linalg.norm(face.group(group)[member] - place) < 3, group
    left, right = face.group("Mouth")[[0, 6]]
    assert np.linalg.norm(left - (202.0, 139.5)) < 3
    assert np.linalg.norm(right - (246.2, 141.7)) < 3


def test_pupils_are_inside_the_eyes_and_groups_in_order(face):
    for side in ("Left", "Right"):
        outline = face.group(f"{side}Eye")
        pupil = tuple(map(float, face.group(f"{side}Pupil")[0]))
        assert cv2.pointPolygonTest(outline, pupil, False) > 0
        assert face.group(f"{side}EyeBrow")[:, 1].max() < outline[:, 1].mean()
    assert (np.diff(face.group("FaceProfile")[:, 0]) > -1).all()
    assert face.group("Nose")[0, 1] < face.group("Mouth")[:, 1].min()
    assert abs(face.roll - 4.5) < 2
    assert face.presence > 0.9


@pytest.mark.parametrize("level", [0, 60, 128, 200, 255])
def test_a_blank_picture_has_no_faces(engine, level):
    assert engine.analyze(np.full((480, 640, 3), level, np.uint8), rotate=True) == []


def test_a_picture_without_faces_gives_an_empty_list(engine):
    noise = np.random.default_rng(0).integers(0, 256, (200, 300, 3), np.uint8)
    for mode in Mode:
        assert engine.analyze(noise, mode) == []
        assert engine.analyze(noise, mode, rotate=True) == []


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_turned_picture_gives_the_turned_answer(engine, portrait, face, turns):
    turned = np.ascontiguousarray(np.rot90(portrait, turns))
    [found] = engine.analyze(turned, Mode.LARGEST, rotate=True)
    points = found.points
    for _ in range(turns):  # turn them back, a quarter at a time
        points = np.stack([256 - points[:, 1], points[:, 0]], axis=1)
    off = np.linalg.norm(points - face.points, axis=1).max()
    assert off < 0.03 * interocular_distance(face.points)
    assert abs((found.roll + 90 * turns - face.roll + 180) % 360 - 180) < 2


def test_upright_answers_do_not_depend_on_the_search(engine, portrait, face):
    [found] = engine.analyze(portrait, Mode.LARGEST, rotate=True)
    np.testing.assert_array_equal(found.points, face.points)


def test_all_faces_come_largest_first(engine, portrait):
    picture = collage(portrait, [200, 320, 256])
    faces = engine.analyze(picture)
    areas = box_area([face.box for face in faces])
    assert len(faces) == 3
    assert (np.diff(areas) < 0).all()
    [largest] = engine.analyze(picture, Mode.LARGEST)
    # It was found in a smaller copy of the picture, hence in a slightly other box.
    off = np.linalg.norm(largest.points - faces[0].points, axis=1).max()
    assert off < 0.02 * interocular_distance(largest.points)
    assert 200 < largest.points[:, 0].mean() < 520


@pytest.mark.parametrize(
    ("side", "copies"),
    [
        (900, [96]),
        (430, [96, 192]),
        (200, [96, 544, 224, 96]),  # the second look is left out: what the first one saw is small
    ],
)
def test_the_largest_face_is_looked_for_from_coarse_to_fine(
    engine, portrait, monkeypatch, side, copies
):
    picture = np.full((1080, 1920, 3), 128, np.uint8)
    picture[100 : 100 + side, 700 : 700 + side] = cv2.resize(portrait, (side, side))
    heights, run = [], OnnxModel.run

    def noted(model, batch):
        if model.entry.name == "detector":
            heights.append(batch.shape[1])
        return run(model, batch)

    monkeypatch.setattr(OnnxModel, "run", noted)
    assert len(engine.analyze(picture, Mode.LARGEST)) == 1
    assert heights == copies


def test_ten_faces_at_most(engine, portrait):
    picture = np.vstack([collage(portrait, [256] * 4)] * 3)
    faces = engine.analyze(picture)
    assert len(faces) == 10
    for face in faces:  # every one is the same face in another tile
        assert interocular_distance(face.points) == pytest.approx(
            interocular_distance(faces[0].points), rel=0.03
        )


def test_sources_agree(engine, portrait, face, tmp_path):
    path = tmp_path / "portrait.png"
    path.write_bytes(cv2.imencode(".png", portrait[:, :, ::-1])[1].tobytes())
    for source in (path, path.read_bytes()):
        [found] = engine.analyze(source, Mode.LARGEST)
        np.testing.assert_array_equal(found.points, face.points)


def test_bad_arguments(engine, portrait):
    with pytest.raises(ParameterError, match="mode"):
        engine.analyze(portrait, mode=2)
    with pytest.raises(ParameterError, match="detector"):
        FaceShapeEngine(detector="cascade")
    with pytest.raises(ParameterError, match="threads"):
        FaceShapeEngine(threads=0)
    with pytest.raises(ImageDecodeError):
        engine.analyze(b"GIF89a")


def test_threads_share_an_engine(engine, portrait, face):
    turned = np.ascontiguousarray(np.rot90(portrait))
    jobs = [(portrait, False), (turned, True)] * 6
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda job: engine.analyze(job[0], Mode.LARGEST, job[1]), jobs))
    for [found] in answers[::2]:
        np.testing.assert_array_equal(found.points, face.points)
    for [found] in answers[1::2]:
        np.testing.assert_array_equal(found.points, answers[1][0].points)


def test_one_face_is_answered_once(engine, portrait):
    """Two boxes of one face, as a detector may give them, lead to the same landmarks."""
    picture = collage(portrait, [200, 320, 256])
    eager = FaceShapeEngine(threads=1, score_threshold=0.1)
    boxes = enclosing_boxes(np.stack([face.points for face in eager.analyze(picture)]))
    overlaps = box_iou(boxes, boxes) - np.eye(len(boxes))
    assert overlaps.max() < 0.5


def test_ten_faces_of_ten_sizes_come_by_area(engine, portrait):
    sides = [360, 330, 300, 275, 250, 225, 200, 180, 160, 140]
    upper, lower = collage(portrait, sides[:4]), collage(portrait, sides[4:])
    picture = np.full((len(upper) + len(lower), 1265, 3), 128, np.uint8)
    picture[: len(upper), : upper.shape[1]] = upper
    picture[len(upper) :, : lower.shape[1]] = lower
    faces = engine.analyze(picture)
    assert len(faces) == 10
    areas = box_area(enclosing_boxes(np.stack([face.points for face in faces])))
    assert (np.diff(areas) <= 0).all()
    widths = interocular_distance(np.stack([face.points for face in faces]))
    expected = interocular_distance(engine.analyze(portrait)[0].points) * np.array(sides) / 256
    np.testing.assert_allclose(np.sort(widths)[::-1], expected, rtol=0.04)


def test_a_turned_face_is_answered_only_on_request(engine, portrait):
    for turns in (1, 2, 3):
        turned = np.ascontiguousarray(np.rot90(portrait, turns))
        for mode in Mode:
            assert engine.analyze(turned, mode) == []
            assert len(engine.analyze(turned, mode, rotate=True)) == 1


def test_rotate_is_any_true_or_false_value(engine, portrait):
    turned = np.ascontiguousarray(np.rot90(portrait))
    assert len(engine.analyze(turned, rotate=2)) == 1
    assert len(engine.detect(turned, rotate="yes")) == 1
    assert engine.analyze(turned, rotate=None) == []


@pytest.mark.parametrize("degrees", [30, 60, 120, 150, 225, 300])
def test_any_roll_is_found(engine, portrait, face, degrees):
    matrix = cv2.getRotationMatrix2D((128, 128), -degrees, 1.0)
    matrix[:, 2] += 64
    picture = cv2.warpAffine(portrait, matrix, (384, 384))
    [found] = engine.analyze(picture, rotate=True)
    expected = (face.points - 0.5) @ matrix[:, :2].T + matrix[:, 2] + 0.5
    off = np.linalg.norm(found.points - expected, axis=1).mean()
    assert off < 0.02 * interocular_distance(face.points)


def test_bad_detector_options():
    with pytest.raises(ParameterError, match="smallest_face"):
        FaceShapeEngine(smallest_face=0)
    with pytest.raises(ParameterError, match="score_threshold"):
        FaceShapeEngine(score_threshold=float("nan"))


def test_dlib_remains(portrait, face):
    [found] = FaceShapeEngine(detector="dlib", threads=1).analyze(portrait)
    off = np.linalg.norm(found.points - face.points, axis=1).mean()
    assert off < 0.01 * interocular_distance(face.points)


@pytest.mark.parametrize("side", [300, 420, 640, 900, 1400])
def test_a_large_upside_down_portrait_is_not_answered_as_upright(engine, portrait, side):
    large = cv2.resize(portrait, (side, side), interpolation=cv2.INTER_CUBIC)
    upside_down = np.ascontiguousarray(large[::-1, ::-1])
    for mode in Mode:
        assert engine.analyze(upside_down, mode) == []
        [turned] = engine.analyze(upside_down, mode, rotate=True)
        assert abs(turned.roll) > 160
        [upright] = engine.analyze(large, mode, rotate=True)
        assert abs(upright.roll) < 20


def test_the_largest_is_the_first_of_all_in_groups(engine, portrait):
    rng = np.random.default_rng(0)
    for _ in range(6):
        sides = rng.integers(90, 260, rng.integers(2, 6)).tolist()
        picture = collage(portrait, sides)
        everybody, [largest] = engine.analyze(picture), engine.analyze(picture, Mode.LARGEST)
        areas = box_area(enclosing_boxes(np.stack([face.points for face in everybody])))
        assert (np.diff(areas) <= 0).all()
        found = box_area(enclosing_boxes(largest.points[None]))[0]
        assert found > 0.97 * areas[0]


def test_a_panorama_is_answered_whole(engine, portrait):
    panorama = np.full((400, 4000, 3), 128, np.uint8)
    for left in range(120, 3700, 470):
        panorama[70:326, left : left + 256] = portrait
    assert len(engine.analyze(panorama)) == 8
    assert len(engine.analyze(np.ascontiguousarray(panorama.transpose(1, 0, 2)), rotate=True)) == 8


@pytest.mark.parametrize("factor", [0.2, 0.08, 0.05])
def test_a_face_in_the_dark_is_found_where_it_is(engine, portrait, face, factor):
    dark = np.round(portrait * factor).astype(np.uint8)
    [found] = engine.analyze(dark)
    off = np.linalg.norm(found.points - face.points, axis=1).mean()
    assert off < 0.06 * interocular_distance(face.points)
    assert len(engine.detect(dark)) == 1
    assert engine.shapes(dark, engine.detect(dark))[0].presence > 0.9


def test_a_threshold_of_ones_own_is_the_only_score_that_counts(portrait):
    picture = collage(portrait, [200, 320, 256])
    everything = FaceShapeEngine(threads=1, score_threshold=0.1)
    assert len(everything.analyze(picture)) == 3
    assert FaceShapeEngine(threads=1, score_threshold=1.0).analyze(picture) == []


def test_pictures_as_people_have_them(engine, portrait, face):
    picture = Image.fromarray(portrait)
    file = io.BytesIO()
    picture.save(file, "TIFF")
    file.seek(0)
    for source in (picture, file, portrait.astype(np.float32) / 255):
        [found] = engine.analyze(source, Mode.LARGEST)
        np.testing.assert_array_equal(found.points, face.points)


def test_channels(engine, portrait, face):
    bgr = portrait[:, :, ::-1]
    [found] = engine.analyze(bgr, Mode.LARGEST, channels="bgr")
    np.testing.assert_array_equal(found.points, face.points)
    seen = engine.detect(bgr, channels="bgr")
    np.testing.assert_array_equal(seen.boxes, engine.detect(portrait).boxes)
    [shape] = engine.shapes(bgr, seen[:1], channels="bgr")
    np.testing.assert_array_equal(shape.points, engine.shapes(portrait, seen[:1])[0].points)
    points = engine.landmarks(bgr, [face.box], channels="bgr")
    np.testing.assert_array_equal(points, engine.landmarks(portrait, [face.box]))
    with pytest.raises(ParameterError, match="channels"):
        engine.analyze(bgr, channels="gbr")


FINE = [10, 10, 200, 200]


@pytest.mark.parametrize(
    "boxes",
    [
        [[-3e38, -3e38, 3e38, 3e38]],
        [FINE, [-3e38, -3e38, 3e38, 3e38]],
        [[-1e300, 0, 1e300, 1]],
        [[0, 0, 1e-30, 1e-30]],
        [[0, 0, 1e-44, 1e-44]],
        [[1e9, 1e9, 1e9 + 1e4, 1e9 + 1e4]],
        [[np.nan] * 4],
        [[0, 0, np.inf, np.inf]],
        [[5, 5, 5, 5]],
        [[9, 9, 5, 5]],
        [[1, 2, 3]],
        FINE,
        [[FINE]],
        [FINE, [1, 2]],
        None,
        "boxes",
        [["1", "2", "3", "4"]],
        [[None, None, None, None]],
        [[object()] * 4],
        np.array([FINE], object),
        [[1 + 1j, 2, 3, 4]],
        [[10**400, 0, 1, 1]],
        {"x": 1},
        7,
    ],
    ids=lambda boxes: str(boxes)[:30].partition(" at ")[0],
)
def test_boxes_of_all_kinds(engine, portrait, boxes):
    with pytest.raises(ShapeError):
        engine.landmarks(portrait, boxes)


@pytest.mark.parametrize(
    "roll", [[np.nan], [np.inf], [3.4e38], ["a"], [1, 2], 5.0, [[1.0]], [None]]
)
def test_rolls_of_all_kinds(engine, portrait, roll):
    with pytest.raises(ShapeError):
        engine.landmarks(portrait, [FINE], roll)


def test_boxes_that_hardly_touch_the_picture_are_allowed(engine, portrait):
    boxes = [
        [1000, 1000, 1100, 1100],
        [-1e6, -1e6, 1e6, 1e6],
        [0, 0, 0.01, 0.01],
        [0, 99, 1e6, 100],
    ]
    points = engine.landmarks(portrait, boxes)
    assert points.shape == (4, 90, 2)
    assert np.isfinite(points).all()
    assert engine.landmarks(portrait, np.zeros((0, 4))).shape == (0, 90, 2)
    assert engine.landmarks(portrait, []).shape == (0, 90, 2)


@pytest.mark.parametrize("mode", [2, -1, None, "all", np.array([0, 1]), [], 0.5])
def test_modes_of_all_kinds(engine, portrait, mode):
    with pytest.raises(ParameterError, match="mode"):
        engine.analyze(portrait, mode)


def test_shapes_are_of_detections(engine, portrait):
    with pytest.raises(ParameterError, match="detect"):
        engine.shapes(portrait, [FINE])


@pytest.mark.parametrize("detector", ["onnx", "dlib"])
def test_lines_have_no_faces(detector):
    engine = FaceShapeEngine(detector, threads=1)
    for height, width in ((1, 1), (1, 2), (1, 20_000), (20_000, 1), (3, 3000), (15, 20_000)):
        line = np.full((height, width, 3), 90, np.uint8)
        assert engine.analyze(line, rotate=True) == []
        assert engine.analyze(line, Mode.LARGEST) == []


ARGUMENTS = {"detector": "dlib", "threads": 1, "smallest_face": 60.0, "max_faces": 3}


@pytest.mark.parametrize(
    "way", [copy.copy, copy.deepcopy, lambda engine: pickle.loads(pickle.dumps(engine))]
)
def test_a_copy_of_an_engine_answers_the_same(engine, portrait, face, way):
    [again] = way(engine).analyze(portrait, Mode.LARGEST)
    assert again.to_dict() == face.to_dict()


def test_a_copy_of_an_engine_has_its_arguments():
    engine = FaceShapeEngine(**ARGUMENTS, providers=["CPUExecutionProvider"])
    engine.max_faces = 2
    again = pickle.loads(pickle.dumps(engine))
    assert again.max_faces == 2
    assert again.__getstate__() == engine.__getstate__()
    assert len(pickle.dumps(engine)) < 1000  # not the models


def test_an_engine_goes_to_another_process(engine, portrait, face):
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        [again] = pool.apply(engine.analyze, (portrait, Mode.LARGEST))
        pool.close()
        pool.join()
    assert np.allclose(again.points, face.points, atol=1e-3)


def test_an_engine_runs_without_a_provider_that_is_not_there(portrait):
    with pytest.warns(RuntimeWarning, match="ROCMExecutionProvider") as caught:
        engine = FaceShapeEngine(threads=1, providers=["ROCMExecutionProvider"])
    assert [each.filename for each in caught] == [__file__]  # one, and it names the caller
    assert len(engine.analyze(portrait)) == 1


@pytest.mark.parametrize("detector", ["onnx", "dlib"])
def test_a_warm_engine_has_loaded_all(detector, portrait, monkeypatch):
    engine = FaceShapeEngine(detector, threads=1)
    assert engine.warm_up() is None
    loaded = set(sys.modules)
    engine.analyze(portrait, rotate=True)
    assert set(sys.modules) <= loaded
