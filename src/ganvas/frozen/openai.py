"""OpenAI's CLIP from published files: OpenAI's own layout, or that of transformers.

OpenAI's is a TorchScript archive (`ViT-B-32.pt`, `RN50.pt`) or its state dict; that of transformers is a folder with
`config.json` next to `model.safetensors` or `pytorch_model.bin`. No code in them is run.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .. import nets, tokens
from ..errors import RequestError
from ..nets.resnet import STRIDE
from ..nets.tower import CLIP
from . import foreign, weights
from .clip import Clip

Spec = dict[str, Any]
Found = tuple[Spec, dict[str, Tensor]]  # a tower: what builds it, and its weights
TRANSFORMERS = ("model.safetensors", "pytorch_model.bin")  # in a folder of transformers
HEAD = 64  # channels of an attention head in OpenAI's towers, unless a config says otherwise

# The parts of a transformer's block: ours -> OpenAI's, transformers'
PARTS = {
    "attention.0": ("ln_1", "layer_norm1"),
    "attention.1.out": ("attn.out_proj", "self_attn.out_proj"),
    "mlp.0": ("ln_2", "layer_norm2"),
    "mlp.1": ("mlp.c_fc", "mlp.fc1"),
    "mlp.3": ("mlp.c_proj", "mlp.fc2"),
}


# Those of a residual block: OpenAI's -> ours
BOTTLENECK = {
    **{"conv1": "body.0", "bn1": "body.1", "conv2": "body.3", "bn2": "body.4", "conv3": "body.7", "bn3": "body.8"},
    **{"downsample.0": "shortcut.1", "downsample.1": "shortcut.2"},
}
# Where no CLIP is named, the first of these files is used, the best first; the last is of `ganvas train lit`.
BEST = ("ViT-L-14.pt", "ViT-B-16.pt", "ViT-B-32.pt", "RN50.pt", "lit.safetensors")


def best() -> Path:
    """The best CLIP in a folder of weights, or where OpenAI's package downloads it.

    Raises RequestError, which says how to get one, where there is none.
    """
    folders = [*weights.folders(), Path.home() / ".cache" / "clip"]
    found = next((folder / name for name in BEST for folder in folders if (folder / name).is_file()), None)
    if found is None:
        looked = ", ".join(map(str, folders))
        raise RequestError(
            f"there is none on this machine (looked for {', '.join(BEST)} in {looked})",
            "name a run of `ganvas train clip` or `lit`, or OpenAI's ViT-B-32.pt; docs/clip.md says where to get it",
            field="clip",
        )
    return found


def load(path: Path, device: str = "cpu") -> Clip | None:
    """The towers of a file, or of a folder of transformers; None where it holds other weights.

    Raises RequestError where it cannot be read, or is an unknown kind of CLIP.
    """
    config: dict[str, Any] = {}
    if path.is_dir():
        config = json.loads((path / "config.json").read_text(encoding="utf-8"))
        file = next((path / name for name in TRANSFORMERS if (path / name).is_file()), None)
        if file is None:
            raise RequestError(f"{path} holds no weights", f"put {' or '.join(TRANSFORMERS)} next to its config.json")
        path = file
    tensors = foreign.read(path)
    if "text_model.embeddings.token_embedding.weight" in tensors:
        towers = partial(of_transformers, tensors, config)
    elif "token_embedding.weight" in tensors and any(name.startswith("visual.") for name in tensors):
        towers = partial(of_openai, tensors)
    else:
        return None
    try:
        network = build(*towers(), tensors["logit_scale"])
    except (KeyError, RuntimeError) as error:
        raise RequestError(
            f"the towers of {path} differ from OpenAI's ({error})", "give one of OpenAI's CLIPs"
        ) from error
    reader = tokens.Bpe(network.options["text"]["options"]["context"])
    if network.options["text"]["options"]["vocabulary"] != reader.size:
        raise RequestError(f"the tokeniser of {path} is not OpenAI's", "give a CLIP with its 49,408 tokens")
    return Clip(network.eval().requires_grad_(False).to(device), reader, "clip", facts={"file": path.name})


def build(image: Found, text: Found, logit_scale: Tensor) -> nets.Clip:
    """The network of two towers."""
    (seeing, pictures), (reading, words) = image, text
    network = nets.Clip(seeing, reading, CLIP)
    weights = {f"image_tower.network.{name}": tensor for name, tensor in pictures.items()}
    weights |= {f"text_tower.{name}": tensor for name, tensor in words.items()}
    network.load_state_dict({**weights, "logit_scale": logit_scale.reshape(())})
    return network


def of_transformers(tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> tuple[Found, Found]:
    """The towers of transformers' CLIPModel."""
    seeing, reading = config.get("vision_config", {}), config.get("text_config", {})
    inner = "text_model."
    text = {
        "embed.weight": tensors[f"{inner}embeddings.token_embedding.weight"],
        "position": tensors[f"{inner}embeddings.position_embedding.weight"],
        "projection.weight": tensors["text_projection.weight"],
    }
    for part in ("weight", "bias"):
        text[f"norm.{part}"] = tensors[f"{inner}final_layer_norm.{part}"]
    text |= blocks(tensors, f"{inner}encoder.layers.", 1)
    return vision_of_transformers(tensors, seeing), (text_spec(text, reading), text)


