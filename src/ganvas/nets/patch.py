"""The critic of pix2pix, which judges patches (Isola et al. 2017, arXiv:1611.07004)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .blocks import activation, normal_init

WIDEST = 8  # times the first layer's channels
SMALLEST = 3  # pixels of a side behind the halvings, of which one logit is made


class PatchCritic(nn.Module):
    """Images (N, C, H, W) -> a logit a patch, (N, h, w); pix2pix's "NLayerDiscriminator".

    `layers` convolutions of 4×4 that halve the image, each but the first with batch norm, a further one that does not
    halve it, and the logits; channels double from `width` on, to eight times that. A logit of 3 layers sees 70×70
    pixels, of 2 layers 34×34, of 1 layer 16×16: texture is judged, and what it belongs to is not. Sides are of
    SMALLEST · 2^layers pixels or more.
    """

    def __init__(self, channels: int, width: int = 64, layers: int = 3) -> None:
        super().__init__()
        widths = [width * min(2**i, WIDEST) for i in range(layers + 1)]
        blocks: list[nn.Module] = [nn.Conv2d(channels, width, 4, 2, 1), activation("leaky")]
        for i in range(1, layers + 1):
            stride = 1 if i == layers else 2
            blocks += [nn.Conv2d(widths[i - 1], widths[i], 4, stride, 1, bias=False)]
            blocks += [nn.BatchNorm2d(widths[i]), activation("leaky")]
        self.layers = nn.Sequential(*blocks, nn.Conv2d(widths[-1], 1, 4, 1, 1))
        normal_init(self)

    def forward(self, x: Tensor) -> Tensor:
        h = self.layers[:-1](x)
        with torch.autocast(x.device.type, enabled=False):  # a loss is of differences of logits, which are not rounded
            return self.layers[-1](h.float()).squeeze(1)
