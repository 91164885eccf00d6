"""Train the face detector: ``python -m scripts.detector.train --data DIR --out DIR``.

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

from scripts.detector.data import load_face_pictures, load_scenes
from scripts.detector.mosaic import MosaicMaker
from scripts.detector.network import DetectionNetwork
from scripts.detector.targets import BACKGROUND, DOUBTFUL, IGNORED, STRIDES, assign, cell_centres
from scripts.training.run import TrainingRun, draw_curves, make_average, make_schedule
from scripts.training.shipped_weights import initial_option, load_weights

SIDE = 256
BATCH = 32
PER_EPOCH = 3200  # mosaics
VALIDATION = 640
# In the last epochs more of the tiles are without faces: what is left then are false alarms.
LAST_EPOCHS, EMPTY_SHARE = 12, (0.3, 0.45)
VALIDATION_SEED = 16
# From which size on, in pixels, a score is the root of the box's overlap; below it is nearer to 1.
_SURE_SIZE = 24.0


class Mosaics(Dataset):
    """Mosaics by a running number: number i is always the same.

    From number `last` on there are more pictures without faces.
    """

    def __init__(self, maker: MosaicMaker, count: int, last: int, seed: int) -> None:
        self._maker, self._count, self._last, self._seed = maker, count, last, seed

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        empty_share = EMPTY_SHARE[number >= self._last]
        rng = np.random.default_rng((self._seed, number))
        picture, faces, doubtful = self._maker.compose(rng, empty_share)
        known = np.concatenate([faces.centre, faces.size, faces.keypoints.reshape(-1, 10)], axis=1)
        return picture, assign(faces, doubtful, SIDE), known


@dataclass
class Batch:
    """Mosaics (B, S, S, 3) uint8, what each cell (B, C) answers for, and the faces (K, 14).

    Cells index the K faces of all B mosaics; a face is centre, size and five keypoints in pixels.
    """

    pictures: Tensor
    answers: Tensor
    faces: Tensor

    @classmethod
    def of(cls, samples: list[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> "Batch":
        pictures, answers, faces = zip(*samples, strict=True)
        starts = np.cumsum([0, *map(len, faces[:-1])])
        shifted = [
            np.where(each >= 0, each + start, each.astype(int))
            for each, start in zip(answers, starts, strict=True)
        ]
        return cls(
            torch.from_numpy(np.stack(pictures)),
            torch.from_numpy(np.stack(shifted)),
            torch.from_numpy(np.concatenate(faces)),
        )


class Loss(nn.Module):
    """Quality focal loss of the scores (Li et al. 2020), IoU of the boxes, L1 of the keypoints."""

    def __init__(self) -> None:
        super().__init__()
        centres = [cell_centres(SIDE, stride) for stride in STRIDES]
        strides = [np.full(len(c), s, np.float32) for c, s in zip(centres, STRIDES, strict=True)]
        self.register_buffer("centres", torch.from_numpy(np.concatenate(centres)))
        self.register_buffer("strides", torch.from_numpy(np.concatenate(strides)))

    def forward(self, maps: list[Tensor], answers: Tensor, faces: Tensor) -> dict[str, Tensor]:
        """Return the parts of the loss, weighted."""
        flat = torch.cat([each.flatten(2) for each in maps], dim=2).transpose(1, 2)
        positive = answers >= 0
        _, cell = positive.nonzero(as_tuple=True)
        truth = faces[answers[positive]]
        centre, size, keypoints = decoded(
            flat[positive][:, 1:], self.centres[cell], self.strides[cell]
        )
        extent = truth[:, 2:4].prod(dim=1).sqrt()
        overlap = overlap_along_roll(centre, size, truth)
        # A pixel is a tenth of a small face: its overlap says little of how sure one may be.
        quality = overlap.detach().clamp(0.04, 1) ** (0.5 * (extent / _SURE_SIZE).clamp(0.3, 1))
        apart = (keypoints - truth[:, 4:].unflatten(1, (5, 2))).abs().mean(dim=(1, 2)) / extent
        count = max(len(truth), 1)
        return {
            "score_loss": self._score_loss(flat[..., 0], answers, quality) / count,
            "box_loss": 3.0 * (1 - overlap).sum() / count,
            "keypoint_loss": 6.0 * apart.sum() / count,
        }

    def _score_loss(self, logits: Tensor, answers: Tensor, quality: Tensor) -> Tensor:
        target = torch.zeros_like(logits)
        target[answers >= 0] = quality
        score = logits.sigmoid()
        # Where a picture's other faces have no label, whatever looks like one is left alone.
        believed = (answers != IGNORED) & ~((answers == DOUBTFUL) & (score.detach() > 0.5))
        entropy = nn.functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
        return (entropy * (score.detach() - target).square() * believed).sum()


def decoded(geometry: Tensor, cells: Tensor, strides: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return centre (K, 2), size (K, 2) and keypoints (K, 5, 2) in pixels of cells' outputs.

    `faceshape.vision.detector` does the same in numpy.
    """
    stride = strides[:, None]
    centre = cells + geometry[:, :2] * stride
    size = 4 * stride * geometry[:, 2:4].clamp(-4, 4).exp()
    keypoints = cells[:, None] + geometry[:, 4:].unflatten(1, (5, 2)) * stride[..., None]
    return centre, size, keypoints


