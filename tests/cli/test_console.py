"""Standard streams as shells and services hand them over, in processes of their own."""

import json
import os
import socket
import subprocess
import sys

import pytest
from PIL import Image

posix = pytest.mark.skipif(os.name != "posix", reason="shells that can close streams")
PATIENCE = 300  # seconds, on a busy machine


@pytest.fixture(scope="module")
def folder(portrait, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    Image.fromarray(portrait).save(folder / "face.png")
    (folder / "empty.jpg").touch()
    return folder


def shell(folder, command, **environment):
    """Run a line of the shell in which `fs` is faceshape, where the pictures are."""
    fs = f'fs() {{ "{sys.executable}" -m faceshape "$@"; }}'
    return subprocess.run(
        ["bash", "-c", f"{fs}; {command}"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=PATIENCE,
    )


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "gbk", "latin-1", "utf-16"])
def test_where_output_is_not_utf_8_the_json_is_ascii(folder, encoding):
    command = [sys.executable, "-m", "faceshape", "analyze", folder / "empty.jpg"]
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    run = subprocess.run(command, env=environment, capture_output=True, timeout=PATIENCE)
    assert run.returncode == 1
    text = run.stdout.decode(encoding)
    assert text.isascii()
    assert json.loads(text)["Response"]["Error"]["Message"] == "图片为空。"
    assert b"Traceback" not in run.stderr


def test_where_output_is_utf_8_people_can_read_it(folder):
    command = [sys.executable, "-m", "faceshape", "analyze", folder / "empty.jpg"]
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
    run = subprocess.run(command, env=environment, capture_output=True, timeout=PATIENCE)
    assert "图片为空。" in run.stdout.decode("utf-8")


@posix
@pytest.mark.parametrize(
    "command",
    ["fs analyze face.png", "fs analyze . --workers 1", "fs models", "fs --version"],
)
@pytest.mark.parametrize(
    ("stream", "unbuffered"), [(">&-", ""), (">/dev/full", ""), (">/dev/full", "1")]
)
def test_output_that_cannot_be_written_is_one_line_and_a_code(folder, command, stream, unbuffered):
    run = shell(folder, f"{command} {stream}", PYTHONUNBUFFERED=unbuffered)
    assert run.returncode == 1
    lines = [line for line in run.stderr.decode().splitlines() if line.startswith("Error: ")]
    assert len(lines) == 1, run.stderr
    assert b"Traceback" not in run.stderr
    assert b"Exception ignored" not in run.stderr


@posix
@pytest.mark.parametrize("stream", ["2>&-", "2>/dev/full", "<&-", "<&- 2>&-"])
def test_the_other_streams_do_not_matter_for_the_answers(folder, stream):
    run = shell(folder, f"fs analyze face.png {stream}")
    assert run.returncode == 0
    assert "FaceShapeSet" in json.loads(run.stdout)["Response"]
    many = f"fs analyze . --workers 2 --csv out.csv --output out.jsonl {stream}"
    run = shell(folder, f"{many}; code=$?; cat out.jsonl; rm out.*; exit $code")
    assert run.returncode == 0
    paths = [json.loads(line)["Path"] for line in run.stdout.splitlines()]
    assert paths == ["empty.jpg", "face.png"]
    run = shell(folder, f"fs analyze nowhere.jpg {stream}")
    assert (run.returncode, run.stdout) == (2, b"")


@posix
def test_with_all_streams_closed_the_files_hold_what_they_should(folder, tmp_path):
    output = tmp_path / "out.jsonl"
    run = shell(folder, f"fs analyze . --workers 2 --output {output} <&- >&- 2>&-")
    assert run.returncode == 0
    assert len([json.loads(line) for line in output.read_text().splitlines()]) == 2
    run = shell(folder, "fs analyze . --workers 1 >&- 2>&-")
    assert run.returncode == 1


@posix
@pytest.mark.parametrize("command", ["fs analyze - <&-", "fs analyze --list - <&-"])
def test_closed_input_is_one_line_and_a_code(folder, command):
    run = shell(folder, command)
    assert run.returncode == 2
    last = run.stderr.decode().splitlines()[-1]
    assert "cannot read -: " in last
    assert "Bad file descriptor" in last


@posix
@pytest.mark.parametrize(
    "command",
    [
        "fs analyze - < face.png",
        "fs analyze /dev/stdin < face.png",
        "cat face.png | fs analyze /dev/stdin",
        "cat face.png | fs analyze -",
        "fs analyze <(cat face.png)",
        "fs analyze --list <(echo face.png)",
        "echo face.png | fs analyze --list /dev/stdin",
    ],
)
def test_pictures_and_lists_come_through_pipes(folder, command):
    run = shell(folder, command)
    assert run.returncode == 0, run.stderr
    assert "FaceShapeSet" in json.loads(run.stdout)["Response"]


@posix
def test_input_without_end_is_refused(folder):
    run = shell(folder, "fs analyze /dev/zero --cloud-limits")
    assert run.returncode == 1
    code = json.loads(run.stdout)["Response"]["Error"]["Code"]
    assert code == "FailedOperation.ImageSizeExceed"


@posix
@pytest.mark.parametrize("command", ["fs analyze face.png", "fs analyze . --workers 1"])
def test_a_reader_who_has_enough_ends_it_quietly(folder, command):
    run = shell(folder, f"{{ sleep 0.2; {command}; echo code $? >&2; }} | true")
    assert b"Traceback" not in run.stderr
    assert b"Error" not in run.stderr
    assert run.stderr.endswith(b"code 1\n")


@posix
@pytest.mark.parametrize("over", ["--draw face.png < face.png", "--draw x.png > x.png"])
def test_streams_count_as_files_too(folder, over):
    before = (folder / "face.png").read_bytes()
    source = "-" if "<" in over else "face.png"
    run = shell(folder, f"fs analyze {source} {over}")
    assert run.returncode == 2
    assert (folder / "face.png").read_bytes() == before
    run = shell(folder, "fs analyze face.png >> face.png")
    assert run.returncode == 2
    assert (folder / "face.png").read_bytes() == before


@posix
def test_input_and_output_may_be_one_socket(folder):
    """As of a program that ssh started."""
    ours, theirs = socket.socketpair()
    command = [sys.executable, "-m", "faceshape", "analyze", "-"]
    with ours, subprocess.Popen(command, stdin=theirs, stdout=theirs) as run:
        theirs.close()
        ours.sendall((folder / "face.png").read_bytes())
        ours.shutdown(socket.SHUT_WR)
        with ours.makefile() as answer:
            assert "FaceShapeSet" in json.load(answer)["Response"]
        assert run.wait(PATIENCE) == 0
