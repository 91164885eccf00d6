"""A shipped file becomes a network again that can be trained on; needs the extra ``train``."""

import numpy as np
import pytest

from faceshape.vision.networks import OnnxModel, model_entry

torch = pytest.importorskip("torch", reason="PyTorch is an extra")
pytest.importorskip("onnx", reason="onnx is an extra")


@pytest.fixture(scope="module")
def loaded(portrait):
    """The shipped detector as a network, pictures, and the scores of the file for them."""
    from scripts.detector.network import DetectionNetwork
    from scripts.detector.train import load_initial

    pictures = np.ascontiguousarray(
        np.stack([portrait[:224, :224], portrait[:224, 224:0:-1][:, :224]])
    )
    torch.manual_seed(0)
    network = DetectionNetwork()
    entry = model_entry("detector")
    load_initial(network, entry.path, torch.from_numpy(pictures))
    scores = [OnnxModel(entry).run(picture[None])[0][0] for picture in pictures]
    return network, torch.from_numpy(pictures).permute(0, 3, 1, 2).float(), np.stack(scores)


def scores_of(network, pictures):
    with torch.inference_mode():
        maps = network(pictures)
    return torch.cat([each[:, 0].flatten(1) for each in maps], dim=1).sigmoid().numpy()


def test_the_network_computes_what_the_file_does(loaded):
    network, pictures, scores = loaded
    np.testing.assert_allclose(scores_of(network.eval(), pictures), scores, atol=1e-4)


def test_its_normalisations_have_the_statistics_of_the_pictures(loaded):
    """So the first step of a training does not undo what the network has learnt."""
    network, pictures, _ = loaded
    trunk = torch.nn.Sequential(network.stem, network.stage4, network.stage8)
    with torch.inference_mode():
        at_rest = trunk.eval()(pictures / 64)
        learning = trunk.train()(pictures / 64)
    assert (learning - at_rest).std() < 0.01 * at_rest.std()


def test_a_layer_that_the_file_does_not_have_is_an_error(loaded, tmp_path):
    import onnx

    from scripts.training.shipped_weights import load_shipped

    network, pictures, _ = loaded
    model = onnx.load(model_entry("detector").path)
    kept = [node for node in model.graph.node if "stage16.0" not in node.name]
    del model.graph.node[:]
    model.graph.node.extend(kept)
    onnx.save(model, tmp_path / "cut.onnx")
    with pytest.raises(ValueError, match=r"stage16\.0"):
        load_shipped(network, tmp_path / "cut.onnx", pictures)


@pytest.mark.parametrize("name", ["alignment", "landmarks"])
def test_the_landmark_networks_compute_what_their_files_do(portrait, name):
    from scripts.landmarks.train import RECIPES, prepared
    from scripts.training.shipped_weights import load_weights

    entry = model_entry(name)
    side = entry.facts["input"]["side"]
    crops = np.stack([portrait[y : y + side, 60 : 60 + side] for y in (20, 60)])
    batch = prepared(torch.from_numpy(crops), torch.device("cpu"))
    network = RECIPES[name].network(torch.zeros(166, 2))
    load_weights(network, entry.path, batch)
    with torch.inference_mode():
        offsets, logits, *spread = network.eval()(batch)
    landmarks, presence, *wanted = OnnxModel(entry).run(crops)
    # What is left is the mean shape, which a training takes from its own data.
    np.testing.assert_allclose(np.ptp(landmarks - offsets.numpy(), axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(logits.sigmoid(), presence, atol=1e-4)
    assert len(spread) == len(wanted)
    for ours, theirs in zip(spread, wanted, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0.01)


def test_weights_of_a_training_are_taken_as_they_are(loaded, tmp_path):
    from scripts.detector.network import DetectionNetwork
    from scripts.detector.train import load_initial

    trained, pictures, _ = loaded
    torch.save(trained.state_dict(), tmp_path / "detector.pt")
    again = DetectionNetwork()
    load_initial(again, tmp_path / "detector.pt", pictures.permute(0, 2, 3, 1).byte())
    for name, weight in trained.state_dict().items():
        assert torch.equal(again.state_dict()[name], weight), name


def test_weights_between_two_trainings():
    from scripts.training.interpolate import interpolated

    layers = [torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2)) for _ in "ab"]
    layers[1](torch.rand(8, 3))  # a batch is counted
    before, after = (each.state_dict() for each in layers)
    between = interpolated(before, after, 0.25)
    for name, weight in between.items():
        if weight.is_floating_point():
            expected = 0.75 * before[name] + 0.25 * after[name]
            torch.testing.assert_close(weight, expected)
    assert between["1.num_batches_tracked"] == 1
    with pytest.raises(ValueError, match="different networks"):
        interpolated(before, torch.nn.Linear(3, 2).state_dict(), 0.25)


def test_a_head_for_other_crops_begins_anew_and_says_so(tmp_path, capsys):
    from scripts.landmarks.network import AlignmentNetwork
    from scripts.training.shipped_weights import load_weights

    mean_shape = torch.zeros(166, 2)
    before, after = AlignmentNetwork(mean_shape), AlignmentNetwork(mean_shape)
    before.shape[0] = torch.nn.Linear(24 * 9, 96)
    torch.save(before.state_dict(), tmp_path / "alignment.pt")
    own = after.shape[0].weight.clone()
    load_weights(after, tmp_path / "alignment.pt", torch.empty(0))
    assert "shape.0.weight" in capsys.readouterr().out
    for name, weights in after.state_dict().items():
        expected = own if name == "shape.0.weight" else before.state_dict()[name]
        assert torch.equal(weights, expected), name
