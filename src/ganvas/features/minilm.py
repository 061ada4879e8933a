"""all-MiniLM-L6-v2 (Wang et al. 2020, trained by the authors of sentence-transformers): sentences as vectors."""

from __future__ import annotations

import re

import torch

from ..frozen.foreign import VOCABULARY, Tensors
from ..frozen.published import Options

HEADS = 12
# The parts of a block: ours -> theirs
PARTS = {"attention.out": "attention.output.dense", "attention_norm": "attention.output.LayerNorm"}
PARTS |= {"mlp.0": "intermediate.dense", "mlp.2": "output.dense", "mlp_norm": "output.LayerNorm"}


def convert(tensors: Tensors) -> tuple[Options, Tensors]:
    """The options and weights of a `Bert` from the tensors of transformers' BertModel and its vocab.txt."""
    if VOCABULARY not in tensors:
        raise KeyError("vocab.txt, which is next to model.safetensors: give both files")
    tensors = {name.removeprefix("bert."): tensor for name, tensor in tensors.items()}
    pieces = bytes(tensors[VOCABULARY].int().tolist()).decode().splitlines()
    inner = "embeddings."
    found = {
        "embed.weight": tensors[f"{inner}word_embeddings.weight"],
        # every text is a first sentence, whose mark is added to all of its tokens
        "position": tensors[f"{inner}position_embeddings.weight"] + tensors[f"{inner}token_type_embeddings.weight"][0],
    }
    layers = {match[1] for name in tensors if (match := re.match(r"encoder\.layer\.(\d+)\.", name))}
    for part in ("weight", "bias"):
        found[f"norm.{part}"] = tensors[f"{inner}LayerNorm.{part}"]
        for i in range(len(layers)):
            layer = f"encoder.layer.{i}."
            qkv = [tensors[f"{layer}attention.self.{kind}.{part}"] for kind in ("query", "key", "value")]
            found[f"blocks.{i}.attention.qkv.{part}"] = torch.cat(qkv)
            for ours, theirs in PARTS.items():
                found[f"blocks.{i}.{ours}.{part}"] = tensors[f"{layer}{theirs}.{part}"]
    context, width = found["position"].shape
    mlp = len(found["blocks.0.mlp.0.bias"])
    options = {"vocabulary": pieces, "context": context, "width": width, "layers": len(layers), "mlp": mlp}
    return {**options, "heads": HEADS}, found
