"""Train a face's regressors: ``python -m scripts.landmarks.train --data DIR --out DIR``.

Needs the extra ``train``. Every epoch leaves a checkpoint in --out that --resume continues from,
a line in ``log.jsonl`` and the curves as ``curves.png``.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from faceshape.core.contract import GROUPS, POINT_COUNT, interocular_distance, resample
from faceshape.vision.geometry import line_roll
from faceshape.vision.landmarker import eye_line_roll
from scripts.labels.consensus import DENSE, PROFILE
from scripts.landmarks.data import (
    Faces,
    apparent_yaw,
    load_backgrounds,
    load_faces,
    mouth_opening,
    turned_far,
)
from scripts.landmarks.finds import Finds
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
    random_upside_down,
    turn_face,
    with_dark_glasses,
)
from scripts.training.run import TrainingRun, draw_curves, make_average, make_schedule
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


STRETCH = 0.05  # makes faces longer or wider than those that there are
RECIPES = {
    # What a detector, or somebody who draws boxes, is off by; some know nothing of the roll.
    "alignment": Recipe(
        AlignmentNetwork,
        BoxCrop(AlignmentNetwork.side, margin=1.4),
        (
            (0.7, CropErrors(roll=16, size=0.12, centre=0.043, stretch=STRETCH)),
            (0.3, CropErrors(40, 0.12, 0.043, STRETCH)),
        ),
    ),
    # Twice what the alignment is off by; a third of the crops as if it had failed.
    "landmarks": Recipe(
        LandmarkNetwork,
        AlignedCrop(LandmarkNetwork.side, reach=3.7, below=0.16),
        (
            (0.67, CropErrors(roll=3, size=0.04, centre=0.015, stretch=STRETCH)),
            (0.33, CropErrors(10, 0.08, 0.035, STRETCH)),
        ),
    ),
}
NON_FACES = 0.15  # share of a batch
FINDS = 0.3  # share of a batch that tells true finds of the detector from false ones
TURNED = 0.3  # share of the faces whose head is turned further by a warp
DARK_GLASSES = 0.05
SLIDING = 0.3  # what an error along a curve costs, as a share of one across it
EYE_CORNERS = [
    DENSE.indices(f"{side}_eye_lower")[end] for side in ("left", "right") for end in (0, -1)
]


# Landmarks of a crop that has none, none of them seen or trusted.
_NO_LANDMARKS = (
    np.zeros((DENSE.points, 2), np.float32),
    np.zeros(DENSE.points, bool),
    np.float32(0),
)


class TrainingCrops(Dataset):
    """Crops by a running number that goes on over the epochs: sample i is always the same."""

    def __init__(
        self,
        faces: Faces,
        backgrounds: list[np.ndarray],
        finds: Finds | None,
        recipe: Recipe,
        epochs: int,
        batch: int,
        seed: int,
    ) -> None:
        self.faces, self.backgrounds, self.recipe, self.seed = faces, backgrounds, recipe, seed
        self.finds = finds
        self.mirror = DENSE.mirror()
        points = resample(faces.dense, DENSE)
        self.roll = eye_line_roll(points)
        usable = np.flatnonzero(~faces.validation)
        share = rarity(points, faces.seen)[usable]
        self.per_epoch = len(usable) // batch * batch
        rng = np.random.default_rng(seed)
        self.order = np.concatenate(
            [rng.choice(usable, self.per_epoch, p=share / share.sum()) for _ in range(epochs)]
        )

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(
        self, number: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.float32, np.float32]:
        """Return a crop, its landmarks, which are seen, their trust, and whether it is a face."""
        rng = np.random.default_rng((self.seed, number))
        face = self.order[number]
        background = self.backgrounds[rng.integers(len(self.backgrounds))]
        if self.finds and rng.random() < FINDS:
            return self._find(self.finds, background, rng)
        if rng.random() < NON_FACES:
            crop = self._non_face(face, background, rng)
            crop = random_damage(crop, np.full((3, 2), 0.5), background, rng)
            return crop, *_NO_LANDMARKS, np.float32(0)
        crop, points = self._face(face, background, rng)
        seen = self.faces.seen[face]
        if rng.random() < 0.5:
            crop = np.ascontiguousarray(crop[:, ::-1])
            points = (points * [-1, 1] + [1, 0])[self.mirror].astype(np.float32)
            seen = seen[self.mirror]
        if rng.random() < DARK_GLASSES:
            corners = points[EYE_CORNERS] * len(crop)
            eyes = corners.reshape(2, 2, 2).mean(axis=1)
            distance = float(np.hypot(*corners[2] - corners[0]))
            [roll] = line_roll(corners[:1], corners[2:3])
            crop = with_dark_glasses(crop, eyes, distance, float(roll), rng)
        crop = random_damage(crop, points[list(PROFILE)], background, rng)
        return crop, points, seen, self.faces.weight[face], np.float32(1)

    def _face(
        self, face: int, background: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        geometry, picture = self.recipe.crop, self.faces.pictures[face]
        errors = self.recipe.draw_errors(rng)
        before = self.faces.dense[face]
        crop, points = random_face_crop(
            picture, before, self.roll[face], geometry, errors, background, rng
        )
        if self.faces.weight[face] > 0 and rng.random() < TURNED:
            scale = np.ptp(points, axis=0).sum() / np.ptp(before, axis=0).sum()
            yaw, pitch = rng.choice([-1, 1]) * rng.uniform(5, 30), rng.normal(0, 7)
            crop, points = turn_face(crop, points, scale * self.faces.depth[face], yaw, pitch)
        return crop, points

    def _find(
        self, finds: Finds, background: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.float32, np.float32]:
        """Return what `__getitem__` does of a find, whose landmarks nobody has labelled."""
        find = finds.drawn(rng)
        dense = finds.dense[find]
        [roll] = eye_line_roll(resample(dense[None], DENSE))
        crop, points = random_face_crop(
            finds.pictures[finds.picture[find]],
            dense,
            roll,
            self.recipe.crop,
            self.recipe.draw_errors(rng),
            background,
            rng,
        )
        crop = random_damage(crop, points[list(PROFILE)], background, rng)
        if rng.random() < 0.5:
            crop = np.ascontiguousarray(crop[:, ::-1])
        return crop, *_NO_LANDMARKS, np.float32(finds.face[find])

    def _non_face(self, face: int, background: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        geometry = self.recipe.crop
        picture, points = self.faces.pictures[face], self.faces.dense[face]
        kind = rng.random()
        if kind < 0.45:
            return random_background(background, geometry.side, rng, largest=1.2)
        if kind < 0.8:
            return random_far_crop(picture, points, geometry.side, background, rng)
        return random_upside_down(picture, points, self.roll[face], geometry, background, rng)


def rarity(points: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Return how often each face (N,) is to be drawn: more often what few pictures show.

    These are turned heads, open mouths, and jaws that are in the picture as a whole.

    Args:
        points: (N, 90, 2).
        seen: (N, 166).
    """
    turned = turned_far(apparent_yaw(points))
    opened = np.clip(mouth_opening(points) / 0.2 - 0.3, 0, 1)
    return (1 + 3 * turned) * (1 + opened) * (1 + 0.8 * seen.all(axis=1))