def vision_of_transformers(tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> Found:
    """The image tower of transformers' CLIPModel: the spec and the weights of a `VisionTransformer`."""
    inner = "vision_model."
    found = {
        "patches.weight": tensors[f"{inner}embeddings.patch_embedding.weight"],
        "class_token": tensors[f"{inner}embeddings.class_embedding"],
        "position": tensors[f"{inner}embeddings.position_embedding.weight"],
        "projection.weight": tensors["visual_projection.weight"],
    }
    for part in ("weight", "bias"):
        found[f"pre_norm.{part}"] = tensors[f"{inner}pre_layrnorm.{part}"]  # spelt so
        found[f"norm.{part}"] = tensors[f"{inner}post_layernorm.{part}"]
    found |= blocks(tensors, f"{inner}encoder.layers.", 1)
    return vision_spec(found, config), found


def of_openai(tensors: Mapping[str, Tensor]) -> tuple[Found, Found]:
    """The towers of OpenAI's own layout, whose projections multiply from the right."""
    text = {
        "embed.weight": tensors["token_embedding.weight"],
        "position": tensors["positional_embedding"],
        "projection.weight": tensors["text_projection"].T,
    }
    for part in ("weight", "bias"):
        text[f"norm.{part}"] = tensors[f"ln_final.{part}"]
    text |= blocks(tensors, "transformer.resblocks.", 0)
    words = text_spec(text, {}), text
    vision = vision_of_openai if "visual.class_embedding" in tensors else resnet_of_openai
    return vision(tensors), words


def vision_of_openai(tensors: Mapping[str, Tensor]) -> Found:
    """The vision transformer of OpenAI's own layout."""
    inner = "visual."
    image = {
        "patches.weight": tensors[f"{inner}conv1.weight"],
        "class_token": tensors[f"{inner}class_embedding"],
        "position": tensors[f"{inner}positional_embedding"],
        "projection.weight": tensors[f"{inner}proj"].T,
    }
    for part in ("weight", "bias"):
        image[f"pre_norm.{part}"] = tensors[f"{inner}ln_pre.{part}"]
        image[f"norm.{part}"] = tensors[f"{inner}ln_post.{part}"]
    image |= blocks(tensors, f"{inner}transformer.resblocks.", 0)
    return vision_spec(image, {}), image


def resnet_of_openai(tensors: Mapping[str, Tensor]) -> Found:
    """The residual network of OpenAI's own layout (RN50, RN101, RN50x4, ...)."""
    found: dict[str, Tensor] = {}
    layers: list[int] = [0] * 4
    for name, tensor in tensors.items():
        if match := re.fullmatch(r"visual\.(conv|bn)(\d)\.(\w+)", name):
            found[f"stem.{3 * int(match[2]) - 3 + (match[1] == 'bn')}.{match[3]}"] = tensor
        elif match := re.fullmatch(r"visual\.layer(\d)\.(\d+)\.(.+)\.(\w+)", name):
            stage, block = int(match[1]) - 1, int(match[2])
            layers[stage] = max(layers[stage], block + 1)
            found[f"stages.{stage}.{block}.{BOTTLENECK[match[3]]}.{match[4]}"] = tensor
    for name in [name for name in found if name.endswith(".running_mean")]:  # a count that inference does not need
        found[name.replace("running_mean", "num_batches_tracked")] = torch.tensor(0)
    pool = "visual.attnpool."
    found["pool.position"] = tensors[f"{pool}positional_embedding"]
    for part in ("weight", "bias"):
        for ours, theirs in (("query", "q"), ("key", "k"), ("value", "v"), ("out", "c")):
            found[f"pool.{ours}.{part}"] = tensors[f"{pool}{theirs}_proj.{part}"]
    places, width = found["pool.position"].shape
    options = {
        **{"size": STRIDE * round((places - 1) ** 0.5), "width": len(found["stem.7.weight"]), "layers": layers},
        **{"heads": max(1, width // HEAD), "outputs": len(found["pool.out.bias"])},
    }
    return {"net": "resnet", "options": options}, found


def blocks(tensors: Mapping[str, Tensor], prefix: str, layout: int) -> dict[str, Tensor]:
    """The blocks of a transformer below `prefix`; layout 0 is OpenAI's, 1 that of transformers."""
    found: dict[str, Tensor] = {}
    layers = {match[1] for name in tensors if (match := re.match(rf"{re.escape(prefix)}(\d+)\.", name))}
    for i in range(len(layers)):
        for part in ("weight", "bias"):
            theirs = f"{prefix}{i}."
            if layout == 0:
                qkv = tensors[f"{theirs}attn.in_proj_{part}"]
            else:
                qkv = torch.cat([tensors[f"{theirs}self_attn.{kind}_proj.{part}"] for kind in "qkv"])
            found[f"blocks.{i}.attention.1.qkv.{part}"] = qkv
            for ours, names in PARTS.items():
                found[f"blocks.{i}.{ours}.{part}"] = tensors[f"{theirs}{names[layout]}.{part}"]
    return found


def transformer_options(weights: Mapping[str, Tensor], width: int, config: Mapping[str, Any]) -> Spec:
    """What both towers' transformers have: from the weights' shapes, and from a config where there is one."""
    layers = {name.split(".")[1] for name in weights if name.startswith("blocks.")}
    return {
        "width": width,
        "layers": len(layers),
        "heads": config.get("num_attention_heads", max(1, width // HEAD)),
        "mlp": len(weights["blocks.0.mlp.1.bias"]),
        "activation": config.get("hidden_act", "quick_gelu").replace("_", "-"),
        "epsilon": config.get("layer_norm_eps", 1e-5),
        "outputs": len(weights["projection.weight"]),
    }


def vision_spec(weights: Mapping[str, Tensor], config: Mapping[str, Any]) -> Spec:
    """What builds the vision transformer of these weights."""
    width, _, _, patch = weights["patches.weight"].shape
    side = round((len(weights["position"]) - 1) ** 0.5)
    options = {"size": side * patch, "patch": patch, "pre_norm": True, **transformer_options(weights, width, config)}
    return {"net": "vit", "options": options}


def text_spec(weights: Mapping[str, Tensor], config: Mapping[str, Any]) -> Spec:
    """What builds the text transformer of these weights."""
    vocabulary, width = weights["embed.weight"].shape
    options = {"vocabulary": vocabulary, "context": len(weights["position"])}
    return {"net": "transformer", "options": options | transformer_options(weights, width, config)}
