from dataclasses import replace

import cv2
import numpy as np
import pytest

from faceshape.core.contract import interocular_distance
from faceshape.errors import ShapeError
from faceshape.types import Detections
from faceshape.vision.close_look import face_part
from faceshape.vision.geometry import enclosing_boxes
from faceshape.vision.landmarker import Landmarker, eye_line_roll
from faceshape.vision.networks import OnnxModel, model_entry
from faceshape.vision.pyramid import Pyramid

NETWORKS = ("alignment", "landmarks", "eyes", "mouth")


@pytest.fixture(scope="module")
def box(face) -> np.ndarray:
    return enclosing_boxes(face.points[None])


def test_no_boxes_give_no_landmarks(engine, portrait):
    assert engine.landmarks(portrait, []).shape == (0, 90, 2)
    assert engine.landmarks(portrait, np.empty((0, 4)), []).shape == (0, 90, 2)


def test_given_boxes_agree_with_detected_ones(engine, portrait, face, box):
    [points] = engine.landmarks(portrait, box)
    assert np.linalg.norm(points - face.points, axis=1).mean() < 0.015 * interocular_distance(
        face.points
    )


def test_faces_of_a_batch_do_not_influence_each_other(engine, portrait, box):
    shifts = np.random.default_rng(0).normal(0, 3, (20, 1)).astype(np.float32)
    boxes = box + shifts
    together = engine.landmarks(portrait, boxes)
    for i in (0, 7, 15, 16, 19):
        np.testing.assert_allclose(
            engine.landmarks(portrait, boxes[i : i + 1])[0], together[i], atol=0.01
        )


def test_an_inexact_box_costs_little(engine, portrait, face, box):
    rng = np.random.default_rng(1)
    size = box[0, 2:] - box[0, :2]
    boxes = box + np.tile(rng.normal(0, 0.06, (30, 2)), 2) * np.tile(size, 2)
    points = engine.landmarks(portrait, boxes)
    off = np.linalg.norm(points - face.points, axis=2).mean(axis=1) / interocular_distance(
        face.points
    )
    assert np.median(off) < 0.015


@pytest.mark.parametrize("roll", [-60, -30, 20, 45, 90, 180])
def test_a_turned_face_with_its_roll_given(engine, portrait, face, roll):
    middle = tuple(map(float, face.points.mean(axis=0)))
    matrix = cv2.getRotationMatrix2D((middle[0] - 0.5, middle[1] - 0.5), -roll, 1.0)
    turned = cv2.warpAffine(portrait, matrix, (256, 256), flags=cv2.INTER_CUBIC)
    angle = np.radians(roll)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    expected = (face.points - middle) @ turn.T + middle
    [points] = engine.landmarks(turned, enclosing_boxes(expected[None]), [roll])
    assert np.linalg.norm(points - expected, axis=1).mean() < 0.02 * interocular_distance(expected)


@pytest.mark.parametrize("scale", [0.5, 2, 5, 12])
def test_scale_changes_nothing_but_the_scale(engine, portrait, face, box, scale):
    side = int(256 * scale)
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    resized = cv2.resize(portrait, (side, side), interpolation=way)
    [points] = engine.landmarks(resized, box * scale)
    off = np.linalg.norm(points / scale - face.points, axis=1).mean()
    assert off < 0.02 * interocular_distance(face.points)


def test_a_face_that_is_cut_off_is_continued_outside(engine, portrait, face):
    left = int(face.group("LeftEye")[:, 0].max())
    cut = np.ascontiguousarray(portrait[:, left:])
    [points] = engine.landmarks(cut, enclosing_boxes(face.points[None] - [left, 0]))
    assert points[:, 0].min() < -5
    off = np.linalg.norm(points + np.array([left, 0]) - face.points, axis=1).mean()
    assert off < 0.2 * interocular_distance(face.points)


def test_a_box_outside_the_picture_is_no_crash(engine, portrait):
    far = [[5000, 5000, 5600, 5600], [-900, -900, -100, -100], [-1e6, -1e6, 1e6, 1e6], [0, 0, 1, 1]]
    assert np.isfinite(engine.landmarks(portrait, far)).all()
    assert np.isfinite(engine.landmarks(portrait[:1, :1], far)).all()


def test_the_smallest_box_there_is_is_no_crash(engine, portrait):
    corners = np.random.default_rng(0).uniform(0, 256, (40, 2)).astype(np.float32)
    boxes = np.concatenate([corners, np.nextafter(corners, np.float32(1e9))], axis=1)
    assert np.isfinite(engine.landmarks(portrait, boxes)).all()


@pytest.mark.parametrize(
    ("boxes", "roll"),
    [
        ([[0, 0, 5]], None),
        ([0, 0, 5, 5], None),
        ([[0, 0, np.nan, 5]], None),
        ([[5, 0, 5, 5]], None),
        ([[0, 0, 5, 5]], [0, 0]),
        ([[0, 0, 5, 5]], [np.inf]),
    ],
)
def test_senseless_boxes_are_refused(engine, portrait, boxes, roll):
    with pytest.raises(ShapeError):
        engine.landmarks(portrait, boxes, roll)


