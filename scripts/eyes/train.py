"""Train the eyes' regressor: ``python -m scripts.eyes.train --data DIR --out DIR``.

Needs the extra ``train``, and the landmark regressor in ``models/``: validation looks at the eyes
where that one says they are. Every epoch leaves a checkpoint in --out that --resume continues
from, a line in ``log.jsonl`` and the curves as ``curves.png``.
"""

import time
from dataclasses import dataclass
from pathlib import Path

import click
import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from faceshape.core.contract import GROUPS, interocular_distance, resample
from faceshape.vision.crops import cut_crops
from faceshape.vision.geometry import enclosing_boxes, undo_similarities
from faceshape.vision.landmarker import Landmarker
from faceshape.vision.networks import OnnxModel, model_entry
from scripts.eyes.data import POINTS, SEED, TrainingEyes, engine_transforms, mean_eye
from scripts.eyes.network import PATCH_SIDE, EyeNetwork
from scripts.landmarks.data import DENSE, Faces, load_backgrounds, load_faces
from scripts.landmarks.train import wing
from scripts.training.run import TrainingRun, draw_curves, make_average

BATCH = 32  # faces; each is looked at more than once
PUPIL_WEIGHT = 4.0
MEASURED = ("LeftEye", "RightEye", "LeftPupil", "RightPupil")


@dataclass
class Validation:
    """The eyes of the identities that are never trained on, where the engine would look at them.

    Attributes:
        patches: (N, 2, S, S, 3) uint8.
        transforms: (N, 2, 2, 3) to them.
        dense: (N, P, 2) landmarks of the whole face.
        points: (N, 90, 2) the labels.
    """

    patches: Tensor
    transforms: np.ndarray
    dense: np.ndarray
    points: np.ndarray

    @classmethod
    def of(cls, faces: Faces, landmarker: Landmarker) -> "Validation":
        chosen = np.flatnonzero(faces.validation & (faces.weight > 0))
        points = resample(faces.dense[chosen], DENSE)
        boxes = enclosing_boxes(points)
        dense = np.concatenate(
            [
                landmarker.locate(faces.pictures[i], boxes[n : n + 1], [0]).dense
                for n, i in enumerate(chosen)
            ]
        )
        transforms = engine_transforms(dense)
        patches = np.stack(
            [
                cut_crops(faces.pictures[i], both, PATCH_SIDE)
                for i, both in zip(chosen, transforms, strict=True)
            ]
        )
        return cls(torch.from_numpy(patches), transforms, dense, points)

    def errors(self, network: nn.Module, device: torch.device) -> dict[str, float]:
        """Return the mean error by group, in % of the inter-ocular distance."""
        network.eval()
        with torch.inference_mode():
            found = torch.cat(
                [network(batch.to(device)).float().cpu() for batch in self.patches.split(256)]
            )
        transforms = self.transforms.reshape(-1, 2, 3)
        in_patch = found.numpy().reshape(len(transforms), -1, 2) * PATCH_SIDE
        close = undo_similarities(transforms, in_patch)
        dense = self.dense.copy()
        dense[:, POINTS] = close.reshape(found.shape)
        distance = np.linalg.norm(resample(dense, DENSE) - self.points, axis=2)
        distance /= interocular_distance(self.points)[:, None]
        return {name: 100 * float(distance[:, GROUPS[name]].mean()) for name in MEASURED}


def whole_face_landmarker() -> Landmarker:
    """Return the shipped landmarker without its close look at the eyes."""
    return Landmarker(*(OnnxModel(model_entry(name), 1) for name in ("alignment", "landmarks")))


@click.command()
@click.option("--data", type=click.Path(path_type=Path), required=True, help="has faces/, scenes/")
@click.option("--out", type=click.Path(path_type=Path), default=Path("runs/eyes"))
@click.option("--epochs", default=7, show_default=True)
@click.option("--rate", default=3e-3, show_default=True, help="peak learning rate")
@click.option("--workers", default=1, show_default=True, help="processes that make patches")
@click.option("--resume", is_flag=True, help="continue from the checkpoint in --out")
def main(data: Path, out: Path, epochs: int, rate: float, workers: int, resume: bool) -> None:
    """Train the eyes' regressor and leave its averaged weights in OUT/eyes.pt."""
    torch.manual_seed(SEED)
    cv2.setNumThreads(0)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    faces = load_faces(data / "faces")
    training = TrainingEyes(faces, load_backgrounds(data / "scenes"), epochs, BATCH)
    validation = Validation.of(faces, whole_face_landmarker())
    click.echo(f"{training.per_epoch} faces an epoch, {len(validation.patches)} for validation")

    network = EyeNetwork(torch.from_numpy(mean_eye(faces)))
    network = network.to(device, memory_format=torch.channels_last)
    average = make_average(network)
    optimizer = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, rate, len(training) // BATCH, pct_start=0.1, div_factor=20, final_div_factor=500
    )
    parts = {"network": network, "average": average, "optimizer": optimizer, "schedule": schedule}
    run = TrainingRun(out, parts)
    first = run.start(resume, device)

    numbers = range(first * training.per_epoch, len(training))
    ahead = 4 if workers else None
    batches = iter(
        DataLoader(training, BATCH, sampler=numbers, num_workers=workers, prefetch_factor=ahead)
    )
    weights = torch.ones(POINTS.shape[1], 1, device=device)
    weights[-1] = PUPIL_WEIGHT
    weights /= weights.mean()
    for epoch in range(first + 1, epochs + 1):
        started, losses = time.monotonic(), []
        network.train()
        for _ in range(training.per_epoch // BATCH):
            patches, points, trust = (part.to(device).flatten(0, 1) for part in next(batches))
            # In the landmark regressor's measure of a face, 0.04 and 0.004: a patch is smaller.
            error = wing((network(patches) - points).abs(), width=0.1, curvature=0.01)
            loss = (error.mul(weights).mean(dim=(1, 2, 3)) * trust).mean()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimizer.step()
            schedule.step()
            average.update_parameters(network)
            losses.append(loss.item())
        seconds = round(time.monotonic() - started)
        line = {"epoch": epoch, "loss": round(float(np.mean(losses)), 5), "seconds": seconds}
        line |= {k: round(v, 3) for k, v in validation.errors(average.module, device).items()}
        run.finish_epoch(line)
        draw_curves(run.logged(), [["loss"], list(MEASURED)], out / "curves.png")
    torch.save(average.module.state_dict(), out / "eyes.pt")


if __name__ == "__main__":
    main()
