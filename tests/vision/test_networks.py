import dataclasses
import hashlib
import subprocess
import sys

import numpy as np
import pytest

import faceshape
from faceshape import resources
from faceshape.errors import ModelError, ParameterError
from faceshape.vision.networks import (
    CPU_ONLY,
    OnnxModel,
    manifest,
    model_entry,
    present_providers,
    runtime,
    verified_bytes,
)


@pytest.fixture
def landmarks():
    return model_entry("landmarks")


def test_every_model_is_the_one_the_manifest_names():
    assert {"alignment", "detector", "eyes", "landmarks"} <= set(manifest())
    for entry in manifest().values():
        assert len(verified_bytes(entry)) == entry.facts["bytes"]
        assert {"input", "metrics", "training", "licence"} <= set(entry.facts)


def test_a_changed_file_is_refused(landmarks, tmp_path):
    changed = tmp_path / "landmarks.onnx"
    changed.write_bytes(landmarks.path.read_bytes()[:-1] + b"\0")
    with pytest.raises(ModelError, match="SHA-256"):
        OnnxModel(dataclasses.replace(landmarks, path=changed))


def test_a_missing_file_is_refused(landmarks, tmp_path):
    with pytest.raises(ModelError, match="cannot be read"):
        OnnxModel(dataclasses.replace(landmarks, path=tmp_path / "none.onnx"))


def test_a_file_that_is_no_model_is_refused(landmarks, tmp_path):
    text = tmp_path / "text.onnx"
    text.write_bytes(b"no model")
    digest = hashlib.sha256(b"no model").hexdigest()
    with pytest.raises(ModelError, match="cannot open"):
        OnnxModel(dataclasses.replace(landmarks, path=text, sha256=digest))


def test_unknown_models_are_refused():
    with pytest.raises(ModelError, match="landmarks"):
        model_entry("nose")


def test_a_batch_of_another_shape_is_a_model_error(landmarks):
    with pytest.raises(ModelError, match="landmarks failed"):
        OnnxModel(landmarks, threads=1).run(np.zeros((1, 64, 64, 3), np.uint8))


def test_present_providers_stay_in_their_order():
    with_options = ("CPUExecutionProvider", {"use_arena": "0"})
    assert present_providers(CPU_ONLY) == ["CPUExecutionProvider"]
    assert present_providers([with_options]) == [with_options]


def test_absent_providers_are_warned_of():
    with pytest.warns(RuntimeWarning, match="no ROCMExecutionProvider.* only .*CPUExecution"):
        there = present_providers(["ROCMExecutionProvider", "CPUExecutionProvider"])
    assert there == ["CPUExecutionProvider"]
    with pytest.warns(RuntimeWarning, match="NoSuchProvider"):
        assert present_providers([("NoSuchProvider", {})]) == ["CPUExecutionProvider"]


@pytest.mark.parametrize(
    "providers", ["CPUExecutionProvider", [], [None], [("CPUExecutionProvider",)], 1, [("a", 1)]]
)
def test_providers_of_other_forms_are_refused(providers):
    with pytest.raises(ParameterError, match="provider"):
        present_providers(providers)


def test_a_provider_that_cannot_start_is_warned_of(landmarks, monkeypatch):
    session = runtime().InferenceSession
    monkeypatch.setattr(session, "get_providers", lambda self: ["AnotherExecutionProvider"])
    with pytest.warns(RuntimeWarning, match="cannot start CPUExecutionProvider"):
        OnnxModel(landmarks, threads=1)


def test_batch_is_dynamic_and_faces_do_not_mix(landmarks):
    model = OnnxModel(landmarks, threads=1)
    side = landmarks.facts["input"]["side"]
    crops = np.random.default_rng(0).integers(0, 256, (5, side, side, 3), np.uint8)
    together, presence = model.run(crops)
    assert together.shape[0] == presence.shape[0] == 5
    assert (presence >= 0).all()
    assert (presence <= 1).all()
    np.testing.assert_allclose(model.run(crops[3:4])[0], together[3:4], atol=1e-4)


def test_an_incomplete_installation_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(resources, "__file__", str(tmp_path / "faceshape" / "resources.py"))
    with pytest.raises(FileNotFoundError, match="model folder") as caught:
        resources.models_directory.__wrapped__()
    assert isinstance(caught.value, ModelError)


def test_import_is_lazy():
    """A fresh interpreter: the import may load nothing heavy."""
    code = (
        "import sys, faceshape; dir(faceshape);"
        "print([m for m in ('onnxruntime', 'cv2', 'dlib', 'numpy', 'scipy', 'PIL')"
        " if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_every_public_name_is_there_after_a_plain_import():
    code = "import faceshape as f; print([getattr(f, name) is None for name in f.__all__])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.count("False") == len(faceshape.__all__)
    code = "import faceshape; faceshape.nothing"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "has no attribute 'nothing'" in run.stderr
