"""The loss of a codebook."""

from __future__ import annotations

from torch import Tensor


def codebook_loss(z: Tensor, codes: Tensor, beta: float) -> Tensor:
    """‖sg[z] - e‖² + β ‖z - sg[e]‖², a mean over each sample's elements, (N,): van den Oord et al. 2017, equation 3.

    The first term moves codes to the encoder's outputs, the second, the commitment, holds outputs near their codes.
    """
    z, codes = z.float().flatten(1), codes.float().flatten(1)
    return (z.detach() - codes).square().mean(1) + beta * (z - codes.detach()).square().mean(1)
