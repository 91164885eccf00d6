"""Export trained weights: ``python -m scripts.landmarks.export --weights runs/…/landmarks.pt``.

Writes ``models/landmarks.onnx`` or ``models/alignment.onnx``, checks it against PyTorch on real
crops, measures the file itself on the validation faces and records all of it in
``models/manifest.json``.
"""

import json
from dataclasses import asdict
from pathlib import Path

import click
import onnxruntime
import torch
from torch import Tensor, nn

from scripts.labels.consensus import DENSE
from scripts.landmarks.data import load_faces
from scripts.landmarks.network import AlignmentNetwork, LandmarkNetwork, as_in_memory
from scripts.landmarks.train import RECIPES, Validation, network_option, prepared
from scripts.training.manifest import MODELS, record
from scripts.training.shipped_models import over_pixels, write_onnx


class Deployed(nn.Module):
    """The network as it is shipped: uint8 NHWC in, presence as 0 to 1 out."""

    def __init__(self, network: AlignmentNetwork | LandmarkNetwork) -> None:
        super().__init__()
        self.network = over_pixels(network)

    def forward(self, crops: Tensor) -> tuple[Tensor, ...]:
        landmarks, logits, *spread = self.network.answer(as_in_memory(crops, self.network.side))
        return landmarks, torch.sigmoid(logits), *spread


class Shipped(nn.Module):
    """The ONNX file, called as the network is."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def forward(self, crops: Tensor) -> tuple[Tensor, ...]:
        batch = crops.permute(0, 2, 3, 1).byte().contiguous().numpy()
        return tuple(map(torch.from_numpy, self.session.run(None, {"crops": batch})))


def largest_difference(network: nn.Module, other: nn.Module, crops: Tensor) -> float:
    """Return how far the landmarks of two networks are apart on crops, in pixels of the crop."""
    batch = prepared(crops, torch.device("cpu"))
    with torch.inference_mode():
        return float((network(batch)[0] - other(batch)[0]).abs().max() * crops.shape[1])


@click.command()
@network_option
@click.option("--weights", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--data", type=click.Path(path_type=Path, exists=True), required=True)
def main(name: str, weights: Path, data: Path) -> None:
    """Write the ONNX file and its manifest entry."""
    recipe = RECIPES[name]
    network = recipe.network(torch.zeros(DENSE.points, 2))
    network.load_state_dict(torch.load(weights, weights_only=True, map_location="cpu"))
    network.eval()
    faces = load_faces(data / "faces")
    validation = Validation.of(faces, recipe.crop)
    path = MODELS / f"{name}.onnx"
    example = torch.zeros(1, recipe.crop.side, recipe.crop.side, 3, dtype=torch.uint8)
    names = ["crops", "landmarks", "presence", *(["spread"] if name == "landmarks" else [])]
    write_onnx(Deployed(network).eval(), example, names, path)
    shipped = Shipped(path)
    difference = largest_difference(network, shipped, validation.crops[:64])
    if not difference < 0.1:  # rounding the weights costs a fifth of that
        raise click.ClickException(f"ONNX differs from PyTorch by {difference:.3f} px")
    before = validation.errors(network, torch.device("cpu"))
    errors = validation.errors(shipped, torch.device("cpu"))
    facts = {
        "topology": DENSE.name,
        "input": {
            "name": "crops",
            "type": "uint8 NHWC, RGB",
            **asdict(recipe.crop),
        },
        "metrics": {
            "validation_faces": len(validation.crops),
            "nme_percent_of_interocular": {name: round(e, 2) for name, e in errors.items()},
        },
    }
    record(name, path, facts)
    click.echo(f"{path.name}: {path.stat().st_size} bytes, ONNX − PyTorch {difference:.5f} px")
    click.echo(f"NME {before['nme']:.4f} in PyTorch, {errors['nme']:.4f} in the file")
    click.echo(json.dumps(errors))


if __name__ == "__main__":
    main()
