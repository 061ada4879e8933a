"""DCGAN (Radford et al. 2016): transposed convolutions up, strided convolutions down, for sizes of `sizes.base_of`."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from .blocks import Generator, Head, Pack, activation, apply_spectral_norm, arguments, normal_init, output, pyramid


class InputProjection(nn.ConvTranspose2d):
    """The transposed convolution of a 1×1 image, (N, C, 1, 1) -> (N, C', h, w), as a matrix product."""

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        y = (x.flatten(1) @ self.weight.flatten(1)).reshape(len(x), *self.weight.shape[1:])
        return y if self.bias is None else y + self.bias[:, None, None]


class DCGANGenerator(Generator):
    """z (N, latent) or (N, latent, 1, 1) -> images (N, C, H, W).

    The first block maps z to the coarsest level, each further one doubles H and W; the last but one has `width`
    channels.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        latent: int = 100,
        width: int = 64,
        max_width: int = 512,
        activate: str = "relu",
        norm: bool = True,
        out: str = "tanh",
    ) -> None:
        super().__init__(latent, shape, arguments(locals()))
        channels, base, widths = pyramid(shape, width, max_width)
        layers: list[nn.Module] = []
        for a, b in pairwise((latent, *widths[-2::-1])):
            bias = not norm
            up = nn.ConvTranspose2d(a, b, 4, 2, 1, bias=bias) if layers else InputProjection(a, b, base, bias=bias)
            layers += [up, *([nn.BatchNorm2d(b)] if norm else []), activation(activate)]
        self.layers = nn.Sequential(*layers, nn.ConvTranspose2d(widths[0], channels, 4, 2, 1))
        self.out = output(out)
        normal_init(self)

    def raw(self, z: Tensor) -> Tensor:
        """The images before the last function."""
        return self.layers(z.reshape(len(z), -1, 1, 1))

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        return self.out(self.raw(z))


class DCGANCritic(nn.Module):
    """Images (N, C, H, W) -> logits (N,), or (N/pack,) with packing. `norm`: none, batch or spectral."""

    def __init__(
        self,
        shape: tuple[int, ...],
        width: int = 64,
        max_width: int = 512,
        activate: str = "leaky",
        norm: str = "batch",
        dropout: float = 0.0,
        stddev: bool = False,
        discrimination: int = 0,
        pack: int = 1,
        outputs: int = 1,
    ) -> None:
        super().__init__()
        channels, base, widths = pyramid(shape, width, max_width)
        layers: list[nn.Module] = [Pack(pack)]
        for i, (a, b) in enumerate(pairwise((pack * channels, *widths[:-1]))):
            batch_norm = norm == "batch" and i > 0  # never on the input layer
            layers += [nn.Conv2d(a, b, 4, 2, 1, bias=not batch_norm), *([nn.BatchNorm2d(b)] if batch_norm else [])]
            layers += [activation(activate), *([nn.Dropout2d(dropout)] if dropout else [])]
        self.layers = nn.Sequential(*layers, Head((widths[-2], *base), outputs, stddev, discrimination))
        normal_init(self)
        if norm == "spectral":
            apply_spectral_norm(self)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)
