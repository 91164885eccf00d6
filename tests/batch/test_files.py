import csv
import io
import json
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceshape.batch.files import (
    CsvTable,
    ResultFileError,
    find_pictures,
    read_results,
    recover_results,
    to_line,
)
from faceshape.batch.pool import BatchResult
from faceshape.core.contract import GROUPS
from faceshape.errors import NoFaceError
from faceshape.tencent.api import error_response, face_response


@pytest.fixture
def photos(tmp_path):
    names = [
        "b.JPG",
        "a b/ü.png",
        "a b/c.jpeg",
        "a.bmp",
        "notes.txt",
        "jpg",
        "[1].png",
        "z/deep/x.jpg",
    ]
    for name in names:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


def test_a_folder_is_its_pictures_sorted(photos):
    wanted = ["[1].png", "a b/c.jpeg", "a b/ü.png", "a.bmp", "b.JPG", "z/deep/x.jpg"]
    assert find_pictures(str(photos)) == [str(photos / name) for name in wanted]


def test_a_folder_may_be_empty(tmp_path):
    assert find_pictures(str(tmp_path)) == []


@pytest.mark.parametrize(
    ("pattern", "wanted"),
    [
        ("[1].png", ["[1].png"]),  # a file of that name comes before the pattern
        ("notes.txt", ["notes.txt"]),
        ("*.[bB]*", ["a.bmp"]),
        ("**/*.jp*", ["a b/c.jpeg", "z/deep/x.jpg"]),
        ("a*", ["a.bmp"]),  # not the folder "a b"
    ],
)
def test_files_and_patterns(photos, pattern, wanted):
    assert find_pictures(str(photos / pattern)) == [str(photos / name) for name in wanted]


@pytest.mark.parametrize("pattern", ["nowhere.jpg", "*.gif", ""])
def test_what_is_not_there_is_refused(photos, pattern, monkeypatch):
    monkeypatch.chdir(photos)
    with pytest.raises(FileNotFoundError):
        find_pictures(pattern)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_cannot_be_read_is_not_left_out_silently(photos):
    (photos / "z").chmod(0)
    try:
        with pytest.raises(PermissionError):
            find_pictures(str(photos))
    finally:
        (photos / "z").chmod(0o755)


def refusal(path):
    return BatchResult(path, error_response(NoFaceError(), "zh-CN"), "nobody")


@given(paths=st.lists(st.text(max_size=8), max_size=5, unique=True), cut=st.integers(min_value=0))
def test_a_file_cut_anywhere_is_recovered(tmp_path_factory, paths, cut):
    results = [refusal(path) for path in paths]
    lines = [to_line(result).encode("ascii") + b"\n" for result in results]
    content = b"".join(lines)
    file = tmp_path_factory.mktemp("cut") / "out.jsonl"
    cut %= len(content) + 1
    file.write_bytes(content[:cut])

    answered = recover_results(file)

    whole = content[:cut].count(b"\n")
    assert file.read_bytes() == b"".join(lines[:whole])
    assert answered == set(paths[:whole])
    assert list(read_results(file)) == results[:whole]


def test_a_line_is_ascii_and_gives_the_result_back(tmp_path, face):
    result = BatchResult("ü\n\udcff.png", face_response([face], (256, 256)))
    line = to_line(result)
    assert line.isascii()
    assert line.isprintable()
    assert set(json.loads(line)) == {"Path", "Response"}
    file = tmp_path / "out.jsonl"
    file.write_text(line + "\n")
    assert list(read_results(file)) == [result]


@pytest.mark.parametrize(
    "line", ["", "[]", '{"Path": 1}', "{", "null", '{"Path":"a","Response":3}']
)
def test_a_file_of_something_else_is_left_alone(tmp_path, line):
    file = tmp_path / "out.jsonl"
    content = f"{to_line(refusal('a.png'))}\n{line}\ntorn"
    file.write_text(content)
    with pytest.raises(ResultFileError, match="line 2"):
        recover_results(file)
    assert file.read_text() == content


def test_the_table_has_the_points_by_their_names(face):
    file = io.StringIO(newline="")
    table = CsvTable(file)
    table.add(BatchResult('two, "quoted".png', face_response([face, face], (256, 256))))
    table.add(refusal("nobody.png"))
    file.seek(0)
    rows = list(csv.DictReader(file))
    assert [(row["Path"], row["Face"]) for row in rows] == [
        ('two, "quoted".png', "0"),
        ('two, "quoted".png', "1"),
    ]
    assert len(rows[0]) == 2 + 180
    for group in GROUPS:
        for member, point in enumerate(np.floor(face.group(group)).astype(int).tolist()):
            found = [int(rows[0][f"{group}_{member}_{axis}"]) for axis in "XY"]
            assert found == point
