import re
import subprocess
import sys

import pytest
from click.testing import CliRunner
from PIL import Image

from faceshape.cli.fleet import _duration
from faceshape.cli.main import main

pytest.importorskip("pyarrow", reason="the extra arrow")


def run(*arguments):
    return CliRunner().invoke(main, ["fleet", *map(str, arguments)])


@pytest.fixture
def folder(portrait, tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    Image.fromarray(portrait).save(folder / "0.png")
    Image.new("RGB", (50, 40)).save(folder / "1.png")
    (folder / "2.png").write_bytes(b"no picture")
    return folder


def test_from_plan_to_the_end(folder, tmp_path):
    out = tmp_path / "out"
    assert run("plan", folder, out, "--chunk", 1).stdout == "3 pictures in 3 chunks\n"
    assert run("status", out).exit_code == 1
    one = run("run", out, "--workers", 1, "--chunk-index", 2)
    assert one.exit_code == 0
    code = "FailedOperation.ImageDecodeFailed"
    counted = f"1 pictures, 1 analysed now, 1 with an error\n       1 {code}\n"
    assert one.stdout == counted
    half = run("status", out)
    assert half.exit_code == 1
    said = rf"1 of 3 chunks are done\n1 of 3 pictures are answered\n       1 {code}\n"
    assert re.fullmatch(
        said + r"[\d.]+ pictures/s while it ran\n.* left at this rate\n", half.stdout
    )
    rest = run("run", out, "--workers", 1)
    first = "chunk 0: 1 pictures, 0 errors; 1 of 2 chunks, "
    assert re.match(first + r"[\d.]+ pictures/s, .* left\n", rest.stderr)
    assert rest.stdout == "2 pictures, 2 analysed now, 0 with an error\n"
    whole = run("status", out)
    assert whole.exit_code == 0
    assert "left" not in whole.stdout
    (folder / "2.png").write_bytes((folder / "0.png").read_bytes())
    again = run("run", out, "--workers", 1, "--retry-errors", code)
    assert again.stdout == "3 pictures, 1 analysed now, 0 with an error\n"


def test_other_settings_are_refused(folder, tmp_path):
    run("plan", folder, tmp_path / "out")
    refused = run("plan", folder, tmp_path / "out", "--rotate")
    assert refused.exit_code == 1
    assert "other settings" in refused.stderr
    little = run("plan", folder, tmp_path / "little", "--picture-memory", 1)
    assert little.exit_code == 1
    assert "at least 64" in little.stderr
    missing = run("run", tmp_path / "nothing")
    assert missing.exit_code == 1
    assert "not planned" in missing.stderr


def test_nothing_else_loads_the_extras():
    code = (
        "import sys, faceshape.batch.pool, faceshape.cli.main, faceshape.engine;"
        "assert not {'pyarrow', 'ray'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)


def test_durations():
    assert [_duration(each) for each in (59, 119.6 * 60, 3600 * 30)] == [
        "59 s",
        "2 h 0 min",
        "30 h 0 min",
    ]
