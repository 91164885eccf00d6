"""Export trained weights: ``python -m scripts.close_look.export --part eyes --weights … --data …``.

Writes ``models/eyes.onnx`` or ``models/mouth.onnx``, checks it against PyTorch on real patches,
measures the file itself on the validation faces and records all of it in ``models/manifest.json``.
"""

import json
from pathlib import Path

import click
import onnxruntime
import torch
from torch import Tensor, nn

from scripts.close_look.data import RECIPES
from scripts.close_look.network import EyeNetwork, MouthNetwork
from scripts.close_look.train import Validation, part_option
from scripts.labels.consensus import DENSE
from scripts.landmarks.data import load_faces
from scripts.landmarks.network import as_in_memory
from scripts.training.manifest import MODELS, record
from scripts.training.shipped_models import over_pixels, write_onnx


class Deployed(nn.Module):
    """The network as it is shipped: nothing is transposed."""

    def __init__(self, network: EyeNetwork | MouthNetwork) -> None:
        super().__init__()
        self.network = over_pixels(network)

    def forward(self, patches: Tensor) -> Tensor:
        return self.network.answer(as_in_memory(patches, self.network.side))


class Shipped(nn.Module):
    """The ONNX file, called as the network is."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def forward(self, patches: Tensor) -> Tensor:
        return torch.from_numpy(self.session.run(None, {"patches": patches.numpy()})[0])


@click.command()
@part_option
@click.option("--weights", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--data", type=click.Path(path_type=Path, exists=True), required=True)
def main(name: str, weights: Path, data: Path) -> None:
    """Write the ONNX file and its manifest entry."""
    recipe = RECIPES[name]
    groups, count = recipe.part.points.shape
    network = recipe.network(torch.zeros(1, count, 2))
    network.load_state_dict(torch.load(weights, weights_only=True, map_location="cpu"))
    network.eval()
    path, side = MODELS / f"{name}.onnx", recipe.network.side
    example = torch.zeros(1, groups, side, side, 3, dtype=torch.uint8)
    write_onnx(Deployed(network).eval(), example, ["patches", "landmarks"], path)
    shipped, cpu = Shipped(path), torch.device("cpu")
    validation = Validation.of(load_faces(data / "faces"), recipe)
    with torch.inference_mode():
        patches = validation.patches[:64]
        difference = float((network(patches) - shipped(patches)).abs().max() * side)
    if not difference < 0.1:  # rounding the weights costs a fifth of that
        raise click.ClickException(f"ONNX differs from PyTorch by {difference:.3f} px")
    before, errors = validation.errors(network, cpu), validation.errors(shipped, cpu)
    facts = {
        "topology": DENSE.name,
        "input": {
            "name": "patches",
            "type": f"uint8 (N, {groups}, side, side, 3), RGB; a second one is mirrored",
            "side": side,
            "extent": recipe.extent,
        },
        "metrics": {
            "validation_faces": len(validation.patches),
            "nme_percent_of_interocular": {name: round(e, 2) for name, e in errors.items()},
        },
    }
    record(name, path, facts)
    click.echo(f"{path.name}: {path.stat().st_size} bytes, ONNX − PyTorch {difference:.5f} px")
    click.echo(f"PyTorch {json.dumps(before)}")
    click.echo(f"file    {json.dumps(errors)}")


if __name__ == "__main__":
    main()
