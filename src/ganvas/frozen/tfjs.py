"""Generators in the graphs of TensorFlow.js: a `model.json`, and next to it the weights in shards."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .. import nets
from ..errors import RequestError
from .generator import TrainedGenerator

GRAPH = "model.json"


def load(folder: Path, device: str) -> TrainedGenerator:
    """The ProGAN of TensorFlow Hub (`progan-128`), 128×128 faces, from the folder that TensorFlow.js converted it to.

    Raises RequestError where the folder holds another network, or is damaged.
    """
    weights = read(folder)
    kernels = [name for name in weights if name.endswith("/merged_input")]
    biases = [name for name in weights if name.endswith("/bias")]
    offset = weights.get("module_apply_default/add_26")
    if not kernels or len(kernels) != len(biases) + 1 or offset is None or weights[kernels[0]].ndim != 4:
        raise RequestError(f"{folder} is not a graph that ganvas knows", "give TensorFlow.js's ProGAN of faces")
    convolutions = [(weights[k].permute(3, 2, 0, 1), weights[b]) for k, b in zip(kernels, biases, strict=False)]
    widths = tuple(len(bias) for _, bias in convolutions[::2])
    # The graph ends in clip(Wx + b, 0, 1): b holds the ½ of (y + 1)/2, but W has lost its factor, which [-1, 1] needs.
    convolutions.append((weights[kernels[-1]].permute(3, 2, 0, 1), 2 * offset - 1))
    side = 4 << (len(widths) - 1)
    network = nets.ProGANGenerator((len(offset), side, side), convolutions[0][0].shape[1], widths)
    names = [f"{'second' if i % 2 else 'first'}.{i // 2}" for i in range(len(biases))] + ["to_image"]
    network.load_state_dict(
        {
            f"{name}.{kind}": tensor
            for name, pair in zip(names, convolutions, strict=True)
            for kind, tensor in zip(("weight", "bias"), pair, strict=True)
        }
    )
    return TrainedGenerator(network.to(device).eval().requires_grad_(False), "progan")


def read(folder: Path) -> dict[str, Tensor]:
    """The float32 tensors of a graph, in its order; a RequestError where files are missing, or of other kinds."""
    try:
        manifest: list[dict[str, Any]] = json.loads((folder / GRAPH).read_bytes())["weightsManifest"]
        found: dict[str, Tensor] = {}
        for group in manifest:
            data = b"".join((folder / Path(name).name).read_bytes() for name in group["paths"])
            at = 0
            for entry in group["weights"]:
                kind = {"float32": "<f4", "int32": "<i4"}[entry["dtype"]]
                if "quantization" in entry:
                    raise RequestError(f"{folder} holds quantised weights", "convert it without quantisation")
                array = np.frombuffer(data, kind, math.prod(entry["shape"]), at).reshape(entry["shape"])
                at += array.nbytes
                if kind == "<f4":
                    found[entry["name"]] = torch.from_numpy(array.copy())
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise RequestError(f"{folder} is not a readable graph of TensorFlow.js ({error})", "copy it again") from error
    return found
