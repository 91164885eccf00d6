"""The vendor's own SDKs, unmodified, against the server; installed from their registries.

``pytest -m sdk_matrix`` runs them; without the mark's name they are left out, for they need a
network. What was installed stays in pytest's cache. The newest Python SDK, which is a dependency of
the tests, is in `test_app`; the SDKs that no registry here has are in `test_sdk_requests`.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tencent.conftest import SECRET_ID, SECRET_KEY, picture

pytestmark = pytest.mark.sdk_matrix

CLIENTS = Path(__file__).parent / "clients"
SCHEMES = [
    f"{sign} {method}"
    for sign in ("TC3-HMAC-SHA256", "HmacSHA256", "HmacSHA1")
    for method in ("POST", "GET")
]
PYTHON_SDKS = {
    # The oldest of this package; it has no dependencies and says nothing of them.
    "3.0.252": ["tencentcloud-sdk-python-iai==3.0.252"],
    "3.0.1101": ["tencentcloud-sdk-python-iai==3.0.1101"],
    "newest": ["tencentcloud-sdk-python-iai"],
}
# tccli asks for the SDK of all services, 400 MB; these are the parts that it imports for iai.
TCCLI = [
    "--no-deps",
    "tccli==3.1.189.1",
    *(
        "tencentcloud-sdk-python-common",
        "tencentcloud-sdk-python-iai",
        "tencentcloud-sdk-python-cvm",
    ),
    *("certifi", "charset-normalizer", "cos-python-sdk-v5", "crcmod", "idna", "jmespath"),
    *("pycryptodome", "requests", "six", "urllib3", "xmltodict"),
]
NODE_SDK = "tencentcloud-sdk-nodejs@4.1.313"
INSTALL_SECONDS = 300


@pytest.fixture
def installed(request):
    """Name, command → a folder in which the command has run once; the test is skipped if it fails.

    The command's ``{folder}`` is that folder.
    """

    def install(name, command):
        folder = request.config.cache.mkdir(f"sdk_matrix_{name}")
        ready = folder / "ready.txt"
        if not ready.exists():
            command = [part.format(folder=folder) for part in command]
            try:
                run = subprocess.run(
                    command, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False
                )
            except subprocess.TimeoutExpired:
                pytest.skip(f"cannot be installed within {INSTALL_SECONDS} s")
            if run.returncode:
                pytest.skip(f"cannot be installed: {run.stderr.strip()[-300:]}")
            ready.write_text(" ".join(command))
        return folder

    return install


@pytest.fixture
def python_packages(installed):
    """Name, requirements → a folder for PYTHONPATH that has them and nothing else."""

    def install(name, requirements):
        options = ("--quiet", "--retries=1", "--no-compile", "--target", "{folder}")
        return installed(name, [sys.executable, "-m", "pip", "install", *options, *requirements])

    return install


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.txt"
    path.write_text(picture())
    return path


def run(command, key, photo, port, **environment):
    """Return what a client printed; without the packages of this Python."""
    done = subprocess.run(
        [*command, str(port), SECRET_ID, key, str(photo)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def check_answers(right, wrong):
    """Check what a client prints with the right key and with a wrong one."""
    calls = [(scheme, action) for scheme in SCHEMES for action in ("AnalyzeFace", "DetectFace")]
    assert [(scheme, action) for scheme, action, _ in right] == calls
    for scheme, action, answer in right:
        assert isinstance(answer, dict), (scheme, action, answer)
        if action == "AnalyzeFace":
            counts = [len(points) for points in answer["FaceShapeSet"][0].values()]
            assert sorted(counts) == [1, 1, 8, 8, 8, 8, 13, 21, 22], scheme
        else:
            assert answer["FaceInfos"][0]["Width"] > 0, scheme
        assert (answer["ImageWidth"], answer["ImageHeight"]) == (80, 64)
    refused = "AuthFailure.SignatureFailure"
    assert wrong == [[scheme, action, refused] for scheme, action in calls]


@pytest.mark.parametrize("version", PYTHON_SDKS)
def test_python(version, python_packages, photo, port):
    folder = python_packages(f"python_{version}", PYTHON_SDKS[version])
    command = [sys.executable, "-S", str(CLIENTS / "python_sdk.py")]
    check_answers(
        *(run(command, key, photo, port, PYTHONPATH=str(folder)) for key in (SECRET_KEY, "wrong"))
    )


@pytest.mark.skipif(shutil.which("npm") is None, reason="there is no Node.js")
def test_node(installed, photo, port):
    options = ("--no-audit", "--no-fund", "--ignore-scripts", "--prefix", "{folder}")
    folder = installed("node", [str(shutil.which("npm")), "install", *options, NODE_SDK])
    command = ["node", str(CLIENTS / "node_sdk.js")]
    modules = str(folder / "node_modules")
    check_answers(
        *(run(command, key, photo, port, NODE_PATH=modules) for key in (SECRET_KEY, "wrong"))
    )


def test_tccli(python_packages, tmp_path, port):
    folder = python_packages("tccli", TCCLI)
    call = tmp_path / "call.json"
    call.write_text(json.dumps({"Image": picture(), "Mode": 1}))

    def tccli(key):
        options = {
            "secretId": SECRET_ID,
            "secretKey": key,
            "region": "ap-guangzhou",
            "endpoint": f"http://127.0.0.1:{port}",
            "cli-input-json": f"file://{call}",
        }
        return subprocess.run(
            [sys.executable, "-S", "-m", "tccli.main", "iai", "AnalyzeFace"]
            + [word for name, value in options.items() for word in (f"--{name}", value)],
            env={**os.environ, "PYTHONPATH": str(folder), "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    answer = json.loads(tccli(SECRET_KEY).stdout)
    assert len(answer["FaceShapeSet"][0]["FaceProfile"]) == 21
    refused = tccli("wrong")
    assert "AuthFailure.SignatureFailure" in refused.stdout + refused.stderr