def overlap_along_roll(centre: Tensor, size: Tensor, truth: Tensor) -> Tensor:
    """Return the IoU (K,) of boxes along the roll of the true faces (K, 14)."""
    eyes = truth[:, 6:8] - truth[:, 4:6]
    right = eyes / eyes.norm(dim=1, keepdim=True).clamp(min=1e-3)
    off = centre - truth[:, :2]
    off = torch.stack(
        [(off * right).sum(dim=1), off[:, 1] * right[:, 0] - off[:, 0] * right[:, 1]], dim=1
    )
    low = torch.maximum(off - size / 2, -truth[:, 2:4] / 2)
    high = torch.minimum(off + size / 2, truth[:, 2:4] / 2)
    shared = (high - low).clamp(min=0).prod(dim=1)
    return shared / (size.prod(dim=1) + truth[:, 2:4].prod(dim=1) - shared)


@torch.inference_mode()
def validated(
    network: nn.Module, loss: Loss, batches: DataLoader, device: torch.device
) -> dict[str, float]:
    """Return the loss, and how well the scores of positive cells are above the background's."""
    network.eval()
    totals: list[float] = []
    faces, background = [], []
    for batch in batches:
        maps = network(prepared(batch.pictures, device))
        parts = loss(maps, batch.answers.to(device), batch.faces.to(device))
        totals.append(sum(parts.values()).item())
        scores = torch.cat([each[:, 0].flatten(1) for each in maps], dim=1).sigmoid().cpu()
        background.append(scores[batch.answers == BACKGROUND])
        faces.append(scores[batch.answers >= 0])
    # One false cell in about five mosaics.
    threshold = torch.cat(background).sort(descending=True).values[VALIDATION // 5]
    return {
        "validation_loss": float(np.mean(totals)),
        "threshold": float(threshold),
        "cells_found": float((torch.cat(faces) > threshold).float().mean()),
    }


def prepared(pictures: Tensor, device: torch.device) -> Tensor:
    """Bring uint8 pictures (B, S, S, 3) to the device as float (B, 3, S, S)."""
    return pictures.to(device, non_blocking=True).permute(0, 3, 1, 2).float()


def load_initial(network: DetectionNetwork, path: Path, pictures: Tensor) -> None:
    """Load weights; pictures (B, S, S, 3) are for the statistics that a shipped file has not."""
    load_weights(network, path, prepared(pictures, torch.device("cpu")))


@click.command()
@click.option("--data", type=click.Path(path_type=Path), required=True, help="has faces/, scenes/")
@click.option("--out", type=click.Path(path_type=Path), default=Path("runs/detector"))
@click.option("--epochs", default=26, show_default=True)
@click.option("--rate", default=3e-3, show_default=True, help="peak learning rate")
@click.option("--workers", default=1, show_default=True, help="processes that make mosaics")
@click.option("--seed", default=15, show_default=True, help="decides what is composed")
@initial_option("detector.onnx")
@click.option("--resume", is_flag=True, help="continue from the checkpoint in --out")
def main(
    data: Path,
    out: Path,
    epochs: int,
    rate: float,
    workers: int,
    seed: int,
    initial: Path | None,
    resume: bool,
) -> None:
    """Train the detector and leave its averaged weights in OUT/detector.pt."""
    torch.manual_seed(seed)
    cv2.setNumThreads(0)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    faces, scenes = load_face_pictures(data / "faces"), load_scenes(data / "scenes")
    maker = MosaicMaker(faces.only(~faces.validation), scenes.only(~scenes.validation), SIDE)
    last = max(epochs - LAST_EPOCHS, 0) * PER_EPOCH
    training = Mosaics(maker, epochs * PER_EPOCH, last, seed)
    unseen = MosaicMaker(faces.only(faces.validation), scenes.only(scenes.validation), SIDE)
    mosaics = Mosaics(unseen, VALIDATION, VALIDATION, VALIDATION_SEED)
    held_back = [mosaics[number] for number in range(VALIDATION)]
    validation = DataLoader(held_back, BATCH, collate_fn=Batch.of)

    network = DetectionNetwork()
    if initial:
        load_initial(network, initial, Batch.of(held_back[:64]).pictures)
    network = network.to(device, memory_format=torch.channels_last)
    average, loss = make_average(network), Loss().to(device)
    optimizer = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=0.02)
    schedule = make_schedule(optimizer, len(training) // BATCH, warmup=2 * PER_EPOCH // BATCH)
    run = TrainingRun(
        out,
        {"network": network, "average": average, "optimizer": optimizer, "schedule": schedule},
    )
    first = run.start(resume, device)
    batches = iter(
        DataLoader(
            training,
            BATCH,
            sampler=range(first * PER_EPOCH, len(training)),
            num_workers=workers,
            prefetch_factor=4,
            collate_fn=Batch.of,
        )
    )
    for epoch in range(first + 1, epochs + 1):
        started, losses = time.monotonic(), []
        network.train()
        for _ in range(PER_EPOCH // BATCH):
            batch = next(batches)
            maps = network(prepared(batch.pictures, device))
            parts = loss(maps, batch.answers.to(device), batch.faces.to(device))
            optimizer.zero_grad(set_to_none=True)
            sum(parts.values()).backward()
            nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimizer.step()
            schedule.step()
            average.update_parameters(network)
            losses.append(torch.stack(list(parts.values())).detach())
        line = {"epoch": epoch, "seconds": round(time.monotonic() - started)}
        means = torch.stack(losses).mean(dim=0).tolist()
        line |= {name: round(value, 4) for name, value in zip(parts, means, strict=True)}
        scores = validated(average.module, loss, validation, device)
        run.finish_epoch(line | {name: round(value, 4) for name, value in scores.items()})
        draw_curves(
            run.logged(),
            [[*parts, "validation_loss"], ["cells_found", "threshold"]],
            out / "curves.png",
        )
    torch.save(average.module.state_dict(), out / "detector.pt")


if __name__ == "__main__":
    main()
