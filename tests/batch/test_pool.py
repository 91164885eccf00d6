import itertools
import json
import multiprocessing
import os
import re
import signal
import struct
import subprocess
import sys
import time
import uuid
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from faceshape.batch.pool import analyze_many
from faceshape.errors import ParameterError
from faceshape.tencent.api import face_response
from faceshape.types import Mode

CLI = (sys.executable, "-m", "faceshape")
PATIENCE = 300  # seconds, on a busy machine; on an idle one nothing here takes ten

posix = pytest.mark.skipif(os.name != "posix", reason="signals and process groups")


@pytest.fixture(scope="module")
def album(portrait, tmp_path_factory):
    """Twelve pictures of the astronaut, all different, in two folders."""
    folder = tmp_path_factory.mktemp("album")
    (folder / "more of them").mkdir()
    for index in range(12):
        name = f"{index:02}.png" if index % 3 else f"more of them/Größe {index:02}.png"
        Image.fromarray(np.roll(portrait, index - 6, axis=1)).save(folder / name)
    return folder


def without_id(response):
    return {key: value for key, value in response["Response"].items() if key != "RequestId"}


def test_results_are_those_of_the_engine_in_the_order_of_the_paths(
    album, engine, astronaut, tmp_path
):
    slow, broken, empty = (tmp_path / name for name in ("slow.png", "broken.jpg", "empty.png"))
    Image.fromarray(np.tile(astronaut, (2, 2, 1))).save(slow)
    broken.write_bytes(b"no picture")
    empty.touch()
    blank = tmp_path / "blank.bmp"
    Image.new("RGB", (100, 100)).save(blank)
    good = sorted(album.rglob("*.png"))[:4]
    odd = {
        broken: "FailedOperation.ImageDecodeFailed",
        empty: "InvalidParameterValue.ImageEmpty",
        blank: "InvalidParameterValue.NoFaceInPhoto",
        tmp_path: "FailedOperation.ImageDecodeFailed",
        tmp_path / "missing.jpg": "FailedOperation.ImageDecodeFailed",
        tmp_path / "no text \udcff.jpg": "FailedOperation.ImageDecodeFailed",
        tmp_path / "no path \0.jpg": "FailedOperation.ImageDecodeFailed",
    }
    paths = [slow, *good, *odd, slow, good[0]]

    results = list(analyze_many(paths, workers=2, mode=Mode.LARGEST))

    assert [result.path for result in results] == list(map(str, paths))
    assert [result.error for result in results] == [odd.get(path) for path in paths]
    assert all(bool(result.detail) == bool(result.error) for result in results)
    assert " at 0x" not in "".join(result.detail for result in results)
    for path, result in zip(paths, results, strict=True):
        if path not in odd:
            pixels = np.asarray(Image.open(path))
            wanted = face_response(engine.analyze(pixels, Mode.LARGEST), pixels.shape[:2])
            assert without_id(result.response) == without_id(wanted)
            assert result.faces == wanted["Response"]["FaceShapeSet"]
            identity = uuid.uuid5(uuid.NAMESPACE_URL, str(path))
            assert result.response["Response"]["RequestId"] == str(identity)
    assert results[0] == results[-2]


def test_options_reach_the_workers(portrait, tmp_path):
    turned, blank = tmp_path / "turned.png", tmp_path / "blank.png"
    Image.fromarray(np.rot90(portrait)).save(turned)
    Image.new("RGB", (100, 100)).save(blank)
    [found, nobody] = analyze_many([turned, blank], rotate=True, language="en-US")
    assert len(found.faces) == 1
    assert nobody.response["Response"]["Error"]["Message"].isascii()


def test_nothing_is_read_ahead_without_bound_and_nobody_stays_behind():
    asked = []
    endless = (asked.append(number) or f"missing {number}.png" for number in itertools.count())
    results = analyze_many(endless, workers=2)
    assert [next(results).path for _ in range(40)] == [f"missing {n}.png" for n in range(40)]
    assert len(asked) <= 40 + 2 * 8
    assert len(multiprocessing.active_children()) == 2
    results.close()
    assert multiprocessing.active_children() == []


def test_no_pictures_need_no_worker():
    assert list(analyze_many([], workers=4)) == []
    assert multiprocessing.active_children() == []


