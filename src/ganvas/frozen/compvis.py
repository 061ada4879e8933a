"""VQGAN from published files: CompVis's checkpoints, and the `VQModel` folders of diffusers.

A checkpoint (`vqgan_imagenet_f16_16384.ckpt`) needs the `.yaml` of its network next to it, or as CompVis's training
writes them, `checkpoints/last.ckpt` and `configs/model.yaml`. It is read as weights alone: no code in it is run.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from .. import nets
from ..errors import RequestError
from ..nets.taming import GROUPS
from . import foreign
from .autoencoder import Autoencoder
from .foreign import Tensors, Unreadable

LIGHTNING = ("pytorch_lightning.", "lightning.", "omegaconf.")  # a training checkpoint also holds their objects
STAGE = "first_stage_model."  # prefix of the VQGAN in the checkpoint of a transformer
CHECKPOINTS = ("*.ckpt", "checkpoints/*.ckpt", "ckpts/*.ckpt")  # in a folder
DIFFUSERS = ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin")


class Inert:
    """Takes the place of an object of Lightning's: its class is a key of a dictionary in old checkpoints."""


def load(path: Path, device: str = "cpu") -> Autoencoder | None:
    """The VQGAN of a `.ckpt`, of a folder that holds one, or of a folder of diffusers; None for anything else.

    Raises RequestError where it cannot be read, or where its network has another structure.
    """
    try:
        return _load(path, device)
    except RequestError:
        raise
    except (KeyError, TypeError, AttributeError, ValueError) as error:  # a description may hold anything
        reason = f"{type(error).__name__}: {error}"
        raise RequestError(f"the description of {path} is damaged ({reason})", "copy all of its files again") from error


def _load(path: Path, device: str) -> Autoencoder | None:
    if path.is_dir() and (path / "config.json").is_file():
        config = json.loads((path / "config.json").read_text(encoding="utf-8"))
        kind = config.get("_class_name")  # only diffusers writes it
        if kind is None:
            return None
        if kind != "VQModel":
            raise RequestError(f"{path} is diffusers' {kind}", "give a VQModel of diffusers")
        return assemble(path, *of_diffusers(path, config), device)
    file = checkpoint(path)
    if file is None:
        return None
    return assemble(file, *of_compvis(file), device)


def checkpoint(path: Path) -> Path | None:
    """The file itself, or the checkpoint that a folder holds; None where it is or holds none."""
    if path.is_file():
        return path if path.suffix.lower() == ".ckpt" else None
    files = sorted(file for pattern in CHECKPOINTS for file in path.glob(pattern))
    found = [file for file in files if next(descriptions(file), None)] or files
    if len(found) > 1:
        raise RequestError(f"{path} holds {len(found)} checkpoints", f"name one of them, such as {found[0]}")
    return found[0] if found else None


def descriptions(file: Path) -> Iterator[Path]:
    """The .yaml files that may describe a checkpoint, the most likely first."""
    beside = [file.with_suffix(".yaml"), *sorted(file.parent.glob("*.yaml"))]
    yield from (path for path in (*beside, *sorted(file.parent.parent.glob("configs/*.yaml"))) if path.is_file())


def assemble(path: Path, options: Mapping[str, Any], tensors: Tensors, device: str) -> Autoencoder:
    """The network of options and weights; weights with names that are not ours are left out."""
    network = nets.VQGAN(**options)
    wanted = network.state_dict()
    weights = {name: tensor.float() for name, tensor in tensors.items() if name in wanted}
    weights.setdefault("quantize.usage", network.quantize.usage)  # which is not published
    if missing := [name for name in wanted if name not in weights]:
        raise RequestError(f"{path} does not match its description: it lacks {missing[0]}", "copy both again")
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise RequestError(
            f"the weights of {path} do not match its description ({error})", "copy both again"
        ) from error
    return Autoencoder(network.eval().requires_grad_(False).to(device), "vqgan", {"file": path.name})


# -- CompVis -----------------------------------------------------------------------------------------------------------


def of_compvis(file: Path) -> tuple[dict[str, Any], Tensors]:
    """The options and weights of a checkpoint of taming-transformers, or of latent diffusion's VQGANs."""
    described = next((found for path in descriptions(file) if (found := read_yaml(path))), None)
    if described is None:
        raise RequestError(
            f"{file} is a pickle, and reading one can run code; VQGANs of CompVis are read as weights alone, and no "
            ".yaml next to it describes one",
            "put the .yaml there that it was published with",
        )
    tensors = read_checkpoint(file)
    if "first_stage_config" in described:  # a transformer over the codes of a VQGAN, which is in the same file
        described = described["first_stage_config"]["params"]
        tensors = {name.removeprefix(STAGE): t for name, t in tensors.items() if name.startswith(STAGE)}
    if "quantize.embed.weight" in tensors:
        raise RequestError(
            f"{file} is a GumbelVQ, whose encoder gives logits of codes",
            "give a VQModel, such as vqgan_imagenet_f16_16384",
        )
    if "quantize.embedding.weight" not in tensors:
        raise RequestError(f"{file} has no codebook, so it is not a VQGAN", "give a VQModel of taming-transformers")
    return options(file, described["ddconfig"], tensors), tensors


