"""The detector's training pictures and targets, made from one real face; needs no PyTorch."""

import numpy as np
import pytest
from skimage import data

SIDE = 256


@pytest.fixture(scope="module")
def scripts():
    from scripts.detector import data as detection_data
    from scripts.detector import mosaic as detection_mosaic
    from scripts.detector import targets as detection_targets

    return detection_data, detection_mosaic, detection_targets


@pytest.fixture(scope="module")
def maker(scripts, portrait, face):
    detection_data, detection_mosaic, _ = scripts
    mouth = face.group("Mouth")
    keypoints = [face.group("LeftPupil")[0], face.group("RightPupil")[0], face.group("Nose")[0]]
    known = {
        "boxes": np.float32([[*face.points.min(axis=0), *face.points.max(axis=0)]]),
        "keypoints": np.float32([[*keypoints, mouth[0], mouth[6]]]),
        "trusted": np.array([True]),
    }
    faces = detection_data.LabelledPictures(
        pictures=[portrait],
        exhaustive=np.array([False]),
        validation=np.array([False]),
        source=np.array(["u"]),
        picture=np.array([0]),
        **known,
    )
    scenes = detection_data.LabelledPictures(
        pictures=[data.coffee(), portrait],
        exhaustive=np.array([True, True]),
        validation=np.array([False, False]),
        source=np.array(["i", "k"]),
        picture=np.array([1]),
        **known,
    )
    return detection_mosaic.MosaicMaker(faces, scenes, SIDE)


def test_mosaics_depend_on_their_seed_alone(maker):
    first, again = (maker.compose(np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1].centre, again[1].centre)


def test_faces_lie_where_the_labels_say(maker, own_detector):
    """The shipped detector finds the large trusted faces of mosaics: label and pixels agree."""
    from faceshape.vision.geometry import box_iou, ellipse_boxes, line_roll

    overlaps = []
    for seed in range(12):
        picture, faces, _ = maker.compose(np.random.default_rng(seed))
        large = faces.trusted & (faces.size.max(axis=1) > 32)
        roll = line_roll(faces.keypoints[:, 0], faces.keypoints[:, 1])
        boxes = ellipse_boxes(faces.centre, faces.size, roll)[large]
        found = own_detector.detect(picture)
        if len(boxes):
            overlaps += box_iou(boxes, found.boxes).max(axis=1, initial=0).tolist()
    assert len(overlaps) > 12
    assert np.mean(np.array(overlaps) > 0.5) > 0.85


@pytest.fixture(scope="module")
def own_detector():
    from faceshape.vision.detector import OnnxDetector
    from faceshape.vision.networks import OnnxModel, model_entry

    return OnnxDetector(OnnxModel(model_entry("detector"), threads=1))


def test_every_trusted_face_has_a_cell_and_no_other_one_has(scripts, maker):
    targets = scripts[2]
    for seed in range(20):
        _, faces, doubtful = maker.compose(np.random.default_rng(seed))
        answers = targets.assign(faces, doubtful, SIDE)
        inside = ((faces.centre >= 0) & (faces.centre < SIDE)).all(axis=1)
        assert set(np.flatnonzero(faces.trusted & inside)) <= set(answers[answers >= 0])
        assert faces.trusted[answers[answers >= 0]].all()


def test_sizes_go_to_their_strides(scripts):
    targets = scripts[2]
    for size, strides in ((12, {8}), (32, {8, 16}), (80, {16, 32}), (200, {32})):
        faces = targets.PlacedFaces(
            centre=np.float32([[130, 130]]),
            size=np.float32([[size, size]]),
            keypoints=np.zeros((1, 5, 2), np.float32),
            trusted=np.array([True]),
        )
        answers = targets.assign(faces, np.zeros((SIDE, SIDE), bool), SIDE)
        of_cell = np.concatenate([np.full((SIDE // s) ** 2, s) for s in targets.STRIDES])
        assert set(of_cell[answers == 0]) == strides
        near = np.concatenate(
            [np.linalg.norm(targets.cell_centres(SIDE, s) - 130, axis=1) for s in targets.STRIDES]
        )
        assert near[answers == 0].max() < max(size, 16)
        assert (answers[near > size + 60] == targets.BACKGROUND).all()


def test_a_stride_is_told_that_faces_far_from_its_sizes_are_background(scripts):
    targets = scripts[2]
    everywhere = np.ones((SIDE, SIDE), bool)  # unlabelled faces, but not where a labelled one is
    for size, background in ((20, {32}), (60, set()), (220, {8, 16})):
        faces = targets.PlacedFaces(
            centre=np.float32([[128, 128]]),
            size=np.float32([[size, size]]),
            keypoints=np.zeros((1, 5, 2), np.float32),
            trusted=np.array([True]),
        )
        answers = targets.assign(faces, everywhere, SIDE)
        counts = [(SIDE // stride) ** 2 for stride in targets.STRIDES]
        levels = np.split(answers, np.cumsum(counts)[:-1])
        told = {
            stride
            for stride, level in zip(targets.STRIDES, levels, strict=True)
            if (level == targets.BACKGROUND).any()
        }
        assert told == background


def test_some_mosaics_are_close_ups(scripts, maker):
    largest = 0.0
    for seed in range(60):
        _, faces, _ = maker.compose(np.random.default_rng(seed))
        largest = max(largest, np.sqrt(faces.size.prod(axis=1)).max(initial=0))
    assert largest > scripts[1].LARGEST


def test_what_is_not_trusted_is_neither_face_nor_background(scripts):
    targets = scripts[2]
    faces = targets.PlacedFaces(
        centre=np.float32([[100, 100]]),
        size=np.float32([[40, 40]]),
        keypoints=np.zeros((1, 5, 2), np.float32),
        trusted=np.array([False]),
    )
    doubtful = np.zeros((SIDE, SIDE), bool)
    doubtful[128:] = True
    answers = targets.assign(faces, doubtful, SIDE)
    finest = answers[: (SIDE // 8) ** 2].reshape(SIDE // 8, -1)
    assert finest[12, 12] == targets.IGNORED
    assert finest[2, 2] == targets.BACKGROUND
    assert finest[30, 30] == targets.DOUBTFUL
    assert (answers < 0).all()
