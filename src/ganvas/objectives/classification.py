"""The losses of an auxiliary classifier (AC-GAN, Odena et al. 2017), over classes or any number of keywords."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import log_softmax


def classification_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """-Σ y_k log p_k / Σ y_k, (N,): the distribution p over K words matches an item's own.

    logits: (N, K). labels: y, (N, K), 1 for each word of an item. With a single word it is the cross-entropy.
    """
    y = labels.float()
    return -(log_softmax(logits.float(), 1) * y).sum(1) / y.sum(1).clamp(min=1)


def misclassification_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """-log(1 - Σ y_k p_k), (N,): the distribution gives nothing to an item's words; see `classification_loss`.

    It is bounded below. A negated `classification_loss` is not: lowering it without end would outweigh any other loss.
    """
    logits, y = logits.float(), labels.bool()
    others = logits.masked_fill(y, -1e4)  # not -inf, whose gradient is NaN where an item has every word
    return logits.logsumexp(1) - others.logsumexp(1)
