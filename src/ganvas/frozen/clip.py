"""A trained pair of image and text towers, with the tokeniser of the text tower."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from .. import nets, tokens
from ..errors import RequestError
from ..nets.tower import ImageTower
from .file import NetworkFile, write
from .towers import IMAGE_TOWERS, SENTENCES, open_sentences, open_tower

Fixed = TypeVar("Fixed")


class TextInput(Protocol):
    """Texts -> what the text tower takes: tokens, or the features of a fixed encoder. `spec`, JSON-able, names it."""

    @property
    def spec(self) -> dict[str, Any]: ...
    def __call__(self, texts: Sequence[str]) -> Tensor: ...


@dataclass(frozen=True)
class Clip:
    """Images and texts as unit vectors of one space. Their products say how well they match."""

    network: nets.Clip  # in eval mode, its weights fixed
    tokenizer: TextInput  # or a fixed sentence encoder
    recipe: str
    locked_tower: ImageTower | None = None  # a fixed tower, whose features the network's image tower projects
    locked_spec: dict[str, Any] | None = None  # its name and the hash of its weights
    facts: dict[str, Any] = field(default_factory=dict)  # JSON-able: what it was trained on, what was measured of it

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.network.logit_scale.device

    @property
    def size(self) -> int:
        """Pixels of a side of its input; other images are resized, and cut to a square where `shape` is one."""
        tower = self.locked_tower or self.network.image_tower
        assert isinstance(tower, ImageTower)
        return tower.size

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of the pictures that it reads: of its training's shape, or squares."""
        height, width = self.network.options.get("shape", (self.size, self.size))
        return 3, height, width

    def image(self, x: Tensor) -> Tensor:
        """Images (N, C, H, W) in [-1, 1], of any size, on its device -> (N, dim) there; differentiable."""
        return self.network.image(x if self.locked_tower is None else self.locked_tower(x))

    def text(self, texts: Sequence[str]) -> Tensor:
        """Texts -> (N, dim) on its device, without a graph."""
        with torch.no_grad():
            return self.network.text(self.tokenizer(texts).to(self.device))

    @torch.inference_mode()
    def images(self, x: Tensor, batch: int = 64) -> Tensor:
        """Many images, `batch` at a time, from any device -> (N, dim) float32 on the CPU."""
        return torch.cat([self.image(part.to(self.device)).cpu() for part in x.split(batch)])

    @torch.inference_mode()
    def probabilities(self, x: Tensor, texts: Sequence[str], batch: int = 64) -> Tensor:
        """Which text matches each image: the softmax of the scaled products, (N, texts) float32 on the CPU."""
        return self.network.logits(self.images(x, batch).to(self.device), self.text(texts)).softmax(1).cpu()

    def write(self, path: str | Path, dtype: torch.dtype = torch.float32) -> None:
        """Write the file atomically, its weights as `dtype`; it loads as float32.

        The file names a fixed tower with the hash of its weights, and does not hold it. Raises OSError where writing
        fails; an older file then survives.
        """
        weights, spec = nets.to_spec(self.network, nets.CLIPS)
        weights = {name: w.to(dtype) if w.is_floating_point() else w for name, w in weights.items()}
        header = {
            "recipe": self.recipe,
            "facts": self.facts,
            "reader": self.tokenizer.spec,
            "eye": self.locked_spec,
        }
        write(path, weights, {**header, "clip": spec})


def copy_clip(clip: Clip, facts: dict[str, Any]) -> Clip:
    """A fixed copy, on the same device, of towers in training; a locked tower is shared."""
    weights, spec = nets.to_spec(clip.network, nets.CLIPS)
    network = nets.from_spec(spec, weights, nets.CLIPS).to(clip.device)
    return Clip(network, clip.tokenizer, clip.recipe, clip.locked_tower, clip.locked_spec, facts)


def of_file(file: NetworkFile, device: str) -> Clip:
    """The towers of a file. Raises RequestError where a fixed one is not on this machine."""
    network = file.network("clip", nets.CLIPS, device)
    spec, reads, locked = file.header["eye"], file.header["reader"], None
    if spec is not None:
        locked = check_same(open_tower(check_known(spec["tower"], IMAGE_TOWERS), device), spec["tower"], spec["hash"])
    tokenizer: TextInput
    if reads["kind"] in tokens.TOKENIZERS:
        tokenizer = tokens.from_spec(reads)
        tokenizer(["a"])  # a damaged spec fails here, and not in the midst of work
    else:
        opened = open_sentences(check_known(reads["kind"], SENTENCES), device)
        tokenizer = check_same(opened, reads["kind"], reads["hash"])
    return Clip(network, tokenizer, file.header["recipe"], locked, spec, file.header["facts"])


def check_known(name: str, towers: Collection[str]) -> str:
    """The name of a fixed tower; a RequestError where this version does not know it."""
    if name not in towers:
        raise RequestError(f"this version does not know the fixed tower {name!r}", "update ganvas")
    return name


def check_same(opened: tuple[Fixed, str], name: str, digest: str) -> Fixed:
    """What was opened; a RequestError where its weights have another hash."""
    if opened[1] != digest:
        raise RequestError(
            f"this file was trained on the tower {name} with weights of hash {digest}; those on this machine have "
            f"{opened[1]}",
            "put the right ones into a folder of GANVAS_WEIGHTS (docs/features.md says which)",
        )
    return opened[0]
