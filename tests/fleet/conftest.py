"""Pictures for runs, and a child process in which some pictures crash, hang or eat memory."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from faceshape.fleet import FleetSettings
from faceshape.fleet.sandbox import Sandbox

# Python runs this file when the child starts.
TROUBLE = """
import faceshape.vision.image as image

def load_image(source, *rest, real=image.load_image, **more):
    import os, signal, time
    name = source if isinstance(source, str) else ""
    if "crash" in name:
        os.kill(os.getpid(), signal.SIGSEGV)
    if "hang" in name:
        while True:
            time.sleep(1)
    if "eat" in name:
        bytearray(2**36)
    return real(source, *rest, **more)

image.load_image = load_image
"""


@pytest.fixture(scope="session")
def album(portrait, tmp_path_factory) -> Path:
    """Seven pictures with a face, one without and one that is no picture, in two folders."""
    folder = tmp_path_factory.mktemp("album")
    (folder / "more").mkdir()
    for index in range(7):
        name = f"more/{index}.png" if index % 2 else f"{index}.jpg"
        Image.fromarray(np.roll(portrait, index - 3, axis=1)).save(folder / name)
    Image.new("RGB", (100, 80)).save(folder / "blank.png")
    (folder / "broken.jpg").write_bytes(b"no picture")
    (folder / "notes.txt").write_text("not looked at")
    return folder


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """One child for the tests of a module."""
    with Sandbox(FleetSettings()) as shared:
        yield shared


@pytest.fixture
def trouble(tmp_path, monkeypatch) -> None:
    """Makes pictures with crash, hang or eat in their names do so in the child."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(TROUBLE)
    before = os.environ.get("PYTHONPATH")
    paths = [str(tmp_path / "site"), *([before] if before else [])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