def options(file: Path, config: Mapping[str, Any], tensors: Tensors) -> dict[str, Any]:
    """What builds the network of a `ddconfig`; a RequestError for a network that ganvas does not have."""
    try:
        size, channels = config["resolution"], config["in_channels"]
        found = {name: config[name] for name in ("ch", "num_res_blocks", "z_channels")}
        found |= {name: tuple(config[name]) for name in ("ch_mult", "attn_resolutions")}
        same = config["out_ch"] == channels and not config.get("double_z") and config.get("resamp_with_conv", True)
    except KeyError as error:
        raise RequestError(f"the .yaml of {file} lacks {error}", "give the one that it came with") from error
    if not same:
        raise RequestError(
            f"{file} is a VQGAN with double_z, with different channels in and out, or without resamp_with_conv; ganvas "
            "does not have its network",
            "give another",
        )
    n_embed, embed_dim = tensors["quantize.embedding.weight"].shape
    return {"shape": (channels, size, size), "embed_dim": embed_dim, "n_embed": n_embed, **found}


def read_yaml(path: Path) -> dict[str, Any] | None:
    """`model.params` of a configuration; None unless it describes a VQGAN."""
    try:
        import yaml  # pyright: ignore[reportMissingModuleSource]
    except ModuleNotFoundError as error:
        raise RequestError(f"reading {path} needs PyYAML", "pip install 'ganvas[compvis]'") from error
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise RequestError(f"{path} is not readable YAML ({error})", "copy it again") from error
    model = content.get("model") if isinstance(content, dict) else None
    params = (model or {}).get("params") or {}
    return params if {"ddconfig", "first_stage_config"} & params.keys() else None


def read_checkpoint(file: Path) -> Tensors:
    """The state dict of a checkpoint, read as weights alone.

    A checkpoint of Lightning also names its classes, which weights alone do not allow. `Inert` takes their place: no
    code of Lightning's is imported or run.
    """
    try:
        names = torch.serialization.get_unsafe_globals_in_checkpoint(file)
        stand_ins = [(Inert, name) for name in names if name.startswith(LIGHTNING)]
        with torch.serialization.safe_globals(stand_ins):  # pyright: ignore[reportArgumentType] - pairs are allowed
            found = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged files raise whatever their readers meet first
        raise Unreadable(f"{file} cannot be read as weights ({error})", "copy it again") from error
    return found.get("state_dict", found)


# -- diffusers ---------------------------------------------------------------------------------------------------------

# Theirs -> ours, in turn. The last four were query, key, value and proj_attn in older folders.
RENAMED = (
    (r"mid_block\.resnets\.0", "mid.block_1"),
    (r"mid_block\.resnets\.1", "mid.block_2"),
    (r"mid_block\.attentions\.0", "mid.attn_1"),
    (r"\b(down|up)_blocks\.", r"\1."),
    (r"\.resnets\.", ".block."),
    (r"\.attentions\.", ".attn."),
    (r"\.(down|up)samplers\.0\.", r".\1sample."),
    (r"\.conv_shortcut\.", ".nin_shortcut."),
    (r"\.conv_norm_out\.", ".norm_out."),
    (r"\.group_norm\.", ".norm."),
    (r"\.(to_q|query)\.", ".q."),
    (r"\.(to_k|key)\.", ".k."),
    (r"\.(to_v|value)\.", ".v."),
    (r"\.(to_out\.0|proj_attn)\.", ".proj_out."),
)


def of_diffusers(folder: Path, config: Mapping[str, Any]) -> tuple[dict[str, Any], Tensors]:
    """The options and weights of a folder of diffusers' VQModel; a RequestError where CompVis's network differs."""
    widths, size = config["block_out_channels"], config["sample_size"]
    attention = ["Attn" in kind for kind in config["down_block_types"]]
    groups = config.get("norm_num_groups", GROUPS)
    if (
        config.get("norm_type", "group") != "group"
        or not config.get("mid_block_add_attention", True)
        or config["in_channels"] != config["out_channels"]
        or attention != ["Attn" in kind for kind in reversed(config["up_block_types"])]
        or any(width % widths[0] or width % groups for width in widths)
    ):
        raise RequestError(f"{folder} is a VQModel that differs from CompVis's, such as a MoVQ", "give another")
    found = {renamed(name, len(widths)): tensor for name, tensor in read_folder(folder).items()}
    n_embed, embed_dim = found["quantize.embedding.weight"].shape
    attended = re.compile(r"\.attn(_1|\.\d+)\.(q|k|v|proj_out)\.weight")
    found = {name: t[:, :, None, None] if attended.search(name) and t.ndim == 2 else t for name, t in found.items()}
    return {
        **{"shape": (config["in_channels"], size, size), "embed_dim": embed_dim, "n_embed": n_embed},
        **{"ch": widths[0], "ch_mult": tuple(width // widths[0] for width in widths)},
        **{"num_res_blocks": config["layers_per_block"], "z_channels": config["latent_channels"], "groups": groups},
        "attn_resolutions": tuple(size >> i for i, is_attended in enumerate(attention) if is_attended),
    }, found


def read_folder(folder: Path) -> Tensors:
    """The tensors of a folder of diffusers."""
    file = next((folder / name for name in DIFFUSERS if (folder / name).is_file()), None)
    if file is None:
        raise RequestError(f"{folder} holds no weights", f"put {' or '.join(DIFFUSERS)} next to its config.json")
    return foreign.read(file)


def renamed(name: str, levels: int) -> str:
    """CompVis's name of a parameter of diffusers', which numbers the decoder's levels from the lowest resolution on."""
    for theirs, ours in RENAMED:
        name = re.sub(theirs, ours, name)
    return re.sub(r"(?<=decoder\.up\.)\d+", lambda found: str(levels - 1 - int(found[0])), name)
