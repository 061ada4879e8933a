"""What every feature network looks like to those who measure with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor


@contextmanager
def exact() -> Iterator[None]:
    """Inference in float32, without the ten bits of TF32 that CUDA's convolutions take unless told otherwise."""
    with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        yield


@dataclass(frozen=True)
class Extractor:
    """A function from items to features, and what a protocol must say of it.

    Images are (N, C, H, W) in [-1, 1], of any size and with one channel or three; points are (N, D). The extractor
    prepares them itself, as `resize` says.
    """

    name: str  # "cnn-fashion-mnist", "pixels", ..., or a file's name
    hash: str  # sha256 of the weights, 16 hexadecimal digits; "" where there are none
    dim: int  # of the features
    resize: str  # how items are prepared, in one sentence
    features: Callable[[Tensor], Tensor]  # items on `device` -> (N, dim)
    classify: Callable[[Tensor], Tensor] | None = None  # items on `device` -> (N, classes), where the network does
    device: str = "cpu"
    class_names: tuple[str, ...] = ()  # of the logits, where they are known

    @exact()
    def __call__(self, x: Tensor) -> Tensor:
        """The features of items, (N, dim) float32, on the extractor's device."""
        return self.features(x.to(self.device)).float()

    @exact()
    def logits(self, x: Tensor) -> Tensor | None:
        """The logits of items, (N, classes) float32, on the extractor's device; None where it does not classify."""
        return None if self.classify is None else self.classify(x.to(self.device)).float()


def embed_batches(extractor: Extractor, batches: Iterable[Tensor]) -> Iterator[Tensor]:
    """The features of each batch, (n, dim) float32 on the CPU, while no more than one batch is held."""
    for x in batches:
        yield extractor(x).cpu()


def embed(extractor: Extractor, items: Tensor, batch: int = 256) -> Tensor:
    """The features of many items, `batch` at a time: (N, dim) float32 on the CPU."""
    return torch.cat(list(embed_batches(extractor, items.split(batch))))
