"""A trained generator alone."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from .. import latent, nets, tokens
from ..errors import RequestError, unknown
from ..types import Decoder
from .diffusion import Diffusion
from .file import NetworkFile, write

PIXELS = 1 << 20  # drawn at a time
COARSE = 8  # pixels of a side of the images by which typical items are chosen

DECODERS: dict[str, type[nets.Generator]] = nets.GENERATORS | {"diffusion": Diffusion}


@dataclass(frozen=True)
class TrainedGenerator:
    """A trained generator, and what it was trained for."""

    decoder: nets.Generator  # in eval mode, its weights fixed
    recipe: str
    class_names: tuple[str, ...] = ()

    def sample(
        self,
        seeds: Iterable[int] = range(64),
        *,
        truncation: float = 1.0,
        label: int | str | None = None,
        batch: int | None = None,
    ) -> Tensor:
        """One item a seed, on the CPU: images (N, C, H, W) in [-1, 1], or points (N, D).

        A seed always gives the same latent. `truncation` below 1 trades variety for typical items. `label` is a class
        by name or number, for generators that were trained with labels (see `labels`).
        """
        seeds = list(seeds)
        return self.decode(self.latents(seeds, truncation, label), self.labels(seeds, label), batch)

    def latents(
        self, seeds: Iterable[int], truncation: float = 1.0, label: int | str | None = None, batch: int | None = None
    ) -> Tensor:
        """One latent a seed, (N, ...) on the CPU.

        `truncation` moves vectors toward their mean (`latent.truncate`). Grids and noise, which a decoder knows only at
        their full length, are drawn several times a seed and the most typical is kept (`latent.reject`).
        """
        seeds = list(seeds)
        z = latent.from_seeds(self.decoder, seeds)
        if truncation == 1 or z.ndim == 2:
            return latent.truncate(z, truncation)

        def features(z: Tensor, of: list[int]) -> Tensor:
            return functional.adaptive_avg_pool2d(self.decode(z, self.labels(of, label), batch), COARSE).flatten(1)

        return latent.reject(self.decoder, seeds, truncation, features)

    def decode(self, z: Tensor, labels: Tensor | None = None, batch: int | None = None) -> Tensor:
        """The items of latents (N, ...), on the CPU, as `sample` gives them; `labels` as `labels` gives them."""
        return torch.cat(list(self.iter_decode(z, labels, batch)))

    def iter_decode(self, z: Tensor, labels: Tensor | None = None, batch: int | None = None) -> Iterator[Tensor]:
        """The items of `decode` in parts of `batch`, (n, C, H, W) or (n, D) float32 on the CPU: memory stays constant.

        A `batch` of None is as many as suit the size of an image.
        """
        for part in torch.arange(len(z)).split(batch or self.batch):
            y = None if labels is None else labels[part].to(self.device)
            with torch.inference_mode():  # not around the yield, or it would reach into the caller
                items = self.decoder(z[part].to(self.device), y).float().cpu()
            yield items

    def adjusted(self, settings: Mapping[str, object]) -> TrainedGenerator:
        """The same weights with other `adjustable` options, as text or typed.

        Raises RequestError for any other option, and for an impossible value.
        """
        if not settings:
            return self
        weights, spec = nets.to_spec(self.decoder, DECODERS)
        options = dict(spec["options"])
        for key, value in settings.items():
            if not self.decoder.adjustable:
                raise RequestError(
                    f"this {self.recipe!r} generator has no options", "leave it out", field=f"options.{key}"
                )
            if key not in self.decoder.adjustable:
                raise unknown("option", key, self.decoder.adjustable, field="options")
            wanted = type(options[key])
            try:
                options[key] = wanted(value)
            except (ValueError, TypeError, OverflowError):
                raise RequestError(f"{value} is not of type {wanted.__name__}", field=f"options.{key}") from None
        decoder = nets.from_spec({**spec, "options": options}, weights, DECODERS).to(self.device)
        return replace(self, decoder=decoder)

    @property
    def batch(self) -> int:
        """How many items are drawn at a time: fewer for large images, whose features need memory."""
        return max(1, min(64, PIXELS // math.prod(self.decoder.shape[1:])))

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return next(self.decoder.parameters()).device

    def write(self, path: str | Path) -> None:
        """Write the file atomically. Raises OSError where that fails; an older file then survives."""
        weights, spec = nets.to_spec(self.decoder, DECODERS)
        write(path, weights, {"recipe": self.recipe, "class_names": self.class_names, "generator": spec})

    def labels(self, seeds: Iterable[int], label: int | str | None = None) -> Tensor | None:
        """The label of each seed's item: `label`, or else the classes in turn; None for a generator without labels.

        Classes are (N,) int64. For a generator trained with keywords, `label` is a prompt such as "red circle", and the
        labels are (N, K), 1 for each of its keywords; without a prompt they are those of items of the data. Raises
        RequestError for a label that the generator does not know.
        """
        seeds = list(seeds)
        keywords, classes = self.keywords, self.classes
        if keywords:
            sets = self.decoder.get_buffer("prompts")
            if label is None:
                return sets[[seed % len(sets) for seed in seeds]].cpu()
            return tokens.keywords.marked(str(label), keywords).expand(len(seeds), -1)
        if not classes:
            if label is not None:
                why, fix = (
                    ("was trained without labels", "leave it out")
                    if self.takes_labels
                    else ("has its words in its latent", "leave it out, or use words=label")
                )
                raise RequestError(
                    f"{label!r} is not possible: this {self.recipe!r} generator {why}", fix, field="label"
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
            raise unknown("label", str(label), names, field="label")
        return torch.full((len(seeds),), index)

    @property
    def keywords(self) -> tuple[str, ...]:
        """The words of prompts; none for a generator of classes, or without labels."""
        return tuple(self.decoder.options.get("keywords", ())) if self.takes_labels else ()

    @property
    def classes(self) -> int:
        """How many classes a label may name; 0 for a generator of keywords, or without labels."""
        return self.decoder.options.get("classes", 0) if self.takes_labels else 0

    @property
    def takes_labels(self) -> bool:
        """Whether a label gives the words, if it knows any, and not a part of the latent."""
        return self.decoder.options.get("words", "label") == "label"

    def place_words(self, where: str) -> TrainedGenerator:
        """The same with its words in the "label" or in the "latent"; itself if it has none."""
        return self.adjusted({"words": where}) if "words" in self.decoder.adjustable else self


def copy_generator(
    decoder: Decoder, recipe: str, class_names: Iterable[str], device: torch.device | str
) -> TrainedGenerator:
    """A fixed copy, on `device`, of a generator in training."""
    assert isinstance(decoder, nets.Generator), "only the generators of nets can be rebuilt from a file"
    weights, spec = nets.to_spec(decoder, DECODERS)
    return TrainedGenerator(nets.from_spec(spec, weights, DECODERS).to(device), recipe, tuple(class_names))


def of_file(file: NetworkFile, device: str) -> TrainedGenerator:
    """The generator of a file."""
    decoder = file.network("generator", DECODERS, device)
    return TrainedGenerator(decoder, file.header["recipe"], tuple(file.header["class_names"]))
