"""A denoiser: a network with the scalings of EDM or of flow matching around it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ..errors import entry
from .unet import UNet

Scalings = tuple[Tensor, Tensor, Tensor, Tensor]  # D(x; σ) = skip · x + out · F(into · x; level), (N,) each


def edm(sigma: Tensor, sigma_data: float) -> Scalings:
    """F's input and output have variance 1 at every σ, its errors grow least (Karras et al. 2022, table 1)."""
    total = (sigma**2 + sigma_data**2).sqrt()
    return sigma_data**2 / total**2, sigma * sigma_data / total, 1 / total, sigma.log() / 4


def flow(sigma: Tensor, sigma_data: float) -> Scalings:
    """F is the velocity at xₜ = x / (1 + σ), and D = xₜ - t F with t = σ / (1 + σ) (Lipman, Liu et al. 2023)."""
    t = sigma / (1 + sigma)
    return 1 - t, -t, 1 - t, t


PRECONDITIONINGS: dict[str, Callable[[Tensor, float], Scalings]] = {"edm": edm, "flow": flow}


class Denoiser(nn.Module):
    """D(x; σ, label): the mean of the clean images, given x = image + σ · noise."""

    def __init__(self, network: UNet, preconditioning: str = "edm", sigma_data: float = 0.5) -> None:
        """`sigma_data` is the standard deviation of the data. Raises RequestError for an unknown preconditioning."""
        super().__init__()
        self.network, self.sigma_data = network, sigma_data
        self.scalings = entry("preconditioning", preconditioning, PRECONDITIONINGS)

    def forward(self, x: Tensor, sigma: Tensor, label: Tensor | None = None) -> Tensor:
        """x (N, C, H, W), σ (N,) or one for all (), label (N,) int64, or None -> (N, C, H, W) float32."""
        with torch.autocast(x.device.type, enabled=False):
            skip, out, into, level = (c.expand(len(x)) for c in self.scalings(sigma.float(), self.sigma_data))
        f = self.network(into[:, None, None, None] * x, level, label)
        return skip[:, None, None, None] * x + out[:, None, None, None] * f.float()
