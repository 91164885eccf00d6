import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from faceshape.cli.main import main
from faceshape.core.contract import GROUPS


@pytest.fixture(scope="module")
def photo(portrait, tmp_path_factory):
    path = tmp_path_factory.mktemp("photos") / "portrait.png"
    Image.fromarray(portrait).save(path)
    return path


def run(*arguments, **options):
    return CliRunner().invoke(main, [str(each) for each in arguments], **options)


def size(picture):
    with Image.open(picture) as opened:
        return opened.size


def test_analyze_prints_the_response(photo, face):
    result = run("analyze", photo, "--mode", "largest", "--threads", 1)
    assert result.exit_code == 0, result.output
    response = json.loads(result.stdout)["Response"]
    assert (response["ImageWidth"], response["ImageHeight"]) == (256, 256)
    [shape] = response["FaceShapeSet"]
    counts = [len(shape[group]) for group in GROUPS]
    assert counts == [21, 8, 8, 8, 8, 22, 13, 1, 1]
    found = [[point["X"], point["Y"]] for group in GROUPS for point in shape[group]]
    assert np.abs(np.array(found) + 0.5 - face.points).max() <= 0.5


def test_standard_input_pretty_and_overlay(photo, portrait, tmp_path):
    picture = tmp_path / "overlay.png"
    options = ("-", "--mode", "largest", "--pretty", "--draw", picture)
    result = run("analyze", *options, input=photo.read_bytes())
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith('{\n  "Response"')
    drawn = np.asarray(Image.open(picture))
    assert drawn.shape == portrait.shape
    changed = (drawn != portrait).any(axis=2).mean()
    assert 0.005 < changed < 0.1


def test_an_overlay_may_have_numbers(photo, tmp_path):
    pictures = tmp_path / "plain.png", tmp_path / "numbered.png"
    for picture, options in zip(pictures, ((), ("--indices",)), strict=True):
        assert run("analyze", photo, "--draw", picture, *options).exit_code == 0
    plain, numbered = (np.asarray(Image.open(picture)) for picture in pictures)
    assert (plain != numbered).any(axis=2).mean() > 0.01
    assert run("analyze", photo, "--indices").exit_code == 2


def test_a_turned_photo_needs_rotate(portrait, tmp_path):
    path = tmp_path / "turned.png"
    Image.fromarray(np.rot90(portrait)).save(path)
    assert run("analyze", path, "--rotate", "--mode", "largest").exit_code == 0
    result = run("analyze", path)
    assert result.exit_code == 1
    error = json.loads(result.stdout)["Response"]["Error"]
    assert error == {"Code": "InvalidParameterValue.NoFaceInPhoto", "Message": "图片中没有人脸。"}


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "InvalidParameterValue.ImageEmpty"),
        (b"GIF89a...", "FailedOperation.ImageDecodeFailed"),
        (b"0" * 4_000_000, "FailedOperation.ImageSizeExceed"),
    ],
)
def test_errors_are_answers(tmp_path, content, code):
    path = tmp_path / "odd.jpg"
    path.write_bytes(content)
    result = run("analyze", path, "--language", "en-US")
    assert result.exit_code == 1
    error = json.loads(result.stdout)["Response"]["Error"]
    assert error["Code"] == code
    assert error["Message"].isascii()


def test_wrong_command_lines_exit_with_2(photo):
    assert run("analyze", "nowhere.jpg").exit_code == 2
    assert run("analyze", photo, "--mode", "2").exit_code == 2
    assert run("analyze", photo, "--threads", 0).exit_code == 2


@pytest.fixture(scope="module")
def folder(portrait, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    Image.fromarray(portrait).save(folder / "1.png")
    Image.fromarray(portrait[:, ::-1]).save(folder / "2.png")
    Image.new("RGB", (100, 100)).save(folder / "3.png")
    return folder


def test_a_folder_becomes_lines(folder, tmp_path):
    sheet, table = tmp_path / "sheet.png", tmp_path / "faces.csv"
    options = ("--contact-sheet", sheet, "--csv", table, "--mode", "largest", "--workers", 2)
    result = run("analyze", folder, *options)
    assert result.exit_code == 0, result.output
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["Path"] for line in lines] == [str(folder / f"{n}.png") for n in (1, 2, 3)]
    assert ["FaceShapeSet" in line["Response"] for line in lines] == [True, True, False]
    assert size(sheet) == (320, 176)
    assert len(table.read_text(encoding="utf-8").splitlines()) == 1 + 2
    summary = result.stderr.splitlines()
    assert summary[0].startswith("pictures 3, faces 2, ")
    assert summary[1].split() == ["1", "InvalidParameterValue.NoFaceInPhoto"]


def test_a_list_may_come_from_standard_input(folder):
    one, two = folder / "1.png", folder / "2.png"
    result = run("analyze", two, "--list", "-", "--workers", 1, input=f"{one}\n\nno.png\n{two}")
    assert result.exit_code == 0, result.output
    paths = [json.loads(line)["Path"] for line in result.stdout.splitlines()]
    assert paths == [str(two), str(one), "no.png"]  # each once


def test_resume_skips_what_is_answered_and_output_is_not_overwritten(folder, tmp_path):
    output, sheet = tmp_path / "out.jsonl", tmp_path / "sheet.png"
    command = ("analyze", folder / "1.png", "--output", output, "--workers", 1)
    assert run(*command, "--resume").exit_code == 0
    [first] = output.read_text().splitlines()
    refused = run(*command)
    assert refused.exit_code == 1
    assert "--resume" in refused.stderr
    again = ("analyze", folder, "--output", output, "--resume", "--contact-sheet", sheet)
    result = run(*again)
    assert result.exit_code == 0, result.output
    assert result.stderr.startswith("pictures 3 (1 from before), faces 2, ")
    assert output.read_text().splitlines()[0] == first
    assert [json.loads(line)["Path"] for line in output.read_text().splitlines()] == [
        str(folder / f"{n}.png") for n in (1, 2, 3)
    ]
    assert size(sheet) == (320, 176)
    output.write_text("something else\n")
    result = run(*again)
    assert result.exit_code == 1
    assert "line 1 is not a result" in result.stderr


def test_an_empty_folder_is_no_error(tmp_path):
    result = run("analyze", tmp_path)
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr.startswith("pictures 0, faces 0, ")


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--resume"],
        ["--draw", "x.png"],
        ["--pretty"],
        ["--threads", 1],
        ["nowhere*.jpg"],
        ["-"],
        ["--workers", 0],
        ["--list", "nowhere.txt"],
    ],
)
def test_wrong_command_lines_for_many_exit_with_2(folder, options):
    sources = [folder, folder] if options else []
    assert run("analyze", *sources, *options).exit_code == 2


@pytest.mark.parametrize("option", ["--output", "--csv", "--contact-sheet"])
def test_a_file_that_cannot_be_written_is_an_error_before_any_work(folder, tmp_path, option):
    result = run("analyze", folder, option, tmp_path / "no" / "folder")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "No such file" in result.stderr


def test_an_overlay_that_cannot_be_written_is_an_error(photo, tmp_path):
    result = run("analyze", photo, "--draw", tmp_path / "no" / "folder.png")
    assert result.exit_code == 1
    assert "cannot write" in result.stderr


def test_models_are_listed_and_verified():
    assert "landmarks" in run("models").output
    result = run("models", "--verify")
    assert result.exit_code == 0
    assert "as the manifest says" in result.output


def test_help_lists_every_command():
    output = run("--help").output
    for command in ("analyze", "models", "serve"):
        assert command in output
