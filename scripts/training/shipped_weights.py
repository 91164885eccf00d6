"""From a file of ``models/`` back to a network that can be trained on."""

from collections.abc import Callable, Iterator
from pathlib import Path

import click
import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor, nn

from scripts.landmarks.network import InvertedResidual
from scripts.training.run import averaged_weights


def initial_option(shipped: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return the option --initial of a training, for `load_weights`.

    Args:
        shipped: the file of ``models/`` that it may start from.
    """
    return click.option(
        "--initial",
        type=click.Path(path_type=Path, exists=True),
        help=f"weights to start from instead of random ones: a .pt, or models/{shipped}",
    )


def load_weights(network: nn.Module, path: Path, example: Tensor) -> None:
    """Give a network the weights of a training, or of a shipped file; see `load_shipped`.

    Args:
        network: one of their kind.
        path: what a training leaves at its end (.pt), its ``checkpoint.pt``, whose averaged weights
            are taken, or a shipped file (.onnx).
        example: see `load_shipped`.
    """
    if path.suffix == ".onnx":
        load_shipped(network, path, example)
        return
    own, weights = network.state_dict(), averaged_weights(path)
    # A head for crops of another side has another grid to look at: only that begins anew.
    others = [name for name, each in weights.items() if own[name].shape != each.shape]
    if others:
        click.echo(f"{', '.join(others)}: of another shape in {path}, begins anew")
    network.load_state_dict(weights | {name: own[name] for name in others})


def load_shipped(network: nn.Module, path: Path, example: Tensor) -> None:
    """Give a network the weights of an ONNX file that was exported from one of its kind.

    A file has no normalisations: they were merged with the convolutions. They are set up anew, so
    that the network computes what the file does and may be trained at once. Residual blocks that
    the file has not begin as the identity.

    Args:
        network: its layers have the names that they had; see `shipped_models.over_pixels`.
        path: the file.
        example: a batch of its input, of which the normalisations get their statistics.

    Raises:
        ValueError: the file lacks a layer that is not in such a block.
    """
    layers = dict(network.named_modules())
    loaded = set()
    for name, weight, bias in _shipped_layers(path):
        if name not in layers:  # a layer that is used several times has a number more each time
            continue
        _fill(network, layers, name, weight, bias)
        loaded.add(name)
    absent = {n for n, each in layers.items() if isinstance(each, (nn.Conv2d, nn.Linear))} - loaded
    for name, block in layers.items():
        if isinstance(block, InvertedResidual) and block.residual and f"{name}.body.0.0" in absent:
            nn.init.zeros_(block.body[-1][-1].weight)
            absent = {each for each in absent if not each.startswith(f"{name}.")}
    if absent:
        raise ValueError(f"{path} has no {', '.join(sorted(absent))}")
    _renew_statistics(network, example)


def _shipped_layers(path: Path) -> Iterator[tuple[str, NDArray, NDArray]]:
    """Give name, weight and bias of the layers of a file."""
    graph = onnx.load(path).graph
    values = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    for node in graph.node:
        if node.op_type in ("Cast", "Identity") and node.input[0] in values:
            values[node.output[0]] = values[node.input[0]].astype(np.float32)
        if node.op_type in ("Conv", "Gemm"):
            yield _layer_name(node.name), *(values[name] for name in node.input[1:3])


def _layer_name(node: str) -> str:
    """Return a node's layer: ``stage4.0.body`` for ``/network/stage4/stage4.0/body/Conv``."""
    parts: list[str] = []
    for part in node.strip("/").split("/")[:-1]:
        if parts and part.startswith(f"{parts[-1]}."):
            parts.pop()
        parts.append(part)
    return ".".join(parts).removeprefix("network.")


def _fill(
    network: nn.Module, layers: dict[str, nn.Module], name: str, weight: NDArray, bias: NDArray
) -> None:
    layer, (container, _, number) = layers[name], name.rpartition(".")
    if weight.shape != layer.weight.shape:  # it takes pixels as they are
        weight = planar(weight, layer.in_channels) * network.pixel_unit
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(np.array(weight)))
        if layer.bias is None:
            norm = layers[f"{container}.{int(number) + 1}"]
            norm.running_mean.zero_()
            norm.running_var.fill_(1 - norm.eps)
            norm.weight.fill_(1)
            layer = norm
        layer.bias.copy_(torch.from_numpy(np.array(bias)))


def planar(weight: NDArray, channels: int) -> NDArray:
    """Return the weights (O, C, K, L) of those (O, 1, K, L * C); see `shipped_models`."""
    outputs, _, high, wide = weight.shape
    return weight.reshape(outputs, high, wide // channels, channels).transpose(0, 3, 1, 2)


@torch.no_grad()
def _renew_statistics(network: nn.Module, example: Tensor) -> None:
    """Let every normalisation have the statistics of a batch, and compute what it did before."""
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    seen: dict[nn.Module, list[Tensor]] = {norm: [] for norm in norms}

    def note(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        var, mean = torch.var_mean(inputs[0], dim=(0, 2, 3))
        seen[norm].append(torch.stack([mean, var]))

    hooks = [norm.register_forward_pre_hook(note) for norm in norms]
    was_training = network.training
    network.eval()(example)
    network.train(was_training)
    for hook in hooks:
        hook.remove()
    for norm, parts in seen.items():
        mean, var = torch.stack(parts).mean(dim=0)
        gain = norm.weight / (norm.running_var + norm.eps).sqrt()
        norm.bias += gain * (mean - norm.running_mean)
        norm.weight.copy_(gain * (var + norm.eps).sqrt())
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(var)
