"""The models reach a wheel as well as an editable installation."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from faceshape.resources import models_directory

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def unpacked_wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, timeout=120)
    [wheel] = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_the_wheel_is_complete(unpacked_wheel):
    package = unpacked_wheel / "faceshape"
    assert (package / "py.typed").exists()
    shipped = {path.relative_to(package / "_models") for path in (package / "_models").rglob("*.*")}
    source = REPOSITORY / "models"
    assert shipped == {path.relative_to(source) for path in source.rglob("*.*")}
    assert Path("landmarks.onnx") in shipped
    page = Path("faceshape/tencent/server/explorer/page")
    assert _files(unpacked_wheel / page) == _files(REPOSITORY / page)
    assert Path("index.html") in _files(unpacked_wheel / page)


def _files(folder: Path) -> set[Path]:
    return {path.relative_to(folder) for path in folder.rglob("*.*")}


def test_the_wheel_finds_its_own_models(unpacked_wheel):
    code = (
        "from skimage import data; import faceshape, faceshape.resources as r;"
        "print(r.models_directory());"
        "print(len(faceshape.FaceShapeEngine(threads=1).analyze(data.astronaut()[:256, 96:352])))"
    )
    environment = os.environ | {"PYTHONPATH": str(unpacked_wheel)}
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=unpacked_wheel,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    folder, faces = run.stdout.split()
    assert Path(folder).resolve() == (unpacked_wheel / "faceshape" / "_models").resolve()
    assert faces == "1"


def test_a_source_tree_finds_its_models():
    assert (models_directory() / "manifest.json").exists()
