"""A feature network with what a protocol says of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor

from .. import alpha
from ..errors import RequestError
from ..metrics.inputs import at_once

BOUND = 2.0  # of the values of images in [-1, 1], which a generator may overshoot
CHANNELS = (1, 3, alpha.CHANNELS)
GPU = 8  # times as many numbers are worked on at one time there: few leave it idle


@contextmanager
def exact() -> Iterator[None]:
    """Inference in float32, without TF32, whose 10 bits are the default of CUDA's convolutions."""
    with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        yield


@dataclass(frozen=True)
class Extractor:
    """A function from items to features, and what a protocol says of it.

    Images are (N, C, H, W) in [-1, 1], of any size and with one channel, three or four; points are (N, dim). The
    extractor prepares them itself, as `resize` and `transparency` say. Calling it, or its `logits`, raises RequestError
    for items of another shape, integers, and values far outside of [-1, 1]; the features of NaN are NaN.
    """

    name: str  # "cnn-fashion-mnist", "pixels", ..., or a file's name
    hash: str  # sha256 of the weights, 16 hexadecimal digits; "" where there are none
    dim: int  # of the features
    resize: str  # how items are prepared, in one sentence
    features: Callable[[Tensor], Tensor]  # items on `device` -> (N, dim)
    classify: Callable[[Tensor], Tensor] | None = None  # items on `device` -> (N, classes), where the network does
    device: str = "cpu"
    class_names: tuple[str, ...] = ()  # of the logits, where they are known
    images: bool = True  # rather than points
    crops: bool = False  # sees only the central square of pictures
    transparency: str = "laid on white"  # what becomes of it, in images that have it
    widest: Callable[[tuple[int, ...]], int] = prod  # shape of an item -> numbers of the widest layer it goes through

    @exact()
    def __call__(self, x: Tensor) -> Tensor:
        """The features of items, (N, dim) float32, on the extractor's device."""
        return self._apply(self.features, x)

    @exact()
    def logits(self, x: Tensor) -> Tensor | None:
        """The logits of items, (N, classes) float32, on the extractor's device; None where it does not classify."""
        return None if self.classify is None else self._apply(self.classify, x)

    def _apply(self, network: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        """What a network makes of items, no more at a time than its widest layer allows for."""
        x = self._checked(x)
        shape = tuple(x.shape[1:])
        size = at_once(max(prod(shape), self.widest(shape))) * (1 if self.device == "cpu" else GPU)
        return torch.cat([network(part).float() for part in x.split(size)])

    def _checked(self, x: Tensor) -> Tensor:
        """The items as float32 on the device of the network; RequestError where they do not suit it."""
        if self.images:
            fits, wanted = (
                x.ndim == 4 and x.shape[1] in CHANNELS and 0 not in x.shape[2:],
                "(N, 1, 3 or 4, H, W) in [-1, 1]",
            )
        else:
            fits, wanted = x.ndim == 2 and x.shape[1] == self.dim, f"(N, {self.dim})"
        if not (fits and x.is_floating_point()):
            raise RequestError(
                f"{self.name} cannot take {x.dtype} of shape {tuple(x.shape)}", f"give floating point numbers {wanted}"
            )
        x = x.to(self.device, torch.float32)
        if self.images and len(x):
            low, high = (bound.item() for bound in x.detach().aminmax())
            if low < -BOUND or high > BOUND:  # false of NaN
                raise RequestError(f"{self.name} cannot take values from {low:g} to {high:g}", "give images in [-1, 1]")
        return x


def embed_batches(extractor: Extractor, batches: Iterable[Tensor]) -> Iterator[Tensor]:
    """The features of each batch, (n, dim) float32 on the CPU, while no more than one batch is held."""
    for x in batches:
        yield extractor(x).cpu()


def embed(extractor: Extractor, items: Tensor, batch: int = 256) -> Tensor:
    """The features of many items, `batch` at a time and fewer of large images: (N, dim) float32 on the CPU."""
    return torch.cat(list(embed_batches(extractor, items.split(min(batch, at_once(prod(items.shape[1:])))))))