def test_wrong_arguments_are_refused():
    with pytest.raises(ParameterError, match="workers"):
        analyze_many([], workers=0)
    with pytest.raises(ParameterError, match="mode"):
        analyze_many([], mode=2)
    for timeout in (0, -1, float("nan")):
        with pytest.raises(ParameterError, match="picture_timeout"):
            analyze_many([], picture_timeout=timeout)
    with pytest.raises(ParameterError, match="detector"):  # known to the worker's engine alone
        list(analyze_many(["a.png"], detector="eyes"))
    assert multiprocessing.active_children() == []


def test_errors_of_the_caller_end_the_workers():
    def paths():
        yield "missing.png"
        raise LookupError("no more")

    with pytest.raises(LookupError):
        list(analyze_many(paths()))
    assert multiprocessing.active_children() == []


DEADLY = """
import os, sys, time
from faceshape import batch
from faceshape.batch import results, worker

def load_image(path, limits, real=worker.load_image):
    if "deadly" in path:
        os._exit(3)
    if "fatal" in path and not os.path.exists(path + ".seen"):
        open(path + ".seen", "x").close()
        os._exit(3)
    if "confusing" in path:
        raise RuntimeError("unforeseen")
    if "endless" in path:
        time.sleep(10 * 60)
    return real(path, limits)

worker.load_image = load_image  # in the workers as well: they import this script

if __name__ == "__main__":
    for result in batch.analyze_many(sys.argv[1:], workers=2, mode=1, picture_timeout=8):
        print(results.to_line(result), flush=True)
"""


def test_a_picture_that_kills_or_holds_its_worker_is_an_error(album, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(DEADLY, encoding="utf-8")
    good = sorted(map(str, album.rglob("*.png")))[:5]
    once = tmp_path / "fatal at first.png"
    once.write_bytes(Path(good[0]).read_bytes())
    paths = [
        "endless",
        good[0],
        "deadly",
        *good[1:3],
        str(once),
        "confusing",
        *good[3:],
        "endless 2",
    ]
    run = subprocess.run(
        [sys.executable, script, *paths], capture_output=True, text=True, timeout=PATIENCE
    )
    assert run.returncode == 0, run.stderr
    lines = [json.loads(line) for line in run.stdout.splitlines()]
    assert [line["Path"] for line in lines] == paths
    refused = {line["Path"]: line["Detail"] for line in lines if "Error" in line["Response"]}
    assert refused == {
        "endless": "not answered in 8 s",
        "endless 2": "not answered in 8 s",
        "deadly": "the worker process ended with exit code 3",
        "confusing": "RuntimeError('unforeseen')",
    }
    codes = {line["Response"].get("Error", {}).get("Code") for line in lines}
    assert codes == {None, "FailedOperation.ServerError", "FailedOperation.RequestTimeout"}
    assert "RuntimeError: unforeseen" in run.stderr


def test_a_worker_that_cannot_start_is_an_error(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("import faceshape.batch as b; list(b.analyze_many(['a.png']))")
    run = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=PATIENCE)
    assert run.returncode == 1
    assert "faceshape.batch.pool.WorkerError: a worker process ended with exit code 1" in run.stderr
    assert '__name__ == "__main__"' in run.stderr.splitlines()[-1]


def test_the_caller_loads_nothing_heavy():
    """The workers start before the caller has loaded what it may never need."""
    code = (
        "import sys, faceshape.cli.many_pictures, faceshape.cli.main;"
        "print({'numpy', 'cv2', 'onnxruntime', 'ssl'} & set(sys.modules))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE
    )
    assert run.stdout.split() == ["set()"], run.stderr


def start(*arguments):
    command = [*CLI, "analyze", *map(str, arguments)]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a process group of their own, to see who is left
    )


def wait_until(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.01)


def lines_of(path):
    return path.read_bytes().count(b"\n") if path.exists() else 0


