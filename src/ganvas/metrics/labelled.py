"""Figures of a classifier's predictions of the samples: the inception score, and which classes appear."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from ..errors import RequestError
from .estimates import Estimate
from .inputs import check_finite, double


def inception_score(logits: Tensor, splits: int = 10, *, seed: int = 0) -> Estimate:
    """The inception score, exp E KL(p(y|x) ‖ p(y)) (Salimans et al. 2016), the mean over random splits.

    It is high where each sample is clearly of one class and all classes appear: between 1 and the number of classes.
    It uses neither the data nor the variety within a class. Its error is the standard deviation over the splits, as
    published scores have it.

    logits: of a classifier for every sample, (N, K), N ≥ 2·splits.
    splits: how many equal parts; 10 in the paper.
    seed: of the order in which samples are split, so that the order of classes in a folder does not matter.
    """
    if logits.ndim != 2 or not logits.shape[1] or splits < 1 or len(logits) < 2 * splits:
        raise RequestError(
            f"cannot score logits of shape {tuple(logits.shape)} in {splits} splits",
            "give (N, K), K at least 1, with at least two samples a split",
        )
    check_finite("logits", logits)
    order = torch.randperm(len(logits), generator=torch.Generator().manual_seed(seed))
    scores = torch.stack([_score(double(logits[rows.to(logits.device)])) for rows in order.tensor_split(splits)])
    return Estimate(scores.mean().item(), scores.std(correction=0).item())


def _score(logits: Tensor) -> Tensor:
    log_p = logits.log_softmax(1)  # log p(y|x), (N, K)
    log_mean = log_p.logsumexp(0) - math.log(len(log_p))  # log p(y), finite even where p(y) underflows
    return (log_p.exp() * (log_p - log_mean)).sum(1).mean().exp()


class LabelReport(NamedTuple):
    """The result of `labelled_modes`."""

    modes: int  # how many classes appear at least once
    entropy: float  # of the classes' shares, nats; log K when all are equal
    reverse_kl: float  # KL(samples over classes ‖ uniform), nats; 0 when all are equal, log K for a single class


def labelled_modes(labels: Tensor, classes: int) -> LabelReport:
    """Which of the classes the samples reach, and how evenly: VEEGAN's count (Srivastava et al. 2017) on Stacked-MNIST.

    labels: the class of every sample, as a classifier sees it, (N,) integers from 0 to `classes` − 1.
    """
    if labels.ndim != 1 or not len(labels) or labels.is_floating_point() or labels.dtype == torch.bool:
        raise RequestError(
            f"cannot count labels of shape {tuple(labels.shape)} and type {labels.dtype}",
            "give at least one integer, as (N,)",
        )
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= classes:
        raise RequestError(f"labels from {low} to {high} are not all below {classes} classes", "number them from 0")
    share = torch.bincount(labels.cpu(), minlength=classes).double() / len(labels)
    entropy = max(0.0, -torch.xlogy(share, share).sum().item())
    return LabelReport(int((share > 0).sum()), entropy, max(0.0, math.log(classes) - entropy))
