"""A trained pair of image and text towers, with what turns words into what the text tower reads."""

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


class Reader(Protocol):
    """Texts -> what the text tower takes; `spec`, which is JSON-able, says which it is."""

    @property
    def spec(self) -> dict[str, Any]: ...
    def __call__(self, texts: Sequence[str]) -> Tensor: ...


@dataclass(frozen=True)
class Clip:
    """Images and texts in one space, as unit vectors, whose products say how well they suit each other."""

    network: nets.Clip  # in eval mode, its weights fixed
    reader: Reader  # a tokeniser, or a fixed sentence encoder
    recipe: str
    eye: ImageTower | None = None  # the fixed tower behind which the network's image tower is a projection
    eye_spec: dict[str, Any] | None = None  # its name and the hash of its weights
    facts: dict[str, Any] = field(default_factory=dict)  # JSON-able: what it was trained on, what was measured of it

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.network.logit_scale.device

    @property
    def size(self) -> int:
        """Pixels of a side of what it sees; larger or smaller images are resized, and cut to a square."""
        tower = self.eye or self.network.image_tower
        assert isinstance(tower, ImageTower)
        return tower.size

    def image(self, x: Tensor) -> Tensor:
        """Images (N, C, H, W) in [-1, 1], of any size, on its device -> (N, dim) there; differentiable."""
        return self.network.image(x if self.eye is None else self.eye(x))

    def text(self, texts: Sequence[str]) -> Tensor:
        """Texts -> (N, dim) on its device, without a graph."""
        with torch.no_grad():
            return self.network.text(self.reader(texts).to(self.device))

    @torch.inference_mode()
    def images(self, x: Tensor, batch: int = 64) -> Tensor:
        """Many images, `batch` at a time, from any device -> (N, dim) float32 on the CPU."""
        return torch.cat([self.image(part.to(self.device)).cpu() for part in x.split(batch)])

    @torch.inference_mode()
    def probabilities(self, x: Tensor, texts: Sequence[str], batch: int = 64) -> Tensor:
        """Which of the texts suits each image: the softmax of the scaled products, (N, texts) float32 on the CPU."""
        return self.network.logits(self.images(x, batch).to(self.device), self.text(texts)).softmax(1).cpu()

    def write(self, path: str | Path, dtype: torch.dtype = torch.float32) -> None:
        """Write the file atomically, its weights stored as `dtype`; it loads as float32 whatever that is.

        A fixed tower is named there with the hash of its weights, and not written. Raises OSError where writing fails;
        an older file then survives.
        """
        weights, spec = nets.to_spec(self.network, nets.CLIPS)
        weights = {name: w.to(dtype) if w.is_floating_point() else w for name, w in weights.items()}
        told = {"recipe": self.recipe, "facts": self.facts, "reader": self.reader.spec, "eye": self.eye_spec}
        write(path, weights, {**told, "clip": spec})


def take_clip(clip: Clip, facts: dict[str, Any]) -> Clip:
    """A frozen copy, on the same device, of towers that may go on training; fixed ones are shared."""
    weights, spec = nets.to_spec(clip.network, nets.CLIPS)
    network = nets.from_spec(spec, weights, nets.CLIPS).to(clip.device)
    return Clip(network, clip.reader, clip.recipe, clip.eye, clip.eye_spec, facts)


def of_file(file: NetworkFile, device: str) -> Clip:
    """The towers of a file that has been read. Raises RequestError where a fixed one is not on this machine."""
    network = file.network("clip", nets.CLIPS, device)
    spec, reads, eye = file.header["eye"], file.header["reader"], None
    if spec is not None:
        eye = same(open_tower(known(spec["tower"], IMAGE_TOWERS), device), spec["tower"], spec["hash"])
    reader: Reader
    if reads["kind"] in tokens.TOKENIZERS:
        reader = tokens.from_spec(reads)
    else:
        reader = same(open_sentences(known(reads["kind"], SENTENCES), device), reads["kind"], reads["hash"])
    return Clip(network, reader, file.header["recipe"], eye, spec, file.header["facts"])


def known(name: str, towers: Collection[str]) -> str:
    """The name of a fixed tower, where this version knows it; a RequestError where it does not."""
    if name not in towers:
        raise RequestError(f"the fixed tower {name!r} is not known to this version; update ganvas")
    return name


def same(opened: tuple[Fixed, str], name: str, digest: str) -> Fixed:
    """What was opened, where its weights are those of the hash; a RequestError where they are others."""
    if opened[1] != digest:
        raise RequestError(
            f"this file was trained on the tower {name} whose weights have the hash {digest}, and those on this "
            f"machine have {opened[1]}; put the former into a folder of GANVAS_WEIGHTS (docs/features.md says which)"
        )
    return opened[0]
