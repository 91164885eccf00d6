"""Train a face's regressors: ``python -m scripts.landmarks.train --data DIR --out DIR``.

Needs the extra ``train``. Every epoch leaves a checkpoint in --out that --resume continues from,
a line in ``log.jsonl`` and the curves as ``curves.png``.
"""

import time
from dataclasses import dataclass
from pathlib import Path

import click
import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from faceshape.core.contract import GROUPS, interocular_distance, resample
from faceshape.vision.landmarker import eye_line_roll
from scripts.landmarks.data import DENSE, Faces, apparent_yaw, load_backgrounds, load_faces
from scripts.landmarks.network import AlignmentNetwork, LandmarkNetwork
from scripts.training.augmentation import (
    AlignedCrop,
    BoxCrop,
    Crop,
    CropErrors,
    crop_face,
    random_background,
    random_damage,
    random_face_crop,
    random_far_crop,
)
from scripts.training.run import TrainingRun, draw_curves, make_average
from scripts.training.shipped_weights import initial_option, load_weights


@dataclass(frozen=True)
class Recipe:
    """What one of the networks is trained on.

    Attributes:
        network: its class.
        crop: how its crops are cut.
        errors: of its crops, and which share of them has these.
    """

    network: type[AlignmentNetwork | LandmarkNetwork]
    crop: AlignedCrop | BoxCrop
    errors: tuple[tuple[float, CropErrors], ...]

    def draw_errors(self, rng: np.random.Generator) -> CropErrors:
        """Return the errors that a crop is to have."""
        shares, errors = zip(*self.errors, strict=True)
        return errors[rng.choice(len(errors), p=shares)]


RECIPES = {
    # What a detector, or somebody who draws boxes, is off by; some know nothing of the roll.
    "alignment": Recipe(
        AlignmentNetwork,
        BoxCrop(AlignmentNetwork.side, margin=1.4),
        ((0.7, CropErrors(roll=16, size=0.12, centre=0.043)), (0.3, CropErrors(40, 0.12, 0.043))),
    ),
    # Twice what the alignment is off by; a third of the crops as if it had failed.
    "landmarks": Recipe(
        LandmarkNetwork,
        AlignedCrop(LandmarkNetwork.side, reach=3.7, below=0.16),
        ((0.67, CropErrors(roll=3, size=0.04, centre=0.015)), (0.33, CropErrors(10, 0.08, 0.035))),
    ),
}
NON_FACES = 0.125  # share of a batch
BATCH = 64


class TrainingCrops(Dataset):
    """Crops by a running number that goes on over the epochs: sample i is always the same."""

    def __init__(
        self,
        faces: Faces,
        backgrounds: list[np.ndarray],
        recipe: Recipe,
        epochs: int,
        seed: int,
    ) -> None:
        self.faces, self.backgrounds, self.recipe, self.seed = faces, backgrounds, recipe, seed
        self.mirror = DENSE.mirror()
        self.profile = list(DENSE.indices("profile_left") + DENSE.indices("profile_right")[1:])
        points = resample(faces.dense, DENSE)
        self.roll = eye_line_roll(points)
        usable = np.flatnonzero((faces.weight > 0) & ~faces.validation)
        # Turned heads are rare: the further a head is turned, the more often it is drawn.
        share = 1 + 3 * np.clip(apparent_yaw(points)[usable] / 0.3 - 0.3, 0, 1)
        self.per_epoch = len(usable) // BATCH * BATCH
        rng = np.random.default_rng(seed)
        self.order = np.concatenate(
            [rng.choice(usable, self.per_epoch, p=share / share.sum()) for _ in range(epochs)]
        )

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, number: int) -> tuple[np.ndarray, np.ndarray, np.float32, np.float32]:
        rng = np.random.default_rng((self.seed, number))
        face, geometry = self.order[number], self.recipe.crop
        picture, points = self.faces.pictures[face], self.faces.dense[face]
        background = self.backgrounds[rng.integers(len(self.backgrounds))]
        if rng.random() < NON_FACES:
            if rng.random() < 0.5:
                crop = random_background(background, geometry.side, rng)
            else:
                crop = random_far_crop(picture, points, geometry.side, background, rng)
            crop = random_damage(crop, np.full((3, 2), 0.5), background, rng)
            return crop, np.zeros_like(points), np.float32(0), np.float32(0)
        errors = self.recipe.draw_errors(rng)
        crop, points = random_face_crop(
            picture, points, self.roll[face], geometry, errors, background, rng
        )
        if rng.random() < 0.5:
            crop = np.ascontiguousarray(crop[:, ::-1])
            points = (points * [-1, 1] + [1, 0])[self.mirror].astype(np.float32)
        crop = random_damage(crop, points[self.profile], background, rng)
        return crop, points, self.faces.weight[face], np.float32(1)


