"""A trained classifier alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .. import nets
from ..errors import RequestError
from .file import NetworkFile, write


@dataclass(frozen=True)
class Classifier:
    """A trained classifier, and its classes."""

    network: nets.CNN  # in eval mode, its weights fixed
    class_names: tuple[str, ...]
    facts: dict[str, Any] = field(default_factory=dict)  # JSON-able: what it was trained on, what was measured of it

    @property
    def shape(self) -> tuple[int, ...]:
        """(C, H, W) of the images that it takes."""
        return self.network.shape

    def logits(self, x: Tensor, batch: int = 256) -> Tensor:
        """Images (N, *shape) in [-1, 1] -> (N, classes) float32 on the CPU; RequestError for another shape."""
        return self._each(self.network, x, batch)

    def probabilities(self, x: Tensor, batch: int = 256) -> Tensor:
        """The softmax of the logits, (N, classes)."""
        return self.logits(x, batch).softmax(1)

    def features(self, x: Tensor, batch: int = 256) -> Tensor:
        """The hidden layer before its activation, (N, D) float32 on the CPU; images as for `logits`."""
        return self._each(self.network.features, x, batch)

    @torch.inference_mode()
    def _each(self, network: Callable[[Tensor], Tensor], x: Tensor, batch: int) -> Tensor:
        if tuple(x.shape[1:]) != self.shape:
            raise RequestError(
                f"this classifier takes images of {'×'.join(map(str, self.shape))}, not of "
                f"{'×'.join(map(str, x.shape[1:]))}",
                "resize them first",
            )
        device = next(self.network.parameters()).device
        return torch.cat([network(part.to(device)).float().cpu() for part in x.split(batch)])

    def write(self, path: str | Path, dtype: torch.dtype = torch.float32) -> None:
        """Write the file atomically, its weights as `dtype`; it loads as float32.

        Raises OSError where that fails; an older file then survives.
        """
        weights, spec = nets.to_spec(self.network, nets.CLASSIFIERS)
        weights = {name: w.to(dtype) if w.is_floating_point() else w for name, w in weights.items()}
        write(path, weights, {"class_names": self.class_names, "facts": self.facts, "classifier": spec})


def copy_classifier(network: nets.CNN, class_names: Iterable[str], facts: dict[str, Any]) -> Classifier:
    """A fixed copy, on the same device, of a classifier in training."""
    weights, spec = nets.to_spec(network, nets.CLASSIFIERS)
    device = next(network.parameters()).device
    return Classifier(nets.from_spec(spec, weights, nets.CLASSIFIERS).to(device), tuple(class_names), facts)


def of_file(file: NetworkFile, device: str) -> Classifier:
    """The classifier of a file."""
    network = file.network("classifier", nets.CLASSIFIERS, device)
    return Classifier(network, tuple(file.header["class_names"]), file.header["facts"])
