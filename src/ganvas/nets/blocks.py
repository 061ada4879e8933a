"""The parts that several architectures share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from ..errors import RequestError, entry
from ..sizes import Size, base_of, nearest

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": lambda: nn.ReLU(inplace=True),
    "leaky": lambda: nn.LeakyReLU(0.2, inplace=True),
    "leaky-0.01": lambda: nn.LeakyReLU(0.01, inplace=True),
    "selu": nn.SELU,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
    "tanh": nn.Tanh,
}


def activation(name: str) -> nn.Module:
    """A new module of ACTIVATIONS; a RequestError for an unknown name."""
    return entry("activation", name, ACTIVATIONS, field="options.activation")()


class UnitToSigned(nn.Module):
    """[0, 1] -> [-1, 1], behind a sigmoid."""

    def forward(self, x: Tensor) -> Tensor:
        return x * 2 - 1


OUTPUTS: dict[str, Callable[[], nn.Module]] = {
    "tanh": nn.Tanh,
    "sigmoid": lambda: nn.Sequential(nn.Sigmoid(), UnitToSigned()),
    "linear": nn.Identity,
}


def output(name: str) -> nn.Module:
    """A new module of OUTPUTS, a generator's last function; a RequestError for an unknown name."""
    return entry("output", name, OUTPUTS, field="options.out")()


def arguments(of: Mapping[str, Any]) -> dict[str, Any]:
    """The options that rebuild a network, JSON-able: its constructor's arguments, from `locals()` on its first line."""
    return {key: list(v) if isinstance(v, tuple) else v for key, v in of.items() if key not in ("self", "__class__")}