@dataclass
class Validation:
    """The faces of the identities that are never trained on, as exact upright crops."""

    crops: Tensor
    points: np.ndarray  # (N, 90, 2) in units of the crop's side

    @classmethod
    def of(cls, faces: Faces, crop: Crop) -> "Validation":
        pairs = exact_crops(faces, np.flatnonzero(faces.validation & (faces.weight > 0)), crop)
        crops = torch.from_numpy(np.stack([pixels for pixels, _ in pairs]))
        return cls(crops, resample(np.stack([points for _, points in pairs]), DENSE))

    def errors(self, network: nn.Module, device: torch.device) -> dict[str, float]:
        """Return the mean error by group and over all, in % of the inter-ocular distance."""
        network.eval()
        with torch.inference_mode():
            dense = [
                network(prepared(batch, device))[0].float().cpu() for batch in self.crops.split(256)
            ]
        found = resample(torch.cat(dense).numpy(), DENSE)
        distance = (
            np.linalg.norm(found - self.points, axis=2) / interocular_distance(self.points)[:, None]
        )
        by_group = {name: 100 * float(distance[:, rows].mean()) for name, rows in GROUPS.items()}
        return {"nme": 100 * float(distance.mean())} | by_group


def prepared(crops: Tensor, device: torch.device) -> Tensor:
    """Bring uint8 crops (B, S, S, 3) to the device as float (B, 3, S, S)."""
    return crops.to(device, non_blocking=True).permute(0, 3, 1, 2).float()


def point_weights() -> Tensor:
    """Return the weight (P, 1) of each point in the loss: eyes and pupils count more."""
    weights = torch.ones(DENSE.points, 1)
    for curve in DENSE.curves:
        if "eye" in curve:
            weights[list(DENSE.indices(curve))] = 1.5
        if "pupil" in curve:
            weights[list(DENSE.indices(curve))] = 4.0
    return weights / weights.mean()


def wing(error: Tensor, width: float = 0.04, curvature: float = 0.004) -> Tensor:
    """Wing loss (Feng et al. 2018) of errors in units of the crop's side."""
    near = width * torch.log1p(error / curvature)
    offset = width - width * np.log1p(width / curvature)
    return torch.where(error < width, near, error + offset) / width


network_option = click.option(
    "--network",
    "name",
    type=click.Choice(tuple(RECIPES)),
    default="landmarks",
    show_default=True,
    help="which one",
)


