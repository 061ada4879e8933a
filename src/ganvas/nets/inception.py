"""Inception-v3 (Szegedy et al. 2016) as TensorFlow published it in December 2015; FID is defined with it.

Unlike torchvision's, poolings of the branches do not count the padding, the last block pools by the maximum, and there
are 1,008 classes. Batch norms are folded into the convolutions.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

SIZE = 299  # pixels of a side
FEATURES, CLASSES = 2048, 1008


class Branches(nn.ModuleList):
    """Several networks of the same input, their outputs stacked along the channels."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__(branches)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self], 1)


def conv(a: int, b: int, rows: int = 1, columns: int = 0, stride: int = 1, padded: bool = True) -> nn.Sequential:
    """A convolution from a to b channels and its ReLU; without a stride it keeps the size, where it is padded."""
    kernel = (rows, columns or rows)
    padding = (kernel[0] // 2, kernel[1] // 2) if padded and stride == 1 else 0
    return nn.Sequential(nn.Conv2d(a, b, kernel, stride, padding), nn.ReLU(inplace=True))


def average() -> nn.Module:
    """The mean of 3×3 pixels, fewer at the border."""
    return nn.AvgPool2d(3, 1, 1, count_include_pad=False)


def block_a(a: int, pooled: int) -> Branches:
    """35×35: 224 + `pooled` channels."""
    return Branches(
        conv(a, 64),
        nn.Sequential(conv(a, 48), conv(48, 64, 5)),
        nn.Sequential(conv(a, 64), conv(64, 96, 3), conv(96, 96, 3)),
        nn.Sequential(average(), conv(a, pooled)),
    )


def block_b(a: int) -> Branches:
    """From 35×35 to 17×17: 480 more channels."""
    return Branches(
        conv(a, 384, 3, stride=2),
        nn.Sequential(conv(a, 64), conv(64, 96, 3), conv(96, 96, 3, stride=2)),
        nn.MaxPool2d(3, 2),
    )


def block_c(a: int, c: int) -> Branches:
    """17×17: 768 channels, `c` within the branches."""
    return Branches(
        conv(a, 192),
        nn.Sequential(conv(a, c), conv(c, c, 1, 7), conv(c, 192, 7, 1)),
        nn.Sequential(conv(a, c), conv(c, c, 7, 1), conv(c, c, 1, 7), conv(c, c, 7, 1), conv(c, 192, 1, 7)),
        nn.Sequential(average(), conv(a, 192)),
    )


def block_d(a: int) -> Branches:
    """From 17×17 to 8×8: 512 more channels."""
    return Branches(
        nn.Sequential(conv(a, 192), conv(192, 320, 3, stride=2)),
        nn.Sequential(conv(a, 192), conv(192, 192, 1, 7), conv(192, 192, 7, 1), conv(192, 192, 3, stride=2)),
        nn.MaxPool2d(3, 2),
    )


def block_e(a: int, pool: nn.Module) -> Branches:
    """8×8: 2,048 channels."""
    return Branches(
        conv(a, 320),
        nn.Sequential(conv(a, 384), Branches(conv(384, 384, 1, 3), conv(384, 384, 3, 1))),
        nn.Sequential(conv(a, 448), conv(448, 384, 3), Branches(conv(384, 384, 1, 3), conv(384, 384, 3, 1))),
        nn.Sequential(pool, conv(a, 192)),
    )


class Inception(nn.Module):
    """Images (N, 3, 299, 299) of values (x − 128) / 128 -> features (N, 2048).

    `head` maps them to the logits of `classes`, without a bias, as in the published Inception Score, or is None.
    """

    def __init__(self, classes: int = CLASSES) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            conv(3, 32, 3, stride=2),
            conv(32, 32, 3, padded=False),
            conv(32, 64, 3),
            nn.MaxPool2d(3, 2),
            conv(64, 80),
            conv(80, 192, 3, padded=False),
            nn.MaxPool2d(3, 2),
            *(block_a(192, 32), block_a(256, 64), block_a(288, 64)),
            block_b(288),
            *(block_c(768, 128), block_c(768, 160), block_c(768, 160), block_c(768, 192)),
            block_d(768),
            *(block_e(1280, average()), block_e(2048, nn.MaxPool2d(3, 1, 1))),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        self.head = nn.Linear(FEATURES, classes, bias=False) if classes else None

    def forward(self, x: Tensor) -> Tensor:
        return self.trunk(x)
