import json
import os
import threading

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from faceshape.cli.main import main
from faceshape.core.contract import GROUPS
from faceshape.video.files import VideoError, VideoReader, VideoWriter


@pytest.fixture(scope="module")
def frames(portrait):
    """12 frames in which the face moves to the right, by 2 pixels each."""
    wide = cv2.copyMakeBorder(portrait[:240], 0, 0, 0, 64, cv2.BORDER_REPLICATE)
    return [np.roll(wide, 2 * n, axis=1) for n in range(12)]


@pytest.fixture(scope="module")
def clip(frames, tmp_path_factory):
    path = tmp_path_factory.mktemp("video") / "clip.avi"
    with VideoWriter(path, 25) as writer:
        for frame in frames:
            writer.write(frame)
    return path


def run(*arguments):
    return CliRunner().invoke(main, ["track", *map(str, arguments), "--threads", "1"])


@pytest.mark.parametrize("suffix", [".mp4", ".m4v", ".mov", ".mkv", ".avi", ".AVI"])
def test_what_is_written_can_be_read(frames, tmp_path, suffix):
    path = tmp_path / f"video{suffix}"
    with VideoWriter(path, 25) as writer:
        for frame in frames:
            writer.write(frame)
    with VideoReader(path) as reader:
        assert reader.rate == pytest.approx(25, abs=0.01)
        assert reader.announced == 12
        times, pictures = zip(*reader, strict=True)
    np.testing.assert_allclose(times, np.arange(12) / 25, atol=1e-3)
    for found, frame in zip(pictures, frames, strict=True):
        assert found.shape == frame.shape
        assert np.abs(found.astype(int) - frame).mean() < 6


def test_odd_and_changing_sizes_are_made_to_fit(frames, tmp_path):
    path = tmp_path / "video.mp4"
    with VideoWriter(path, 25) as writer:
        writer.write(frames[0][:201, :301])
        writer.write(cv2.resize(frames[0][:201, :301], (602, 402)))
    with VideoReader(path) as reader:
        pictures = [pixels for _, pixels in reader]
    assert [picture.shape for picture in pictures] == [(200, 300, 3)] * 2
    assert np.abs(pictures[1].astype(int) - pictures[0]).mean() < 4


@pytest.mark.parametrize("content", [b"", b"no video" * 100, "head"])
def test_what_is_no_video_is_refused(clip, tmp_path, content):
    path = tmp_path / "odd.mp4"
    path.write_bytes(clip.read_bytes()[:1000] if content == "head" else content)
    with pytest.raises(VideoError, match="decoded"), VideoReader(path) as reader:
        list(reader)
    result = run(path)
    assert result.exit_code == 1
    assert "decoded" in result.stderr


def test_a_video_that_was_cut_ends_early_and_the_summary_says_so(clip, tmp_path):
    path = tmp_path / "cut.avi"
    content = clip.read_bytes()
    path.write_bytes(content[: int(0.7 * len(content))])
    result = run(path)
    assert result.exit_code == 0, result.output
    count = len(result.stdout.splitlines())
    assert 3 < count < 12
    assert result.stderr.splitlines()[-1].startswith(f"frames {count} of 12 announced ")


def test_files_that_cannot_be(tmp_path, frames):
    for path in (tmp_path, tmp_path / "nowhere.mp4"):
        with pytest.raises(VideoError, match="not a file"):
            VideoReader(path)
    with pytest.raises(VideoError, match=r"\.mp4"):
        VideoWriter(tmp_path / "video.gif", 25)
    with (
        pytest.raises(VideoError, match="cannot write"),
        VideoWriter(tmp_path / "no" / "video.mp4", 25) as writer,
    ):
        writer.write(frames[0])


@pytest.mark.skipif(os.name == "nt", reason="all names are text there")
def test_names_that_are_no_text_are_refused(tmp_path, clip):
    path = tmp_path / os.fsdecode(b"\xff.avi")
    path.write_bytes(clip.read_bytes())
    with pytest.raises(VideoError, match="must be text"):
        VideoReader(path)


def test_a_part_of_a_video_is_not_taken_for_the_whole(frames, tmp_path):
    """A full disk is not reported by OpenCV; here the file is cut behind its back."""
    writer = VideoWriter(tmp_path / "video.avi", 25)
    for frame in frames:
        writer.write(frame)
    (tmp_path / "video.avi").unlink()
    (tmp_path / "video.avi").write_bytes(b"RIFF")
    with pytest.raises(VideoError):
        writer.close()