def nobody_is_left(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


def list_detours(album, detours, listed):
    """List an album's pictures by several paths each: more work without more files."""
    names = [path.relative_to(album) for path in sorted(album.rglob("*.png"))]
    paths = [f"{album}{'/.' * detour}/{name}" for detour in range(detours) for name in names]
    listed.write_text("\n".join(paths), encoding="utf-8")
    return len(paths)


@posix
def test_killed_and_resumed_equals_unbroken(album, tmp_path):
    listed = tmp_path / "list.txt"
    count = list_detours(album, 5, listed)
    whole, table = tmp_path / "whole.jsonl", tmp_path / "whole.csv"
    options = ("--list", listed, "--mode", "largest", "--workers")
    run = start("--output", whole, "--csv", table, *options, 1)
    _, said = run.communicate(timeout=PATIENCE)
    assert run.returncode == 0, said
    assert said.startswith(f"pictures {count}, faces {count}, ")

    broken, torn_table = tmp_path / "broken.jsonl", tmp_path / "broken.csv"
    run = start("--output", broken, "--csv", torn_table, *options, 2)
    wait_until(lambda: lines_of(broken) >= 3)
    run.send_signal(signal.SIGKILL)  # the command alone: its workers must notice
    run.communicate(timeout=PATIENCE)
    answered = lines_of(broken)
    assert 3 <= answered < count
    wait_until(lambda: nobody_is_left(run.pid))
    assert whole.read_bytes().startswith(broken.read_bytes())

    missing = whole.read_bytes()[broken.stat().st_size :]
    with broken.open("ab") as file:
        file.write(missing[:1000])  # a torn line, should the kill not have left one
    run = start("--output", broken, "--csv", torn_table, "--resume", *options, 1)
    _, said = run.communicate(timeout=PATIENCE)
    assert run.returncode == 0, said
    assert said.startswith(f"pictures {count} ({answered} from before), faces {count}, ")
    assert broken.read_bytes() == whole.read_bytes()
    assert torn_table.read_bytes() == table.read_bytes()


START_FAILS = """
import os, sys
from faceshape import batch
from faceshape.batch import worker

if not os.path.exists(sys.argv[1]):
    open(sys.argv[1], "x").close()
    if __name__ != "__main__":
        os._exit(9)

if __name__ == "__main__":
    os.remove(sys.argv[1])
    print([result.error for result in batch.analyze_many(["missing.png"])])
"""


def test_a_worker_that_dies_while_it_starts_is_replaced(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(START_FAILS)
    run = subprocess.run(
        [sys.executable, script, tmp_path / "seen"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert run.stdout == "['FailedOperation.ImageDecodeFailed']\n", run.stderr


def test_a_stopped_program_does_not_take_the_time_of_its_pictures(monkeypatch):
    """A clock that leaps forward, as after Ctrl-Z or when a laptop slept, is no picture's fault."""
    leaps = itertools.count(0, 3600)
    monkeypatch.setattr("faceshape.batch.pool.time.monotonic", lambda: float(next(leaps)))
    [result] = analyze_many(["missing.png"], picture_timeout=30)
    assert result.error == "FailedOperation.ImageDecodeFailed"


@posix
def test_a_worker_ends_with_its_caller_in_the_midst_of_a_picture(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(DEADLY, encoding="utf-8")
    run = subprocess.Popen(
        [sys.executable, script, "missing.png", *(["endless"] * 3)],
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert b"missing.png" in run.stdout.readline()
    run.kill()
    run.communicate(timeout=PATIENCE)
    wait_until(lambda: nobody_is_left(run.pid))


@posix
def test_interrupted_it_ends_at_once_with_whole_lines(album, tmp_path):
    output = tmp_path / "out.jsonl"
    listed = tmp_path / "list.txt"
    count = list_detours(album, 200, listed)
    run = start("--list", listed, "--output", output, "--workers", 2)
    wait_until(lambda: lines_of(output) >= 2)
    started = time.monotonic()
    os.killpg(run.pid, signal.SIGINT)  # as a terminal does
    _, said = run.communicate(timeout=PATIENCE)
    assert time.monotonic() - started < 10
    assert run.returncode == 1
    assert said.splitlines()[-1] == "Aborted!"
    answered = lines_of(output)
    [stated] = re.findall(
        rf"(\d+) of {count} pictures are answered in {re.escape(str(output))}", said
    )
    assert abs(int(stated) - answered) <= 1  # it may be interrupted between the two
    assert "the same command with --resume" in said
    assert 2 <= answered < count
    assert output.read_bytes().endswith(b"\n")
    wait_until(lambda: nobody_is_left(run.pid))


@posix
def test_a_terminal_sees_the_progress(tmp_path):
    import fcntl  # not on Windows
    import termios

    listed = tmp_path / "list.txt"
    listed.write_text("missing 1.png\nmissing 2.png\n")
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    try:
        command = [*CLI, "analyze", "--list", listed, "--workers", "1"]
        run = subprocess.run(command, stdout=subprocess.PIPE, stderr=theirs, timeout=PATIENCE)
        said = os.read(ours, 10_000).decode()
    finally:
        os.close(ours)
        os.close(theirs)
    assert run.returncode == 0, said
    assert "2/2" in said
    assert "pictures 2, faces 0" in said
    assert len(run.stdout.splitlines()) == 2
