"""A program that imports faceshape is frozen by PyInstaller, by the hook of the package alone."""

import os
import subprocess
import sys
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

import pytest
from PIL import Image

import faceshape
from faceshape.core.contract import GROUPS
from faceshape.vision.networks import manifest

PROGRAM = """
import multiprocessing, sys
import faceshape
from faceshape.cli.main import main
from faceshape.core.contract import GROUPS

if __name__ == "__main__":
    multiprocessing.freeze_support()
    photo = sys.argv[1]
    for detector in "onnx", "dlib":
        [face] = faceshape.FaceShapeEngine(detector).analyze(photo, faceshape.Mode.LARGEST)
        print("points", *(len(face.group(name)) for name in GROUPS))
    for result in faceshape.batch.analyze_many([photo, photo], workers=2):
        print("faces", len(result.faces))
    print("picture", len(face._repr_png_()) > 1000)
    main(["models", "--verify"], standalone_mode=False)
    main(["--version"])
"""


def test_the_hook_is_announced_and_there():
    [point] = [each for each in entry_points(group="pyinstaller40") if "faceshape" in each.value]
    [folder] = point.load()()
    assert (Path(folder) / "hook-faceshape.py").is_file()


@pytest.mark.slow
@pytest.mark.skipif(not find_spec("PyInstaller"), reason="PyInstaller is not installed")
def test_a_frozen_program_analyses(tmp_path, portrait):
    (tmp_path / "program.py").write_text(PROGRAM)
    Image.fromarray(portrait).save(tmp_path / "photo.png")
    command = [sys.executable, "-m", "PyInstaller", "--onedir", "--noconfirm", "program.py"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=1200)
    environment = {"PATH": os.defpath, "HOME": str(tmp_path / "home")}
    frozen = subprocess.run(
        [tmp_path / "dist/program/program", "photo.png"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (frozen.returncode, frozen.stderr) == (0, "")
    lines = frozen.stdout.splitlines()
    counts = " ".join(str(rows.stop - rows.start) for rows in GROUPS.values())
    assert lines[:5] == [f"points {counts}"] * 2 + ["faces 1"] * 2 + ["picture True"]
    assert frozen.stdout.count("as the manifest says") == len(manifest())
    assert "program/_internal/faceshape/_models" in frozen.stdout
    assert lines[-1].endswith(f"version {faceshape.__version__}")
