"""Denoising: a U-Net learns to take noise away, and the way from pure noise to an image follows from it."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn
from torch.optim import Adam

from .. import samplers
from ..data import Dataset
from ..errors import RequestError
from ..frozen.diffusion import Diffusion as Decoder
from ..loop import EMA
from ..nets.denoiser import Denoiser
from ..objectives.denoising import DENOISING, NOISES, denoising, denoising_loss
from ..plan import Plan
from ..types import Batch, Phase, Stats, System
from .base import Training, opt, rate

MEASURED = 4096  # images of which the standard deviation is taken
GUIDANCE = 1.5  # where the data has classes: a quarter of the Fréchet distance on the digits (docs/results.md)
BANDS = (0.1, 1.0)  # of σ, by which the denoiser's error is logged


@dataclass(frozen=True)
class Diffusion(Training):
    """Options of the diffusion recipes."""

    objective: Literal["edm", "flow"] = opt("edm", "edm: Karras et al. 2022; flow: flow matching on straight paths")
    noise: Literal["auto", "lognormal", "uniform"] = opt(
        "auto", "levels to learn at: ln σ ~ N(P_mean, P_std²), or t ~ U(0, 1) with σ = t/(1-t); auto: the objective's"
    )
    P_mean: float = opt(-1.2, "lognormal: the mean of ln σ", low=-10)
    P_std: float = opt(1.2, "lognormal: the standard deviation of ln σ")
    sigma_data: float = opt(0.0, "edm: the standard deviation of the data; 0: measured")
    width: int = opt(32, "channels at the finest resolution, doubled at each halving", low=8)
    depth: int = opt(1, "residual blocks of a resolution, on the way down and again on the way up", low=1)
    levels: int = opt(2, "resolutions", low=1, high=6)
    patch: int = opt(0, "side of the squares that the network takes for pixels; 0: 2 from 24 pixels on, 4 from 48, …")
    attention: bool = opt(True, "attention among all pixels of the coarsest resolution")
    labels: bool = opt(True, "learn the classes, where the data has them")
    label_dropout: float = opt(0.1, "share of images that are learned without their class, for guidance", high=0.99)
    guidance: float = opt(
        0.0, "classifier-free guidance of the samples: 1 none; above, more typical, less varied; 0: 1.5 with classes"
    )
    sampler: str = opt("dpm++", f"one of {', '.join(samplers.SAMPLERS)}")
    sampling_steps: int = opt(12, "steps from noise to an image; heun looks at the denoiser twice in each", low=1)
    lr: float = opt(2e-3, "Adam's learning rate")
    beta2: float = opt(0.99, "Adam's β₂", high=0.99999)
    warmup: int = opt(100, "steps over which the learning rate rises from 0")
    decay: int = opt(0, "step by which the learning rate has fallen to a hundredth; -1: `steps`; 0: constant", -1)
    ema: float = opt(0.998, "decay of the weights' moving average, which is what is sampled; 0: none", high=0.99999)


def diffusion() -> Diffusion:
    """A diffusion model, as EDM has it: what it costs in sampling it saves in training, which cannot collapse.

    Class-conditional where the data has classes; a tenth of the images are learned without, for guidance.
    """
    return Diffusion(data="fashion-mnist", steps=4000, sample_every=1000, monitor_every=1000)


def flow() -> Diffusion:
    """Flow matching (rectified flow) on the same network: straight paths from noise to images."""
    return replace(diffusion(), objective="flow")


class Denoising:
    """The loss of a denoiser."""

    def __init__(self, options: Diffusion, denoiser: Denoiser) -> None:
        """`options` as `resolve` leaves them."""
        self.options, self.denoiser = options, denoiser
        self.noise, self.weight = NOISES[options.noise], denoising(options.objective).weight

    def loss(self, batch: Batch, step: int) -> tuple[Tensor, Stats]:
        o, x = self.options, batch.x
        sigma = self.noise(len(x), o.P_mean, o.P_std, x.device)
        noisy = x + sigma[:, None, None, None] * torch.randn_like(x)
        denoised = self.denoiser(noisy, sigma, self.dropped(batch.label))
        loss = denoising_loss(x, denoised, self.weight(sigma, self.denoiser.sigma_data))
        return loss.mean(), bands(sigma, (denoised - x).detach().square().flatten(1).mean(1))

    def dropped(self, label: Tensor | None) -> Tensor | None:
        """The labels, some of them replaced by the class of images without one; None where classes are not learned."""
        classes = self.denoiser.network.classes
        if label is None or not classes:
            return None
        return label.masked_fill(torch.rand(len(label), device=label.device) < self.options.label_dropout, classes)


def bands(sigma: Tensor, error: Tensor) -> Stats:
    """The mean squared error of a pixel, of images with little, middling and much noise, where the batch has any."""
    low, high = BANDS
    masks = {"low": sigma < low, "mid": (sigma >= low) & (sigma < high), "high": sigma >= high}
    return {f"denoiser/mse_{name}": error[mask].mean() for name, mask in masks.items() if mask.any()}


def resolve(o: Diffusion, shape: tuple[int, ...], device: str = "cpu") -> Diffusion:
    """Puts the choice of the shape where the options leave it open; refuses what cannot be."""
    if len(shape) != 3:
        raise RequestError(f"diffusion draws images, not items of shape {tuple(shape)}; use the recipe points")
    samplers.sampler(o.sampler)
    return replace(
        o,
        noise=DENOISING[o.objective].noise if o.noise == "auto" else o.noise,
        patch=o.patch or math.gcd(1 << (min(shape[1:]) // 12).bit_length() >> 1 or 1, *shape[1:]),
        decay=o.steps if o.decay < 0 else o.decay,
    )


def deviation(images: Dataset) -> float:
    """The standard deviation of the data's pixels, of up to MEASURED images; it is rounded, as it only sets a scale."""
    rows = torch.linspace(0, len(images) - 1, min(len(images), MEASURED)).long()
    return max(0.01, round(images.at(rows).x.std().item(), 3))


def build(options: Diffusion, images: Dataset, plan: Plan) -> System:
    """The denoiser, its moving average within the decoder that samples it, and the optimiser of `options`."""
    o = resolve(options, images.shape, plan.device)
    network = {"width": o.width, "depth": o.depth, "levels": o.levels, "patch": o.patch, "attention": o.attention}
    classes = images.classes if o.labels and images.labels is not None else 0
    decoder = Decoder(
        images.shape,
        classes,
        network,
        o.objective,
        o.sigma_data or deviation(images),
        o.sampler,
        o.sampling_steps,
        guidance=o.guidance or (GUIDANCE if classes else 1.0),
    )
    denoiser = copy.deepcopy(decoder.denoiser) if o.ema else decoder.denoiser
    average = EMA(denoiser, decoder.denoiser, o.ema) if o.ema else None
    modules: dict[str, nn.Module] = {"denoiser": denoiser}
    if average is not None:
        modules["average"] = average
    layout = torch.channels_last if plan.channels_last else torch.contiguous_format
    for module in modules.values():
        module.to(plan.device).to(memory_format=layout)  # pyright: ignore[reportCallIssue] - torch's stub forgets it
    params = list(denoiser.parameters())
    optimizer = Adam(params, lr=o.lr, betas=(0.9, o.beta2), fused=True)
    task = Denoising(o, denoiser)
    phase = Phase("denoiser", params, optimizer, task.loss, average=average, rate=rate(o.warmup, o.decay))
    return System(modules, [phase], decoder, plan.dtype)
