"""Checks of what metrics take, and how much of it they hold at one time."""

from __future__ import annotations

from torch import Tensor

from ..errors import RequestError, WorkError

LARGEST = 1e15  # the squares of float32, and the sixth powers of float64, then stay finite with room for sums
NUMBERS = 2**24  # that are held at one time, of one kind: 64 MB of float32


def at_once(numbers: int) -> int:
    """How many items of so many numbers each are held at one time, at least 1."""
    return max(1, NUMBERS // max(1, numbers))


def double(x: Tensor) -> Tensor:
    """`x` as float64, detached: on its own device, or on the CPU where the device has no float64."""
    x = x.detach()
    return x.cpu().double() if x.device.type == "mps" else x.double()


def measurable(x: Tensor) -> bool:
    """Whether `x` holds neither a NaN nor a value beyond ±LARGEST: figures of other samples mean nothing."""
    if not x.numel():
        return True
    low, high = (bound.item() for bound in x.detach().aminmax())
    return -LARGEST <= low <= high <= LARGEST  # false of NaN as well


def check_finite(what: str, *tensors: Tensor) -> None:
    """Raise WorkError where one of them is not measurable."""
    if not all(map(measurable, tensors)):
        raise WorkError(f"the {what} hold NaN, infinite or immense values; check whether training diverged")


def check_features(real: Tensor, fake: Tensor, least: int = 1) -> None:
    """Raise unless both are finite (N, D) and (M, D) with at least one feature, and `least` rows each."""
    fits = real.ndim == fake.ndim == 2 and real.shape[1] == fake.shape[1] > 0
    if not fits or min(len(real), len(fake)) < least:
        raise RequestError(
            f"cannot compare features of shapes {tuple(real.shape)} and {tuple(fake.shape)}",
            f"give (N, D) and (M, D) with D at least 1, N and M at least {least}",
        )
    check_finite("features of the data", real)
    check_finite("features of the samples", fake)
