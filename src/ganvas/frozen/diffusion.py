"""A denoiser and its sampler as one generator: the image is a function of the noise."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor

from .. import samplers
from ..errors import RequestError
from ..nets import Generator
from ..nets.blocks import arguments
from ..nets.denoiser import Denoiser
from ..nets.unet import UNet

MOST_STEPS = 10_000
SCHEDULE = {"edm": "karras", "flow": "straight"}  # preconditioning -> the noise levels that its paper samples at


class Diffusion(Generator):
    """z (N, C, H, W), unit noise -> images (N, C, H, W) in [-1, 1], by a sampler over a denoiser.

    The stochastic sampler also takes its noise from z, so that a seed gives one image. Its images do not change
    smoothly with z; those of the other samplers do.
    """

    adjustable = ("sampler", "steps", "schedule", "guidance", "sigma_min", "sigma_max")

    def __init__(
        self,
        shape: tuple[int, ...],
        classes: int = 0,
        network: dict[str, Any] | None = None,
        preconditioning: str = "edm",
        sigma_data: float = 0.5,
        sampler: str = "dpm++",
        steps: int = 12,
        schedule: str = "auto",
        guidance: float = 1.0,
        sigma_min: float = 0.002,
        sigma_max: float = 80.0,
    ) -> None:
        """`network` are the options of its UNet; the noise falls from `sigma_max` to `sigma_min`, and then to 0.

        `schedule` says how it falls; auto is as the preconditioning's paper has it. Raises RequestError for
        unknown names, for guidance without classes, and for impossible numbers.
        """
        options = arguments(locals())
        super().__init__(torch.Size(shape).numel(), shape, {})
        self.options = {**options, "network": network or {}}
        check(classes, steps, guidance, sigma_min, sigma_max)
        self.denoiser = Denoiser(UNet(shape, classes, **(network or {})), preconditioning, sigma_data)
        self.sampler, self.guidance = samplers.sampler(sampler), guidance
        self.sigmas = samplers.schedule(SCHEDULE[preconditioning] if schedule == "auto" else schedule)(
            steps, sigma_min, sigma_max
        )

    def prior(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """z ~ N(0, I), (n, C, H, W), on the CPU with a generator and on the weights' device without."""
        device = next(self.parameters()).device if generator is None else "cpu"
        return torch.randn(n, *self.shape, generator=generator, device=device)

    def denoise(self, x: Tensor, sigma: float, label: Tensor | None = None) -> Tensor:
        """D(x; σ, label), (N, C, H, W)."""
        return self.denoiser(x, torch.full((len(x),), sigma, device=x.device), label)

    def trajectory(self, z: Tensor, label: Tensor | None = None) -> Iterator[Tensor]:
        """x after each step of the sampler, (N, C, H, W); the last is the image, before it is clipped."""
        denoise = samplers.guided(partial(self.denoise, label=label), self.denoise, self.guidance)
        return self.sampler(denoise, self.sigmas[0] * z, self.sigmas, Fresh(z))

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        x = z
        for x in self.trajectory(z, label):  # noqa: B007 - the last
            pass
        return x.clamp(-1, 1)


def check(classes: int, steps: int, guidance: float, sigma_min: float, sigma_max: float) -> None:
    """Raise RequestError for numbers with which sampling is impossible."""
    if not 1 <= steps <= MOST_STEPS:
        raise RequestError(f"{steps} is not possible", f"give 1 to {MOST_STEPS:,}", field="options.steps")
    if not 0 < sigma_min < sigma_max < math.inf:
        problem = f"{sigma_min:g} to sigma_max={sigma_max:g} is not possible"
        raise RequestError(
            problem, "give levels that rise from above 0, such as 0.002 and 80", field="options.sigma_min"
        )
    if not math.isfinite(guidance):
        raise RequestError(f"{guidance:g} is not a finite number", "use 1.5, for example", field="options.guidance")
    if guidance != 1 and not classes:
        raise RequestError(f"{guidance:g} needs labels, and there are none", "use 1", field="options.guidance")


class Fresh:
    """Noise for a stochastic sampler: each item's is a function of its own latent, whatever the other items are."""

    def __init__(self, z: Tensor) -> None:
        """z: (N, ...)"""
        self.z = z

    @cached_property
    def generators(self) -> list[torch.Generator]:
        """One an item, seeded with the bits of its first two numbers."""
        bits = self.z.detach().float().cpu().flatten(1)[:, :2].contiguous().view(torch.int64)
        return [torch.Generator().manual_seed(seed) for seed in bits.flatten().tolist()]

    def __call__(self, x: Tensor) -> Tensor:
        return torch.stack([torch.randn(x.shape[1:], generator=g) for g in self.generators]).to(x.device)
