"""How a trained network becomes a file of ``models/``: ONNX, half-precision weights, manifest."""

import hashlib
import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

MODELS = Path(__file__).resolve().parents[2] / "models"

_LEAST_VALUES = 64  # of a tensor that is worth a cast


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
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the older exporter needs no extras
        torch.onnx.export(
            network,
            (example,),
            str(path),
            dynamo=False,
            input_names=names[:1],
            output_names=names[1:],
            dynamic_axes=axes or {name: {0: "faces"} for name in names},
            opset_version=17,
        )
    model = onnx.load(path)
    _halve_weights(model.graph)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def _halve_weights(graph: onnx.GraphProto) -> None:
    """Store weights as float16; casts restore them when a session opens, which folds them away.

    Computation stays in float32: processors have no faster way, and a weight's rounding by 0.05 %
    at most is far below what training leaves undecided.
    """
    casts = []
    for weights in graph.initializer:
        values = numpy_helper.to_array(weights)
        if weights.data_type == TensorProto.FLOAT and values.size >= _LEAST_VALUES:
            name = weights.name
            weights.CopyFrom(numpy_helper.from_array(values.astype("f2"), f"{name}.half"))
            casts.append(helper.make_node("Cast", [weights.name], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def record(name: str, path: Path, facts: Mapping[str, Any]) -> None:
    """Enter a model's file and what is known of it into the manifest."""
    manifest_path = MODELS / "manifest.json"
    manifest = json.loads(manifest_path.read_text(encoding="utf-8"))
    content = path.read_bytes()
    file_facts = {
        "file": path.name,
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
    }
    manifest["models"][name] = manifest["models"].get(name, {}) | file_facts | facts
    text = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
    manifest_path.write_text(text, encoding="utf-8")
