"""Breed children of latents, and keep the lineage."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal

import torch
from PIL.Image import Image
from torch import Tensor

from .. import files, latent, media
from ..errors import writing
from ..frozen import TrainedGenerator
from ..frozen.opening import path_of
from ..latent import Child, Individual
from ..latent.lineage import LATENTS, LINEAGE, SHEET
from ..progress import Progress, Steps
from ..shown import Shown
from .arguments import asked_label, image_generator_of, new_directory, one_label
from .types import Device, Label, Options, Out, Parents, RunLike
from .verb import Verb


@dataclass(eq=False, repr=False)
class Litter(Shown):
    """Children with their parents and lineage. `litter[3]` is a parent for the next litter, and so is the litter."""

    parents: list[Individual]
    children: list[Child]
    lineage: dict[str, Any]  # what lineage.json holds
    generator: TrainedGenerator
    label: Tensor | None  # that all pictures show

    @property
    def latents(self) -> Tensor:
        """Those of the children, (N, ...)."""
        return torch.stack([child.latent for child in self.children])

    @cached_property
    def images(self) -> Tensor:
        """The children, (N, C, H, W) in [-1, 1]."""
        return self.draw(self.latents)

    def draw(self, z: Tensor) -> Tensor:
        """The pictures of latents under the litter's label."""
        label = self.label
        return self.generator.decode(z, None if label is None else label.expand(len(z), *label.shape))

    def __len__(self) -> int:
        return len(self.children)

    def __getitem__(self, number: int) -> Individual:
        return Individual(self.children[number].name, self.children[number].latent, self.lineage["individuals"])

    def __iter__(self) -> Iterator[Individual]:
        return (self[i] for i in range(len(self)))

    def picture(self) -> Image:
        """The parents in a row, and the children below."""
        parents = self.draw(torch.stack([parent.latent for parent in self.parents]))
        return media.stacked([media.grid(parents, columns=len(parents)), media.grid(self.images)])

    def save(self, out: Out) -> None:
        """Write a directory: lineage.json, latents.npz, a picture of each child, and sheet.png of all.

        Raises RequestError where it exists, WorkError where it cannot be written.
        """
        import numpy as np

        path = new_directory(out)
        assert path is not None
        with writing(out), files.new_folder(path) as folder:
            names = np.array([child.name for child in self.children])
            latent.write_latents(folder / LATENTS, self.latents, {"names": names})
            media.save_png(self.picture(), folder / SHEET)
            for i, image in enumerate(self.images):
                media.save_png(media.single(image), folder / f"child-{i:02d}.png")
            files.write_json(folder / LINEAGE, self.lineage)


@Verb
def breed(
    run: RunLike,
    *,
    parents: Annotated[Parents, "Seeds, and children of litters: 3,17,litter/5."],
    children: Annotated[int, "How many."] = 16,
    mutation: Annotated[float, "0: inherited alone, to 1: nothing is inherited."] = 0.2,
    crossover: Annotated[
        Literal["mix", "blend"], "mix: number by number from either parent; blend: between them."
    ] = "mix",
    seed: Annotated[int, "Of the crossover and the mutation."] = 0,
    label: Label | None = None,
    prompt: str | None = None,
    options: Options | None = None,
    device: Device = "auto",
    out: Annotated[Out | None, "Directory of the litter."] = None,
    progress: bool = True,
) -> Steps[Litter]:
    """Breed children of latents, and keep the lineage."""
    new_directory(out)
    generator = image_generator_of(run, device, options)
    found = latent.find_parents(parents, generator.decoder)
    elders = {parent.name: parent.latent for parent in found}
    yield Progress("breeding", 0, children)
    bred = latent.breed(generator.decoder, elders, children, mutation=mutation, crossover=crossover, seed=seed)
    shown = one_label(generator, asked_label(label, prompt))
    facts = {"run": str(path_of(run) or ""), "recipe": generator.recipe, "seed": seed}
    facts["label"] = None if shown is None else shown.tolist()
    litter = Litter(found, bred, latent.lineage_of(found, bred, facts), generator, shown)
    if out is not None:
        litter.save(out)
    yield Progress("breeding", children, children)
    return litter
