"""What reconstructions and answers are measured by: the ratio of signal to noise, and the places of right answers."""

from __future__ import annotations

import math

import pytest
import torch
from torchmetrics.functional.image import peak_signal_noise_ratio
from torchmetrics.functional.retrieval import retrieval_recall

from ganvas.errors import RequestError, WorkError
from ganvas.metrics import psnr
from ganvas.metrics.retrieval import ranks, recall


def uniform(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_psnr_agrees_with_torchmetrics(dtype: torch.dtype) -> None:
    x, y = uniform(3, 1, 6, 5).to(dtype), uniform(3, 1, 6, 5, seed=1).to(dtype)
    expected = [peak_signal_noise_ratio(a.double(), b.double(), data_range=2.0) for a, b in zip(x, y, strict=True)]
    torch.testing.assert_close(psnr(x, y), torch.stack(expected).float())


def test_psnr_of_equal_and_of_opposite_images() -> None:
    x = torch.ones(2, 1, 3, 3)
    assert psnr(x, x).tolist() == [math.inf, math.inf]
    assert psnr(x, -x).tolist() == [0, 0]


def test_psnr_refuses() -> None:
    x = uniform(2, 1, 4, 4)
    for a, b in [(x, x[:1]), (x, x[..., :3]), (x.byte(), x.byte()), (x, x.byte()), (x[:0], x[:0]), (x[0, 0, 0],) * 2]:
        with pytest.raises(RequestError, match="cannot compare"):
            psnr(a, b)
    for bad in (math.nan, math.inf):
        for a, b in [(x, x * bad), (x * bad, x)]:
            with pytest.raises(WorkError, match="the images hold NaN"):
                psnr(a, b)


def test_recall_agrees_with_torchmetrics() -> None:
    scores = uniform(20, 30) + 2  # torchmetrics finds nothing below 0
    own = torch.eye(20, 30, dtype=torch.bool)
    for k in (1, 4, 30, 99):
        expected = [retrieval_recall(row, right, top_k=min(k, 30)) for row, right in zip(scores, own, strict=True)]
        assert recall(scores, k) == pytest.approx(torch.stack(expected).mean().item())


def test_scores_that_are_not_finite_are_no_answers_found() -> None:
    scores = uniform(3, 3)
    for bad in (math.nan, math.inf):
        for spoilt in (scores * bad, scores.index_fill(0, torch.tensor(1), bad)):
            with pytest.raises(WorkError, match="the scores hold NaN"):
                recall(spoilt, 1)


def test_recall_refuses() -> None:
    scores = uniform(3, 4)
    for other in (scores.T, scores[:0], scores[0]):
        with pytest.raises(RequestError, match="cannot rank scores"):
            ranks(other)
    with pytest.raises(RequestError, match="at least 1"):
        recall(scores, 0)