@dataclass
class Validation:
    """The faces of the identities that are never trained on, as exact upright crops."""

    crops: Tensor
    points: np.ndarray  # (N, 90, 2) in units of the crop's side
    seen: np.ndarray  # (N, 90)

    @classmethod
    def of(cls, faces: Faces, crop: Crop) -> "Validation":
        chosen = np.flatnonzero(faces.validation & (faces.weight > 0))
        pairs = exact_crops(faces, chosen, crop)
        crops = torch.from_numpy(np.stack([pixels for pixels, _ in pairs]))
        seen = np.ones((len(chosen), POINT_COUNT), bool)
        seen[:, GROUPS["FaceProfile"]] = faces.seen[chosen][:, PROFILE[::2]]
        return cls(crops, resample(np.stack([points for _, points in pairs]), DENSE), seen)

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
        distance = np.where(self.seen, 100 * distance, np.nan)
        by_group = {name: float(np.nanmean(distance[:, rows])) for name, rows in GROUPS.items()}
        return {"nme": float(np.nanmean(distance))} | by_group


def prepared(crops: Tensor, device: torch.device) -> Tensor:
    """Bring uint8 crops (B, S, S, 3) to the device as float (B, 3, S, S)."""
    return crops.to(device, non_blocking=True).permute(0, 3, 1, 2).float()


def point_weights(profile: float = 1.0) -> Tensor:
    """Return the weight (P,) of each point in the loss; the profile's is given."""
    of = {"profile": profile, "eye": 1.3, "brow": 1.2, "lip": 1.4, "nose": 1.0, "pupil": 2.0}
    weights = torch.ones(DENSE.points)
    for curve in DENSE.curves:
        [kind] = [weight for name, weight in of.items() if name in curve.split("_")]
        weights[list(DENSE.indices(curve))] = kind
    return weights


