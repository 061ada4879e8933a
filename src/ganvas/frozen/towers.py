"""Published towers by name: networks of ours with their weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..nets.bert import Bert
from ..nets.tower import CLIP, IMAGENET, Colours, ImageTower
from ..nets.vit import VisionTransformer
from ..tokens.wordpiece import WordPiece
from .published import open_network

# Vision transformers: name -> the colours of their training images.
IMAGE_TOWERS: dict[str, Colours] = {"clip": CLIP, "dino": IMAGENET}
# Sentence encoders: name -> tokens of the longest text that it was trained with.
SENTENCES: dict[str, int] = {"minilm": 256}


@dataclass(frozen=True)
class Sentences:
    """A fixed sentence encoder: texts -> unit vectors (N, dim) on its device."""

    network: Bert
    tokenizer: WordPiece
    name: str
    hash: str

    @property
    def dim(self) -> int:
        """Of the vectors."""
        return self.network.dim

    @property
    def spec(self) -> dict[str, Any]:
        """Its name and the hash of its weights."""
        return {"kind": self.name, "hash": self.hash}

    @torch.no_grad()
    def __call__(self, texts: Sequence[str], batch: int = 64) -> Tensor:
        device = self.network.position.device
        parts = [texts[i : i + batch] for i in range(0, len(texts), batch)]
        return torch.cat([self.network(self.tokenizer(part).to(device)) for part in parts])


def open_tower(name: str, device: str = "cpu") -> tuple[ImageTower, str]:
    """The image tower whose weights are `name`.safetensors, fixed, and their hash; `name` is of IMAGE_TOWERS.

    Raises RequestError where its weights are not on this machine.
    """
    network, digest = open_network(name, VisionTransformer, device)
    return ImageTower(network, *IMAGE_TOWERS[name]).to(device), digest


def open_sentences(name: str, device: str = "cpu") -> tuple[Sentences, str]:
    """The sentence encoder whose weights are `name`.safetensors, and their hash; `name` is of SENTENCES.

    Raises RequestError where its weights are not on this machine.
    """
    network, digest = open_network(name, Bert, device)
    return Sentences(network, WordPiece(network.pieces, SENTENCES[name]), name, digest), digest
