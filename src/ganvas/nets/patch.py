"""The patch critic of pix2pix (Isola et al. 2017, arXiv:1611.07004)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .blocks import activation, normal_init

WIDEST = 8  # times the first layer's channels
SMALLEST = 3  # pixels a side after the halvings, which make one logit


class PatchCritic(nn.Module):
    """Images (N, C, H, W) -> one logit per patch, (N, h, w); pix2pix's "NLayerDiscriminator".

    `layers` 4×4 convolutions halve the image, all but the first with batch norm; one more does not; then the logits.
    Channels double from `width` to eight times that. With 3 layers a logit sees 70×70 pixels, with 2 layers 34×34, with
    1 layer 16×16: it judges texture, not objects. Sides must have SMALLEST · 2^layers pixels or more.
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
        with torch.autocast(x.device.type, enabled=False):  # losses depend on differences of logits
            return self.layers[-1](h.float()).squeeze(1)