class CurveLoss(nn.Module):
    """What is off across a curve costs everything, what is off along it little.

    Marks are spread along the curves anew after the regression, so that they may slide.
    """

    def __init__(
        self,
        indices: Sequence[int],
        weights: Tensor,
        width: float = 0.04,
        curvature: float = 0.004,
    ) -> None:
        """Take which of the dense points there are, their weights (P,), and the wing's shape."""
        super().__init__()
        place = {index: k for k, index in enumerate(indices)}
        before, after = torch.arange(len(place)), torch.arange(len(place))
        along = torch.ones(len(place))
        for curve in DENSE.curves:
            line = DENSE.indices(curve)
            if len(line) > 4 and set(line) <= set(place):
                places = torch.tensor([place[index] for index in line])
                before[places[1:-1]], after[places[1:-1]] = places[:-2], places[2:]
                along[places[1:-1]] = SLIDING
        weights = weights / weights.mean()
        self.width, self.curvature = width, curvature
        self.register_buffer("level", torch.tensor([1.0, 0.0]))  # of a line without a length
        self.register_buffer("before", before)
        self.register_buffer("after", after)
        self.register_buffer("across", weights / (1 + along))
        self.register_buffer("along", weights * along / (1 + along))

    def forward(self, found: Tensor, wanted: Tensor) -> Tensor:
        """Return the loss (B, P) of landmarks (B, P, 2)."""
        line = wanted[:, self.after] - wanted[:, self.before]
        length = line.norm(dim=2, keepdim=True)
        tangent = torch.where(length > 1e-5, line / length.clamp(min=1e-5), self.level)
        error = found - wanted
        along = (error * tangent).sum(dim=2)
        across = error[..., 1] * tangent[..., 0] - error[..., 0] * tangent[..., 1]
        return self._wing(across) * self.across + self._wing(along) * self.along

    def _wing(self, error: Tensor) -> Tensor:
        """Wing loss (Feng et al. 2018) of errors in units of the crop's side."""
        width, error = self.width, error.abs()
        near = width * torch.log1p(error / self.curvature)
        offset = width - width * np.log1p(width / self.curvature)
        return torch.where(error < width, near, error + offset) / width


def spread_loss(spread: Tensor, found: Tensor, wanted: Tensor, seen: Tensor) -> Tensor:
    """Return the negative log-likelihood (B,) of the errors if they are of Laplace's kind."""
    off = (found.detach() - wanted).norm(dim=2)
    return ((off / spread + spread.log()) * seen).mean(dim=1)


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
@click.option("--batch", default=64, show_default=True, help="crops for each step")
@click.option("--rate", default=2.5e-3, show_default=True, help="peak learning rate")
@click.option(
    "--profile-weight", default=1.0, show_default=True, help="of a point of the jaw in the loss"
)
@click.option("--workers", default=1, show_default=True, help="processes that make crops")
@click.option("--seed", default=90, show_default=True, help="decides what is cropped, and how")
@initial_option("landmarks.onnx or alignment.onnx")
@click.option("--finds", "with_finds", is_flag=True, help="use what scripts.landmarks.finds made")
@click.option("--resume", is_flag=True, help="continue from the checkpoint in --out")
def main(
    name: str,
    data: Path,
    out: Path,
    epochs: int,
    batch: int,
    rate: float,
    profile_weight: float,
    workers: int,
    seed: int,
    initial: Path | None,
    with_finds: bool,
    resume: bool,
) -> None:
    """Train a network and leave its averaged weights in OUT, as landmarks.pt or alignment.pt."""
    recipe = RECIPES[name]
    torch.manual_seed(seed)
    cv2.setNumThreads(0)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    faces = load_faces(data / "faces")
    backgrounds = load_backgrounds(data / "scenes")
    finds = Finds.load(data) if with_finds else None
    training = TrainingCrops(faces, backgrounds, finds, recipe, epochs, batch, seed)
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
    steps = len(training) // batch
    schedule = make_schedule(optimizer, steps, warmup=training.per_epoch // batch)
    parts = {"network": network, "average": average, "optimizer": optimizer, "schedule": schedule}
    run = TrainingRun(out, parts)
    first = run.start(resume, device)

    numbers = range(first * training.per_epoch, len(training))
    batches = iter(
        DataLoader(training, batch, sampler=numbers, num_workers=workers, prefetch_factor=4)
    )
    curve_loss = CurveLoss(range(DENSE.points), point_weights(profile_weight)).to(device)
    for epoch in range(first + 1, epochs + 1):
        started, losses = time.monotonic(), []
        network.train()
        for _ in range(training.per_epoch // batch):
            crops, points, seen, trust, present = (part.to(device) for part in next(batches))
            landmarks, logits, *spreads = network(prepared(crops, device))
            landmark_loss = (curve_loss(landmarks, points) * seen * trust[:, None]).mean()
            presence_loss = nn.functional.binary_cross_entropy_with_logits(logits, present)
            loss = landmark_loss + 0.3 * presence_loss
            for spread in spreads:
                loss = loss + 0.05 * (spread_loss(spread, landmarks, points, seen) * trust).mean()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimizer.step()
            schedule.step()
            average.update_parameters(network)
            losses.append(torch.stack([landmark_loss, presence_loss]).detach())
        landmark_mean, presence_mean = torch.stack(losses).mean(dim=0).tolist()
        line = {
            "epoch": epoch,
            "loss": round(landmark_mean, 5),
            "presence_loss": round(presence_mean, 5),
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
