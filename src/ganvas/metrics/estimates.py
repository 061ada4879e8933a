"""The uncertainty of figures: standard errors, and intervals by resampling."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ..errors import RequestError, WorkError


class Estimate(NamedTuple):
    """A figure and its uncertainty, in the figure's own units."""

    value: float
    error: float  # each metric says which: a standard error, or a standard deviation


class Interval(NamedTuple):
    """Where the figure of other samples of the same kind would be."""

    low: float
    high: float


def mean(values: Tensor) -> Estimate:
    """The mean of independent values (N,), N ≥ 2, and its standard error σ/√N, in their units."""
    values = values.double()
    return Estimate(values.mean().item(), values.std().item() / math.sqrt(len(values)))


def share_interval(share: float, count: float, error: float = 0.0, z: float = 1.96) -> Interval:
    """The interval of a share of `count` items: Wilson 1927, as Brown, Cai & DasGupta 2001 advise.

    A share ± z standard errors has no width at 0 and at 1, which would be certainty. Where the items are not
    independent, the share's standard error gives the number of independent items that would be as certain, at most
    `count` (Korn & Graubard 1998). The bounds are within [0, 1], the share between them.

    error: the share's standard error, where it is known; 0: that of independent items.
    z: standard errors to either side; 1.96 for 95 %.
    """
    if not (0 <= share <= 1 and count >= 1):
        raise RequestError(f"{share} of {count} items is not a share", "give 0 to 1 of at least one")
    variance = share * (1 - share)
    n = min(count, max(1.0, variance / error**2)) if error and variance else count
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * math.sqrt(variance / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    return Interval(min(share, max(0.0, middle - half)), max(share, min(1.0, middle + half)))  # but for rounding


def bootstrap(
    statistic: Callable[..., float], *data: Tensor, rounds: int = 200, seed: int = 0, level: float = 0.95
) -> Interval:
    """The bootstrap interval of `statistic(*data)`: Efron 1979, centred on the figure itself.

    Every round draws the rows of each tensor again, with replacement and independently of the other tensors, and takes
    the statistic of what was drawn. Rows that belong together are drawn together through their indices:
    `bootstrap(lambda i: f(x[i], y[i]), torch.arange(len(x)))`.

    Drawing with replacement adds a bias of its own to distances and to nearest neighbours (a set that is drawn twice
    over looks less varied), so that the plain percentile interval of an FID lies above the FID. The quantiles are
    therefore taken about the mean of the rounds and moved to the figure. The interval is not clipped: near 0 or 1 it
    can contain values that the figure cannot have.

    data: tensors of samples, (N, ...) each, on any device.
    rounds: how often to draw, at least 2.
    level: the share of redrawn figures that the interval holds, in (0, 1).

    Raises WorkError where the statistic of some draw is not finite.
    """
    if rounds < 2 or not 0 < level < 1:
        raise RequestError(
            f"cannot bootstrap {rounds} rounds at level {level}; take at least 2 rounds and a level between 0 and 1"
        )
    if not data or min(len(x) for x in data) < 1:
        raise RequestError("there is nothing to bootstrap", "give tensors of at least one row each")
    generator = torch.Generator().manual_seed(seed)

    def draw(x: Tensor) -> Tensor:
        return x[torch.randint(len(x), (len(x),), generator=generator).to(x.device)]

    figures = torch.tensor([statistic(*map(draw, data)) for _ in range(rounds)], dtype=torch.float64)
    figure = statistic(*data)
    if not (figures.isfinite().all() and math.isfinite(figure)):
        raise WorkError("the figure to bootstrap is not finite; check for NaN or infinite values among the samples")
    tails = torch.tensor([(1 - level) / 2, (1 + level) / 2], dtype=torch.float64)
    low, high = (figure + (figures - figures.mean()).quantile(tails)).tolist()
    return Interval(low, high)
