"""How often the right answer is found among the first."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import RequestError
from .inputs import check_finite


def recall(scores: Tensor, k: int) -> float:
    """R@k: the share of queries (rows) whose own answer, the n-th of the n-th, is among the k that score highest.

    Answers with the same score as the right one count as better, so that equal scores gain nothing.

    scores: (N, M), N from 1 to M. k: how many answers count, at least 1.
    """
    if k < 1:
        raise RequestError(f"there are no {k} best answers", "take k of at least 1")
    return (ranks(scores) <= k).double().mean().item()


def ranks(scores: Tensor) -> Tensor:
    """The place of each query's own answer, the first being 1, (N,) int64; scores and ties as in `recall`."""
    if scores.ndim != 2 or not 1 <= len(scores) <= scores.shape[1]:
        raise RequestError(
            f"cannot rank scores of shape {tuple(scores.shape)}; give (N, M), a row for each of N queries, whose own "
            "answers are the first N of M"
        )
    check_finite("scores", scores)
    return (scores >= scores.diagonal()[:, None]).sum(1).to(torch.int64)
