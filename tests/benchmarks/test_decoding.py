from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks.decoding.__main__ import main, wanted_answer


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("basn0g01.png", "read"),
        ("png/xcsn0g01.png", "refused"),
        ("g/rgb32bf.bmp", "read"),
        ("q/pal2.bmp", None),
        ("html/pal8.png", None),
        ("photos/xylophon.png", None),
    ],
)
def test_what_the_suites_ask_for(path, answer):
    assert wanted_answer(Path(path)) == answer


def test_a_folder(portrait, tmp_path):
    from tests.vision.formats.files import encoded

    good = encoded(portrait)
    (tmp_path / "g").mkdir()
    (tmp_path / "basn0g01.png").write_bytes(good)
    (tmp_path / "xs1n0g01.png").write_bytes(good[:50])
    (tmp_path / "g" / "rgb24.bmp").write_bytes(encoded(portrait, "BMP"))
    (tmp_path / "notes.txt").touch()
    run = CliRunner().invoke(main, [str(tmp_path)])
    assert run.exit_code == 0, run.output
    assert "xs1n0g01.png: refused, ImageDecodeError" in run.output
    assert "| . | 1 | 1 | 0 | 0 |" in run.output
    assert "| g | 1 | 0 | 0 | 0 |" in run.output
    (tmp_path / "g" / "rgb32.bmp").write_bytes(b"BM")
    run = CliRunner().invoke(main, [str(tmp_path)])
    assert run.exit_code == 1
    assert "WRONG g/rgb32.bmp: refused" in run.output
