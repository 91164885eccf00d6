import json
import os
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faceshape.batch.answer import BatchResult
from faceshape.batch.results import (
    OtherOptionsError,
    ResultFile,
    ResultFileError,
    options_path,
    to_line,
)
from faceshape.errors import NoFaceError
from faceshape.tencent.api import error_response, face_response

OPTIONS = {"mode": "all", "rotate": False}


def refusal(path):
    return BatchResult.of(path, error_response(NoFaceError(), "zh-CN"), "nobody")


@settings(deadline=None)  # machines are busy at times
@given(paths=st.lists(st.text(max_size=8), max_size=5, unique=True), cut=st.integers(min_value=0))
def test_a_file_cut_anywhere_is_continued(tmp_path_factory, paths, cut):
    results = [refusal(path) for path in paths]
    lines = [to_line(result).encode("ascii") + b"\n" for result in results]
    content = b"".join(lines)
    path = tmp_path_factory.mktemp("cut") / "out.jsonl"
    cut %= len(content) + 1
    path.write_bytes(content[:cut])
    whole = content[:cut].count(b"\n")

    with ResultFile.resume(path, OPTIONS) as file:
        assert path.read_bytes() == b"".join(lines[:whole])
        assert file.answered == set(paths[:whole])
        assert list(file.earlier()) == results[:whole]
        for result in results[whole:]:
            file.write(result)
    assert path.read_bytes() == content


def test_a_line_is_ascii_and_gives_the_result_back(tmp_path, face):
    path = "ü\n\udcff.png"
    result = BatchResult.of(path, face_response([face], (256, 256)))
    line = to_line(result)
    assert line.isascii()
    assert line.isprintable()
    assert set(json.loads(line)) == {"Path", "Response"}
    path = tmp_path / "out.jsonl"
    path.write_text(line + "\n")
    with ResultFile.resume(path, OPTIONS) as file:
        assert list(file.earlier()) == [result]


GOOD = '{"Path": "a", "Response": {"Error": {"Code": "x"}}}'
ODD = [
    "",
    "[]",
    '{"Path": 1}',
    "{",
    "null",
    '{"Path":"a","Response":3}',
    '{"Path":"a","Response":{}}',
    '{"Path":5,"Response":{"Error":{"Code":"x"}}}',
    '{"Path":[],"Response":{"Error":{"Code":"x"}}}',
    '{"Path":"a","Response":[["Error",5]]}',
    '{"Path":"a","Response":{"Error":"x"}}',
    '{"Path":"a","Response":{"Error":{"Code":5}}}',
    '{"Path":"a","Response":{"FaceShapeSet":null}}',
    '{"Path":"a","Response":{"FaceShapeSet":[]}}',
    '{"Path":"a","Response":{"FaceShapeSet":[{"Nose":[]}]}}',
    '{"Path":"a","Response":{"FaceShapeSet":"faces"}}',
    '{"Path":"a","Detail":7,"Response":{"Error":{"Code":"x"}}}',
    '{"Path":"a","Response":{"x":' + "1" * 5000 + "}}",
    "[" * 100_000,
    "\0" * 4096,
    "garbage",
]


@pytest.mark.parametrize("line", ODD, ids=range(len(ODD)))
def test_a_file_of_something_else_is_left_alone(tmp_path, line):
    path = tmp_path / "out.jsonl"
    content = f"{GOOD}\n{line}\ntorn"
    path.write_text(content)
    with pytest.raises(ResultFileError, match="line 2 is not a result"):
        ResultFile.resume(path, OPTIONS)
    assert path.read_text() == content
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("number", ["1.5", "null", "true", '"1"', "1" + "0" * 400])
def test_points_are_whole_pixels(tmp_path, face, number):
    line = to_line(BatchResult.of("a.png", face_response([face], (256, 256))))
    x = json.loads(line)["Response"]["FaceShapeSet"][0]["Nose"][0]["X"]
    path = tmp_path / "out.jsonl"
    path.write_text(line.replace(f'"Nose": [{{"X": {x},', f'"Nose": [{{"X": {number},') + "\n")
    with pytest.raises(ResultFileError):
        ResultFile.resume(path, OPTIONS)


def test_a_new_file_is_created_once_and_removed_if_nothing_is_written(tmp_path):
    path = tmp_path / "out.jsonl"
    with ResultFile.create(path, OPTIONS):
        assert path.exists()
    assert list(tmp_path.iterdir()) == []
    result = refusal("a")
    with ResultFile.create(path, OPTIONS) as file:
        file.write(result)
    with pytest.raises(FileExistsError):
        ResultFile.create(path, OPTIONS)
    assert path.read_text() == to_line(result) + "\n"
    path.write_text("")
    with ResultFile.resume(path, {"mode": "largest"}):  # was there before, without any answer
        pass
    assert path.exists()


def test_the_options_are_kept_and_compared(tmp_path, caplog):
    path = tmp_path / "out.jsonl"
    with ResultFile.create(path, OPTIONS) as file:
        file.write(refusal("a"))
    assert json.loads(options_path(path).read_text()) == OPTIONS
    with pytest.raises(OtherOptionsError, match="rotate False"):
        ResultFile.resume(path, {"mode": "all", "rotate": True})
    with ResultFile.resume(path, {"mode": "all", "rotate": True}, any_options=True) as file:
        assert file.answered == {"a"}
    with ResultFile.resume(path, {"mode": "all", "rotate": True}):
        pass
    options_path(path).write_text("[1]")
    with pytest.raises(OtherOptionsError, match="does not say"):
        ResultFile.resume(path, OPTIONS)
    assert not caplog.messages
    options_path(path).unlink()
    with ResultFile.resume(path, OPTIONS):  # as older releases left it
        pass
    assert "is missing" in caplog.text


@pytest.mark.skipif(os.name != "posix", reason="links")
def test_all_names_of_a_file_share_its_options_and_its_holder(tmp_path):
    path, link = tmp_path / "out.jsonl", tmp_path / "link.jsonl"
    link.symlink_to(path)
    with ResultFile.create(link, OPTIONS) as file:
        file.write(refusal("a"))
        with pytest.raises(ResultFileError, match="another run"):
            ResultFile.resume(path, OPTIONS)
    assert path.exists()
    with pytest.raises(OtherOptionsError):
        ResultFile.resume(link, {"mode": "largest"})


KILLED = """
import os, sys
from pathlib import Path
from faceshape.batch.results import ResultFile
file = ResultFile.resume(Path(sys.argv[1]), {})
print("held", flush=True)
sys.stdin.read()
"""


def test_the_hold_ends_with_its_process(tmp_path):
    path = tmp_path / "out.jsonl"
    path.write_text(GOOD + "\n")
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout.readline().strip() == b"held"
        with pytest.raises(ResultFileError, match="another run"):
            ResultFile.resume(path, {})
        assert path.read_text() == GOOD + "\n"  # can still be read by all
        other.kill()
        other.wait()
    with ResultFile.resume(path, {}) as file:
        assert file.answered == {"a"}


@pytest.mark.skipif(os.name != "posix", reason="a device that is always full")
def test_a_full_disk_is_named(tmp_path):
    """The file is swapped for one that takes nothing, behind its back."""
    path = tmp_path / "out.jsonl"
    with ResultFile.create(path, OPTIONS) as file:
        full = os.open("/dev/full", os.O_WRONLY)
        os.dup2(full, file._file.fileno())
        os.close(full)
        with pytest.raises(OSError, match=r"No space left.*out\.jsonl"):
            file.write(refusal("a"))
