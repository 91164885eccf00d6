import json
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import faceshape
from faceshape.cli.main import main
from faceshape.core.contract import GROUPS


@pytest.fixture(scope="module")
def photo(portrait, tmp_path_factory):
    path = tmp_path_factory.mktemp("photos") / "portrait.png"
    Image.fromarray(portrait).save(path)
    return path


def run(*arguments, **options):
    return CliRunner().invoke(main, [str(each) for each in arguments], **options)


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
    result = run("analyze", path, "--language", "en-US", "--cloud-limits")
    assert result.exit_code == 1
    error = json.loads(result.stdout)["Response"]["Error"]
    assert error["Code"] == code
    assert error["Message"].isascii()


@pytest.mark.parametrize("many", [(), ("--workers", 1)])
def test_the_clouds_limits_hold_only_when_asked_for(portrait, tmp_path, many):
    """A photo as phones take it: 4032 × 3024."""
    path = tmp_path / "phone.jpg"
    picture = Image.new("RGB", (4032, 3024))
    picture.paste(Image.fromarray(portrait).resize((1024, 1024)), (1500, 1000))
    picture.save(path)
    result = run("analyze", path, *many)
    assert result.exit_code == 0, result.output
    response = json.loads(result.stdout)["Response"]
    assert (response["ImageWidth"], response["ImageHeight"]) == (4032, 3024)
    assert len(response["FaceShapeSet"]) == 1
    refused = json.loads(run("analyze", path, "--cloud-limits", *many).stdout)["Response"]
    assert refused["Error"]["Code"] == "FailedOperation.ImageResolutionExceed"


def test_wrong_command_lines_exit_with_2(photo):
    assert run("analyze", "nowhere.jpg").exit_code == 2
    assert run("analyze", photo, "--mode", "2").exit_code == 2
    assert run("analyze", photo, "--threads", 0).exit_code == 2


def test_an_overlay_that_cannot_be_written_is_an_error(photo, tmp_path):
    result = run("analyze", photo, "--draw", tmp_path / "no" / "folder.png")
    assert result.exit_code == 1
    assert "FaceShapeSet" in json.loads(result.stdout)["Response"]  # the answer is not lost
    assert "cannot write" in result.stderr


def test_models_are_listed_and_verified():
    assert "landmarks" in run("models").output
    result = run("models", "--verify")
    assert result.exit_code == 0
    assert "as the manifest says" in result.output


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_lists_every_command(option):
    output = run(option).output
    for command in ("analyze", "bench", "models", "serve", "track"):
        assert command in output
        assert run(command, option).output.startswith("Usage: ")


def test_the_version_is_that_of_the_package():
    result = run("--version")
    assert (result.exit_code, result.output.split()[-1]) == (0, faceshape.__version__)


def test_the_package_runs_as_a_module():
    outputs = [
        subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=60)
        for arguments in (
            ("-m", "faceshape", "models"),
            ("-c", "from faceshape.cli.main import main; main(['models'])"),
        )
    ]
    assert outputs[0].returncode == 0
    assert outputs[0].stdout == outputs[1].stdout != ""
