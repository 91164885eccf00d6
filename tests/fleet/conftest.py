"""Pictures for runs, and child processes in which some of them crash, hang, wait or eat memory."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

import faceshape
from faceshape.fleet import FleetSettings
from faceshape.fleet.sandbox import Sandbox

# Python runs this file when a process starts; only children have something to do.
TROUBLE = """
import sys

def spoil(image):
    def load_image(source, *rest, real=image.load_image, **more):
        import os, pathlib, signal, time
        path = pathlib.Path(source if isinstance(source, str) else "")
        if "crash" in path.name:
            os.kill(os.getpid(), signal.SIGSEGV)
        if "hang" in path.name:
            while True:
                time.sleep(1)
        if "eat" in path.name:
            bytearray(2**36)
        if "hold" in path.name:
            path.with_name(f"{os.getpid()}.{os.getppid()}.held").touch()
            while not path.with_name("go").exists():
                time.sleep(0.05)
        return real(source, *rest, **more)

    image.load_image = load_image

if "faceshape.fleet.child" in sys.orig_argv:
    import faceshape.vision.image
    spoil(faceshape.vision.image)
"""
PATIENCE = 300  # seconds, on a busy machine


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


@pytest.fixture(scope="module")
def trouble(tmp_path_factory) -> Iterator[None]:
    """Makes pictures with crash, hang, eat or hold in their names do so in the child."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "sitecustomize.py").write_text(TROUBLE)
    source = str(Path(faceshape.__file__).parents[1])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(folder), source]))
        yield


class Held:
    """Pictures at which children wait, each telling who it is, until they are let go."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def wait(self, count: int) -> list[tuple[int, int]]:
        """Return the numbers of the first so many children that wait, and of their parents."""
        late = time.monotonic() + PATIENCE
        while len(found := list(self.folder.glob("*.held"))) < count:
            assert time.monotonic() < late, f"{len(found)} of {count} children have come"
            time.sleep(0.05)
        found.sort(key=lambda path: path.stat().st_mtime_ns)
        return [tuple(map(int, path.name.split(".")[:2])) for path in found[:count]]

    def let_go(self) -> None:
        (self.folder / "go").touch()


@pytest.fixture
def held(trouble, portrait, tmp_path) -> Held:
    """A folder with six pictures of a face, of which the second and the third are held."""
    folder = tmp_path / "held"
    folder.mkdir()
    for index, name in enumerate(("0", "1-hold", "2-hold", "3", "4", "5")):
        Image.fromarray(np.roll(portrait, index - 3, axis=1)).save(folder / f"{name}.png")
    return Held(folder)


@pytest.fixture(scope="session")
def rows() -> Callable[[str], dict[str, dict[str, Any]]]:
    """Returns the answers of a run by path; the plan's paths in its order, none doubled."""

    def read(out: str) -> dict[str, dict[str, Any]]:
        table = pq.read_table(f"{out}/answers")
        paths = table.column("path").to_pylist()
        assert paths == pq.read_table(f"{out}/plan").column("path").to_pylist()
        assert len(paths) == len(set(paths))
        return {row["path"]: row for row in table.to_pylist()}

    return read
