"""The main jobs where Python lacks what it lacks on Windows; see `tests/windows/sitecustomize.py`.

Not Windows itself: files, pipes and processes are those of the system that the tests run on.
"""

import base64
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the real thing is here")
LOOK = Path(__file__).parent / "windows"
ROOT = LOOK.parents[1]
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([str(LOOK), str(ROOT)])}


def run(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "faceshape", *map(str, arguments)],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        **options,
    )


@pytest.fixture
def portrait_file(portrait, tmp_path):
    path = tmp_path / "portrait.png"
    Image.fromarray(portrait).save(path)
    return path


@pytest.fixture
def folder(portrait_file, tmp_path):
    album = tmp_path / "album"
    album.mkdir()
    for name in "abcd":
        (album / f"{name}.png").write_bytes(portrait_file.read_bytes())
    (album / "e.png").write_bytes(b"none")
    return album


def test_faceshape_sees_another_system():
    code = """
        import os, signal, sys
        import faceshape.processors, faceshape.vision.networks, faceshape.tencent.server.metrics
        assert os.fork and signal.SIGHUP and sys.platform != "win32" and os.name == "posix"
        assert not hasattr(faceshape.processors.os, "sched_getaffinity")
        assert not hasattr(faceshape.vision.networks.os, "register_at_fork")
        assert faceshape.tencent.server.metrics.os.name == "nt"
        import faceshape.batch.results
        assert faceshape.batch.results.sys.platform == "win32"
    """
    lines = "\n".join(line[8:] for line in code.splitlines())
    subprocess.run([sys.executable, "-c", lines], env=ENVIRONMENT, check=True, timeout=120)


def test_every_module_can_be_imported():
    code = (
        "import importlib, pkgutil, faceshape\n"
        "for module in pkgutil.walk_packages(faceshape.__path__, 'faceshape.'):\n"
        "    if '_pyinstaller' not in module.name and module.name != 'faceshape.__main__':\n"
        "        importlib.import_module(module.name)\n"
    )
    subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT, check=True, timeout=300)


@pytest.mark.parametrize("arguments", [["--version"], ["doctor"], ["models", "--verify"]])
def test_what_can_be_asked(arguments):
    found = run(*arguments)
    assert found.returncode == 0, found.stderr
    assert found.stdout


def test_one_photo(portrait_file, tmp_path):
    found = run("analyze", portrait_file, "--draw", tmp_path / "overlay.png")
    assert found.returncode == 0, found.stderr
    assert len(json.loads(found.stdout)["Response"]["FaceShapeSet"]) == 1
    assert (tmp_path / "overlay.png").stat().st_size > 0


def test_many_photos(folder, tmp_path):
    """With two workers, again with those that are missing, and never two runs at once."""
    output = tmp_path / "answers.jsonl"
    options = ("analyze", folder, "--output", output, "--workers", 2)
    found = run(*options)
    assert found.returncode in (0, 1), found.stderr
    whole = output.read_bytes()
    assert whole.count(b"FaceShapeSet") == 4
    assert whole.count(b"ImageDecodeFailed") == 1
    output.write_bytes(whole[: len(whole) // 2])
    assert run(*options, "--resume").returncode == found.returncode
    assert output.read_bytes() == whole
    code = f"""
import sys, pathlib
from faceshape.batch.results import ResultFile
with ResultFile(pathlib.Path({str(output)!r}), "a+b"):
    print("held", flush=True)
    sys.stdin.read()
"""
    holder = subprocess.Popen(
        [sys.executable, "-c", code],
        env=ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert holder.stdout.readline() == b"held\n"
        second = run(*options, "--resume")
        assert second.returncode != 0
        assert "another run is writing" in second.stderr
    finally:
        holder.communicate(timeout=60)
    assert output.read_bytes() == whole


def test_a_fleets_sandbox(portrait_file):
    code = f"""
from faceshape.fleet.sandbox import Sandbox
from faceshape.fleet.settings import FleetSettings
if __name__ == "__main__":
    with Sandbox(FleetSettings(memory_mib=500)) as sandbox:
        print(len(sandbox.analyze({str(portrait_file)!r}).points))
"""
    command = [sys.executable, "-c", code]
    assert subprocess.check_output(command, env=ENVIRONMENT, timeout=300) == b"1\n"


@pytest.mark.parametrize("workers", [1, 2])
def test_a_server_starts_answers_and_stops(portrait_file, tmp_path, workers):
    log = tmp_path / "log"
    with log.open("wb") as file:
        server = subprocess.Popen(
            [
                *(sys.executable, "-m", "faceshape", "serve", "--accept-any-signature"),
                *("--port", "0", "--threads", "1", "--workers", str(workers)),
            ],
            env=ENVIRONMENT,
            stderr=file,
        )
    try:
        until = time.monotonic() + 120
        while log.read_text().count("startup complete") < workers:
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.05)
        port = int(re.search(r"http://127\.0\.0\.1:(\d+)", log.read_text())[1])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        picture = base64.b64encode(portrait_file.read_bytes()).decode()
        headers = {
            "Content-Type": "application/json",
            "X-TC-Action": "AnalyzeFace",
            "X-TC-Version": "2020-03-03",
        }
        connection.request("POST", "/", json.dumps({"Image": picture}), headers)
        answer = json.loads(connection.getresponse().read())
        assert len(answer["Response"]["FaceShapeSet"]) == 1
        connection.request("GET", "/metrics")
        assert b"faceshape" in connection.getresponse().read()
        connection.close()
        server.send_signal(signal.SIGINT)  # Ctrl-C, which is all that Windows has of signals
        assert server.wait(60) == 0, log.read_text()
    finally:
        server.kill()
        server.wait()
    assert "Traceback" not in log.read_text()