def test_eye_line_roll_is_clockwise():
    points = np.zeros((2, 90, 2), np.float32)
    points[0, 29] = [10, 10]
    points[1, 29] = [-10, 0]
    assert eye_line_roll(points).tolist() == [45, 180]


def test_close_looks_move_eyes_and_mouth_and_nothing_else(portrait, box):
    models = [OnnxModel(model_entry(name), threads=1) for name in NETWORKS]
    far, near = Landmarker(*models[:2]), Landmarker(*models)
    before, after = (each.locate(Pyramid(portrait), box, [0]) for each in (far, near))
    parts = (face_part(name, near.topology).points.ravel() for name in ("eyes", "mouth"))
    moved = np.concatenate(list(parts))
    others = np.setdiff1d(np.arange(near.topology.points), moved)
    assert (after.dense[:, others] == before.dense[:, others]).all()
    off = np.linalg.norm(after.dense - before.dense, axis=2)[:, moved]
    assert (off > 0).all()
    assert off.max() < 0.06 * interocular_distance(before.points)[0]
    assert after.presence == before.presence


@pytest.mark.parametrize(("shift", "roll", "looks"), [(0, 0, 1), (0, 40, 2), (20, 0, 2)])
def test_the_alignment_looks_again_where_it_was_far_off(
    portrait, box, monkeypatch, shift, roll, looks
):
    landmarker = Landmarker.shipped(threads=1)
    exact = landmarker.locate(Pyramid(portrait), box, 0)
    seen, run = [], OnnxModel.run

    def noted(model, batch):
        seen.append(model.entry.name)
        return run(model, batch)

    monkeypatch.setattr(OnnxModel, "run", noted)
    found = landmarker.locate(Pyramid(portrait), np.add(box, shift), roll)
    assert seen.count("alignment") == looks
    off = np.linalg.norm(found.points - exact.points, axis=2).mean()
    assert off < 0.03 * interocular_distance(exact.points)[0]


def test_what_is_hardly_present_is_not_looked_at_again(portrait, box):
    landmarker = Landmarker.shipped(threads=1)
    coat = np.add(box, [0, 150, 0, 150])
    boxes = np.concatenate([box, coat])
    thorough = landmarker.locate(Pyramid(portrait), boxes, 0)
    assert thorough.presence[1] < 0.5 < thorough.presence[0]
    quick = landmarker.locate(Pyramid(portrait), boxes, 0, least_presence=[0.5, 0.5])
    assert (quick.presence == thorough.presence).all()
    np.testing.assert_allclose(quick.dense[0], thorough.dense[0], atol=0.01)
    assert np.abs(quick.dense[1] - thorough.dense[1]).max() > 0.1


@pytest.mark.parametrize(
    ("size", "right", "down"),
    [(0.5, 0, -0.3), (0.6, -0.3, -0.3), (0.7, 0.3, 0.3), (2, 0, 0.3), (2.4, 0, 0)],
)
def test_where_a_box_shows_no_face_other_sizes_are_tried(engine, portrait, box, size, right, down):
    exact = engine.landmarks(portrait, box)
    low, high = box[:, :2], box[:, 2:]
    centre = (low + high) / 2 + [right, down] * (high - low)
    half = size * (high - low) / 2
    found = engine.landmarks(portrait, np.concatenate([centre - half, centre + half], axis=1))
    off = np.linalg.norm(found - exact, axis=2).mean()
    assert off < 0.03 * interocular_distance(exact)[0]


def test_confidence_is_per_cent_of_the_eye_distance(engine, portrait, face):
    assert face.confidence.shape == (90,)
    assert (face.confidence > 0).all()
    assert 0.3 < face.confidence.mean() < 8
    twice = cv2.resize(portrait, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    [larger] = engine.analyze(twice)
    np.testing.assert_allclose(larger.confidence.mean(), face.confidence.mean(), rtol=0.2)


def test_a_face_that_can_hardly_be_seen_is_less_sure(engine, portrait, face):
    small = cv2.resize(portrait, (24, 24), interpolation=cv2.INTER_AREA)
    blurred = cv2.resize(small, portrait.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    boxes = enclosing_boxes(face.points[None])
    [unsure] = engine.shapes(blurred, Detections(boxes, [1.0], [0.0]))
    assert unsure.confidence.mean() > 1.3 * face.confidence.mean()


def test_without_a_calibration_there_is_no_confidence(portrait, box):
    models = [OnnxModel(model_entry(name), threads=1) for name in NETWORKS[:2]]
    facts = {k: v for k, v in models[1].entry.facts.items() if k != "confidence"}
    models[1].entry = replace(models[1].entry, facts=facts)
    assert Landmarker(*models).locate(Pyramid(portrait), box, [0]).confidence is None


def test_a_face_that_is_cut_through_an_eye_keeps_the_other_one(engine, portrait, face):
    left = int(face.points[-2, 0])  # through the left pupil
    cut = np.ascontiguousarray(portrait[:, left:])
    [points] = engine.landmarks(cut, enclosing_boxes(face.points[None] - [left, 0]))
    off = np.linalg.norm(points + np.array([left, 0]) - face.points, axis=1)
    distance = interocular_distance(face.points)
    assert off[29:37].max() < 0.05 * distance
    assert off[-1] < 0.03 * distance
    assert off[-2] < 0.2 * distance
