"""A small U-Net, conditioned on noise level and class (after Ho et al. 2020; Dhariwal and Nichol 2021)."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import RequestError
from .blocks import zero_init
from .vit import Attention

SLOWEST, FASTEST = 0.5, 32.0  # frequencies of the noise level's embedding, in radians per unit
HEAD = 32  # channels of an attention head


def group_norm(channels: int) -> nn.GroupNorm:
    """Group normalisation in groups of 16 channels, or of a common divisor (Wu and He 2018)."""
    return nn.GroupNorm(channels // math.gcd(channels, 16), channels)


class FourierEmbedding(nn.Module):
    """A number -> its cosines and sines at frequencies from slow to fast, (N,) -> (N, features)."""

    frequencies: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        steps = torch.linspace(math.log(SLOWEST), math.log(FASTEST), features // 2)
        self.register_buffer("frequencies", steps.exp(), persistent=False)

    def forward(self, c: Tensor) -> Tensor:
        angles = c[:, None] * self.frequencies
        return torch.cat([angles.cos(), angles.sin()], 1)


class Residual(nn.Module):
    """x + branch(x), where the embedding scales and shifts each channel. (N, a, H, W), (N, E) -> (N, b, H, W)"""

    def __init__(self, a: int, b: int, embedding: int) -> None:
        super().__init__()
        self.first = nn.Sequential(group_norm(a), nn.SiLU(), nn.Conv2d(a, b, 3, padding=1))
        self.film = nn.Linear(embedding, 2 * b)  # Perez et al. 2018
        self.norm = group_norm(b)
        self.second = zero_init(nn.Conv2d(b, b, 3, padding=1))
        self.skip = nn.Identity() if a == b else nn.Conv2d(a, b, 1)

    def forward(self, x: Tensor, e: Tensor) -> Tensor:
        scale, shift = self.film(e)[:, :, None, None].chunk(2, 1)
        y = self.norm(self.first(x)) * (1 + scale) + shift
        return self.skip(x) + self.second(F.silu(y))


class AttentionBlock(nn.Module):
    """x + attention among all pixels, (N, C, H, W) -> the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = group_norm(channels)
        self.attention = Attention(channels, channels // HEAD if channels % HEAD == 0 else 1)
        zero_init(self.attention.out)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.norm(x).flatten(2).transpose(1, 2)  # (N, H·W, C)
        return x + self.attention(tokens).transpose(1, 2).reshape(x.shape)


class UNet(nn.Module):
    """Images (N, C, H, W), noise levels (N,) and classes (N,) -> (N, C, H, W).

    `depth` residual blocks at each of `levels` resolutions, down and again up, with skip connections; `width` channels
    at the finest, doubled at each halving. Squares of `patch` pixels count as one (Hoogeboom et al. 2023, "simple
    diffusion"), since most arithmetic is at the finest resolution. The class number `classes`, or None: no class.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        classes: int = 0,
        width: int = 32,
        depth: int = 1,
        levels: int = 2,
        patch: int = 1,
        attention: bool = True,
    ) -> None:
        """Raises RequestError for points, and for images that `patch` does not divide."""
        super().__init__()
        if len(shape) != 3 or shape[1] % patch or shape[2] % patch:
            problem = f"patches of {patch} pixels do not fit items of shape {tuple(shape)}"
            raise RequestError(problem, "use patch=1, and images", field="options.patch")
        self.classes = classes
        widths = [width << i for i in range(levels)]
        features = 4 * width
        self.embed = nn.Sequential(FourierEmbedding(features), nn.Linear(features, features), nn.SiLU())
        self.embed.append(nn.Linear(features, features))
        self.label = nn.Embedding(classes + 1, features) if classes else None
        pixels = shape[0] * patch**2
        self.enter = nn.Sequential(nn.PixelUnshuffle(patch), nn.Conv2d(pixels, width, 3, padding=1))
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        for a, b in pairwise([width, *widths]):
            self.down.append(nn.ModuleList(Residual(b if i else a, b, features) for i in range(depth)))
        self.look = AttentionBlock(widths[-1]) if attention else nn.Identity()
        self.middle = Residual(widths[-1], widths[-1], features)
        for a, b in pairwise([*widths, widths[-1]][::-1]):
            self.up.append(nn.ModuleList(Residual((b if i else a) + b, b, features) for i in range(depth)))
        self.leave = nn.Sequential(
            group_norm(width), nn.SiLU(), zero_init(nn.Conv2d(width, pixels, 3, padding=1)), nn.PixelShuffle(patch)
        )

    def forward(self, x: Tensor, c: Tensor, label: Tensor | None = None) -> Tensor:
        """x (N, C, H, W), c (N,), label (N,) int64 or None -> (N, C, H, W)."""
        e = self.embed(c)
        if self.label is not None:
            e = e + self.label(torch.full((len(x),), self.classes, device=x.device) if label is None else label)
        e, x, skips = F.silu(e), self.enter(x), []
        for i, level in enumerate(self.down):
            x = F.avg_pool2d(x, 2, ceil_mode=True) if i else x
            for block in level.children():
                x = block(x, e)
                skips.append(x)
        x = self.middle(self.look(x), e)
        for level in self.up:
            x = F.interpolate(x, skips[-1].shape[2:])  # nearest; to the size on the way down, also if odd
            for block in level.children():
                x = block(torch.cat([x, skips.pop()], 1), e)
        return self.leave(x)
