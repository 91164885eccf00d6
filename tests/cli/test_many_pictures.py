import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from faceshape.batch.results import ResultFile
from faceshape.cli.main import main


def run(*arguments, **options):
    return CliRunner().invoke(main, [str(each) for each in arguments], **options)


def size(picture):
    with Image.open(picture) as opened:
        return opened.size


def paths_of(result):
    return [json.loads(line)["Path"] for line in result.stdout.splitlines()]


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
    assert paths_of(result) == [str(two), str(one), "no.png"]  # each once


def test_a_list_may_come_from_powershell(folder, tmp_path):
    listed = tmp_path / "list.txt"
    one, two = folder / "1.png", folder / "2.png"
    listed.write_bytes(f"{one}\r\n{two}\r\n".encode("utf-16"))
    assert paths_of(run("analyze", "--list", listed, "--workers", 1)) == [str(one), str(two)]


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


@pytest.mark.parametrize(
    "other",
    [
        ("--mode", "largest"),
        ("--rotate",),
        ("--language", "en-US"),
        ("--detector", "dlib"),
        ("--cloud-limits",),
    ],
)
def test_other_options_do_not_continue_a_file_unless_told(folder, tmp_path, other):
    output = tmp_path / "out.jsonl"
    command = ("analyze", folder / "3.png", "--output", output, "--workers", 1)
    assert run(*command).exit_code == 0
    before = output.read_bytes()
    refused = run(*command, "--resume", *other)
    assert refused.exit_code == 1
    assert other[0].strip("-").replace("-", "_") in refused.stderr
    assert output.read_bytes() == before
    assert run(*command, "--resume", "--workers", 2).exit_code == 0
    assert run(*command, "--resume-anyway", *other).exit_code == 0
    assert run(*command, "--resume", *other).exit_code == 0  # these are its options now
    assert output.read_bytes() == before


@pytest.mark.parametrize("kind", ["empty", "others"])
def test_a_folder_without_pictures_says_so(tmp_path, kind):
    if kind == "others":
        for name in ("a.txt", "b.TXT", "c.mov", "README"):
            (tmp_path / name).touch()
    output = tmp_path / "out.jsonl"
    result = run("analyze", tmp_path, "--output", output)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert f"no picture in {tmp_path}" in result.stderr
    assert not output.exists()
    if kind == "others":
        assert "skipped 4 in folders: 2 .txt, 1 " in result.stderr
        assert "1 without extension" in result.stderr


def test_an_empty_list_says_so():
    result = run("analyze", "--list", "-", input="\n\n")
    assert result.exit_code == 1
    assert "no picture" in result.stderr


def test_what_is_no_picture_is_counted(folder, tmp_path):
    (tmp_path / "1.PNG").write_bytes((folder / "1.png").read_bytes())
    (tmp_path / "clip.mov").touch()
    result = run("analyze", tmp_path, "--workers", 1)
    assert result.exit_code == 0
    assert result.stderr.splitlines()[-1] == "skipped 1 in folders: 1 .mov"


def test_a_folder_that_cannot_be_read_is_reported_and_the_rest_answered(
    folder, tmp_path, monkeypatch
):
    """Root may read everything, so the refusal is a made one."""
    (tmp_path / "1.png").write_bytes((folder / "1.png").read_bytes())
    (tmp_path / "secret").mkdir()
    scandir = os.scandir

    def refuse(path):
        if Path(path).name == "secret":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    result = run("analyze", tmp_path, "--workers", 1)
    assert result.exit_code == 0, result.output
    assert paths_of(result) == [str(tmp_path / "1.png")]
    assert f"cannot read {tmp_path / 'secret'}: Permission denied" in result.stderr
    result = run("analyze", tmp_path / "secret")
    assert result.exit_code == 1
    assert "Permission denied" in result.stderr


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--resume"],
        ["--resume-anyway"],
        ["--draw", "x.png"],
        ["--pretty"],
        ["--threads", 1],
        ["nowhere*.jpg"],
        ["-"],
        ["--workers", 0],
        ["--picture-timeout", 0],
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


def test_a_run_that_could_not_begin_leaves_nothing_behind(folder, tmp_path):
    output, table = tmp_path / "out.jsonl", tmp_path / "out.csv"
    sheet = tmp_path / "no" / "folder.png"
    options = ("--output", output, "--csv", table, "--contact-sheet", sheet)
    assert run("analyze", folder, *options).exit_code == 1
    assert list(tmp_path.iterdir()) == []


