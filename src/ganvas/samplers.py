"""Samplers: from noise to an image, by the differential equation that a denoiser defines.

Everything is in the coordinates of EDM (Karras et al. 2022, arXiv:2206.00364): x at noise level σ is an image plus
σ · noise, a denoiser returns D(x; σ), the mean of the possible images, and dx/dσ = (x - D(x; σ)) / σ leads from noise
at the largest σ to an image at σ = 0. Flow matching is the same equation: x at σ is xₜ / (1 - t) with
σ = t / (1 - t), and since every sampler here is exact where D is constant, an Euler step is the same in both.

A sampler is a generator that yields x after each of its steps, and so the sample last.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from .errors import entry

Denoise = Callable[[Tensor, float], Tensor]  # (x (N, ...), σ) -> D(x; σ) (N, ...)
Noise = Callable[[Tensor], Tensor]  # x -> N(0, I) of its shape, which stochastic samplers draw
Sampler = Callable[[Denoise, Tensor, Sequence[float], Noise], Iterator[Tensor]]  # (denoise, x at σ₀, σ₀ … 0, noise)

NoiseSchedule = Callable[[int, float, float], list[float]]  # (n, σ_min, σ_max) -> σ₀ … 0

# -- noise levels: n + 1 of them, the last 0 ---------------------------------------------------------------------------


def karras(n: int, sigma_min: float = 0.002, sigma_max: float = 80.0, rho: float = 7.0) -> list[float]:
    """σᵢ = (σ_max^(1/ρ) + i / (n - 1) (σ_min^(1/ρ) - σ_max^(1/ρ)))^ρ for i < n, then 0 (EDM, eq. 5)."""
    high, low = sigma_max ** (1 / rho), sigma_min ** (1 / rho)
    return [(high + i / max(1, n - 1) * (low - high)) ** rho for i in range(n)] + [0.0]


def straight(n: int, sigma_min: float = 0.0, sigma_max: float = 80.0) -> list[float]:
    """σ = t / (1 - t) at n equal steps of flow matching's t, from σ_max to 0; `sigma_min` is ignored."""
    ts = [sigma_max / (1 + sigma_max) * (1 - i / n) for i in range(n + 1)]
    return [t / (1 - t) for t in ts]


SCHEDULES: dict[str, NoiseSchedule] = {"karras": karras, "straight": straight}


def schedule(name: str) -> NoiseSchedule:
    """The schedule of that name; a RequestError with similar names where there is none."""
    return entry("schedule", name, SCHEDULES, field="options.schedule")


# -- samplers ----------------------------------------------------------------------------------------------------------


def euler(denoise: Denoise, x: Tensor, sigmas: Sequence[float], noise: Noise = torch.randn_like) -> Iterator[Tensor]:
    """x ← x + (σ' - σ) (x - D) / σ: first order, one call of the denoiser per step."""
    for sigma, to in pairwise(sigmas):
        x = x + (to - sigma) * (x - denoise(x, sigma)) / sigma
        yield x


def heun(denoise: Denoise, x: Tensor, sigmas: Sequence[float], noise: Noise = torch.randn_like) -> Iterator[Tensor]:
    """Euler's step, then again with the mean of the slopes at its two ends: second order (EDM, algorithm 1).

    Two calls per step, one in the last.
    """
    for sigma, to in pairwise(sigmas):
        slope = (x - denoise(x, sigma)) / sigma
        ahead = x + (to - sigma) * slope
        x = ahead if to == 0 else x + (to - sigma) * (slope + (ahead - denoise(ahead, to)) / to) / 2
        yield x


def dpmpp_2m(denoise: Denoise, x: Tensor, sigmas: Sequence[float], noise: Noise = torch.randn_like) -> Iterator[Tensor]:
    """DPM-Solver++(2M): second order from the last two calls (Lu et al. 2022, arXiv:2211.01095, alg. 2).

    In λ = -ln σ the equation is linear but for D, which is extrapolated from its last two values; h are the steps of λ.
    The first step has no value before it, and the last goes to λ = ∞: both are first order.
    """
    previous, h_previous = None, 0.0
    for sigma, to in pairwise(sigmas):
        d = denoise(x, sigma)
        h = math.log(sigma / to) if to else math.inf
        mixed = d if previous is None or not to else d + h / (2 * h_previous) * (d - previous)
        x = to / sigma * x + (1 - to / sigma) * mixed
        previous, h_previous = d, h
        yield x


def ancestral(
    denoise: Denoise, x: Tensor, sigmas: Sequence[float], noise: Noise = torch.randn_like
) -> Iterator[Tensor]:
    """Euler's step further down than σ', then fresh noise up to it: the stochastic sampler of DDPM (Ho et al. 2020).

    σ_up² = σ'² (σ² - σ'²) / σ², σ_down² = σ'² - σ_up²: the result has the distribution of x at σ', given x at σ and the
    image D.
    """
    for sigma, to in pairwise(sigmas):
        up = to * math.sqrt(sigma**2 - to**2) / sigma
        down = math.sqrt(to**2 - up**2)
        x = x + (down - sigma) * (x - denoise(x, sigma)) / sigma
        if to > 0:
            x = x + up * noise(x)
        yield x


SAMPLERS: dict[str, Sampler] = {"euler": euler, "heun": heun, "dpm++": dpmpp_2m, "ancestral": ancestral}


def sampler(name: str) -> Sampler:
    """The sampler of that name; a RequestError with similar names where there is none."""
    return entry("sampler", name, SAMPLERS, field="options.sampler")


def guided(conditional: Denoise, unconditional: Denoise, scale: float) -> Denoise:
    """Classifier-free guidance, D(x) + w (D(x | label) - D(x)) (Ho and Salimans 2022, arXiv:2207.12598).

    w = 1 is the conditional denoiser alone, without a second call; more makes images more typical and less varied.
    """
    if scale == 1:
        return conditional

    def denoise(x: Tensor, sigma: float) -> Tensor:
        free = unconditional(x, sigma)
        return free + scale * (conditional(x, sigma) - free)

    return denoise