class Generator(nn.Module):
    """A `Decoder` with a standard normal prior. `options` rebuild it; its file holds them.

    `adjustable` are the options that the weights do not depend on, such as a sampler's steps.
    """

    adjustable: ClassVar[tuple[str, ...]] = ()

    def __init__(self, latent: int, shape: tuple[int, ...], options: dict[str, Any]) -> None:
        super().__init__()
        self.latent, self.shape = latent, tuple(shape)
        self.options = {"shape": list(shape), "latent": latent, **options}

    def prior(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """z ~ N(0, I), (n, latent), on the CPU with a generator and on the weights' device without."""
        device = next(self.parameters()).device if generator is None else "cpu"
        return torch.randn(n, self.latent, generator=generator, device=device)


class Autoencoder(nn.Module, ABC):
    """An encoder and its decoder. `options` rebuild both; their file holds them."""

    def __init__(self, shape: tuple[int, ...], options: dict[str, Any]) -> None:
        super().__init__()
        self.shape = tuple(shape)
        self.options = {"shape": list(shape), **options}

    @abstractmethod
    def encode(self, x: Tensor) -> Tensor:
        """Images (N, *shape) in [-1, 1] -> latents like the decoder's prior; the mean, of a distribution."""

    @abstractmethod
    def decode(self, z: Tensor) -> Tensor:
        """Latents -> images (N, *shape) in [-1, 1]."""

    @abstractmethod
    def as_generator(self) -> Generator:
        """The decoder as a generator, which shares the weights."""


def pyramid(shape: tuple[int, ...], width: int, most: int) -> tuple[int, tuple[int, int], list[int]]:
    """The channels of an image, its coarsest (height, width), and the widths of all resolutions down to that one.

    `sizes.base_of` gives the coarsest: 4×4 for 64×64, 3×4 for 96×128. Widths double from `width` to `most`. Raises
    RequestError for points and for sizes that are not a base doubled.
    """
    if len(shape) != 3:
        problem = f"this network draws images, not items of shape {tuple(shape)}"
        raise RequestError(problem, "use net=mlp", field="options.net")
    channels, height, wide = shape
    found = base_of(height, wide)
    if found is None:
        one, other = nearest(Size(wide, height))
        hint = f"use size={one} or size={other}, or net=mlp, which draws any size"
        raise RequestError(f"convolutions do not draw {Size(wide, height)} pixels", hint, field="options.size")
    base, doublings = found
    return channels, base, [min(width << i, most) for i in range(doublings + 1)]


def zero_init(layer: nn.Conv2d | nn.Linear) -> nn.Module:
    """The layer with its weights and biases at zero, so that its branch starts at zero."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def normal_init(module: nn.Module) -> None:
    """DCGAN's initialisation: weights N(0, 0.02), batch norm's N(1, 0.02), biases 0 (Radford et al. 2016)."""
    for m in module.modules():
        if isinstance(m, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(m.weight, 0, 0.02)
        elif isinstance(m, nn.BatchNorm2d):
            nn.init.normal_(m.weight, 1, 0.02)
        else:
            continue
        if m.bias is not None:
            nn.init.zeros_(m.bias)


def apply_spectral_norm(module: nn.Module) -> None:
    """Spectral normalisation of every linear and convolutional layer in place (Miyato et al. 2018)."""
    for m in list(module.modules()):
        if isinstance(m, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            spectral_norm(m)


class Pack(nn.Module):
    """PacGAN (Lin et al. 2018): the critic sees m samples at once, as channels. (N, C, …) -> (N/m, mC, …)"""

    def __init__(self, m: int) -> None:
        super().__init__()
        self.m = m

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(len(x) // self.m, self.m * x.shape[1], *x.shape[2:])


class MinibatchStddev(nn.Module):
    """Appends the batch's mean standard deviation as one more feature (Karras et al. 2018). (N, C, …) -> (N, C+1, …)

    Each group of `group` neighbours has its own, so that one group does not hide another's collapse.
    """

    def __init__(self, group: int = 4) -> None:
        super().__init__()
        self.group = group

    def forward(self, x: Tensor) -> Tensor:
        n = len(x)
        group = self.group if n % self.group == 0 else n
        y = x.float().reshape(n // group, group, -1)
        spread = (y.var(1, unbiased=False) + 1e-8).sqrt().mean(1)  # (N/group,)
        spread = spread.repeat_interleave(group).reshape(n, *[1] * (x.dim() - 1)).to(x.dtype)
        return torch.cat([x, spread.expand(n, 1, *x.shape[2:])], 1)


class MinibatchDiscrimination(nn.Module):
    """Appends each sample's closeness to the rest of its batch (Salimans et al. 2016). (N, A) -> (N, A+B)

    M = xT, (N, B, C);  o(x_i)_b = Σ_{j≠i} exp(-‖M_ib - M_jb‖₁).
    """

    def __init__(self, features: int, kernels: int, dims: int = 5) -> None:
        super().__init__()
        self.kernels, self.dims = kernels, dims
        self.T = nn.Linear(features, kernels * dims, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        m = self.T(x).float().reshape(len(x), self.kernels, self.dims)
        distance = (m[:, None] - m[None]).abs().sum(3)  # (N, N, B)
        closeness = torch.exp(-distance).sum(1) - 1  # the sample itself counts 1
        return torch.cat([x, closeness.to(x.dtype)], 1)


def is_batch_independent(critic: nn.Module, n: int) -> bool:
    """Whether two batches of `n` in one pass get the logits that each gets alone."""
    mixing = nn.BatchNorm1d | nn.BatchNorm2d | MinibatchDiscrimination
    for m in critic.modules():
        n = n // m.m if isinstance(m, Pack) else n
        if isinstance(m, mixing) or (isinstance(m, MinibatchStddev) and n % m.group):
            return False
    return True


class Logits(nn.Linear):
    """A critic's last layer, in float32 under autocast, too: losses depend on differences of logits."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            return super().forward(x.to(self.weight.dtype))


class Head(nn.Module):
    """Batch statistics, which show collapse, and the critic's last layer. (N, C, …) -> (N,) or (N, outputs)"""

    def __init__(self, shape: tuple[int, ...], outputs: int = 1, stddev: bool = False, discrimination: int = 0) -> None:
        super().__init__()
        channels, area = shape[0] + stddev, torch.Size(shape[1:]).numel()
        features = channels * area
        self.statistics = nn.Sequential(MinibatchStddev() if stddev else nn.Identity(), nn.Flatten())
        if discrimination:
            self.statistics.append(MinibatchDiscrimination(features, discrimination))
        self.linear = Logits(features + discrimination, outputs)

    def forward(self, x: Tensor) -> Tensor:
        y = self.linear(self.statistics(x))
        return y.squeeze(1) if y.shape[1] == 1 else y


class AutoencoderCritic(nn.Module):
    """BEGAN's critic: any encoder, and any generator as decoder; returns the energy ‖x - AE(x)‖₁ per element, (N,)."""

    def __init__(self, encoder: nn.Module, decoder: Generator) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.decoder(self.encoder(x))).float().abs().flatten(1).mean(1)
