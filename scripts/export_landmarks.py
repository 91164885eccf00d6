"""Export trained weights: ``python scripts/export_landmarks.py --weights runs/…/landmarks.pt``.

Writes ``models/landmarks.onnx``, checks it against PyTorch on real crops, measures it on the
validation faces and records all of it in ``models/manifest.json``.
"""

import hashlib
import json
import warnings
from pathlib import Path

import click
import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn

from landmark_data import DENSE, load_faces
from landmark_network import INPUT_SIDE, LandmarkNetwork
from train_landmarks import CROP, Validation, prepared

MODELS = Path(__file__).resolve().parent.parent / "models"


class Deployed(nn.Module):
    """The network as it is shipped: uint8 NHWC in, landmarks and presence (0 to 1) out."""

    def __init__(self, network: LandmarkNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        landmarks, logits = self.network(crops.permute(0, 3, 1, 2).float())
        return landmarks, torch.sigmoid(logits)


def export(network: LandmarkNetwork, path: Path) -> None:
    """Write the ONNX file with a dynamic batch."""
    example = torch.zeros(1, INPUT_SIDE, INPUT_SIDE, 3, dtype=torch.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the older exporter needs no extras
        torch.onnx.export(
            Deployed(network).eval(),
            (example,),
            str(path),
            dynamo=False,
            input_names=["crops"],
            output_names=["landmarks", "presence"],
            dynamic_axes={name: {0: "faces"} for name in ("crops", "landmarks", "presence")},
            opset_version=17,
        )


def largest_difference(network: LandmarkNetwork, path: Path, crops: Tensor) -> float:
    """Return how far ONNX and PyTorch are apart on crops, in pixels of the crop."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    with torch.inference_mode():
        expected = network(prepared(crops, torch.device("cpu")))[0].numpy()
    found = session.run(None, {"crops": crops.numpy()})[0]
    return float(np.abs(found - expected).max() * INPUT_SIDE)


@click.command()
@click.option("--weights", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--data", type=click.Path(path_type=Path, exists=True), required=True)
def main(weights: Path, data: Path) -> None:
    """Write the ONNX file and its manifest entry."""
    network = LandmarkNetwork(torch.zeros(DENSE.points, 2))
    network.load_state_dict(torch.load(weights, weights_only=True, map_location="cpu"))
    network.eval()
    faces = load_faces(data / "faces")
    validation = Validation.of(faces)
    path = MODELS / "landmarks.onnx"
    export(network, path)
    difference = largest_difference(network, path, validation.crops[:64])
    if difference > 0.01:
        raise click.ClickException(f"ONNX differs from PyTorch by {difference:.3f} px")
    errors = validation.errors(network, torch.device("cpu"))
    manifest = json.loads((MODELS / "manifest.json").read_text(encoding="utf-8"))
    manifest["models"]["landmarks"] |= {
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "bytes": path.stat().st_size,
        "topology": DENSE.name,
        "input": {
            "name": "crops",
            "type": "uint8 NHWC, RGB",
            "side": CROP.side,
            "margin": CROP.margin,
        },
        "metrics": {
            "validation_faces": len(validation.crops),
            "nme_percent_of_interocular": {name: round(e, 2) for name, e in errors.items()},
        },
    }
    text = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
    (MODELS / "manifest.json").write_text(text, encoding="utf-8")
    click.echo(f"{path.name}: {path.stat().st_size} bytes, ONNX − PyTorch {difference:.5f} px")
    click.echo(json.dumps(errors))


if __name__ == "__main__":
    main()
