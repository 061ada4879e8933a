"""R3GAN's networks (Huang et al. 2024, "The GAN is dead; long live the GAN!", arXiv:2501.05441).

Residual blocks without normalisation. Up- and downsampling is bilinear; a 1×1 convolution changes the channels at the
lower resolution, where it is cheapest. The last convolution of each branch starts at zero, and the depth scales the
others (Fixup, Zhang et al. 2019), which makes normalisation unnecessary.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from .blocks import Generator, Logits, MinibatchStddev, Pack, arguments, output, pyramid, zero_init

LEAK = 0.2
LEAKY_GAIN = math.sqrt(2 / (1 + LEAK**2))  # keeps the variance through a leaky ReLU (He et al. 2015)


def initialise(layer: nn.Conv2d | nn.Linear, gain: float = 1.0) -> nn.Module:
    """The layer with weights N(0, gain² / fan-in) and biases 0."""
    nn.init.normal_(layer.weight, 0, gain / math.sqrt(layer.weight[0].numel()))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


class Residual(nn.Module):
    """x + branch(x), (N, C, H, W) -> the same; one of `depth` such blocks in the network."""

    def __init__(self, channels: int, expansion: int, group: int, depth: int) -> None:
        super().__init__()
        wide = channels * expansion
        group = math.gcd(wide, group)
        gain = LEAKY_GAIN * depth**-0.25  # Fixup: depth^(-1/(2m-2)), m = 3 convolutions per branch
        back = zero_init(nn.Conv2d(wide, channels, 1, bias=False))
        self.branch = nn.Sequential(
            initialise(nn.Conv2d(channels, wide, 1), gain),
            nn.LeakyReLU(LEAK),
            initialise(nn.Conv2d(wide, wide, 3, padding=1, groups=wide // group), gain),
            nn.LeakyReLU(LEAK),
            back,
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.branch(x)


def stages(widths: list[int], blocks: int, expansion: int, group: int) -> list[list[nn.Module]]:
    """The residual blocks of each resolution, `blocks` for each of `widths`."""
    depth = blocks * len(widths)
    return [[Residual(c, expansion, group, depth) for _ in range(blocks)] for c in widths]


def pointwise(a: int, b: int) -> list[nn.Module]:
    """The 1×1 convolution from a to b channels, where they differ."""
    return [] if a == b else [initialise(nn.Conv2d(a, b, 1, bias=False))]


class ResidualGenerator(Generator):
    """z (N, latent) -> images (N, C, H, W) of the sizes of `sizes.base_of`.

    It starts from a learned basis at the smallest resolution; a linear function of z scales each channel. `blocks` is
    per resolution; `group` is the channels per group of the 3×3 convolution, or a divisor of it. `out` "tanh" keeps
    images in [-1, 1]; "linear", the paper's, does not. Labels are not used.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        latent: int = 64,
        width: int = 32,
        max_width: int = 256,
        blocks: int = 1,
        expansion: int = 2,
        group: int = 16,
        out: str = "tanh",
    ) -> None:
        super().__init__(latent, shape, arguments(locals()))
        channels, base, widths = pyramid(shape, width, max_width)
        widths.reverse()
        self.basis = nn.Parameter(torch.randn(widths[0], *base))
        self.modulation = initialise(nn.Linear(latent, widths[0]))
        layers: list[nn.Module] = []
        for i, residuals in enumerate(stages(widths, blocks, expansion, group)):
            if i > 0:
                layers += [*pointwise(widths[i - 1], widths[i]), nn.Upsample(scale_factor=2, mode="bilinear")]
            layers += residuals
        self.layers = nn.Sequential(*layers, initialise(nn.Conv2d(widths[-1], channels, 1)), output(out))

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        return self.layers(self.modulation(z)[:, :, None, None] * self.basis)


class ResidualCritic(nn.Module):
    """Images (N, C, H, W) -> logits (N,), or (N, outputs): `ResidualGenerator` the other way round.

    With packing, N/pack of them. It ends with one learned template per channel, the counterpart of the generator's
    basis, and a linear layer. Averaging 2×2 pixels is bilinear sampling at half the size.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        width: int = 32,
        max_width: int = 256,
        blocks: int = 1,
        expansion: int = 2,
        group: int = 16,
        minibatch_stddev: bool = False,
        pack: int = 1,
        outputs: int = 1,
    ) -> None:
        super().__init__()
        channels, base, widths = pyramid(shape, width, max_width)
        layers: list[nn.Module] = [Pack(pack), initialise(nn.Conv2d(pack * channels, widths[0], 1))]
        for i, residuals in enumerate(stages(widths, blocks, expansion, group)):
            if i > 0:
                layers += [nn.AvgPool2d(2), *pointwise(widths[i - 1], widths[i])]
            layers += residuals
        features = widths[-1] + minibatch_stddev
        layers += [MinibatchStddev()] if minibatch_stddev else []
        layers += [initialise(nn.Conv2d(features, features, base, groups=features, bias=False)), nn.Flatten()]
        layers += [initialise(Logits(features, outputs)), *([nn.Flatten(0)] if outputs == 1 else [])]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)
