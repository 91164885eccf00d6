"""Export trained weights: ``python -m scripts.detector.export --weights runs/…/detector.pt``.

Writes ``models/detector.onnx``, checks it against PyTorch on real pictures and records it in
``models/manifest.json``.
"""

from pathlib import Path

import click
import numpy as np
import torch
from torch import Tensor, nn

from faceshape.vision.detector import OnnxDetector
from faceshape.vision.geometry import box_iou, ellipse_boxes
from faceshape.vision.networks import OnnxModel, model_entry
from scripts.detector.data import LabelledPictures, load_face_pictures, load_scenes
from scripts.detector.network import GEOMETRY, DetectionNetwork
from scripts.detector.targets import STRIDES
from scripts.training.manifest import MODELS, record
from scripts.training.shipped_models import over_pixels, write_onnx


class Deployed(nn.Module):
    """The network as it is shipped: uint8 NHWC in, scores (0 to 1) and geometry out."""

    def __init__(self, network: DetectionNetwork) -> None:
        super().__init__()
        self.network = over_pixels(network)

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        maps = self.network.maps(pictures.flatten(2)[:, None].float())
        cells = torch.cat([each.reshape(1, 1 + GEOMETRY, -1) for each in maps], dim=2)
        return cells[:, 0].sigmoid(), cells[:, 1:].transpose(1, 2)


@click.command()
@click.option("--weights", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--data", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--smallest-face", default=10.0, show_default=True, help="that it finds, in pixels")
@click.option("--threshold", default=0.5, show_default=True, help="a score that is enough alone")
@click.option("--least-score", default=0.2, show_default=True, help="that is worth a closer look")
def main(
    weights: Path, data: Path, smallest_face: float, threshold: float, least_score: float
) -> None:
    """Write the ONNX file and its manifest entry.

    How score and presence decide together is to be chosen anew after that:
    ``python -m benchmarks.detection.calibrate_confirmation``.
    """
    network = DetectionNetwork()
    network.load_state_dict(torch.load(weights, weights_only=True, map_location="cpu"))
    network.eval()
    deployed = Deployed(network).eval()
    path = MODELS / "detector.onnx"
    example = torch.zeros(1, 96, 128, 3, dtype=torch.uint8)
    axes = {"pictures": {1: "height", 2: "width"}, "scores": {1: "cells"}, "geometry": {1: "cells"}}
    write_onnx(deployed, example, ["pictures", "scores", "geometry"], path, axes)
    facts = {
        "input": {"name": "pictures", "type": "uint8 NHWC, RGB, sides multiples of 32"},
        "strides": list(STRIDES),
        "smallest_face": smallest_face,
        "threshold": threshold,
        "least_score": least_score,
    }
    record("detector", path, facts)
    pictures = load_scenes(data / "scenes").pictures[:40:10]
    difference = max(largest_difference(network, picture) for picture in pictures)
    if difference > 0.03:  # rounding the weights costs a third of that
        raise click.ClickException(f"ONNX differs from PyTorch by {difference:.4f}")
    faces = load_face_pictures(data / "faces")
    faces = faces.only(faces.validation)
    percent = round(found_percent(faces), 2)
    metrics = {"validation_faces": len(faces.pictures), "found_percent_at_iou_0.5": percent}
    record("detector", path, facts | {"metrics": metrics})
    click.echo(f"{path.name}: {path.stat().st_size} bytes, ONNX − PyTorch {difference:.5f}")
    click.echo(f"{percent} % of {len(faces.pictures)} faces found")


def largest_difference(network: DetectionNetwork, picture: np.ndarray) -> float:
    """Return how far the scores of the file and of the network are apart on a picture."""
    height, width = (side // 32 * 32 for side in picture.shape[:2])
    batch = np.ascontiguousarray(picture[None, :height, :width])
    with torch.inference_mode():
        maps = network(torch.from_numpy(batch).permute(0, 3, 1, 2).float())
    scores = torch.cat([each[:, 0].flatten(1) for each in maps], dim=1).sigmoid()
    found, _ = OnnxModel(model_entry("detector")).run(batch)
    return float(np.abs(found - scores.numpy()).max())


def found_percent(faces: LabelledPictures) -> float:
    """Return how many of the faces, one in each picture, the shipped detector finds."""
    detector = OnnxDetector(OnnxModel(model_entry("detector")))
    size = faces.boxes[:, 2:] - faces.boxes[:, :2]
    wanted = ellipse_boxes(faces.boxes[:, :2] + size / 2, size, faces.roll())
    found = [
        box_iou([box], detector.detect(picture).boxes).max(initial=0) >= 0.5
        for box, picture in zip(wanted, faces.pictures, strict=True)
    ]
    return 100 * float(np.mean(found))


if __name__ == "__main__":
    main()