def outputs_over_inputs():
    """(options after `analyze`, name of what may not change); {} is a folder with the pictures."""
    yield ["{}/1.png", "--draw", "{}/1.png"], "1.png"
    yield ["{}/1.png", "--draw", "{}/../{name}/1.png"], "1.png"
    yield ["{}/1.png", "--draw", "{}/link.png"], "1.png"
    yield ["{}/1.png", "--draw", "{}/hard.png"], "1.png"
    yield ["{}/link.png", "--draw", "{}/1.png"], "1.png"
    for option in ("--csv", "--contact-sheet", "--output"):
        yield ["{}", option, "{}/2.png"], "2.png"
        yield ["{}/1.png", "--workers", "1", option, "{}/hard.png"], "1.png"
        yield ["--list", "{}/list.txt", option, "{}/link.png"], "1.png"
        yield ["--list", "{}/list.txt", option, "{}/list.txt"], "list.txt"
    yield ["--list", "{}/list.txt", "--resume", "--output", "{}/list.txt"], "list.txt"


@pytest.fixture
def copies(folder, tmp_path):
    for name in ("1.png", "2.png"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    (tmp_path / "list.txt").write_text(f"{tmp_path / '1.png'}\n")
    try:
        (tmp_path / "link.png").symlink_to("1.png")
        (tmp_path / "hard.png").hardlink_to(tmp_path / "1.png")
    except OSError:
        pytest.skip("this disk has no links")
    return tmp_path


@pytest.mark.parametrize(("options", "precious"), list(outputs_over_inputs()))
def test_nothing_that_is_read_is_overwritten(copies, options, precious):
    before = (copies / precious).read_bytes()
    names = sorted(path.name for path in copies.iterdir())
    arguments = [each.replace("{name}", copies.name).replace("{}", str(copies)) for each in options]
    result = run("analyze", *arguments)
    assert result.exit_code == 2
    assert "would overwrite" in result.stderr
    assert (copies / precious).read_bytes() == before
    assert sorted(path.name for path in copies.iterdir()) == names


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x", "x"),
        ("x", "../{name}/x"),
        ("x", "X"),  # one file on many disks
        ("x", "x.options.json"),
        ("there", "link"),
        ("there", "hard"),
        ("dangling", "nowhere"),
    ],
)
@pytest.mark.parametrize("options", [("--output", "--csv"), ("--output", "--contact-sheet")])
def test_two_outputs_are_two_files(folder, tmp_path, options, one, other):
    try:
        (tmp_path / "there").touch()
        (tmp_path / "link").symlink_to("there")
        (tmp_path / "hard").hardlink_to(tmp_path / "there")
        (tmp_path / "dangling").symlink_to("nowhere")
    except OSError:
        pytest.skip("this disk has no links")
    names = sorted(path.name for path in tmp_path.iterdir())
    files = [tmp_path / each.format(name=tmp_path.name) for each in (one, other)]
    result = run("analyze", folder, options[0], files[0], options[1], files[1])
    assert result.exit_code == 2
    assert "would write the same file" in result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == names


def test_two_runs_on_one_file_do_not_mix(folder, tmp_path):
    output, table = tmp_path / "out.jsonl", tmp_path / "out.csv"
    command = ("analyze", folder / "3.png", "--output", output, "--csv", table, "--workers", 1)
    assert run(*command).exit_code == 0
    before = output.read_bytes(), table.read_bytes()
    names = [output]
    if os.name == "posix":
        names += [tmp_path / "link.jsonl", tmp_path / "hard.jsonl"]
        names[1].symlink_to(output)
        names[2].hardlink_to(output)
    with ResultFile.resume(output, {}):
        for name in names:
            result = run("analyze", folder, "--output", name, "--csv", table, "--resume")
            assert result.exit_code == 1
            assert "another run is writing" in result.stderr
    assert (output.read_bytes(), table.read_bytes()) == before
    assert run("analyze", folder, "--output", output, "--resume-anyway").exit_code == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize("option", ["--output", "--csv", "--contact-sheet"])
def test_a_full_disk_is_an_error_with_its_name(folder, option):
    result = run("analyze", folder / "1.png", "--workers", 1, option, "/dev/full")
    assert result.exit_code == 1
    assert result.stderr == "Error: [Errno 28] No space left on device: '/dev/full'\n"


@pytest.mark.skipif(os.name != "posix", reason="pipes with names")
def test_output_may_be_a_pipe(folder, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    command = (sys.executable, "-m", "faceshape", "analyze", folder / "3.png", "--output", pipe)
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    with pipe.open() as lines:
        [line] = lines
    assert process.wait(60) == 0
    assert json.loads(line)["Path"] == str(folder / "3.png")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pipe"]
