import codecs
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faceshape.batch.pictures import PICTURE_SUFFIXES, find_pictures, parse_list

posix = pytest.mark.skipif(os.name != "posix", reason="links and pipes")


def make(folder, names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


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
    make(tmp_path, names)
    return tmp_path


def test_a_folder_is_its_pictures_sorted(photos):
    found = find_pictures([str(photos)])
    wanted = ["[1].png", "a b/c.jpeg", "a b/ü.png", "a.bmp", "b.JPG", "z/deep/x.jpg"]
    assert found.paths == [str(photos / name) for name in wanted]
    assert found.skipped == {".txt": 1, "without extension": 1}
    assert found.unreadable == []


def test_every_suffix_counts_in_any_case(tmp_path):
    names = [f"{n}{suffix}" for n, suffix in enumerate(PICTURE_SUFFIXES)]
    make(tmp_path, [*names, *(name.upper() for name in names if name.upper() != name)])
    assert len(find_pictures([str(tmp_path)]).paths) == len(list(tmp_path.iterdir()))


def test_a_folder_may_be_empty(tmp_path):
    assert find_pictures([str(tmp_path)]).paths == []


@pytest.mark.parametrize(
    ("pattern", "wanted"),
    [
        ("[1].png", ["[1].png"]),  # a file of that name comes before the pattern
        ("notes.txt", ["notes.txt"]),
        ("*.[bB]*", ["a.bmp"]),
        ("**/*.jp*", ["a b/c.jpeg", "z/deep/x.jpg"]),
        ("a*", ["a.bmp"]),  # not the folder "a b"
        ("z**/d**p/x.jpg", ["z/deep/x.jpg"]),
        ("z/**", ["z/deep/x.jpg"]),
        ("*/../*.bmp", ["a b/../a.bmp", "z/../a.bmp"]),
    ],
)
def test_files_and_patterns(photos, pattern, wanted):
    assert find_pictures([str(photos / pattern)]).paths == [str(photos / name) for name in wanted]


@pytest.mark.parametrize(
    ("pattern", "wanted"),
    [
        ("trip [2020]", ["trip [2020]/a [1].png", "trip [2020]/a1.png"]),
        ("trip [2020]/*.png", ["trip [2020]/a [1].png", "trip [2020]/a1.png"]),
        ("trip [2020]/a[0-9].png", ["trip [2020]/a1.png"]),
        ("trip [2020]/a [1].*", ["trip [2020]/a [1].png"]),
        ("tr*/a [1].png", ["trip [2020]/a [1].png"]),
        ("trip [[]2020]/a1*", ["trip [2020]/a1.png"]),  # escaped as for a shell
        ("[t]rip*/a1*", ["trip [2020]/a1.png"]),
        ("what? [x]/*.png", ["what? [x]/b.png"]),
    ],
)
def test_brackets_in_names_are_just_brackets(tmp_path, pattern, wanted):
    if os.name == "nt" and "?" in pattern:
        pytest.skip("no name has a question mark there")
    names = ["trip [2020]/a [1].png", "trip [2020]/a1.png", "trip 2/z.png"]
    make(tmp_path, [*names, *(["what? [x]/b.png"] if os.name != "nt" else [])])
    assert find_pictures([str(tmp_path / pattern)]).paths == [str(tmp_path / n) for n in wanted]


def test_relative_sources_stay_relative_and_each_path_comes_once(photos, monkeypatch):
    monkeypatch.chdir(photos)
    assert find_pictures(["z", "*.bmp", "."]).paths == [
        str(Path("z", "deep", "x.jpg")),
        "a.bmp",
        "[1].png",
        str(Path("a b", "c.jpeg")),
        str(Path("a b", "ü.png")),
        "b.JPG",
    ]


def test_patterns_leave_hidden_files_alone(tmp_path):
    make(tmp_path, ["a.jpg", ".b.jpg", ".c/d.jpg"])
    for pattern, wanted in {"*.jpg": ["a.jpg"], "**/*.jpg": ["a.jpg"], ".*": [".b.jpg"]}.items():
        assert find_pictures([str(tmp_path / pattern)]).paths == [str(tmp_path / n) for n in wanted]


@pytest.mark.parametrize("pattern", ["nowhere.jpg", "*.gif", "", "no/*/where/**", "z", "b.JPG/x"])
def test_what_is_not_there_is_refused(photos, pattern, monkeypatch):
    monkeypatch.chdir(photos / "z")
    with pytest.raises(FileNotFoundError):
        find_pictures([pattern])


@posix
def test_what_is_no_file_is_left_out_and_counted(tmp_path):
    make(tmp_path, ["a.jpg", "b/c.jpg"])
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    (tmp_path / "to a file.jpg").symlink_to("a.jpg")
    (tmp_path / "to nothing.jpg").symlink_to("nothing")
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    (tmp_path / "b" / "up").symlink_to("..")
    (tmp_path / "b" / "top.jpg").symlink_to("/")
    found = find_pictures([str(tmp_path)])
    wanted = ["a.jpg", "b/c.jpg", "loop.jpg", "to a file.jpg", "to nothing.jpg"]
    assert found.paths == [str(tmp_path / name) for name in wanted]
    assert found.skipped == {"neither file nor folder": 2, "link to a folder": 2}


@posix
def test_links_that_lead_upwards_do_not_multiply(tmp_path):
    """Followed in a pattern's **, these two would give 2 to the power of 40 paths."""
    make(tmp_path, ["sub/a.jpg"])
    for name in ("one", "two"):
        (tmp_path / "sub" / name).symlink_to("..")
    assert find_pictures([str(tmp_path / "**" / "*.jpg")]).paths == [str(tmp_path / "sub/a.jpg")]


@posix
def test_folders_may_be_deep(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    depth = 1500  # more than Python's stack has room for
    for _ in range(depth):
        Path("d").mkdir()
        os.chdir("d")
    Path("x.jpg").touch()
    os.chdir(tmp_path)
    try:
        assert find_pictures(["d"]).paths == ["/".join(["d"] * depth) + "/x.jpg"]
    finally:
        subprocess.run(["rm", "-r", "d"], check=True)  # pytest could not remove it


@posix
@pytest.mark.skipif(os.name == "posix" and os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_cannot_be_read_is_reported(photos):
    (photos / "z").chmod(0)
    try:
        found = find_pictures([str(photos)])
    finally:
        (photos / "z").chmod(0o755)
    assert len(found.paths) == 5
    assert found.unreadable == [f"{photos / 'z'}: Permission denied"]


NAMES = ["in/plain.jpg", "größe.png", "一丁/猫.jpg", "😀.jpg", "with space .bmp", "a"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n"])
@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (b"", "utf-8"),
        (codecs.BOM_UTF8, "utf-8"),
        (b"", "utf-16-le"),
        (b"", "utf-16-be"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
        (codecs.BOM_UTF32_BE, "utf-32-be"),
    ],
)
@pytest.mark.parametrize("last", ["", "end"])
def test_lists_in_any_unicode(mark, encoding, end, last):
    text = end.join(NAMES) + (end if last else "")
    assert parse_list(mark + text.encode(encoding)) == NAMES


def test_lists_that_were_put_together():
    content = "".join(f"{name}\r\n" for name in NAMES[:2]).encode("utf-8-sig")
    assert parse_list(content + content) == NAMES[:2] * 2


def test_lists_that_end_names_by_nul():
    names = ["abc.jpg", "a", "def.jpg", "new\nline.jpg"]
    assert parse_list("".join(f"{name}\0" for name in names).encode()) == names


@pytest.mark.parametrize("content", [b"", b"\n", b"\r\n\r\n", codecs.BOM_UTF8, codecs.BOM_UTF16_LE])
def test_lists_without_names(content):
    assert parse_list(content) == []


@pytest.mark.skipif(os.name == "nt", reason="names are text there")
@settings(deadline=None)  # machines are busy at times
@given(st.lists(st.binary(min_size=1, max_size=8).filter(lambda b: not {0, 10, 13} & set(b))))
def test_names_that_are_no_text_are_read_as_they_are(names):
    content = b"".join(name + b"\n" for name in names)
    if any(content.startswith(mark) for mark in (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        return
    assert [os.fsencode(name) for name in parse_list(content)] == names


def test_a_list_cut_within_a_character_is_refused():
    with pytest.raises(UnicodeError):
        parse_list(codecs.BOM_UTF16_LE + b"a\0b")
