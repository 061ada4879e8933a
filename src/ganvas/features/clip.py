"""The image tower of OpenAI's CLIP (Radford et al. 2021), whose embeddings share a space with words."""

from __future__ import annotations

import re

import torch

from ..frozen.foreign import Tensors
from ..frozen.published import Options
from ..frozen.towers import open_tower
from ..nets.tower import ImageTower
from .extractor import Extractor
from .tower import tower_extractor

NAME = "clip"


def convert(tensors: Tensors) -> tuple[Options, Tensors]:
    """The options and weights of a `VisionTransformer` from CLIP's tensors in the layout of Hugging Face's CLIPModel.

    Any of the vision transformers of OpenAI, whose heads all have 64 channels; a text tower beside it is left aside.
    """
    inner = "vision_model."
    embeddings = f"{inner}embeddings."
    kernel = tensors[f"{embeddings}patch_embedding.weight"]
    position = tensors[f"{embeddings}position_embedding.weight"]
    projection = tensors["visual_projection.weight"]
    found = {
        "patches.weight": kernel,
        "class_token": tensors[f"{embeddings}class_embedding"],
        "position": position,
        "projection.weight": projection,
    }
    for part in ("weight", "bias"):
        found[f"pre_norm.{part}"] = tensors[f"{inner}pre_layrnorm.{part}"]  # spelt so
        found[f"norm.{part}"] = tensors[f"{inner}post_layernorm.{part}"]
    layers = {match[1] for name in tensors if (match := re.match(rf"{inner}encoder\.layers\.(\d+)\.", name))}
    for i in range(len(layers)):
        ours, theirs = f"blocks.{i}.", f"{inner}encoder.layers.{i}."
        for part in ("weight", "bias"):
            qkv = [tensors[f"{theirs}self_attn.{kind}_proj.{part}"] for kind in "qkv"]
            found[f"{ours}attention.0.{part}"] = tensors[f"{theirs}layer_norm1.{part}"]
            found[f"{ours}attention.1.qkv.{part}"] = torch.cat(qkv)
            found[f"{ours}attention.1.out.{part}"] = tensors[f"{theirs}self_attn.out_proj.{part}"]
            found[f"{ours}mlp.0.{part}"] = tensors[f"{theirs}layer_norm2.{part}"]
            found[f"{ours}mlp.1.{part}"] = tensors[f"{theirs}mlp.fc1.{part}"]
            found[f"{ours}mlp.3.{part}"] = tensors[f"{theirs}mlp.fc2.{part}"]
    width, patch = kernel.shape[0], kernel.shape[-1]
    options = {
        **{"size": round((len(position) - 1) ** 0.5) * patch, "patch": patch, "width": width, "layers": len(layers)},
        **{"heads": width // 64, "mlp": 4 * width, "activation": "quick-gelu", "epsilon": 1e-5, "pre_norm": True},
        "outputs": len(projection),
    }
    return options, found


def load(device: str = "cpu") -> ImageTower:
    """The tower itself, fixed and differentiable: images (N, C, H, W) in [-1, 1] -> embeddings, (N, 512) with ViT-B.

    Raises RequestError where its weights are not on this machine.
    """
    return open_tower(NAME, device)[0]


def extractor(device: str = "cpu") -> Extractor:
    """Images -> embeddings, not normalised (512 with ViT-B)."""
    return tower_extractor(NAME, device)
