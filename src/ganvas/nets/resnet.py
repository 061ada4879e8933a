"""The residual network of OpenAI's CLIP (Radford et al. 2021, section 2.4; He et al. 2016): a stem of three
convolutions, strides by averaging, and attention pooling at the end.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import RequestError

EXPANSION = 4  # output channels of a block, in times those in its middle
STRIDE = 32  # of the whole network


def convolution(inputs: int, outputs: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    """A padded convolution and its batch norm."""
    return [nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(outputs)]


def average(stride: int) -> nn.Module:
    """A stride without aliasing."""
    return nn.AvgPool2d(stride) if stride > 1 else nn.Identity()


class Bottleneck(nn.Module):
    """(N, inputs, H, W) -> (N, 4·width, H/stride, W/stride): 1×1, 3×3, average, 1×1, plus the input."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = EXPANSION * width
        self.body = nn.Sequential(
            *convolution(inputs, width, 1),
            nn.ReLU(),
            *convolution(width, width, 3),
            nn.ReLU(),
            average(stride),
            *convolution(width, outputs, 1),
        )
        changes = stride > 1 or inputs != outputs
        self.shortcut = nn.Sequential(average(stride), *convolution(inputs, outputs, 1)) if changes else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.body(x) + self.shortcut(x))


class AttentionPool(nn.Module):
    """(N, width, side, side) -> (N, outputs): attention of the mean over all places to each of them."""

    def __init__(self, side: int, width: int, heads: int, outputs: int) -> None:
        super().__init__()
        self.heads = heads
        self.position = nn.Parameter(torch.randn(side * side + 1, width) * width**-0.5)  # the mean's first
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.out = nn.Linear(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(2).transpose(1, 2)  # (N, side², width)
        x = torch.cat([x.mean(1, keepdim=True), x], 1) + self.position
        q, k, v = (
            part.unflatten(2, (self.heads, -1)).transpose(1, 2)  # (N, heads, T, width / heads)
            for part in (self.query(x[:, :1]), self.key(x), self.value(x))
        )
        return self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(1))


class ClipResNet(nn.Module):
    """Normalised images (N, 3, size, size) -> embeddings (N, outputs).

    size: pixels of a side, a multiple of STRIDE, or a RequestError. width: channels of the stem and of the first
    stage's middle; stages double it. layers: blocks of each stage. heads: of the attention that pools.
    """

    def __init__(
        self,
        size: int = 224,
        width: int = 64,
        layers: Sequence[int] = (3, 4, 6, 3),
        heads: int = 32,
        outputs: int = 1024,
    ) -> None:
        super().__init__()
        if size % STRIDE:
            raise RequestError(f"a residual tower needs a multiple of {STRIDE} pixels a side, not {size}")
        self.size, self.dim = size, outputs
        self.stem = nn.Sequential()
        for a, b, stride in ((3, width // 2, 2), (width // 2, width // 2, 1), (width // 2, width, 1)):
            self.stem.extend([*convolution(a, b, 3, stride), nn.ReLU()])
        self.stem.append(nn.AvgPool2d(2))
        self.stages, inputs = nn.Sequential(), width
        for i, count in enumerate(layers):
            blocks = nn.Sequential()
            for j in range(count):
                blocks.append(Bottleneck(inputs, width << i, 2 if i and j == 0 else 1))
                inputs = EXPANSION * width << i
            self.stages.append(blocks)
        self.pool = AttentionPool(size // STRIDE, inputs, heads, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.pool(self.stages(self.stem(x)))
