"""`ganvas breed`: a litter in a directory, with who came from whom."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .. import files, latent, media, records
from ..errors import RequestError
from ..frozen import TrainedGenerator
from ..latent.breeding import Child, seed_name
from .latents import one_label, open_painter, writing
from .sampling import parse_seeds

LINEAGE, LATENTS, SHEET = "lineage.json", "latents.npz", "sheet.png"  # in a litter's directory
SEEDS = re.compile(r"\d+(-\d+)?")


@dataclass
class Parents:
    """Those that breed: their latents (...), and the records of their lines."""

    latents: dict[str, Tensor] = field(default_factory=dict)
    line: dict[str, dict[str, Any]] = field(default_factory=dict)  # name -> a Birth's fields, ancestors included


def write_litter(
    run: Path,
    parents: str,
    children: int,
    mutation: float,
    crossover: str,
    seed: int,
    label: str | None,
    settings: list[str] | None,
    out: Path,
) -> None:
    """Breed a litter into `out`: lineage.json, latents.npz, a picture of each child, and a sheet of all."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise RequestError(f"{out} already exists; choose another directory for the litter")
    generator = open_painter(run, settings)
    found = open_parents(parents, generator)
    litter = latent.breed(generator.decoder, found.latents, children, mutation=mutation, crossover=crossover, seed=seed)
    shown = one_label(generator, label)
    told = None if shown is None else shown.tolist()
    with writing(out), files.new_folder(out) as folder:
        write_files(folder, generator, found, litter, shown)
        lineage = {
            **{"run": str(run), "recipe": generator.recipe, "label": told, "seed": seed},
            "parents": list(found.latents),
            "children": [child.name for child in litter],
            "individuals": found.line | {child.name: child.birth._asdict() for child in litter},
        }
        files.write_json(folder / LINEAGE, lineage)
    print(f"{len(litter)} children of {', '.join(found.latents)} in {out}")
    print(f"  to look at:     {out / SHEET}")
    print(f"  to breed on:    ganvas breed {run} --parents {out}/0,{out}/1 --out DIR")


def write_files(
    folder: Path, generator: TrainedGenerator, parents: Parents, litter: list[Child], label: Tensor | None
) -> None:
    """The latents and the pictures; on the sheet the parents stand in the row above."""
    elders, z = torch.stack(list(parents.latents.values())), torch.stack([child.latent for child in litter])
    both = torch.cat([elders, z])
    drawn = generator.decode(both, None if label is None else label.expand(len(both), *label.shape))
    latent.write_latents(folder / LATENTS, z, {"names": np.array([child.name for child in litter])})
    media.save_png(media.family(drawn[: len(elders)], drawn[len(elders) :]), folder / SHEET)
    for i, picture in enumerate(drawn[len(elders) :]):
        media.save_png(media.single(picture), folder / f"child-{i:02d}.png")


def open_parents(text: str, generator: TrainedGenerator) -> Parents:
    """'3,17,litter/5' -> seeds and children of litters, each once."""
    found, like = Parents(), generator.latents([0])
    for part in filter(None, text.replace(" ", "").split(",")):
        if SEEDS.fullmatch(part):
            for seed in parse_seeds(part):
                found.latents[seed_name(seed)] = generator.latents([seed])[0]
        else:
            child(part, like, found)
    if not found.latents:
        raise RequestError(f"--parents {text!r} names nobody; write such as 3,17 or litter/5")
    return found


def child(text: str, like: Tensor, found: Parents) -> None:
    """Add the child that DIRECTORY/K names, K its number or its name, with its line."""
    folder, which = Path(text).parent, Path(text).name
    if not (folder / LINEAGE).is_file():
        raise RequestError(f"--parents: {text!r} is neither a seed nor a child; write such as 3,17 or litter/5")
    lineage = files.read_json(folder / LINEAGE, records.Lineage)
    names, z = lineage["children"], latent.read_latents(folder / LATENTS, like)
    if len(names) != len(z):
        raise files.damaged(folder / LATENTS, f"{len(z)} latents of {len(names)} children")
    row = names.index(which) if which in names else int(which) if which.isdecimal() else len(names)
    if row >= len(names):
        raise RequestError(f"--parents: {folder} has no child {which!r}; its children are 0 to {len(names) - 1}")
    found.latents[names[row]] = z[row]
    found.line |= {name: {**birth} for name, birth in lineage["individuals"].items()}
