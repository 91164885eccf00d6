import cv2
import numpy as np
import pytest

from faceshape.core.contract import interocular_distance, resample
from faceshape.core.topology import CURVES, load_topology
from faceshape.vision.close_look import CloseLooks, face_part, patch_frames, patch_transforms
from faceshape.vision.crops import cut_crops
from faceshape.vision.landmarker import Landmarker
from faceshape.vision.networks import OnnxModel, model_entry
from faceshape.vision.pyramid import Pyramid

TOPOLOGY = load_topology("dense166")
EYES = face_part("eyes", TOPOLOGY)
POINTS = EYES.points
PUPILS = POINTS[:, -1]


@pytest.fixture(scope="module")
def refiner() -> CloseLooks:
    return CloseLooks([OnnxModel(model_entry("eyes"), threads=1)], TOPOLOGY)


@pytest.fixture(scope="module")
def dense(portrait, face) -> np.ndarray:
    """What the networks of the whole face say of the astronaut."""
    models = [OnnxModel(model_entry(name), threads=1) for name in ("alignment", "landmarks")]
    return Landmarker(*models).locate(Pyramid(portrait), face.box, [face.roll]).dense


def transforms_to(name: str, dense: np.ndarray) -> np.ndarray:
    """The transforms (N, G, 2, 3) to the patches that the training sees, without errors."""
    geometry, part = model_entry(name).facts["input"], face_part(name, TOPOLOGY)
    centres, distance, roll = patch_frames(dense, part)
    reach = np.tile(geometry["extent"] * distance[:, None], len(part.points))
    return patch_transforms(centres, reach, roll[:, None], geometry["side"])


def patches(image: np.ndarray, dense: np.ndarray) -> np.ndarray:
    transforms = transforms_to("eyes", dense)
    return cut_crops(Pyramid(image), transforms.reshape(-1, 2, 3), 40)


