"""The loss of a denoiser: its noise levels, and the weight of its error at each.

Both ways to train one are the same regression, E λ(σ) ‖D(x + σε; σ) - x‖², in the coordinates of EDM (Karras et al.
2022, "Elucidating the design space of diffusion-based generative models", arXiv:2206.00364). Flow matching's path
xₜ = (1 - t) x + t ε (Lipman et al. 2023, arXiv:2210.02747; Liu et al. 2023, arXiv:2209.03003) is (x + σε) / (1 + σ)
with σ = t / (1 - t), and its velocity v = ε - x follows from D, since D = xₜ - t v.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

CLOSEST = 1e-4  # of t to 0 and 1, where σ or a weight would be infinite


def lognormal(n: int, mean: float, std: float, device: torch.device | str) -> Tensor:
    """σ with ln σ ~ N(mean, std²), (n,): EDM, table 1. In flow's t it is logit-normal (Esser et al. 2024)."""
    return (mean + std * torch.randn(n, device=device)).exp()


def uniform(n: int, mean: float, std: float, device: torch.device | str) -> Tensor:
    """σ = t / (1 - t) with t ~ U(0, 1), (n,): flow matching. Mean and deviation are ignored."""
    t = torch.rand(n, device=device).clamp(CLOSEST, 1 - CLOSEST)
    return t / (1 - t)


def edm_weight(sigma: Tensor, sigma_data: float) -> Tensor:
    """λ(σ) = (σ² + σ_data²) / (σ σ_data)²: the network's error weighs the same at every σ (EDM, table 1)."""
    return (sigma**2 + sigma_data**2) / (sigma * sigma_data) ** 2


def flow_weight(sigma: Tensor, sigma_data: float) -> Tensor:
    """1 / t² = ((1 + σ) / σ)²: then λ ‖D - x‖² is ‖v - (ε - x)‖², flow matching's loss. σ_data is ignored."""
    return ((1 + sigma) / sigma) ** 2


class DenoisingObjective(NamedTuple):
    """A row: the noise levels of its paper, and the weight of the error at each."""

    noise: str  # of NOISES
    weight: Callable[[Tensor, float], Tensor]  # (σ (N,), σ_data) -> (N,)


Noises = Callable[[int, float, float, torch.device | str], Tensor]
NOISES: dict[str, Noises] = {"lognormal": lognormal, "uniform": uniform}
DENOISING = {"edm": DenoisingObjective("lognormal", edm_weight), "flow": DenoisingObjective("uniform", flow_weight)}


def denoising_loss(x: Tensor, denoised: Tensor, weight: Tensor) -> Tensor:
    """λ(σ) ‖D(x + σε; σ) - x‖², a mean over the pixels, (N,). x and D: (N, ...); weight: (N,)."""
    return weight * (denoised.float() - x.float()).square().flatten(1).mean(1)
