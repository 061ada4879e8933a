"""CLIP (Radford et al. 2021): an image tower and a text tower with a common embedding space."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import RequestError
from .blocks import zero_init
from .cnn import CNN
from .resnet import ClipResNet
from .text import TextTransformer
from .tower import ImageTower
from .vit import VisionTransformer

Spec = dict[str, Any]  # {"net": a name of the tables below, "options": its arguments}
SIGNED = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)  # mean and deviation that keep images in [-1, 1] as they are
MAX_SCALE = 100.0  # of the inverse temperature, as in the paper


class ConvTower(nn.Module):
    """The classifier's convolutions, with an embedding in place of logits. (N, 3, size, size) -> (N, outputs)"""

    def __init__(
        self, size: int, widths: Sequence[int], outputs: int, depth: int = 2, hidden: int = 256, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.size, self.dim = size, outputs
        self.cnn = CNN((3, size, size), outputs, tuple(widths), depth, hidden=hidden, dropout=dropout)

    def forward(self, x: Tensor) -> Tensor:
        return self.cnn(x)


class Projection(nn.Module):
    """From the features of a fixed tower to the shared space: linear, plus an MLP with `hidden` units, if any.

    (N, inputs) of any length -> (N, outputs). Features are normalised and centred at `mean`, which `centre` measures:
    a tower's features point into a narrow cone, where all are similar. With as many outputs as inputs the linear part
    begins as the identity, which keeps the tower's similarities.
    """

    mean: Tensor

    def __init__(self, inputs: int, outputs: int, hidden: int = 0, dropout: float = 0.0) -> None:
        super().__init__()
        self.dim, self.inputs = outputs, inputs
        self.register_buffer("mean", torch.zeros(inputs))
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(inputs, outputs)
        if inputs == outputs:
            nn.init.eye_(self.linear.weight)
            nn.init.zeros_(self.linear.bias)
        self.mlp = nn.Sequential()
        if hidden:
            last = zero_init(nn.Linear(hidden, outputs))  # begins as a linear projection, for which few pairs suffice
            self.mlp = nn.Sequential(nn.Linear(inputs, hidden), nn.GELU(), nn.Dropout(dropout), last)

    @torch.no_grad()
    def centre(self, features: Tensor) -> None:
        """Set `mean` to that of some features, (N, inputs)."""
        self.mean.copy_(F.normalize(features.float(), dim=1).mean(0))

    def forward(self, x: Tensor) -> Tensor:
        x = self.dropout(F.normalize(F.normalize(x.float(), dim=1) - self.mean, dim=1) * self.inputs**0.5)
        return self.linear(x) + self.mlp(x) if len(self.mlp) else self.linear(x)


IMAGE: dict[str, type[nn.Module]] = {"conv": ConvTower, "vit": VisionTransformer, "resnet": ClipResNet}
TEXT: dict[str, type[nn.Module]] = {"transformer": TextTransformer}
LOCKED: dict[str, type[nn.Module]] = {"projection": Projection}  # behind a fixed tower, of images or of texts


class Clip(nn.Module):
    """Two towers and the temperature at which their embeddings are compared.

    `image` and `text` are the specs of the towers. The image tower takes images in [-1, 1] of any size and normalises
    them by `colours`, their mean and deviation; the text tower takes tokens. A projection takes the features of a fixed
    tower instead, which is not part of this network: locked-image tuning (Zhai et al. 2022). `shape` is the (height,
    width) of its pictures where they are not square: it sees all of them, pressed into a square. Raises
    RequestError for unknown towers, or embeddings of different sizes.
    """

    def __init__(
        self,
        image: Spec,
        text: Spec,
        colours: Sequence[Sequence[float]] = SIGNED,
        shape: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        self.options: dict[str, Any] = {"image": image, "text": text, "colours": [list(c) for c in colours]}
        if shape is not None:
            height, width = shape
            self.options["shape"] = [int(height), int(width)]
        image_tower, text_tower = tower(image, IMAGE | LOCKED), tower(text, TEXT | LOCKED)
        self.dim: int = image_tower.dim  # pyright: ignore[reportAttributeAccessIssue] - every tower of the tables has it
        if text_tower.dim != self.dim:
            problem = f"the towers embed in {self.dim} and {text_tower.dim} dimensions"
            raise RequestError(problem, "use the same for both")
        locked = image["net"] in LOCKED
        self.image_tower = image_tower if locked else ImageTower(image_tower, *colours, whole=shape is not None)
        self.text_tower = text_tower
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    @property
    def scale(self) -> Tensor:
        """The inverse temperature, the factor of cosines, ()."""
        return self.logit_scale.exp()

    def image(self, x: Tensor) -> Tensor:
        """Images in [-1, 1], or the features of a fixed tower -> unit vectors (N, dim) float32; differentiable."""
        return F.normalize(self.image_tower(x).float(), dim=1)

    def text(self, x: Tensor) -> Tensor:
        """Tokens (N, T), or the features of a fixed tower -> unit vectors (N, dim) float32."""
        return F.normalize(self.text_tower(x).float(), dim=1)

    def logits(self, image: Tensor, text: Tensor) -> Tensor:
        """How well each image (N, dim) matches each text (M, dim), both of unit length: (N, M)."""
        return self.scale * image @ text.T

    @torch.no_grad()
    def clamp(self) -> None:
        """Keep the scale at or below MAX_SCALE; above it training becomes unstable."""
        self.logit_scale.clamp_(max=math.log(MAX_SCALE))


def tower(spec: Spec, known: dict[str, type[nn.Module]]) -> nn.Module:
    """The tower of a spec. Raises RequestError for an unknown kind."""
    if spec.get("net") not in known:
        raise RequestError(f"a tower of kind {spec.get('net')!r} is not known to this version", "update ganvas")
    return known[spec["net"]](**spec["options"])
