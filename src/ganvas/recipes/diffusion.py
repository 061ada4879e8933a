"""Diffusion: a U-Net learns to remove noise; a sampler uses it to turn pure noise into images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn
from torch.optim import Adam

from .. import samplers
from ..data import Dataset
from ..frozen.diffusion import Diffusion as Decoder
from ..nets.denoiser import Denoiser
from ..objectives.denoising import DENOISING, NOISES, denoising_loss
from ..plan import Plan
from ..types import Batch, Phase, Stats, System
from .base import Training, averaged, opt, place, refuse_points

MEASURED = 4096  # images of which the standard deviation is taken
GUIDANCE = 1.5  # where the data has classes: a quarter of the Fréchet distance on the digits (docs/results.md)
BANDS = (0.1, 1.0)  # of σ, by which the denoiser's error is logged


@dataclass(frozen=True)
class Diffusion(Training):
    """Diffusion."""

    objective: Literal["edm", "flow"] = opt("edm", "edm: Karras et al. 2022; flow: flow matching on straight paths")
    noise: Literal["auto", "lognormal", "uniform"] = opt(
        "auto",
        "noise levels of training: ln σ ~ N(P_mean, P_std²), or t ~ U(0, 1) with σ = t/(1-t); auto: the objective's",
    )
    P_mean: float = opt(-1.2, "lognormal: the mean of ln σ", low=-10)
    P_std: float = opt(1.2, "lognormal: the standard deviation of ln σ")
    sigma_data: float = opt(0.0, "edm: the standard deviation of the data; 0: measured")
    width: int = opt(32, "channels at the finest resolution, doubled at each halving", low=8)
    depth: int = opt(1, "residual blocks per resolution, on the way down and again on the way up", low=1)
    levels: int = opt(2, "resolutions", low=1, high=6)
    patch: int = opt(0, "side of the squares that count as one pixel; 0: 2 from 24 pixels on, 4 from 48, …")
    attention: bool = opt(True, "attention at the coarsest resolution")
    labels: bool = opt(True, "learn the classes, where the data has any")
    label_dropout: float = opt(0.1, "share of images that train without their class, for guidance", high=0.99)
    guidance: float = opt(0.0, "of samples, classifier-free; 1: none; more: typical, less varied; 0: 1.5 with classes")
    sampler: str = opt("dpm++", f"one of {', '.join(samplers.SAMPLERS)}")
    sampling_steps: int = opt(12, "steps from noise to an image; heun calls the denoiser twice in each", low=1)
    lr: float = opt(2e-3, "Adam's learning rate")
    beta2: float = opt(0.99, "Adam's β₂", high=0.99999)
    ema: float = opt(0.998, "decay of the weights' moving average, which draws the samples; 0: none", high=0.99999)

    def meanings(self, images: Dataset) -> Sequence[str]:
        return images.class_names if self.labels else ()


def diffusion() -> Diffusion:
    """A diffusion model (EDM, Karras et al. 2022): its sampling is slower than a GAN's, its training cannot collapse.

    Class-conditional where the data has classes; a tenth of the images train without, for guidance.
    """
    return Diffusion(data="fashion-mnist", steps=4000, warmup=100, sample_every=1000, monitor_every=1000)


def flow() -> Diffusion:
    """Flow matching (Lipman et al. 2023; rectified flow, Liu et al. 2023) on the same network: straight paths."""
    return replace(diffusion(), objective="flow")


class DenoisingLoss:
    """The loss of a denoiser."""

    def __init__(self, options: Diffusion, denoiser: Denoiser) -> None:
        """`options` as `resolve` returns them."""
        self.options, self.denoiser = options, denoiser
        self.noise, self.weight = NOISES[options.noise], DENOISING[options.objective].weight

    def loss(self, batch: Batch, step: int) -> tuple[Tensor, Stats]:
        o, x = self.options, batch.x
        sigma = self.noise(len(x), o.P_mean, o.P_std, x.device)
        noisy = x + sigma[:, None, None, None] * torch.randn_like(x)
        denoised = self.denoiser(noisy, sigma, self.drop_labels(batch.label))
        loss = denoising_loss(x, denoised, self.weight(sigma, self.denoiser.sigma_data))
        return loss.mean(), bands(sigma, (denoised - x).detach().square().flatten(1).mean(1))

    def drop_labels(self, label: Tensor | None) -> Tensor | None:
        """The labels, some replaced by the class "without a class"; None where classes are not learned."""
        classes = self.denoiser.network.classes
        if label is None or not classes:
            return None
        return label.masked_fill(torch.rand(len(label), device=label.device) < self.options.label_dropout, classes)


def bands(sigma: Tensor, error: Tensor) -> Stats:
    """The mean squared error of a pixel at low, middle and high noise, where the batch has such images."""
    low, high = BANDS
    masks = {"low": sigma < low, "mid": (sigma >= low) & (sigma < high), "high": sigma >= high}
    return {f"denoiser/mse_{name}": error[mask].mean() for name, mask in masks.items() if mask.any()}


def resolve(o: Diffusion, shape: tuple[int, ...], device: str = "cpu") -> Diffusion:
    """Replaces open options by what suits the shape; refuses points."""
    refuse_points(shape, "diffusion")
    samplers.sampler(o.sampler)
    noise = DENOISING[o.objective].noise if o.noise == "auto" else o.noise
    patch = o.patch or math.gcd(1 << (min(shape[1:]) // 12).bit_length() >> 1 or 1, *shape[1:])
    return replace(o, noise=noise, patch=patch)


def deviation(images: Dataset) -> float:
    """The standard deviation of the data's pixels, of up to MEASURED images, rounded: it only sets a scale."""
    rows = torch.linspace(0, len(images) - 1, min(len(images), MEASURED)).long()
    return max(0.01, round(images.at(rows).x.std().item(), 3))


def build(o: Diffusion, images: Dataset, plan: Plan) -> System:
    """The denoiser, a decoder that samples its moving average, and the optimiser of resolved options."""
    network = {"width": o.width, "depth": o.depth, "levels": o.levels, "patch": o.patch, "attention": o.attention}
    classes = images.classes if o.labels and images.labels is not None else 0
    spread, guidance = o.sigma_data or deviation(images), o.guidance or (GUIDANCE if classes else 1.0)
    sampling = (o.sampler, o.sampling_steps)
    decoder = Decoder(images.shape, classes, network, o.objective, spread, *sampling, guidance=guidance)
    denoiser = decoder.denoiser
    decoder.denoiser, average, update = averaged(denoiser, o.ema)
    modules: dict[str, nn.Module] = {"denoiser": denoiser, **average}
    place(modules.values(), plan)
    params = list(denoiser.parameters())
    optimizer = Adam(params, lr=o.lr, betas=(0.9, o.beta2), fused=True)
    loss = DenoisingLoss(o, denoiser).loss
    phase = Phase("denoiser", params, optimizer, loss, lr_factor=o.lr_factor, after_step=update)
    return System(modules, [phase], decoder, plan.dtype)
