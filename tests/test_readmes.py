"""Every shell and Python block of every README runs, or says why not.

A block is not run if the line before it is ``<!-- not run…: the reason -->``. The others run in a
folder with the pictures that they name.
"""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pytest
from PIL import Image

REPOSITORY = Path(__file__).parents[1]
PAGES = sorted(
    page.relative_to(REPOSITORY)
    for pattern in ("*.md", "faceshape/**/*.md", "models/*.md", "scripts/*.md", "benchmarks/*.md")
    for page in REPOSITORY.glob(pattern)
)
BLOCK = re.compile(
    r"(?:^<!-- not run[^:]*: (?P<why>.+?) -->\n)?^```(?P<kind>sh|python)\n(?P<code>.*?)^```",
    re.M | re.S,
)


class Block(NamedTuple):
    page: Path
    line: int
    kind: str
    code: str
    why_not: str | None


def blocks_of(page: Path) -> list[Block]:
    text = (REPOSITORY / page).read_text(encoding="utf-8")
    return [
        Block(
            page,
            text.count("\n", 0, match.start("code")),
            match["kind"],
            match["code"],
            match["why"],
        )
        for match in BLOCK.finditer(text)
    ]


BLOCKS = [block for page in PAGES for block in blocks_of(page)]


@pytest.fixture(scope="module")
def pictures(portrait, tmp_path_factory) -> Path:
    """A folder with what the READMEs name: a photo, a folder of photos, a video."""
    folder = tmp_path_factory.mktemp("readme")
    Image.fromarray(portrait).save(folder / "photo.jpg")
    (folder / "holiday").mkdir()
    for index in range(2):
        Image.fromarray(np.roll(portrait, index, axis=1)).save(folder / "holiday" / f"{index}.jpg")
    size = portrait.shape[1::-1]
    video = cv2.VideoWriter(str(folder / "talk.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 25, size)
    for _ in range(5):
        video.write(cv2.cvtColor(portrait, cv2.COLOR_RGB2BGR))
    video.release()
    return folder


@pytest.mark.parametrize(
    "block",
    [block for block in BLOCKS if block.why_not is None],
    ids=lambda block: f"{block.page}:{block.line}",
)
def test_the_block_runs(block, pictures):
    if block.kind == "sh" and os.name != "posix":
        pytest.skip("the shell blocks are for POSIX shells")
    command = (
        [sys.executable, "-c"] if block.kind == "python" else ["bash", "-euo", "pipefail", "-c"]
    )
    search = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    run = subprocess.run(
        [*command, block.code],
        cwd=pictures,
        env=os.environ | {"PATH": search},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr
    assert "Traceback" not in run.stderr


def test_some_blocks_run_and_the_others_say_why_not():
    kinds = {block.kind for block in BLOCKS if block.why_not is None}
    assert kinds == {"sh", "python"}
    assert all(len(block.why_not) > 10 for block in BLOCKS if block.why_not is not None)


def test_the_readme_is_read_to_its_end():
    assert len((REPOSITORY / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_inside_the_repository_lead_somewhere(page):
    text = (REPOSITORY / page).read_text(encoding="utf-8")
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)", text):
        linked = (REPOSITORY / page).parent / target if target else REPOSITORY / page
        assert linked.exists(), target
        if anchor:
            heads = re.findall(r"^#+ (.*)$", linked.read_text(encoding="utf-8"), re.M)
            assert anchor in {
                re.sub(r"[^\w\- ]", "", head).lower().replace(" ", "-") for head in heads
            }
