import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from click.testing import CliRunner

import faceshape
from faceshape.cli import doctor as doctor_module
from faceshape.cli.main import main
from faceshape.processors import usable_processors
from faceshape.resources import models_directory
from faceshape.vision import networks


def doctor(*beside: Path) -> subprocess.CompletedProcess[str]:
    """Run it in a process of its own, with folders that are looked into before all others."""
    source = str(Path(faceshape.__file__).parents[1])
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([*map(str, beside), source])}
    command = [sys.executable, "-c", "from faceshape.cli.main import main; main()", "doctor"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)


@pytest.fixture
def other_distribution(tmp_path):
    """Makes a folder in which a distribution is installed that has a file of a module."""

    def make(name: str, version: str, file: str, content: str = "") -> Path:
        facts = tmp_path / f"{name.replace('-', '_')}-{version}.dist-info"
        facts.mkdir()
        (facts / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        )
        (facts / "RECORD").write_text(f"{file},,\n")
        (tmp_path / file).parent.mkdir()
        (tmp_path / file).write_text(content)
        return tmp_path

    return make


def test_a_sound_installation():
    told = doctor()
    assert (told.returncode, told.stderr) == (0, ""), told.stdout
    lines = dict(line.split("  ", 1) for line in re.sub(" {2,}", "  ", told.stdout).splitlines())
    assert lines["faceshape"].startswith(faceshape.__version__)
    assert lines["processors"].startswith(f"{usable_processors()} may be used")
    assert "CPUExecutionProvider" in lines["onnxruntime"]
    assert "telemetry off" in lines["onnxruntime"]
    assert re.search(r"opencv\S+ \d.*, cv2 \d.* threads: \d", lines["cv2"])
    for name, entry in networks.manifest().items():
        assert entry.sha256 in lines[f"model {name}"]


def test_two_opencvs_collide(other_distribution):
    told = doctor(other_distribution("opencv-contrib-python", "99.1", "cv2/its own.txt"))
    assert told.returncode == 1
    assert "1 problem found" in told.stderr
    assert re.search(
        r"cv2 +PROBLEM: opencv-contrib-python and opencv-python\S* overwrite", told.stdout
    )


def test_an_old_one_is_told_of(other_distribution):
    told = doctor(other_distribution("onnxruntime-gpu", "1.2", "onnxruntime/its own.txt"))
    assert told.returncode == 1
    assert re.search(r"PROBLEM: onnxruntime-gpu 1.2 is older than 1\.\d", told.stdout)


def test_a_broken_one_is_told_of(other_distribution):
    told = doctor(other_distribution("dlib", "99.0", "dlib/__init__.py", "raise OSError('libGL')"))
    assert told.returncode == 1
    assert re.search(r"dlib +PROBLEM: dlib 99.0.* cannot be used: OSError\('libGL'\)", told.stdout)


def test_files_of_another_version_are_told_of():
    module = ModuleType("cv2")
    module.__version__ = "3.0"
    [fault] = doctor_module._faults(module, "opencv>=1", [SimpleNamespace(name="b", version="4.0")])
    assert fault.startswith("the files are of version 3.0: those of b 4.0 were overwritten")


def test_a_changed_model_is_told_of(monkeypatch):
    monkeypatch.setattr(doctor_module, "_packages", lambda: iter(()))
    entry = networks.model_entry("eyes")
    changed = networks.ModelEntry("eyes", models_directory() / "manifest.json", entry.sha256, {})
    monkeypatch.setattr(networks, "manifest", lambda: {"eyes": changed})
    told = CliRunner().invoke(main, ["doctor"])
    assert told.exit_code == 1
    assert re.search("model eyes +PROBLEM: .*manifest.json has SHA-256", told.output)


@pytest.mark.parametrize(
    ("version", "least", "below"),
    [
        ("4.9", "4.10", True),
        ("4.10", "4.10", False),
        ("4.10.0.84", "4.10", False),
        ("2", "1.9.9", False),
        ("1.19", "1.19.0", False),
        ("1.9.post1", "1.19", True),
    ],
)
def test_versions_are_compared_by_their_numbers(version, least, below):
    assert doctor_module._is_below(version, least) == below
