import numpy as np
import pytest
from PIL import Image

from faceshape.batch.contact_sheet import MOST_TILES, ContactSheet
from faceshape.core.contract import GROUPS
from faceshape.draw import GROUP_COLOURS
from faceshape.tencent.api import face_response

TILE = (160, 176)


@pytest.fixture
def photo(portrait, tmp_path):
    path = tmp_path / "portrait.png"
    Image.fromarray(portrait).save(path)
    return str(path)


@pytest.fixture
def faces(face):
    return face_response([face], (256, 256))["Response"]["FaceShapeSet"]


def tiles(sheet):
    """(rows, columns, 176, 160, 3)"""
    rows, columns = sheet.shape[0] // TILE[1], sheet.shape[1] // TILE[0]
    return sheet.reshape(rows, TILE[1], columns, TILE[0], 3).swapaxes(1, 2)


def test_a_tile_shows_the_face_and_its_landmarks_in_place(photo, faces, face):
    sheet = ContactSheet()
    sheet.add(photo, faces)
    drawn = sheet.render()
    assert drawn.shape == (176, 160, 3)
    low, high = face.points.min(axis=0), face.points.max(axis=0)
    scale = 160 / (1.3 * (high - low).max())
    for name in ("FaceProfile", "Mouth", "Nose", "LeftPupil"):
        moved = (face.points[GROUPS[name]] - (low + high) / 2) * scale + 80
        for x, y in moved.astype(int):
            around = drawn[y - 1 : y + 2, x - 1 : x + 2].astype(int)
            assert np.abs(around - GROUP_COLOURS[name]).max(axis=2).min() < 60, name
    assert drawn[160:].max() > 200  # the caption


@pytest.mark.parametrize(
    ("pictures", "of_each", "shown"),
    [(3, 1, 3), (100, 1, 100), (101, 1, 51), (40, 10, 100), (1000, 1, 63)],
)
def test_many_faces_are_thinned_evenly(faces, pictures, of_each, shown):
    sheet = ContactSheet()
    for number in range(pictures):
        sheet.add(f"{number}.png", faces * of_each)
    kept = [entry.picture for entry in sheet._entries]
    assert len(kept) == shown <= MOST_TILES
    steps = np.diff(np.array([1, *kept, pictures]))
    assert steps.max() <= 2 * pictures / shown + 1


def test_rows_of_ten(photo, faces):
    sheet = ContactSheet()
    sheet.add("nobody.png", [])
    for _ in range(3):
        sheet.add(photo, faces * 4)
    drawn = tiles(sheet.render())
    assert drawn.shape[:2] == (2, 10)
    pictures = drawn[:, :, :160].reshape(20, 160, 160, 3)
    assert all((tile == pictures[0]).all() for tile in pictures[:12])
    assert not drawn[1, 2:].any()
    captions = drawn[:, :, 160:].reshape(20, 16, 160, 3)
    assert (captions[0] == captions[3]).all()
    assert (captions[0] != captions[4]).any()  # the picture's number


def test_a_picture_that_is_gone_leaves_its_tile_empty(photo, faces, tmp_path):
    sheet = ContactSheet()
    sheet.add(str(tmp_path / "gone \udcff, of a rather long name.png"), faces)
    sheet.add(photo, faces)
    gone, there = tiles(sheet.render())[0]
    assert not gone[:160].any()
    assert gone[160:].any()
    assert there[:160].any()


def test_any_name_has_a_caption(photo, faces):
    sheet = ContactSheet()
    for name in ("new\nline.png", "猫.png", "\udcff.png", "tab\t\x1b[31m.png", "", "\u202e.png"):
        sheet.add(name, faces)
    drawn = tiles(sheet.render())[0]
    assert (drawn[:, 160:].max(axis=(1, 2, 3)) > 200).all()


def test_without_faces_there_is_an_empty_sheet():
    assert not ContactSheet().render().any()
