import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from faceshape.bench import BatchTimes, by_turns, resampler_times, stage_times
from faceshape.cli.main import main
from faceshape.errors import ParameterError


@pytest.fixture(scope="module")
def photo(portrait, tmp_path_factory):
    path = tmp_path_factory.mktemp("bench") / "portrait.jpg"
    path.write_bytes(cv2.imencode(".jpg", portrait[:, :, ::-1])[1].tobytes())
    return path


def test_calls_take_turns():
    order = []
    calls = {"a": lambda: order.append("a"), "b": lambda: order.append("b")}
    times = by_turns(calls, 3)
    assert "".join(order) == "ab" * 4  # one round to warm up
    assert all(each.shape == (3,) and (each >= 0).all() for each in times.values())


def test_batches_grow_tenfold():
    batches = list(resampler_times(20, 2))
    assert [batch.faces for batch in batches] == [1, 10]
    assert all((batch.resample > 0).all() and (batch.copy > 0).all() for batch in batches)


def test_rates_are_those_of_the_medians():
    batch = BatchTimes(100, np.array([1.0, 2.0, 50.0]), np.array([0.5, 0.5, 1.0]))
    assert batch.faces_per_second == 50_000
    assert batch.times_a_copy == 4


def test_the_whole_takes_longer_than_any_stage(photo):
    stages = stage_times(photo.read_bytes(), 1, 3)
    whole = np.median(stages.pop("the whole: analyze"))
    assert len(stages) == 4
    assert all(np.median(times) < 2 * whole for times in stages.values())


def test_a_picture_without_a_face_cannot_be_measured():
    blank = cv2.imencode(".png", np.zeros((64, 64, 3), np.uint8))[1].tobytes()
    with pytest.raises(ParameterError, match="no face"):
        stage_times(blank, 1, 1)


def test_the_command_prints_both_tables(photo):
    result = CliRunner().invoke(main, ["bench", str(photo), "--faces", "10", "--rounds", "1"])
    assert result.exit_code == 0, result.output
    head, one, ten, _, stages, *rest = result.output.splitlines()
    assert head.startswith("faces in a batch")
    assert (one.split()[0], ten.split()[0]) == ("1", "10")
    assert stages == "stage, ms with 1 thread"
    assert len(rest) == 5


def test_the_command_refuses_what_it_cannot_measure(tmp_path):
    text = tmp_path / "photo.jpg"
    text.write_text("no picture")
    arguments = ["bench", str(text), "--faces", "1", "--rounds", "1"]
    assert "not a picture" in CliRunner().invoke(main, arguments).output
    missing = CliRunner().invoke(main, ["bench", str(tmp_path / "none.jpg")])
    assert missing.exit_code == 2
