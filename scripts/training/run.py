"""What every training has: a folder with checkpoints and a log, and an average of the weights."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import torch
from torch import Tensor, nn


class TrainingRun:
    """A run's folder: ``checkpoint.pt`` to continue from and ``log.jsonl``, a line per epoch."""

    def __init__(self, folder: Path, parts: Mapping[str, Any]) -> None:
        """Take everything that has a state: network, average, optimizer, schedule."""
        self.folder, self._parts = folder, parts
        self.log = folder / "log.jsonl"
        self._checkpoint = folder / "checkpoint.pt"
        folder.mkdir(parents=True, exist_ok=True)

    def start(self, resume: bool, device: torch.device) -> int:
        """Return how many epochs are done: none, or what the checkpoint has, which is loaded."""
        if not resume:
            self.log.unlink(missing_ok=True)
            return 0
        state = torch.load(self._checkpoint, weights_only=True, map_location=device)
        for name, part in self._parts.items():
            part.load_state_dict(state[name])
        return state["epoch"]

    def finish_epoch(self, line: Mapping[str, Any]) -> None:
        """Log an epoch's line and save the state; a crash leaves the former checkpoint whole."""
        with self.log.open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")
        click.echo(json.dumps(line))
        state = {name: part.state_dict() for name, part in self._parts.items()}
        unfinished = self._checkpoint.with_suffix(".tmp")
        torch.save(state | {"epoch": line["epoch"]}, unfinished)
        unfinished.replace(self._checkpoint)

    def logged(self) -> list[dict[str, Any]]:
        """Return the lines of the log."""
        return [json.loads(line) for line in self.log.read_text(encoding="utf-8").splitlines()]


def make_schedule(
    optimizer: torch.optim.Optimizer, steps: int, warmup: int
) -> torch.optim.lr_scheduler.LambdaLR:
    """Return the learning rate's schedule: up, level, and down in the second half.

    As long as it is level it does not depend on how many steps there are, so that a run may be
    resumed with fewer or more epochs and ends as if it had been started with these.

    Args:
        optimizer: has the peak rate.
        steps: in all.
        warmup: steps until the peak.
    """

    def share(step: int) -> float:
        up = min(1.0, (step + 1) / warmup)
        down = min(1.0, max(0.0, 2 * (steps - step) / steps))
        return up * max(0.002, math.sin(math.pi / 2 * down) ** 2)

    return torch.optim.lr_scheduler.LambdaLR(optimizer, share)


def make_average(network: nn.Module) -> torch.optim.swa_utils.AveragedModel:
    """Return the exponential moving average of the weights, batch statistics included."""

    def blend(average: list[Tensor], current: list[Tensor], updates: Tensor | int) -> None:
        keep = min(0.999, (1 + float(updates)) / (10 + float(updates)))
        if average[0].is_floating_point():
            torch._foreach_lerp_(average, current, 1 - keep)
        else:  # how many batches a normalisation has seen
            torch._foreach_copy_(average, current)

    # All weights at once: on a GPU one after the other takes as long as the training itself.
    return torch.optim.swa_utils.AveragedModel(network, multi_avg_fn=blend, use_buffers=True)


def averaged_weights(path: Path) -> dict[str, Tensor]:
    """Return what a training leaves at its end (.pt), or the same of its ``checkpoint.pt``."""
    state: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
    if "average" not in state:
        return state
    whole = state["average"].items()
    return {name.removeprefix("module."): each for name, each in whole if name != "n_averaged"}


def draw_curves(lines: list[dict[str, Any]], groups: list[list[str]], picture: Path) -> None:
    """Draw the named numbers of a log over the epochs, one panel for each group."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, len(groups), figsize=(5.5 * len(groups), 4), squeeze=False)
    for panel, names in zip(panels[0], groups, strict=True):
        for name in names:
            panel.plot([x["epoch"] for x in lines], [x.get(name) for x in lines], label=name)
        panel.set(xlabel="epoch")
        panel.legend(fontsize=7)
    figure.savefig(picture, dpi=90, bbox_inches="tight")
    pyplot.close(figure)
