"""Mean weights of a training and of what it began with: ``python -m scripts.training.interpolate``.

Both lie in one valley of the loss, whose middle is better than either and steadier (Wortsman et al.
2022, Robust fine-tuning of zero-shot models).
"""

from collections.abc import Mapping
from pathlib import Path

import click
import torch
from torch import Tensor

from scripts.training.run import averaged_weights

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


def interpolated(
    before: Mapping[str, Tensor], after: Mapping[str, Tensor], share: float
) -> dict[str, Tensor]:
    """Return weights that are by `share`, 0 to 1, those after a training; counters are its own.

    Raises:
        ValueError: the weights are of different networks.
    """
    shapes = [{name: each.shape for name, each in part.items()} for part in (before, after)]
    if shapes[0] != shapes[1]:
        raise ValueError("these are weights of different networks")
    return {
        name: before[name].lerp(each, share) if each.is_floating_point() else each
        for name, each in after.items()
    }


@click.command()
@click.argument("before", type=_FILE)
@click.argument("after", type=_FILE)
@click.option("--share", type=click.FloatRange(0, 1), required=True, help="of AFTER in the mean")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="the .pt to write")
def main(before: Path, after: Path, share: float, out: Path) -> None:
    """Write weights between those of two trainings, of which AFTER began with BEFORE.

    Each is what a training leaves at its end, or its checkpoint.
    """
    torch.save(interpolated(averaged_weights(before), averaged_weights(after), share), out)


if __name__ == "__main__":
    main()
