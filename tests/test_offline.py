"""No network and no file but those asked for, whatever the home folder is like.

Each command runs in a network namespace where that is allowed, below a filter that ends it at the
first socket that is not AF_UNIX. CI's own variables are not handed on: they alone would keep
onnxruntime quiet.
"""

import os
import subprocess
import sys
from pathlib import Path

import cv2
import pytest
from PIL import Image

import faceshape
from tests import sealed_process

SEAL = [sys.executable, sealed_process.__file__]
# Where there is no such filter: at least what Python itself asks for.
WATCH = """
import os, socket, sys
def watch(event, arguments):
    if event == "socket.__new__" and arguments[1] != socket.AF_UNIX:
        os.write(2, b"a socket\\n")
        os._exit(159)
sys.addaudithook(watch)
"""
COMMAND = WATCH + "from faceshape.cli.main import main; main()"
COMMANDS = {
    "analyze": ["analyze", "photo.png", "--draw", "out.png", "--indices"],
    "dlib": ["analyze", "photo.png", "--detector", "dlib"],
    "many": [
        "analyze",
        "folder",
        "--workers",
        "2",
        "--contact-sheet",
        "out.png",
        "--output",
        "out",
    ],
    "track": ["track", "video.avi", "--jsonl", "out"],
    "models": ["models", "--verify"],
    "bench": ["bench", "photo.png", "--rounds", "1", "--faces", "10"],
}
SUMMARY = {"many": "pictures 2", "track": "frames 2"}  # on standard error


@pytest.fixture(scope="session")
def namespace() -> list[str]:
    """What runs a command without a network, if this user may."""
    command = ["unshare", "--map-root-user", "--net"]
    try:
        allowed = subprocess.run([*command, "true"], capture_output=True).returncode == 0
    except OSError:
        allowed = False
    return command if allowed else []


@pytest.fixture
def folder(tmp_path, portrait):
    """A working folder with a photo, a folder of photos and a video."""
    work = tmp_path / "work"
    (work / "folder").mkdir(parents=True)
    for name in ("photo.png", "folder/a.png", "folder/b.png"):
        Image.fromarray(portrait).save(work / name)
    size = (portrait.shape[1], portrait.shape[0])
    writer = cv2.VideoWriter(str(work / "video.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 5, size)
    for _ in range(2):
        writer.write(cv2.cvtColor(portrait, cv2.COLOR_RGB2BGR))
    writer.release()
    return work


@pytest.fixture
def environment(tmp_path):
    """The variables of a bare machine; each folder that they name is empty."""
    folders = {
        "HOME": "home",
        "XDG_CACHE_HOME": "cache",
        "XDG_CONFIG_HOME": "config",
        "XDG_DATA_HOME": "data",
        "XDG_STATE_HOME": "state",
        "TMPDIR": "temporary",
    }
    variables = {name: str(tmp_path / "empty" / place) for name, place in folders.items()}
    for place in variables.values():
        Path(place).mkdir(parents=True)
    source = str(Path(faceshape.__file__).parents[1])
    return variables | {"PATH": os.defpath, "PYTHONPATH": source}


def run(command, namespace, folder, environment) -> subprocess.CompletedProcess[str]:
    options = {"cwd": folder, "env": environment, "capture_output": True, "text": True}
    done = subprocess.run([*namespace, *SEAL, *command], timeout=120, **options)
    if done.returncode == sealed_process.NO_FILTER:
        done = subprocess.run([*namespace, *command], timeout=120, **options)
    return done


def files_below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_asks_for_no_socket_and_leaves_no_file(
    name, namespace, folder, environment, tmp_path
):
    before = files_below(tmp_path)
    done = run([sys.executable, "-c", COMMAND, *COMMANDS[name]], namespace, folder, environment)
    assert done.returncode == 0, (done.returncode, done.stderr)
    assert done.stdout or name in SUMMARY
    assert done.stderr.startswith(SUMMARY.get(name, ""))
    assert len(done.stderr.splitlines()) == (name in SUMMARY)  # no warning
    made = files_below(tmp_path) - before
    assert made == {f"work/{each}" for each in COMMANDS[name] if each in ("out", "out.png")}


@pytest.mark.parametrize("home", ["read-only", "missing", "unset"])
def test_the_home_folder_is_not_needed(home, namespace, folder, environment):
    # Nobody can write to /proc, not even root, to whom a folder's permissions say nothing.
    places = {"read-only": "/proc/self", "missing": "/nowhere/at/all"}
    bare = {name: environment[name] for name in ("PATH", "PYTHONPATH")}
    if home in places:
        bare |= {"HOME": places[home], "XDG_CACHE_HOME": f"{places[home]}/cache"}
    command = [sys.executable, "-c", COMMAND, *COMMANDS["analyze"]]
    done = run(command, namespace, folder, bare)
    assert (done.returncode, done.stderr) == (0, "")
    assert '"FaceShapeSet"' in done.stdout


def test_an_engine_that_lives_asks_for_no_socket(namespace, folder, environment, tmp_path):
    """onnxruntime's telemetry looks up its host after some seconds, not at once."""
    code = WATCH + (
        "import time, faceshape, onnxruntime\n"
        "print(len(faceshape.FaceShapeEngine().analyze('photo.png')))\n"
        "time.sleep(10)\n"
    )
    done = run([sys.executable, "-c", code], namespace, folder, environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, "1\n", "")
    assert not files_below(tmp_path / "empty")


def test_who_imported_onnxruntime_before_is_told_at_debug_level(namespace, folder, environment):
    code = (
        "import onnxruntime, logging, faceshape; logging.basicConfig(level=logging.DEBUG);"
        "faceshape.FaceShapeEngine(threads=1); faceshape.FaceShapeEngine(threads=1)"
    )
    done = run([sys.executable, "-c", code], namespace, folder, environment)
    told = [line for line in done.stderr.splitlines() if "ORT_DISABLE_TELEMETRY=1" in line]
    assert len(told) == 1
    assert told[0].startswith("DEBUG:faceshape.vision.networks:")
    done = run(
        [sys.executable, "-c", code.replace("onnxruntime, ", "")], *(namespace, folder, environment)
    )
    assert "ORT_DISABLE_TELEMETRY" not in done.stderr


def test_what_the_environment_says_already_stays():
    code = "import os, faceshape; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    for given, kept in ({}, "1"), ({"ORT_DISABLE_TELEMETRY": "0"}, "0"):
        variables = {k: v for k, v in os.environ.items() if k != "ORT_DISABLE_TELEMETRY"}
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, env=variables | given, capture_output=True, text=True)
        assert done.stdout.strip() == kept
