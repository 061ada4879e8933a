"""What holds of every metric: whatever it is given, it answers with a number or with a refusal, never with NaN."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable, Iterable

import pytest
import torch

from ganvas import metrics
from ganvas.errors import RequestError, WorkError


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


FEATURES: dict[str, Callable[[torch.Tensor, torch.Tensor], Iterable[float]]] = {
    "frechet_distance": lambda x, y: [metrics.frechet_distance(x, y)],
    "kernel_distance": lambda x, y: metrics.kernel_distance(x, y, subsets=5),
    "mmd": lambda x, y: [metrics.mmd(x, y)],
    "precision_recall": metrics.precision_recall,
    "density_coverage": metrics.density_coverage,
    "nearest": lambda x, y: metrics.nearest(x, y)[0].flatten().tolist(),
    "inception_score": lambda x, y: metrics.inception_score(y, splits=2),
    "mode_report": lambda x, y: metrics.mode_report(y, x, sigma=0.1)[1::2],
    "bootstrap": lambda x, y: metrics.bootstrap(metrics.frechet_distance, x, y, rounds=5),
}
SETS = {
    "usual": (normal(20, 6), normal(30, 6, seed=1)),
    "equal": (normal(20, 6), normal(20, 6)),
    "all constant": (torch.ones(20, 6), torch.ones(20, 6)),
    "constant samples": (normal(20, 6), torch.zeros(20, 6)),
    "constant data": (torch.zeros(20, 6), normal(20, 6)),
    "fewer than features": (normal(8, 64), normal(8, 64, seed=1)),
    "few": (normal(4, 3), normal(5, 3, seed=1)),
    "one each": (normal(1, 3), normal(1, 3, seed=1)),
    "none": (normal(0, 3), normal(0, 3)),
    "no features": (normal(20, 0), normal(20, 0)),
    "far away": (normal(20, 6) + 1e6, normal(20, 6, seed=1) - 1e6),
    "huge": (normal(20, 6) * 1e14, normal(20, 6, seed=1) * 1e14),
    "immense": (normal(20, 6).double() * 1e200, normal(20, 6, seed=1).double() * 1e200),
    "half precision": (normal(20, 6).half(), normal(20, 6, seed=1).half()),
    "NaN": (normal(20, 6), normal(20, 6).index_fill(1, torch.tensor(2), math.nan)),
    "infinite": (normal(20, 6), normal(20, 6).index_fill(0, torch.tensor(2), math.inf)),
}
ANSWERED = {
    "usual",
    "equal",
    "all constant",
    "constant samples",
    "constant data",
    "fewer than features",
    "huge",
    "half precision",
}


@pytest.mark.parametrize("name", FEATURES)
@pytest.mark.parametrize("case", SETS)
def test_a_number_or_a_refusal(name: str, case: str) -> None:
    try:
        figures = list(FEATURES[name](*SETS[case]))
    except (RequestError, WorkError) as error:
        assert case not in ANSWERED, error
    else:
        assert case not in {"NaN", "infinite", "immense", "none", "no features"}
        assert figures and all(map(math.isfinite, figures))


def test_nothing_that_is_needed_at_run_time_is_an_oracle() -> None:
    code = "import sys, ganvas.metrics; print(*({'scipy', 'torchmetrics', 'prdc', 'sklearn'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == []
