"""The trained generator alone: one safetensors file, which loads without anything that trains.

Its header's metadata holds one JSON object, `ganvas`: the layout's version, the recipe, the names of the classes and
the spec from which the network is rebuilt.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
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
NAME = "generator.safetensors"
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
        header = {"version": VERSION, "recipe": self.recipe, "class_names": self.class_names, "generator": spec}
        files.write(path, save(weights, {"ganvas": json.dumps(header)}))

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
    return Frozen(nets.thaw(spec, weights).to(device), recipe, tuple(class_names))


def load(path: str | Path, device: str = "cpu") -> Frozen:
    """The generator of a run directory or of its `generator.safetensors`.

    Raises RequestError where there is none, where the file is damaged, or where it is a pickle: reading a pickle runs
    whatever code it holds, so that none is ever opened.
    """
    path = Path(path)
    file = path / NAME if path.is_dir() else path
    if file.suffix.lower() in PICKLES:
        raise RequestError(
            f"{file} is a pickle, and reading one can run code; give a run directory or a .safetensors file"
        )
    if not file.is_file():
        mend = (
            "train it for at least one checkpoint" if path.is_dir() else "give a run directory or a .safetensors file"
        )
        raise RequestError(f"there is no generator at {file}; {mend}")
    try:
        with safe_open(file, "pt") as content:
            metadata = content.metadata() or {}
            weights = {key: content.get_tensor(key) for key in content.keys()}  # noqa: SIM118 - not a dict
    except (SafetensorError, OSError) as error:
        raise RequestError(f"{file} is not a readable safetensors file ({error}); copy or train it again") from error
    if "ganvas" not in metadata:
        raise RequestError(f"{file} is not a generator of ganvas: its header says nothing of its network")
    header: dict[str, Any] = json.loads(metadata["ganvas"])
    if header["version"] > VERSION:
        raise RequestError(
            f"{file} was written by a newer ganvas (layout {header['version']}); update ganvas to read it"
        )
    decoder = nets.thaw(header["generator"], weights).to(device)
    return Frozen(decoder, header["recipe"], tuple(header["class_names"]))
