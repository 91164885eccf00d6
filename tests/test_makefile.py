"""`make demo`, with programs in place of those that it would install."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

MAKEFILE = Path(__file__).parent.parent / "Makefile"

pytestmark = pytest.mark.skipif(
    os.name != "posix" or not MAKEFILE.exists() or shutil.which("make") is None,
    reason="needs make, and the repository",
)

# A Python that makes a "virtual environment" with itself and a faceshape, and notes its calls.
PYTHON = """#!/bin/sh
echo "$@" >> "$CALLS"
case "$*" in
    "-m pip --version") echo pip 1;;
    "-m pip install"*) echo Collecting faceshape;;
    "-m venv"*)
        mkdir -p .venv/bin
        rm -f .venv/bin/python
        cp "$0" .venv/bin/python
        cp faceshape .venv/bin/faceshape;;
esac
"""
FACESHAPE = """#!/bin/sh
echo '{"Response": {}}'
exit $FACESHAPE_EXITS_WITH
"""
PIPLESS = """#!/bin/sh
exit 1
"""


@pytest.fixture
def demo(tmp_path):
    shutil.copy(MAKEFILE, tmp_path)
    (tmp_path / "pyproject.toml").touch()
    for name, content in {"python": PYTHON, "faceshape": FACESHAPE}.items():
        (tmp_path / name).write_text(content)
        (tmp_path / name).chmod(0o755)

    def run(exits_with=0, **environment):
        path = os.environ["PATH"]
        run.calls = tmp_path / "calls.txt"
        run.calls.write_text("")
        return subprocess.run(
            ["make", "demo", f"PYTHON={tmp_path / 'python'}"],
            cwd=tmp_path,
            env={
                "PATH": path,
                "CALLS": str(run.calls),
                "FACESHAPE_EXITS_WITH": str(exits_with),
                **environment,
            },
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run


def test_the_response_is_all_of_its_output_and_the_rest_says_what_happens(demo, tmp_path):
    first = demo()
    assert (first.returncode, first.stdout) == (0, '{"Response": {}}\n'), first.stderr
    assert (tmp_path / "out" / "response.json").read_text() == first.stdout
    assert "Installing" in first.stderr
    assert "Collecting" in first.stderr
    again = demo()
    assert (again.returncode, again.stdout) == (0, first.stdout)
    assert "install" not in demo.calls.read_text()


def test_it_fails_when_analyze_fails(demo):
    failed = demo(exits_with=1)
    assert failed.returncode != 0
    assert "Response" in failed.stdout
    assert "The response is" not in failed.stderr


@pytest.mark.parametrize("what", ["no pip", "no python", "dangling", "not executable"])
def test_a_half_made_environment_is_made_anew(demo, tmp_path, what):
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    if what == "no pip":
        python.write_text(PIPLESS)
        python.chmod(0o755)
    elif what == "dangling":
        python.symlink_to("/nowhere/python")
    elif what == "not executable":
        python.touch()
    (tmp_path / ".venv" / "demo").touch()
    made = demo()
    assert made.returncode == 0, made.stderr
    assert "-m venv" in demo.calls.read_text()
    assert "-m pip install" in demo.calls.read_text()


def test_it_needs_no_home(demo, tmp_path):
    assert demo().returncode == 0
    assert demo(HOME="").returncode == 0