def test_a_line_for_each_frame(clip, face):
    result = run(clip)
    assert result.exit_code == 0, result.output
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["frame"] for line in lines] == list(range(12))
    np.testing.assert_allclose([line["seconds"] for line in lines], np.arange(12) / 25, atol=1e-3)
    assert [[each["id"] for each in line["faces"]] for line in lines] == [[1]] * 12
    first, last = lines[0]["faces"][0], lines[-1]["faces"][0]
    assert set(first) == {"id", "presence", "box", "roll", "shape"}
    counts = {group: len(first["shape"][group]) for group in first["shape"]}
    assert counts == {group: rows.stop - rows.start for group, rows in GROUPS.items()}
    start, end = (
        np.array([[p["X"], p["Y"]] for group in GROUPS for p in each["shape"][group]])
        for each in (first, last)
    )
    assert np.abs(start - face.points).max() < 3  # the video is compressed
    np.testing.assert_allclose((end - start).mean(axis=0), [22, 0], atol=1)
    np.testing.assert_allclose(first["box"], [*start.min(axis=0), *start.max(axis=0)], atol=0.01)
    assert first["presence"] > 0.9
    assert abs(first["roll"] - face.roll) < 2
    assert result.stderr.startswith("frames 12 (0 without a face), last at 0.44 s, faces 1, ")


def test_options_files_and_the_drawn_video(clip, frames, tmp_path):
    lines, drawn = tmp_path / "faces.jsonl", tmp_path / "drawn.mp4"
    options = ("--no-smoothing", "--mode", "largest", "--detect-every", 0.2, "--detector", "dlib")
    result = run(clip, "--jsonl", lines, "--draw", drawn, *options)
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    found = [json.loads(line) for line in lines.read_text().splitlines()]
    assert len(found) == 12
    with VideoReader(drawn) as reader:
        pictures = [pixels for _, pixels in reader]
    assert len(pictures) == 12
    changed = np.abs(pictures[-1].astype(int) - frames[-1]).max(axis=2) > 60
    left, top, right, bottom = map(int, found[-1]["faces"][0]["box"])
    assert changed[top:bottom, left:right].mean() > 0.03
    assert changed[:, : left - 10].mean() < 0.001
    # What is there already stays.
    before = lines.read_bytes()
    again = run(clip, "--jsonl", lines)
    assert again.exit_code == 1
    assert "is there already" in again.stderr
    assert lines.read_bytes() == before


@pytest.mark.parametrize(
    ("options", "precious"),
    [
        (("{}/clip.avi", "--draw", "{}/clip.avi"), "clip.avi"),
        (("{}/clip.avi", "--draw", "{}/link.avi"), "clip.avi"),
        (("{}/link.avi", "--draw", "{}/hard.avi"), "clip.avi"),
        (("{}/clip.avi", "--jsonl", "{}/clip.avi"), "clip.avi"),
        (("{}/clip.avi", "--jsonl", "{}/new.avi", "--draw", "{}/new.avi"), "clip.avi"),
        (("{}/clip.avi", "--jsonl", "{}/new.avi", "--draw", "{}/NEW.AVI"), "clip.avi"),
    ],
)
def test_nothing_is_overwritten(clip, tmp_path, options, precious):
    (tmp_path / "clip.avi").write_bytes(clip.read_bytes())
    try:
        (tmp_path / "link.avi").symlink_to("clip.avi")
        (tmp_path / "hard.avi").hardlink_to(tmp_path / "clip.avi")
    except OSError:
        pytest.skip("this disk has no links")
    names = sorted(path.name for path in tmp_path.iterdir())
    result = run(*(each.replace("{}", str(tmp_path)) for each in options))
    assert result.exit_code == 2
    assert " would " in result.stderr
    assert (tmp_path / precious).read_bytes() == clip.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == names


@pytest.mark.skipif(os.name != "posix", reason="pipes with names")
def test_a_video_may_come_through_a_pipe(clip, tmp_path):
    by_file = run(clip, "--mode", "largest").stdout
    by_input = CliRunner().invoke(
        main, ["track", "-", "--mode", "largest", "--threads", "1"], input=clip.read_bytes()
    )
    assert by_input.stdout == by_file != ""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(clip.read_bytes(),))
    writer.start()
    assert run(pipe, "--mode", "largest").stdout == by_file
    writer.join()


def test_a_video_without_faces_is_no_error(tmp_path):
    path = tmp_path / "grey.avi"
    with VideoWriter(path, 25) as writer:
        for _ in range(4):
            writer.write(np.full((120, 160, 3), 128, np.uint8))
    result = run(path)
    assert result.exit_code == 0, result.output
    assert [json.loads(line)["faces"] for line in result.stdout.splitlines()] == [[]] * 4
    assert "4 without a face" in result.stderr


def test_wrong_command_lines(clip, tmp_path):
    before = clip.read_bytes()
    for wrong in (
        ("nowhere.mp4",),
        (clip, "--draw", clip),
        (clip, "--detect-every", 0),
        (clip, "--detector", "cascade"),
        (),
    ):
        assert run(*wrong).exit_code == 2, wrong
    assert clip.read_bytes() == before
    for option, path in (
        ("--draw", tmp_path / "drawn.gif"),
        ("--draw", tmp_path / "no" / "drawn.mp4"),
        ("--jsonl", tmp_path / "no" / "faces.jsonl"),
    ):
        result = run(clip, option, path)
        assert result.exit_code == 1
        assert path.name in result.stderr


def test_help_lists_it():
    assert "track" in CliRunner().invoke(main, ["--help"]).output
