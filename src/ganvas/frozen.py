"""A trained network alone: one safetensors file, which loads without anything that trains.

Its header's metadata holds one JSON object, `ganvas`: the layout's version, the names of the classes, what else is told
of the network, and under its kind (`generator`, `classifier`) the spec from which it is rebuilt.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from . import files, latent, nets
from .errors import RequestError, unknown
from .types import Decoder

VERSION = 1
PICKLES = (".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".bin")


@dataclass(frozen=True)
class Frozen:
    """A trained generator, and what it was trained for."""

    decoder: nets.Generator  # in eval mode, its weights fixed
    recipe: str
    class_names: tuple[str, ...] = ()

    @torch.inference_mode()
    def sample(
        self,
        seeds: Iterable[int] = range(64),
        *,
        truncation: float = 1.0,
        label: int | str | None = None,
        batch: int = 64,
    ) -> Tensor:
        """One item a seed, on the CPU: images (N, C, H, W) in [-1, 1], or points (N, D).

        A seed always gives the same latent. `truncation` below 1 trades variety for typical items. `label` is a class
        by name or number, for generators that were trained with labels (see `labels`).
        """
        seeds = list(seeds)
        z = latent.truncate(latent.from_seeds(self.decoder, seeds), truncation)
        labels = self.labels(seeds, label)
        device = next(self.decoder.parameters()).device
        items = []
        for part in torch.arange(len(seeds)).split(batch):
            y = None if labels is None else labels[part].to(device)
            items.append(self.decoder(z[part].to(device), y).float().cpu())
        return torch.cat(items)

    def write(self, path: Path) -> None:
        """Write the file atomically. Raises OSError where that fails; an older file then survives."""
        weights, spec = nets.freeze(self.decoder)
        write(path, weights, {"recipe": self.recipe, "class_names": self.class_names, "generator": spec})

    def labels(self, seeds: Iterable[int], label: int | str | None = None) -> Tensor | None:
        """The class of each seed's item, (N,) int64: `label`, or else the classes in turn; None without classes."""
        classes = self.decoder.options.get("classes", 0)
        if not classes:
            if label is not None:
                raise RequestError(
                    f"label {label!r}: this {self.recipe!r} generator was trained without labels; leave it out"
                )
            return None
        if label is None:
            return torch.tensor([seed % classes for seed in seeds])
        names = self.class_names or tuple(str(i) for i in range(classes))
        if str(label) in names:
            index = names.index(str(label))
        elif str(label).isdecimal() and int(label) < classes:
            index = int(label)
        else:
            raise unknown("label", str(label), names)
        return torch.full((len(list(seeds)),), index)


def take(decoder: Decoder, recipe: str, class_names: Iterable[str], device: torch.device | str) -> Frozen:
    """A frozen copy, on `device`, of a generator that may go on training."""
    assert isinstance(decoder, nets.Generator), "only the generators of nets can be rebuilt from a file"
    weights, spec = nets.freeze(decoder)
    return Frozen(nets.thaw(spec, weights, nets.GENERATORS).to(device), recipe, tuple(class_names))


@dataclass(frozen=True)
class Classifier:
    """A trained classifier, and what it tells apart."""

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
                f"{'×'.join(map(str, x.shape[1:]))}; resize them first"
            )
        device = next(self.network.parameters()).device
        return torch.cat([network(part.to(device)).float().cpu() for part in x.split(batch)])

    def write(self, path: Path, dtype: torch.dtype = torch.float32) -> None:
        """Write the file atomically, its weights stored as `dtype`; it loads as float32 whatever that is.

        Raises OSError where that fails; an older file then survives.
        """
        weights, spec = nets.freeze(self.network)
        weights = {name: w.to(dtype) if w.is_floating_point() else w for name, w in weights.items()}
        write(path, weights, {"class_names": self.class_names, "facts": self.facts, "classifier": spec})