@click.command()
@network_option
@click.option("--data", type=click.Path(path_type=Path), required=True, help="has faces/, scenes/")
@click.option("--out", type=click.Path(path_type=Path), default=Path("runs/landmarks"))
@click.option("--epochs", default=36, show_default=True)
@click.option("--rate", default=3e-3, show_default=True, help="peak learning rate")
@click.option("--workers", default=1, show_default=True, help="processes that make crops")
@click.option("--seed", default=90, show_default=True, help="decides what is cropped, and how")
@initial_option("landmarks.onnx or alignment.onnx")
@click.option("--resume", is_flag=True, help="continue from the checkpoint in --out")
def main(
    name: str,
    data: Path,
    out: Path,
    epochs: int,
    rate: float,
    workers: int,
    seed: int,
    initial: Path | None,
    resume: bool,
) -> None:
    """Train a network and leave its averaged weights in OUT, as landmarks.pt or alignment.pt."""
    recipe = RECIPES[name]
    torch.manual_seed(seed)
    cv2.setNumThreads(0)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    faces = load_faces(data / "faces")
    training = TrainingCrops(faces, load_backgrounds(data / "scenes"), recipe, epochs, seed)
    validation = Validation.of(faces, recipe.crop)
    click.echo(f"{training.per_epoch} faces an epoch, {len(validation.crops)} for validation")

    mean_shape = torch.from_numpy(mean_face(faces, recipe.crop))
    network = recipe.network(mean_shape)
    if initial:
        example = torch.from_numpy(np.stack([training[number][0] for number in range(256)]))
        load_weights(network, initial, prepared(example, torch.device("cpu")))
    network = network.to(device, memory_format=torch.channels_last)
    average = make_average(network)
    optimizer = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=0.02)
    steps = len(training) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, rate, steps, pct_start=0.06, div_factor=20, final_div_factor=500
    )
    parts = {"network": network, "average": average, "optimizer": optimizer, "schedule": schedule}
    run = TrainingRun(out, parts)
    first = run.start(resume, device)

    numbers = range(first * training.per_epoch, len(training))
    batches = iter(
        DataLoader(training, BATCH, sampler=numbers, num_workers=workers, prefetch_factor=4)
    )
    weights = point_weights().to(device)
    for epoch in range(first + 1, epochs + 1):
        started, losses = time.monotonic(), []
        network.train()
        for _ in range(training.per_epoch // BATCH):
            crops, points, trust, present = (part.to(device) for part in next(batches))
            landmarks, logits = network(prepared(crops, device))
            error = wing((landmarks - points).abs()).mul(weights).mean(dim=(1, 2))
            landmark_loss = (error * trust).sum() / len(crops)
            presence_loss = nn.functional.binary_cross_entropy_with_logits(logits, present)
            optimizer.zero_grad(set_to_none=True)
            (landmark_loss + 0.3 * presence_loss).backward()
            nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimizer.step()
            schedule.step()
            average.update_parameters(network)
            losses.append((landmark_loss.item(), presence_loss.item()))
        line = {
            "epoch": epoch,
            "loss": round(float(np.mean(losses, axis=0)[0]), 5),
            "presence_loss": round(float(np.mean(losses, axis=0)[1]), 5),
            "seconds": round(time.monotonic() - started),
        }
        line |= {k: round(v, 3) for k, v in validation.errors(average.module, device).items()}
        run.finish_epoch(line)
        draw_curves(run.logged(), [["loss", "presence_loss"], ["nme", *GROUPS]], out / "curves.png")
    torch.save(average.module.state_dict(), out / f"{name}.pt")


def mean_face(faces: Faces, crop: Crop) -> np.ndarray:
    """Return the mean of the training faces (P, 2) in their exact upright crops."""
    chosen = np.flatnonzero((faces.weight > 0) & ~faces.validation)[::8]
    shapes = [points for _, points in exact_crops(faces, chosen, crop)]
    return np.mean(shapes, axis=0).astype(np.float32)


def exact_crops(
    faces: Faces, chosen: np.ndarray, crop: Crop
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the crops of some faces, upright by their eyes, and the landmarks in them."""
    roll = eye_line_roll(resample(faces.dense[chosen], DENSE))
    return [
        crop_face(faces.pictures[i], faces.dense[i], angle, crop)
        for i, angle in zip(chosen, roll, strict=True)
    ]


if __name__ == "__main__":
    main()
