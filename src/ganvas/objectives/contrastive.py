"""CLIP's loss."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy


def contrastive_loss(image: Tensor, text: Tensor, scale: Tensor, meaning: Tensor | None = None) -> Tensor:
    """(CE(s I Tᵀ) + CE(s T Iᵀ)) / 2, each image to find its text and each text its image, (N,), Radford et al. 2021.

    I and T are unit vectors (N, D), the n-th of each a pair; s is the inverse temperature. `meaning` (N,) numbers the
    captions: pairs with the same number are not negatives of each other.
    """
    with torch.autocast(image.device.type, enabled=False):  # which would round the products to 8 bits
        logits = scale.float() * image.float() @ text.float().T  # (N, N): images down, texts across
    n = len(logits)
    if meaning is not None:
        twins = (meaning[:, None] == meaning) & ~torch.eye(n, dtype=torch.bool, device=meaning.device)
        logits = logits.masked_fill(twins, -math.inf)
    target = torch.arange(n, device=logits.device)
    return (cross_entropy(logits, target, reduction="none") + cross_entropy(logits.T, target, reduction="none")) / 2