def take_classifier(network: nets.CNN, class_names: Iterable[str], facts: dict[str, Any]) -> Classifier:
    """A frozen copy, on the same device, of a classifier that may go on training."""
    weights, spec = nets.freeze(network)
    device = next(network.parameters()).device
    return Classifier(nets.thaw(spec, weights, nets.CLASSIFIERS).to(device), tuple(class_names), facts)


# -- files -------------------------------------------------------------------------------------------------------------


def write(path: Path, weights: dict[str, Tensor], header: Mapping[str, Any]) -> None:
    """Write the file of a network atomically. Raises OSError where that fails."""
    files.write(path, save(weights, {"ganvas": json.dumps({"version": VERSION, **header})}))


def _generator(header: dict[str, Any], weights: dict[str, Tensor], device: str) -> Frozen:
    decoder = nets.thaw(header["generator"], weights, nets.GENERATORS).to(device)
    return Frozen(decoder, header["recipe"], tuple(header["class_names"]))


def _classifier(header: dict[str, Any], weights: dict[str, Tensor], device: str) -> Classifier:
    network = nets.thaw(header["classifier"], weights, nets.CLASSIFIERS).to(device)
    return Classifier(network, tuple(header["class_names"]), header["facts"])


# The kind of a network -> what opens it. A run directory holds it under its name of NAMES.
KINDS: dict[str, Callable[[dict[str, Any], dict[str, Tensor], str], Frozen | Classifier]] = {
    "generator": _generator,
    "classifier": _classifier,
}
NAMES = tuple(f"{kind}.safetensors" for kind in KINDS)
NAME = NAMES[0]  # a generator's


def load(path: str | Path, device: str = "cpu") -> Frozen | Classifier:
    """The network of a run directory, or of the file that holds it: a generator or a classifier.

    Raises RequestError where there is none, where the file is damaged, or where it is a pickle: reading a pickle runs
    whatever code it holds, so that none is ever opened.
    """
    path = Path(path)
    inside = [path / name for name in NAMES]
    file = next((file for file in inside if file.is_file()), inside[0]) if path.is_dir() else path
    if file.suffix.lower() in PICKLES:
        raise RequestError(
            f"{file} is a pickle, and reading one can run code; give a run directory or a .safetensors file"
        )
    if not file.is_file():
        mend = (
            "train it for at least one checkpoint" if path.is_dir() else "give a run directory or a .safetensors file"
        )
        raise RequestError(f"there is no {'trained network' if path.is_dir() else 'file'} at {path}; {mend}")
    header, weights = _read(file)
    kind = next((kind for kind in KINDS if kind in header), None)
    if header["version"] > VERSION or kind is None:
        raise RequestError(
            f"{file} was written by a newer ganvas (layout {header['version']}); update ganvas to read it"
        )
    return KINDS[kind](header, weights, device)


def load_generator(path: str | Path, device: str = "cpu") -> Frozen:
    """The generator of a run directory or file; a RequestError for what `load` refuses, and for other networks."""
    loaded = load(path, device)
    if not isinstance(loaded, Frozen):
        raise RequestError(f"{path} is a classifier, which draws nothing; give the run of a generator")
    return loaded


def load_classifier(path: str | Path, device: str = "cpu") -> Classifier:
    """The classifier of a run directory or file; a RequestError for what `load` refuses, and for other networks."""
    loaded = load(path, device)
    if not isinstance(loaded, Classifier):
        raise RequestError(f"{path} is a generator, which classifies nothing; give the run of a classifier")
    return loaded


def _read(file: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The header and the weights of a file."""
    try:
        with safe_open(file, "pt") as content:
            metadata = content.metadata() or {}
            weights = {key: content.get_tensor(key) for key in content.keys()}  # noqa: SIM118 - not a dict
    except (SafetensorError, OSError) as error:
        raise RequestError(f"{file} is not a readable safetensors file ({error}); copy or train it again") from error
    if "ganvas" not in metadata:
        raise RequestError(f"{file} is not a network of ganvas: its header says nothing of one")
    return json.loads(metadata["ganvas"]), weights
