"""How often what is looked for is found first, or among the first."""

from __future__ import annotations

import torch
from torch import Tensor


def recall(scores: Tensor, k: int) -> float:
    """R@k: the share of queries (rows) whose own answer, the n-th of the n-th, is among the k that score highest.

    scores: (N, M), N ≤ M. Answers that tie with the right one stand before it, so that equal scores earn nothing.
    """
    return (ranks(scores) <= k).float().mean().item()


def ranks(scores: Tensor) -> Tensor:
    """The place of each query's own answer, the first being 1, (N,) int64; ties as in `recall`."""
    return (scores >= scores.diagonal()[:, None]).sum(1).to(torch.int64)
