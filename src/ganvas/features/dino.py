"""DINOv2 (Oquab et al. 2024): features learned without labels, which compare images better than Inception's.

Stein et al. 2023, "Exposing flaws of generative model evaluation metrics", call the Fréchet distance in them FD-DINOv2.
"""

from __future__ import annotations

import re

import torch
from torch import Tensor
from torch.nn import functional as F

from ..frozen.foreign import Tensors
from ..frozen.published import Options

SIZE = 224
# The parts of a block: ours -> theirs
PARTS = {"attention.0": "norm1", "attention.1.qkv": "attn.qkv", "attention.1.out": "attn.proj"}
PARTS |= {"mlp.0": "norm2", "mlp.1": "mlp.fc1", "mlp.3": "mlp.fc2"}


def convert(tensors: Tensors) -> tuple[Options, Tensors]:
    """The options and weights of a `VisionTransformer` from DINOv2's state dict, or from an export of it to ONNX.

    Any size whose perceptrons are plain (small, base, large), whose heads all have 64 channels.
    """
    tensors = {name.removeprefix("model."): tensor for name, tensor in tensors.items()}
    kernel, token = tensors["patch_embed.proj.weight"], tensors["cls_token"]
    width, patch = kernel.shape[0], kernel.shape[-1]
    found = {
        "patches.weight": kernel,
        "patches.bias": tensors["patch_embed.proj.bias"],
        "class_token": token.flatten(),
        "position": resampled(_position(tensors), SIZE // patch),
        "norm.weight": tensors["norm.weight"],
        "norm.bias": tensors["norm.bias"],
    }
    layers = {match[1] for name in tensors if (match := re.match(r"blocks\.(\d+)\.", name))}
    for i in range(len(layers)):
        block = f"blocks.{i}."
        for ours, theirs in PARTS.items():
            for part in ("weight", "bias"):
                found[f"{block}{ours}.{part}"] = tensors[f"{block}{theirs}.{part}"]
        found[f"{block}attention.2.gamma"] = tensors[f"{block}ls1.gamma"]
        found[f"{block}mlp.4.gamma"] = tensors[f"{block}ls2.gamma"]
    options = {
        **{"size": SIZE, "patch": patch, "width": width, "layers": len(layers), "heads": width // 64},
        **{"mlp": 4 * width, "layer_scale": True},
    }
    return options, found


def _position(tensors: Tensors) -> Tensor:
    """The position embedding, (1 + side², width).

    The export has split off the class token's, and refers to that token itself instead, since the two are equal; the
    patches' has lost its name, but is the only sequence of tokens.
    """
    if "pos_embed" in tensors:
        return tensors["pos_embed"][0]
    (patches,) = (t for t in tensors.values() if t.ndim == 3 and t.shape[1] > 1)
    return torch.cat([tensors["cls_token"][0], patches[0]])


def resampled(position: Tensor, side: int) -> Tensor:
    """The embedding of (1 + n²) positions as one of (1 + side²), as DINOv2 does for images of another size.

    Bicubic, and with 0.1 added to the side before the scale is taken, since the authors once guarded against rounding
    so and the features have to be theirs.
    """
    n, width = round((len(position) - 1) ** 0.5), position.shape[1]
    grid = position[1:].reshape(1, n, n, width).permute(0, 3, 1, 2)
    if n != side:
        scale = (side + 0.1) / n
        grid = F.interpolate(grid, scale_factor=(scale, scale), mode="bicubic")
    return torch.cat([position[:1], grid[0].flatten(1).T])
