"""What goes wrong costs no row and doubles none; `pytest -v` lists it, and test_ray.py the rest."""

import os
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest

from faceshape.fleet import FleetSettings, on_local, pending, plan, status

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals and limits")

DECODE, SERVER = "FailedOperation.ImageDecodeFailed", "FailedOperation.ServerError"
PATIENCE = 300


@pytest.fixture(scope="module")
def troubled(album, trouble, rows, tmp_path_factory):
    """The answers of a run over good pictures and each kind of bad one, by file name."""
    folder = tmp_path_factory.mktemp("troubled")
    bad = ("corrupt.jpg", "missing.jpg", "crash.jpg", "hang.jpg", "eat.jpg")
    (folder / "corrupt.jpg").write_bytes((album / "0.jpg").read_bytes()[:200])
    names = [str(folder / name) for name in bad] + [str(album / f"{i}.jpg") for i in (0, 2, 4)]
    (folder / "list.txt").write_text("\n".join(names))
    out = str(folder / "out")
    plan(str(folder / "list.txt"), out, 4, FleetSettings(picture_seconds=5, memory_mib=500))
    assert sum(report.pictures for report in on_local(out, pending(out), 2)) == len(names)
    return {Path(path).name: row for path, row in rows(out).items()}


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        pytest.param("corrupt.jpg", DECODE, "", id="corrupt picture"),
        pytest.param("missing.jpg", DECODE, "no such file", id="missing file"),
        pytest.param("crash.jpg", SERVER, "exit code -11", id="crashes every time"),
        pytest.param("hang.jpg", "FailedOperation.RequestTimeout", "than 5 s", id="hangs"),
        pytest.param("eat.jpg", SERVER, "more than 500 MiB", id="eats memory"),
    ],
)
def test_a_bad_picture(troubled, name, code, message):
    assert troubled[name]["error_code"] == code
    assert message in troubled[name]["error_message"]
    assert troubled[name]["faces"] == []
    assert [len(troubled[f"{i}.jpg"]["faces"]) for i in (0, 2, 4)] == [1, 1, 1]


def test_a_worker_is_killed(held, rows, tmp_path):
    out = str(tmp_path / "out")
    plan(str(held.folder), out, 6)
    with _in_background(out, workers=1):
        [(child, _)] = held.wait(1)
        os.kill(child, signal.SIGKILL)
        held.wait(2)  # the picture is tried once more
        held.let_go()
    assert [len(row["faces"]) for row in rows(out).values()] == [1] * 6


def test_the_driver_is_killed_and_started_again(held, rows, tmp_path):
    out = str(tmp_path / "out")
    plan(str(held.folder), out, 1)
    command = [sys.executable, "-m", "faceshape", "fleet", "run", out, "--workers", "1"]
    with subprocess.Popen(command) as driver:
        held.wait(1)
        driver.kill()
    held.let_go()
    assert pending(out) == [1, 2, 3, 4, 5]
    subprocess.run(command, check=True, timeout=PATIENCE)
    assert [len(row["faces"]) for row in rows(out).values()] == [1] * 6
    assert (status(out).done, status(out).answered) == (6, 6)


def test_two_drivers_at_once(held, rows, tmp_path):
    out = str(tmp_path / "out")
    plan(str(held.folder), out, 3)
    with _in_background(out, workers=1), _in_background(out, workers=1):
        held.wait(2)
        held.let_go()
    assert [len(row["faces"]) for row in rows(out).values()] == [1] * 6


def test_a_disk_that_is_full(album, rows, tmp_path):
    out = str(tmp_path / "out")
    plan(str(album), out, 5)
    command = [sys.executable, "-m", "faceshape", "fleet", "run", out, "--workers", "1"]
    # No file may grow beyond 1 KiB: as a disk that is full, for this process alone.
    limited = ["bash", "-c", 'ulimit -f 1; exec "$@"', "_", *command]
    failed = subprocess.run(limited, capture_output=True, text=True, timeout=PATIENCE)
    assert failed.returncode == 1
    assert "Error: cannot write" in failed.stderr
    assert list((tmp_path / "out" / "answers").iterdir()) == []
    subprocess.run(command, check=True, timeout=PATIENCE)
    assert len(rows(out)) == 9


@contextmanager
def _in_background(out, workers):
    """Run all chunks in a thread meanwhile."""
    reports = []
    chunks = pending(out)
    thread = threading.Thread(target=lambda: reports.extend(on_local(out, chunks, workers)))
    thread.start()
    yield
    thread.join(PATIENCE)
    assert sorted(report.index for report in reports) == chunks
