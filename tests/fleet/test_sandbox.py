import os
import signal
import threading
import time

import numpy as np
import pytest

from faceshape.errors import FaceShapeError, ParameterError
from faceshape.fleet.sandbox import Sandbox
from faceshape.fleet.settings import FleetSettings

posix = pytest.mark.skipif(os.name != "posix", reason="signals and limits")


def test_answers_are_the_engines(album, engine, sandbox):
    for picture in (str(album / "0.jpg"), (album / "more/1.png").read_bytes()):
        [face] = engine.analyze(picture)
        answer = sandbox.analyze(picture)
        assert answer.error is None
        assert answer.size == (256, 256)
        assert answer.points == pytest.approx(face.points[None])
        assert answer.boxes == pytest.approx(face.box[None])
        assert answer.presence == pytest.approx([face.presence])


def test_a_picture_without_a_face_is_no_error(album, sandbox):
    answer = sandbox.analyze(str(album / "blank.png"))
    assert answer.error is None
    assert answer.points.shape == (0, 90, 2)
    assert answer.size == (100, 80)


@posix
@pytest.mark.usefixtures("trouble")
def test_trouble_costs_one_picture_each(album):
    with Sandbox(FleetSettings(picture_seconds=5, memory_mib=500)) as sandbox:
        broken = sandbox.analyze(str(album / "broken.jpg"))
        missing = sandbox.analyze(str(album / "missing.jpg"))
        crashed = sandbox.analyze("crash.jpg")
        late = sandbox.analyze("hang.jpg")
        greedy = sandbox.analyze("eat.jpg")
        fine = sandbox.analyze(str(album / "0.jpg"))
    assert broken.error[0] == "FailedOperation.ImageDecodeFailed"
    assert missing.error[0] == "FailedOperation.ImageDecodeFailed"
    assert crashed.error == (
        "FailedOperation.ServerError",
        f"the process ended with exit code {-signal.SIGSEGV}",
    )
    assert late.error == ("FailedOperation.RequestTimeout", "took longer than 5 s")
    assert greedy.error == ("FailedOperation.ServerError", "needs more than 500 MiB of memory")
    assert fine.error is None
    assert len(fine.points) == 1


@posix
def test_a_child_without_a_parent_ends(album):
    sandbox = Sandbox(FleetSettings())
    sandbox.analyze(str(album / "blank.png"))
    child = sandbox._child
    child.stdin.close()
    assert child.wait(timeout=60) == 0
    sandbox.close()


def test_closing_ends_a_wait(album, monkeypatch, trouble):
    sandbox = Sandbox(FleetSettings())
    sandbox.analyze(str(album / "blank.png"))
    failures = []

    def wait():
        try:
            sandbox.analyze("hang.jpg")
        except FaceShapeError as error:
            failures.append(str(error))

    thread = threading.Thread(target=wait)
    thread.start()
    time.sleep(0.5)
    sandbox.close()
    thread.join(timeout=60)
    assert failures == ["the sandbox is closed"]


def test_a_child_that_cannot_start(monkeypatch):
    with (
        Sandbox(FleetSettings(smallest_face=-1)) as sandbox,
        pytest.raises(ParameterError, match="smallest_face"),
    ):
        sandbox.analyze("a.jpg")


@pytest.mark.parametrize(
    "wrong", [{"mode": 2}, {"picture_seconds": 0}, {"memory_mib": 1}, {"nothing": 1}]
)
def test_settings_that_are_none(wrong):
    with pytest.raises(ParameterError):
        FleetSettings.from_mapping(wrong)


def test_json_on_request(album):
    with Sandbox(FleetSettings(cloud_json=True)) as sandbox:
        answers = [sandbox.analyze(str(album / name)) for name in ("0.jpg", "blank.png", "x.jpg")]
    kinds = ["FaceShapeSet", "NoFaceInPhoto", "ImageDecodeFailed"]
    for answer, kind in zip(answers, kinds, strict=True):
        assert kind in answer.response
    assert np.isfinite(answers[0].pose).all()
