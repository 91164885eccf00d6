"""The table on people's labels, on a set that is made of the astronaut's own landmarks."""

import json

import cv2
import numpy as np
import pytest

from benchmarks.accuracy.contenders import Located
from benchmarks.accuracy.human import face_means, human_errors, human_tables, load_human_sets
from faceshape.core.contract import interocular_distance

# A layout of 12 points: corners of the eyes, of the mouth, a lid, the chin and two of the jaw, of
# which one lies above the eyes; ends of brows, which are not counted.
ROWS = [21, 25, 29, 33, 53, 59, 27, 10, 5, 0, 37, 45]
LAYOUT = {
    "points": {
        "eye outer": [[[0], "eyeL outer"], [[2], "eyeR outer"]],
        "eye inner": [[[1], "eyeL inner"], [[3], "eyeR inner"]],
        "mouth corners": [[[4], "mouth left"], [[5], "mouth right"]],
        "brow ends": [[[10], "browL outer"], [[11], "browR outer"]],
    },
    "curves": {"lids": [[[6], "eyeL upper"]]},
    "jaw": [7, 8, 9],
}


@pytest.fixture
def folder(tmp_path, portrait, face):
    """Six times the same face, as SET.npz and layouts.json."""
    labels = np.repeat(face.points[None, ROWS], 6, axis=0)
    labels[:, 9] = labels[:, 0] - [0, 30]  # far above the eyes
    coded = cv2.imencode(".png", cv2.cvtColor(portrait, cv2.COLOR_RGB2BGR))[1].ravel()
    np.savez(
        tmp_path / "astronaut.npz",
        jpeg=np.tile(coded, 6),
        offset=np.arange(7) * len(coded),
        points=labels,
        boxes=np.repeat(face.box[None], 6, axis=0),
        tag=np.array(["age05", "age30", "", "age30", "age61", "neutral"]),
        layout=np.array("twelve"),
    )
    (tmp_path / "layouts.json").write_text(json.dumps({"twelve": LAYOUT}), encoding="utf-8")
    return tmp_path


@pytest.fixture
def faces(folder):
    [only] = load_human_sets(folder)
    return only


@pytest.fixture
def points(face):
    return np.repeat(face.points[None], 6, axis=0)


def test_pictures_are_read_when_they_are_looked_at(faces, portrait):
    assert len(faces.pictures) == 6
    assert (faces.pictures[5] == portrait).all()


def test_landmarks_on_the_labels_have_no_error(faces, points):
    errors = human_errors(faces, points)
    assert all(np.nanmax(each) < 0.6 for each in errors.values())  # splines are not ours
    assert face_means(errors).shape == (6,)


def test_errors_are_in_per_cent_of_the_labelled_eye_distance(faces, points, face):
    points[:, 53] += [0.05 * interocular_distance(face.points), 0]
    errors = human_errors(faces, points)
    np.testing.assert_allclose(errors["mouth corners"], [[5, 0]] * 6, atol=1e-3)


def test_marks_may_slide_along_a_curve(faces, points):
    faces.labels[:, 7] = (points[:, 10] + points[:, 11]) / 2  # between two of ours
    assert human_errors(faces, points)["jaw"][:, 0].max() < 1  # a chord


def test_the_jaw_above_the_eyes_does_not_count(faces, points):
    jaw = human_errors(faces, points)["jaw"]
    assert np.isnan(jaw[:, 2]).all()
    assert np.isfinite(jaw[:, :2]).all()


def test_ends_of_brows_do_not_count(faces, points):
    before = face_means(human_errors(faces, points))
    points[:, [37, 45]] += 50
    after = face_means(human_errors(faces, points))
    np.testing.assert_allclose(after, before)


def test_a_face_that_was_not_found_has_no_error(faces, points):
    points[2] = np.nan
    means = face_means(human_errors(faces, points))
    assert np.isnan(means).tolist() == [False, False, True, False, False, False]


class Answer:
    """A contender that says what it is told to."""

    megabytes = None

    def __init__(self, name, points):
        self.name, self._points = name, points

    def locate(self, pictures, boxes):
        assert len(pictures) == len(boxes)
        return Located(self._points, np.zeros(len(boxes)))

    def network_milliseconds(self):
        return None


def test_tables_by_set_yaw_and_age(folder, points):
    worse = points + np.float32(2)
    worse[0] = np.nan
    tables = list(human_tables([Answer("a", points), Answer("b", worse)], load_human_sets(folder)))
    first, by_set, by_yaw, by_age = (dict(table.rows) for table in tables)
    ours, theirs = first["a"], first["b"]
    assert ours[0] < 0.6 < theirs[0]
    assert theirs[-2] == pytest.approx(100 / 6)
    low, high = map(float, theirs[-1].split(" to "))
    assert 0 < low <= high
    assert ours[-1] is None
    assert by_set["astronaut (6)"][0] == pytest.approx(ours[0])
    assert sum(int(row[0]) for row in by_yaw.values()) == 6
    assert [row[0] for row in by_age.values()] == ["1", "0", "0", "2", "1"]
    assert all("|" in table.markdown() for table in tables)


def test_a_folder_without_sets_is_an_error(tmp_path):
    (tmp_path / "layouts.json").write_text("{}", encoding="utf-8")
    with pytest.raises(FileNotFoundError):
        load_human_sets(tmp_path)
