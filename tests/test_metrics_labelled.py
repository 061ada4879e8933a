"""The inception score agrees with torchmetrics and closed forms; classes are counted by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torchmetrics.image.inception import InceptionScore

from ganvas.errors import RequestError
from ganvas.metrics import inception_score, labelled_modes


def normal(n: int, d: int, seed: int) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.filterwarnings("ignore:.*extract.*:UserWarning")  # that it keeps all features
@pytest.mark.parametrize("seed", [0, 7])
def test_inception_score_agrees_with_torchmetrics(seed: int) -> None:
    logits = 4 * normal(200, 10, 0) + normal(1, 10, 1)
    oracle = InceptionScore(feature=torch.nn.Identity(), splits=8)
    oracle.update(logits)
    with torch.random.fork_rng():
        torch.manual_seed(seed)  # its permutation is then ours
        mean, deviation = oracle.compute()
    found = inception_score(logits, splits=8, seed=seed)
    assert found.value == pytest.approx(mean.item(), rel=1e-9)
    assert found.error == pytest.approx(deviation.item() * math.sqrt(7 / 8), rel=1e-9)  # theirs divides by 7


def test_inception_score_of_certain_and_of_blind_classifiers() -> None:
    classes = torch.arange(400) % 4
    assert inception_score(1e4 * torch.eye(4)[classes], splits=1) == pytest.approx((4, 0))
    assert inception_score(torch.zeros(40, 4)) == pytest.approx((1, 0))
    assert inception_score(1e4 * torch.eye(4)[:1].expand(40, 4)) == pytest.approx((1, 0))


def test_inception_score_is_not_decided_by_the_order_of_a_folder() -> None:
    sorted_by_class = 1e4 * torch.eye(4)[torch.arange(4000) // 1000]
    assert inception_score(sorted_by_class).value == pytest.approx(4, rel=0.02)


def test_inception_score_refuses() -> None:
    for logits, splits in [
        (torch.zeros(19, 4), 10),
        (torch.zeros(19), 1),
        (torch.zeros(40, 0), 2),
        (torch.zeros(19, 4), 0),
    ]:
        with pytest.raises(RequestError, match="splits"):
            inception_score(logits, splits)


def test_labelled_modes_by_hand() -> None:
    report = labelled_modes(torch.tensor([0, 0, 3, 1]), classes=4)
    assert report == pytest.approx((3, 1.5 * math.log(2), 0.5 * math.log(2)))
    assert labelled_modes(torch.arange(1000), classes=1000) == pytest.approx((1000, math.log(1000), 0), abs=1e-9)
    assert labelled_modes(torch.full((9,), 2), classes=5) == pytest.approx((1, 0, math.log(5)))


@pytest.mark.parametrize(
    "labels",
    [
        torch.tensor([0, 5]),
        torch.tensor([-1]),
        torch.zeros(0).long(),
        torch.zeros(2),
        torch.zeros(2, 2).long(),
        torch.tensor([True]),
    ],
)
def test_labelled_modes_refuses(labels: torch.Tensor) -> None:
    with pytest.raises(RequestError, match="labels"):
        labelled_modes(labels, classes=5)
