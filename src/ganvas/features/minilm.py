"""all-MiniLM-L6-v2 (Wang et al. 2020, trained by the authors of sentence-transformers): sentences as vectors."""

from __future__ import annotations

import re

import torch

from ..frozen.foreign import VOCABULARY, Tensors
from ..frozen.published import Options
from ..frozen.towers import Sentences, open_sentences

NAME = "minilm"
HEADS = 12


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
            ours, theirs = f"blocks.{i}.", f"encoder.layer.{i}."
            qkv = [tensors[f"{theirs}attention.self.{kind}.{part}"] for kind in ("query", "key", "value")]
            found[f"{ours}attention.qkv.{part}"] = torch.cat(qkv)
            found[f"{ours}attention.out.{part}"] = tensors[f"{theirs}attention.output.dense.{part}"]
            found[f"{ours}attention_norm.{part}"] = tensors[f"{theirs}attention.output.LayerNorm.{part}"]
            found[f"{ours}mlp.0.{part}"] = tensors[f"{theirs}intermediate.dense.{part}"]
            found[f"{ours}mlp.2.{part}"] = tensors[f"{theirs}output.dense.{part}"]
            found[f"{ours}mlp_norm.{part}"] = tensors[f"{theirs}output.LayerNorm.{part}"]
    context, width = found["position"].shape
    mlp = len(found["blocks.0.mlp.0.bias"])
    options = {"vocabulary": pieces, "context": context, "width": width, "layers": len(layers), "mlp": mlp}
    return {**options, "heads": HEADS}, found


def load(device: str = "cpu") -> Sentences:
    """The sentence encoder itself: texts -> unit vectors (N, 384).

    Raises RequestError where its weights are not on this machine.
    """
    return open_sentences(NAME, device)[0]
