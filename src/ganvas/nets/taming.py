"""The encoder and the decoder of VQGAN (Esser et al. 2021), with the authors' parameter names."""

from __future__ import annotations

import math
from collections import OrderedDict
from itertools import pairwise
from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F

GROUPS = 32  # of group norm in the published networks


def normalize(channels: int, groups: int) -> nn.GroupNorm:
    """Group normalisation in as many groups as divide the channels. Groups of one channel would lose hues."""
    return nn.GroupNorm(math.gcd(groups, channels), channels, eps=1e-6)


class ResnetBlock(nn.Module):
    """shortcut(x) + conv(swish(norm(conv(swish(norm(x)))))), (N, inputs, H, W) -> (N, outputs, H, W)."""

    def __init__(self, inputs: int, outputs: int, dropout: float, groups: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = normalize(inputs, groups), nn.Conv2d(inputs, outputs, 3, padding=1)
        self.norm2, self.conv2 = normalize(outputs, groups), nn.Conv2d(outputs, outputs, 3, padding=1)
        self.dropout = nn.Dropout(dropout)
        self.nin_shortcut = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        return self.nin_shortcut(x) + self.conv2(self.dropout(F.silu(self.norm2(h))))


class AttnBlock(nn.Module):
    """x + attention(norm(x)) among all pixels, with one head. (N, C, H, W) -> the same"""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.norm = normalize(channels, groups)
        self.q, self.k, self.v, self.proj_out = (nn.Conv2d(channels, channels, 1) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(x)
        q, k, v = (layer(h).flatten(2).mT.unsqueeze(1) for layer in (self.q, self.k, self.v))  # (N, 1, H·W, C)
        return x + self.proj_out(F.scaled_dot_product_attention(q, k, v).mT.reshape(x.shape))


class Layout(NamedTuple):
    """What an encoder and its decoder have in common."""

    widths: list[int]  # channels of the first convolution, then of each level
    attention: list[bool]  # whether each level has it
    blocks: int  # per level; one more in the decoder
    dropout: float
    groups: int


class Level(nn.Module):
    """The blocks of one resolution, each with attention after it if `attention`; then a change of resolution."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        blocks: int,
        attention: bool,
        p: float,
        groups: int,
        halves: bool,
        doubles: bool,
    ) -> None:
        super().__init__()
        widths = [inputs, *[outputs] * blocks]
        self.block = nn.ModuleList(ResnetBlock(a, b, p, groups) for a, b in pairwise(widths))
        self.attn = nn.ModuleList(AttnBlock(outputs, groups) for _ in range(blocks if attention else 0))
        self.downsample, self.upsample = nn.Sequential(), nn.Sequential()
        if halves:  # padded only on the right and below
            down = nn.Conv2d(outputs, outputs, 3, stride=2)
            self.downsample = nn.Sequential(OrderedDict(pad=nn.ZeroPad2d((0, 1, 0, 1)), conv=down))
        if doubles:
            up = nn.Conv2d(outputs, outputs, 3, padding=1)
            self.upsample = nn.Sequential(OrderedDict(repeat=nn.Upsample(scale_factor=2.0), conv=up))

    def forward(self, x: Tensor) -> Tensor:
        for i, block in enumerate(self.block):
            x = block(x)
            x = self.attn[i](x) if len(self.attn) else x
        return self.upsample(self.downsample(x))


def middle(c: int, p: float, groups: int) -> nn.Module:
    """Two blocks around attention, at the lowest resolution."""
    before, attention, after = ResnetBlock(c, c, p, groups), AttnBlock(c, groups), ResnetBlock(c, c, p, groups)
    return nn.Sequential(OrderedDict(block_1=before, attn_1=attention, block_2=after))


class Encoder(nn.Module):
    """Images (N, C, H, W) -> (N, z_channels, H/f, W/f), where f = 2^(levels - 1)."""

    def __init__(self, channels: int, z_channels: int, layout: Layout) -> None:
        super().__init__()
        widths, attention, blocks, p, groups = layout
        self.conv_in = nn.Conv2d(channels, widths[0], 3, padding=1)
        last = len(attention) - 1
        self.down = nn.ModuleList(
            Level(a, b, blocks, attention[i], p, groups, i < last, False) for i, (a, b) in enumerate(pairwise(widths))
        )
        self.mid = middle(widths[-1], p, groups)
        self.norm_out, self.conv_out = normalize(widths[-1], groups), nn.Conv2d(widths[-1], z_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv_in(x)
        for level in self.down:
            h = level(h)
        return self.conv_out(F.silu(self.norm_out(self.mid(h))))


class Decoder(nn.Module):
    """(N, z_channels, h, w) -> images (N, C, f·h, f·w): the encoder reversed, with one more block per level.

    `up` is numbered like `down`: its first level is the largest resolution, and the last that runs.
    """

    def __init__(self, channels: int, z_channels: int, layout: Layout) -> None:
        super().__init__()
        widths, attention, blocks, p, groups = layout
        self.conv_in = nn.Conv2d(z_channels, widths[-1], 3, padding=1)
        self.mid = middle(widths[-1], p, groups)
        outputs, inputs = widths[1:], [*widths[2:], widths[-1]]
        self.up = nn.ModuleList(
            Level(a, b, blocks + 1, attention[i], p, groups, False, i > 0)
            for i, (a, b) in enumerate(zip(inputs, outputs, strict=True))
        )
        self.norm_out, self.conv_out = normalize(outputs[0], groups), nn.Conv2d(outputs[0], channels, 3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        h = self.mid(self.conv_in(z))
        for level in reversed(self.up):
            h = level(h)
        return self.conv_out(F.silu(self.norm_out(h)))
