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


def test_what_was_one_head_for_all_strides_becomes_one_for_each():
    from scripts.detector.network import DetectionNetwork
    from scripts.detector.targets import STRIDES
    from scripts.detector.train import with_a_head_each

    own = DetectionNetwork().state_dict()
    former = {}
    for name, weight in own.items():
        part, stride, layer, *rest = name.split(".")
        if part != "heads":
            former[name] = weight
        elif layer == "0":
            former[".".join(["smooth", stride, *rest])] = weight
        elif layer in "12" and stride == "0":
            former[".".join(["head", str(int(layer) - 1), *rest])] = weight
        elif layer == "3" and stride == "0":
            former[".".join(["answer", *rest])] = weight
    network = DetectionNetwork()
    network.load_state_dict(with_a_head_each(former))
    for name, weight in network.state_dict().items():
        stride, layer = name.split(".")[1:3]
        shared = name.startswith("heads.") and layer != "0"
        source = name.replace(f"heads.{stride}", "heads.0", 1) if shared else name
        assert torch.equal(weight, own[source]), name
    assert len(network.heads) == len(STRIDES)