def mirrored(image: np.ndarray, dense: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    points = (dense * [-1, 1] + [image.shape[1], 0])[:, TOPOLOGY.mirror()]
    return np.ascontiguousarray(image[:, ::-1]), points.astype(np.float32)


def test_both_eyes_are_listed_in_one_order():
    assert POINTS.shape == (2, 17)
    assert len(np.unique(POINTS)) == 34
    assert TOPOLOGY.mirror()[POINTS[0]].tolist() == POINTS[1].tolist()


def test_the_right_eye_is_seen_as_the_left_one_of_the_mirrored_picture(portrait, dense):
    [left, right] = patches(portrait, dense).astype(int)
    [left_mirrored, right_mirrored] = patches(*mirrored(portrait, dense)).astype(int)
    assert np.abs(right - left_mirrored).max() <= 4  # OpenCV rounds places to 1/32 pixel
    assert np.abs(left - right_mirrored).max() <= 4


def test_a_patch_shows_the_eye_upright_in_its_middle(dense):
    [both] = transforms_to("eyes", dense)
    for transform, rows in zip(both, POINTS, strict=True):
        lids = dense[0, rows[:-1]] @ transform[:, :2].T + transform[:, 2]
        np.testing.assert_allclose(lids.mean(axis=0), 20, atol=1e-3)
        outer, inner = lids[0], lids[8]
        assert 5 < outer[0] < 12 < 28 < inner[0] < 35
        assert abs(outer[1] - inner[1]) < 4


class Watched:
    """A close look's network, which remembers its patches and answers with their middles."""

    def __init__(self, name):
        self.entry = model_entry(name)

    def run(self, batch):
        self.batch = batch
        points = face_part(self.entry.name, TOPOLOGY).points
        return [np.full((len(batch), *points.shape, 2), 0.5, np.float32)]


def test_all_parts_are_seen_in_the_patches_that_the_training_cuts(portrait, dense):
    both = np.concatenate([dense, dense @ np.float32([[0.6, 0.3], [-0.3, 0.6]]) + [40, 20]])
    both = both.astype(np.float32)
    watched = [Watched(name) for name in ("eyes", "mouth")]
    refined = CloseLooks(watched, TOPOLOGY).refine(Pyramid(portrait), both)
    for network in watched:
        name, part = network.entry.name, face_part(network.entry.name, TOPOLOGY)
        transforms = transforms_to(name, both)
        crops = cut_crops(Pyramid(portrait), transforms.reshape(-1, 2, 3), network.batch.shape[2])
        off = crops.reshape(network.batch.shape).astype(int) - network.batch
        assert np.abs(off).max() <= 4  # OpenCV rounds places to 1/32 pixel
        middles = patch_frames(both, part)[0][:, :, None]
        before = both[:, part.points]
        expected = before + part.share * (middles - before)
        np.testing.assert_allclose(refined[:, part.points], expected, atol=1e-3)


@pytest.mark.parametrize("name", ["eyes", "mouth"])
def test_nothing_but_the_part_is_moved(name, portrait, dense):
    before, points = dense.copy(), face_part(name, TOPOLOGY).points
    close_looks = CloseLooks([OnnxModel(model_entry(name), threads=1)], TOPOLOGY)
    refined = close_looks.refine(Pyramid(portrait), dense)
    assert (dense == before).all()
    others = np.setdiff1d(np.arange(TOPOLOGY.points), points)
    assert (refined[:, others] == dense[:, others]).all()
    assert (refined[:, points] != dense[:, points]).any(axis=3).all()
    off = np.linalg.norm(refined - dense, axis=2).max()
    assert off < 0.06 * interocular_distance(resample(dense, TOPOLOGY))[0]


def test_the_mouth_is_each_point_of_the_lips_once():
    [points] = face_part("mouth", TOPOLOGY).points
    lips = {i for name in CURVES if "_lip_" in name for i in TOPOLOGY.indices(name)}
    assert len(points) == len(set(points)) == 46
    assert set(points) == lips


def test_a_part_that_there_is_not_is_an_error():
    with pytest.raises(KeyError):
        face_part("ears", TOPOLOGY)


@pytest.mark.parametrize("shift", [[3, 0], [-3, 0], [0, 3], [0, -3]])
def test_lips_are_found_where_the_first_look_put_them_wrongly(portrait, dense, shift):
    look = CloseLooks([OnnxModel(model_entry("mouth"), threads=1)], TOPOLOGY)
    [points] = face_part("mouth", TOPOLOGY).points
    wrong = dense.copy()
    wrong[:, points] += np.float32(shift)
    expected, found = (look.refine(Pyramid(portrait), each)[0, points] for each in (dense, wrong))
    off = np.linalg.norm(found - expected, axis=1).mean() / np.linalg.norm(shift)
    assert off < 0.6


def test_a_mirrored_face_gets_mirrored_eyes(refiner, portrait, dense):
    expected = mirrored(portrait, refiner.refine(Pyramid(portrait), dense))[1]
    image, turned = mirrored(portrait, dense)
    found = refiner.refine(Pyramid(image), turned)
    np.testing.assert_allclose(found, expected, atol=0.05)


def test_faces_do_not_influence_each_other(refiner, portrait, dense):
    moved = dense + np.float32([[[2, -1]]])
    together = refiner.refine(Pyramid(portrait), np.concatenate([dense, moved]))
    np.testing.assert_allclose(together[:1], refiner.refine(Pyramid(portrait), dense), atol=1e-3)
    np.testing.assert_allclose(together[1:], refiner.refine(Pyramid(portrait), moved), atol=1e-3)


def test_pupils_lie_in_the_irises(refiner, portrait, dense):
    """Sideways, that is: up and down the lashes are as dark as an iris."""
    grey = cv2.cvtColor(portrait, cv2.COLOR_RGB2GRAY).astype(float)
    y, x = np.mgrid[: portrait.shape[0], : portrait.shape[1]] + 0.5
    for pupil in refiner.refine(Pyramid(portrait), dense)[0, PUPILS]:
        disc = np.hypot(x - pupil[0], y - pupil[1]) < 5
        darkness = np.maximum(np.percentile(grey[disc], 40) - grey, 0) * disc
        assert abs((x * darkness).sum() / darkness.sum() - pupil[0]) < 1


@pytest.mark.parametrize("shift", [[3, 0], [-3, 0], [0, 2], [0, -2]])
def test_eyes_are_found_where_the_first_look_put_them_wrongly(refiner, portrait, dense, shift):
    wrong = dense.copy()
    wrong[:, POINTS] += np.float32(shift)
    expected, found = (refiner.refine(Pyramid(portrait), each)[0] for each in (dense, wrong))
    off = np.linalg.norm(found - expected, axis=1) / np.linalg.norm(shift)
    assert off[PUPILS].max() < 0.35
    assert off[POINTS[:, :-1]].max() < 0.7  # of which 0.3 are the first look's share


@pytest.mark.parametrize("step", [-2, 2])
def test_pupils_follow_the_gaze(refiner, portrait, dense, step):
    """Both irises are moved sideways by two pixels, and nothing else."""
    [before] = refiner.refine(Pyramid(portrait), dense)
    y, x = np.mgrid[: portrait.shape[0], : portrait.shape[1]] + 0.5
    shift = np.zeros(portrait.shape[:2])
    for pupil in before[PUPILS]:
        shift += step * np.exp(-((np.hypot(x - pupil[0], y - pupil[1]) / 6) ** 4))
    across, down = (x - 0.5 - shift).astype(np.float32), (y - 0.5).astype(np.float32)
    gazing = cv2.remap(portrait, across, down, cv2.INTER_LINEAR)
    [after] = refiner.refine(Pyramid(gazing), dense)
    moved = (after - before)[PUPILS]
    assert (moved[:, 0] / step > 0.4).all()
    assert (np.abs(moved[:, 1]) < 0.5).all()
    assert np.abs((after - before)[POINTS[:, :-1]]).max() < 1


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (200, 3)])
def test_eyes_outside_the_picture_are_no_crash(refiner, dense, size):
    tiny = np.full((*size, 3), 128, np.uint8)
    far = np.concatenate([dense, dense + 1e5, dense * 1e-3, dense * 1e3]).astype(np.float32)
    assert np.isfinite(refiner.refine(Pyramid(tiny), far)).all()
