"""Train a close look: ``python -m scripts.close_look.train --part eyes --data DIR --out DIR``.

Needs the extra ``train``. Every epoch leaves a checkpoint in --out that --resume continues from, a
line in ``log.jsonl`` and the curves as ``curves.png``.
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
from faceshape.vision.geometry import undo_similarities
from faceshape.vision.pyramid import Pyramid
from scripts.close_look.data import RECIPES, Recipe, TrainingPatches, mean_part
from scripts.labels.consensus import DENSE
from scripts.landmarks.data import Faces, load_backgrounds, load_faces
from scripts.landmarks.train import CurveLoss
from scripts.training.run import TrainingRun, draw_curves, make_average, make_schedule

MEASURED = {"eyes": ("LeftEye", "RightEye", "LeftPupil", "RightPupil"), "mouth": ("Mouth",)}


@dataclass
class Validation:
    """The parts of the identities that are never trained on, in patches off as the engine's are.

    Attributes:
        recipe: the close look's.
        patches: (N, G, S, S, 3) uint8.
        transforms: (N, G, 2, 3) to them.
        dense: (N, P, 2) the labels.
    """

    recipe: Recipe
    patches: Tensor
    transforms: np.ndarray
    dense: np.ndarray

    @classmethod
    def of(cls, faces: Faces, recipe: Recipe) -> "Validation":
        chosen = np.flatnonzero(faces.validation & (faces.weight > 0))
        dense = faces.dense[chosen]
        transforms = recipe.random_transforms(dense, np.random.default_rng(0))
        side = recipe.network.side
        patches = np.stack(
            [
                cut_crops(Pyramid(faces.pictures[i]), each, side)
                for i, each in zip(chosen, transforms, strict=True)
            ]
        )
        return cls(recipe, torch.from_numpy(patches), transforms, dense)

    def errors(self, network: nn.Module, device: torch.device) -> dict[str, float]:
        """Return the mean error by group, in % of the inter-ocular distance."""
        network.eval()
        with torch.inference_mode():
            found = torch.cat(
                [network(batch.to(device)).float().cpu() for batch in self.patches.split(256)]
            )
        transforms = self.transforms.reshape(-1, 2, 3)
        in_patch = found.numpy().reshape(len(transforms), -1, 2) * self.recipe.network.side
        dense = self.dense.copy()
        dense[:, self.recipe.part.points] = undo_similarities(transforms, in_patch).reshape(
            found.shape
        )
        labels = resample(self.dense, DENSE)
        distance = np.linalg.norm(resample(dense, DENSE) - labels, axis=2)
        distance /= interocular_distance(labels)[:, None]
        names = MEASURED[self.recipe.name]
        return {name: 100 * float(distance[:, GROUPS[name]].mean()) for name in names}


part_option = click.option(
    "--part", "name", type=click.Choice(tuple(RECIPES)), required=True, help="what to look at"
)


@click.command()
@part_option
@click.option("--data", type=click.Path(path_type=Path), required=True, help="has faces/, scenes/")
@click.option("--out", type=click.Path(path_type=Path), required=True)
@click.option("--epochs", default=7, show_default=True)
@click.option(
    "--batch", default=32, show_default=True, help="faces for each step, each looked at twice"
)
@click.option("--rate", default=3e-3, show_default=True, help="peak learning rate")
@click.option("--workers", default=1, show_default=True, help="processes that make patches")
@click.option("--seed", default=91, show_default=True, help="decides what is cut, and how")
@click.option("--resume", is_flag=True, help="continue from the checkpoint in --out")
def main(
    name: str,
    data: Path,
    out: Path,
    epochs: int,
    batch: int,
    rate: float,
    workers: int,
    seed: int,
    resume: bool,
) -> None:
    """Train a close look and leave its averaged weights in OUT, as eyes.pt or mouth.pt."""
    recipe = RECIPES[name]
    torch.manual_seed(seed)
    cv2.setNumThreads(0)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    faces = load_faces(data / "faces")
    backgrounds = load_backgrounds(data / "scenes")
    training = TrainingPatches(faces, backgrounds, recipe, epochs, batch, seed)
    validation = Validation.of(faces, recipe)
    click.echo(f"{training.per_epoch} faces an epoch, {len(validation.patches)} for validation")

    network = recipe.network(torch.from_numpy(mean_part(faces, recipe)))
    network = network.to(device, memory_format=torch.channels_last)
    average = make_average(network)
    optimizer = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=0.02)
    steps = len(training) // batch
    schedule = make_schedule(optimizer, steps, warmup=training.per_epoch // batch // 2)
    parts = {"network": network, "average": average, "optimizer": optimizer, "schedule": schedule}
    run = TrainingRun(out, parts)
    first = run.start(resume, device)

    numbers = range(first * training.per_epoch, len(training))
    ahead = 4 if workers else None
    batches = iter(
        DataLoader(training, batch, sampler=numbers, num_workers=workers, prefetch_factor=ahead)
    )
    indices = recipe.part.points[0]
    weights = torch.ones(len(indices))
    for place, weight in recipe.heavy:
        weights[place] = weight
    # In the landmark regressor's measure of a face, 0.04 and 0.004: a patch is smaller.
    curve_loss = CurveLoss(indices.tolist(), weights, width=0.1, curvature=0.01).to(device)
    for epoch in range(first + 1, epochs + 1):
        started, losses = time.monotonic(), []
        network.train()
        for _ in range(training.per_epoch // batch):
            patches, points, trust = (part.to(device).flatten(0, 1) for part in next(batches))
            error = curve_loss(network(patches).flatten(0, 1), points.flatten(0, 1))
            loss = (error.unflatten(0, patches.shape[:2]).mean(dim=(1, 2)) * trust).mean()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimizer.step()
            schedule.step()
            average.update_parameters(network)
            losses.append(loss.detach())
        seconds = round(time.monotonic() - started)
        mean = torch.stack(losses).mean().item()
        line = {"epoch": epoch, "loss": round(mean, 5), "seconds": seconds}
        line |= {k: round(v, 3) for k, v in validation.errors(average.module, device).items()}
        run.finish_epoch(line)
        draw_curves(run.logged(), [["loss"], list(MEASURED[name])], out / "curves.png")
    torch.save(average.module.state_dict(), out / f"{name}.pt")


if __name__ == "__main__":
    main()
