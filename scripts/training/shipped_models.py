"""How a trained network becomes a file of ``models/``: ONNX, half-precision weights."""

import io
import warnings
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import TypeVar

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

_Network = TypeVar("_Network", bound=nn.Module)

_LEAST_VALUES = 64  # of a tensor that is worth a cast
_LARGEST_HALF = float(np.finfo(np.float16).max)


def interleaved(convolution: nn.Conv2d) -> nn.Conv2d:
    """Return the same convolution over the pixels as they lie in memory.

    It takes (B, 1, H, W * C) instead of (B, C, H, W): nothing has to be transposed, which costs
    as much as a good part of a small network. `shipped_weights.planar` is the way back.
    """
    (high, wide), channels = convolution.kernel_size, convolution.in_channels
    flat = nn.Conv2d(
        1,
        convolution.out_channels,
        (high, wide * channels),
        (convolution.stride[0], convolution.stride[1] * channels),
        (convolution.padding[0], convolution.padding[1] * channels),
        bias=convolution.bias is not None,
    )
    flat.weight.data = convolution.weight.data.permute(0, 2, 3, 1).flatten(2)[:, None]
    if convolution.bias is not None:
        flat.bias.data = convolution.bias.data
    return flat


def over_pixels(network: _Network) -> _Network:
    """Return a copy of a network whose stem takes pixels as they are and lie in memory.

    Args:
        network: its ``stem[0][0]`` is a convolution over pixels in units of its ``pixel_unit``.
    """
    network = deepcopy(network)
    first = network.stem[0]
    first[0].weight.data /= network.pixel_unit  # one pass over the picture less
    first[0] = interleaved(first[0])
    return network


def write_onnx(
    network: nn.Module,
    example: Tensor,
    names: list[str],
    path: Path,
    axes: Mapping[str, Mapping[int, str]] | None = None,
) -> None:
    """Write a network as it is shipped: dynamic axes, weights stored as float16.

    Args:
        network: in evaluation mode.
        example: of its input.
        names: of its input and its outputs.
        path: the ONNX file.
        axes: the dynamic axes of each name; None: the first one of all.

    Raises:
        ValueError: a weight is not finite; no file is written.
    """
    written = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the older exporter needs no extras
        torch.onnx.export(
            network,
            (example,),
            written,
            dynamo=False,
            input_names=names[:1],
            output_names=names[1:],
            dynamic_axes=axes or {name: {0: "faces"} for name in names},
            opset_version=17,
        )
    model = onnx.load_model_from_string(written.getvalue())
    halve_weights(model.graph)
    refuse_non_finite(model.graph)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def halve_weights(graph: onnx.GraphProto) -> None:
    """Store weights as float16; casts restore them when a session opens, which folds them away.

    Computation stays in float32: processors have no faster way, and a weight's rounding by 0.05 %
    at most is far below what training leaves undecided. A tensor with a number too large for
    float16 remains as it is: a normalisation of hardly any variance, merged with its convolution,
    makes such weights.
    """
    casts = []
    for weights in graph.initializer:
        values = numpy_helper.to_array(weights)
        if weights.data_type != TensorProto.FLOAT or values.size < _LEAST_VALUES:
            continue
        if not np.abs(values).max() > _LARGEST_HALF:
            name = weights.name
            weights.CopyFrom(numpy_helper.from_array(values.astype("f2"), f"{name}.half"))
            casts.append(helper.make_node("Cast", [weights.name], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def refuse_non_finite(graph: onnx.GraphProto) -> None:
    """Raise ValueError if a weight is infinite or not a number."""
    for weights in graph.initializer:
        values = numpy_helper.to_array(weights)
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise ValueError(f"{weights.name} has weights that are not finite")
