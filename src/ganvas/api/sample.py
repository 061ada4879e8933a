"""Draw from a trained generator."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import torch
from PIL.Image import Image
from torch import Tensor

from .. import files, media
from ..errors import RequestError, writing
from ..film import is_folder
from ..frozen import TrainedGenerator
from ..latent import gather_latents, parse_seeds, truncate
from ..progress import Progress, Steps, drained
from ..shown import Shown
from .arguments import asked_label, generator_of
from .types import Device, Label, Latents, Options, Out, RunLike, Seeds
from .verb import Verb

SHOWN = 64  # items in a notebook's picture


class Part(NamedTuple):
    """Some of the samples, in order."""

    seeds: list[int]
    latents: Tensor  # (n, ...)
    labels: Tensor | None  # (n,) classes or (n, K) keywords
    items: Tensor  # images (n, C, H, W) in [-1, 1], or points (n, D)


@dataclass(eq=False, repr=False)
class Samples(Shown):
    """Samples of a generator. They are drawn part by part, so that `save` writes any number in constant memory."""

    generator: TrainedGenerator
    seeds: list[int]
    label: Label | None = None
    truncation: float = 1.0
    given: Tensor | None = None  # latents (N, ...) in place of those of the seeds
    drawn: list[Part] = field(default_factory=list, repr=False)  # where they are kept

    def __len__(self) -> int:
        return len(self.seeds)

    def parts(self) -> Iterator[Part]:
        """All samples in order, some at a time."""
        if self.drawn:
            yield from self.drawn
            return
        step = self.generator.batch
        for i in range(0, len(self.seeds), step):
            seeds = self.seeds[i : i + step]
            if self.given is None:
                z = self.generator.latents(seeds, self.truncation, self.label)
            else:
                z = truncate(self.given[i : i + step], self.truncation)
            labels = self.generator.labels(seeds, self.label)
            yield Part(seeds, z, labels, self.generator.decode(z, labels))

    def drawing(self) -> Steps[None]:
        """Draw all and keep them in memory."""
        drawn = []
        for part in self.parts():
            drawn.append(part)
            yield Progress("drawing", sum(len(p.seeds) for p in drawn), len(self))
        self.drawn = drawn

    @cached_property
    def images(self) -> Tensor:
        """(N, C, H, W) in [-1, 1], or points (N, D), float32 on the CPU."""
        return torch.cat([part.items for part in self.parts()])

    @property
    def latents(self) -> Tensor:
        """(N, ...) float32 on the CPU."""
        return torch.cat([part.latents for part in self.parts()])

    @property
    def labels(self) -> Tensor | None:
        """(N,) int64 classes or (N, K) uint8 keywords; None of a generator without labels."""
        return self.generator.labels(self.seeds, self.label)

    @property
    def names(self) -> tuple[str, ...]:
        """The classes by number, or the keywords, that `labels` mean."""
        known = self.generator.keywords or self.generator.class_names
        return known or tuple(map(str, range(self.generator.classes)))

    def words(self, labels: Tensor) -> list[str]:
        """Labels in words: the name of each class, or the prompt (of its own keywords, where none was asked for)."""
        names = self.names
        if labels.ndim == 1:
            return [names[number] for number in labels.tolist()]
        if self.label is not None:
            return [str(self.label)] * len(labels)
        return [" ".join(name for name, mark in zip(names, row, strict=True) if mark) for row in labels.tolist()]

    def picture(self) -> Image:
        """The first SHOWN of them on a sheet, or all points on a plot."""
        items = self.images
        return media.scatter(items) if items.ndim == 2 else media.grid(items[:SHOWN])

    def saving(self, out: Out) -> Steps[None]:
        """Write what `out` names as it is drawn: a .png sheet of all, an .npz, or a directory with one PNG a seed.

        A directory is one that exists, or whose name ends with a separator or has no suffix. An .npz holds `images`
        uint8 (N, H, W, C) or `points` float32 (N, D), `seeds` int64, and where there are any `labels`, their
        `class_names`, and of prompts `captions`; a directory then has a metadata.jsonl. Both can be opened as data.

        Raises RequestError for any other name and for a sheet that is too large; WorkError where writing fails.
        """
        kind = kind_of(out, points=len(self.generator.decoder.shape) == 1)
        with writing(out):
            done = 0
            for part in WRITERS[kind](self, Path(out)):
                done += len(part.seeds)
                yield Progress("drawing", done, len(self))

    save = drained(saving)


def kind_of(out: Out, points: bool) -> str:
    """What `out` asks for: ".png", ".npz" or "" for a directory; a RequestError for anything else."""
    path = Path(out)
    kind = "" if is_folder(out) else path.suffix.lower()
    if kind not in WRITERS:
        raise RequestError(f"{path.suffix} is not written", "name a .png, an .npz or a directory/", field="out")
    if points and kind == "":
        raise RequestError("points have no picture each", "name a .png for a plot of all, or an .npz", field="out")
    return kind


def write_sheet(samples: Samples, out: Path) -> Iterator[Part]:
    """One PNG of all: a grid of images, a plot of points."""
    shape = samples.generator.decoder.shape
    if len(shape) == 1:
        yield from samples.parts()
        media.save_png(media.scatter(samples.images), out)
        return
    sheet = media.Sheet(len(samples), *shape[1:])
    for part in samples.parts():
        sheet.add(part.items)
        yield part
    media.save_png(sheet.image(), out)


def write_directory(samples: Samples, out: Path) -> Iterator[Part]:
    """One PNG a seed, at its own size, and their classes or prompts in a metadata.jsonl that data are read with."""
    described: dict[str, dict[str, str]] = {}
    for part in samples.parts():
        key = "label" if part.labels is None or part.labels.ndim == 1 else "text"
        words = [""] * len(part.seeds) if part.labels is None else samples.words(part.labels)
        for seed, item, word in zip(part.seeds, part.items, words, strict=True):
            name = f"seed{seed:04d}.png"
            media.save_png(media.single(item), out / name, flush=False)
            described[name] = {key: word} if word else {}
        yield part
    write_words(out / "metadata.jsonl", described)


def write_words(path: Path, described: dict[str, dict[str, str]]) -> None:
    """Add what is said about files to a metadata.jsonl; lines about other files stay."""
    kept = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    lines = [line for line in kept if line.strip() and _file_of(line) not in described]
    new = [json.dumps({"file_name": name, **words}, ensure_ascii=False) for name, words in described.items() if words]
    if new or len(lines) < len(kept):
        files.write(path, "".join(f"{line}\n" for line in [*lines, *new]).encode(errors="backslashreplace"))


def _file_of(line: str) -> object:
    try:
        row = json.loads(line)
    except ValueError:  # not ours: it stays
        return None
    return row.get("file_name") if isinstance(row, dict) else None


def write_npz(samples: Samples, out: Path) -> Iterator[Part]:
    """An .npz whose largest array is compressed as it comes."""
    import numpy as np

    shape = samples.generator.decoder.shape
    points = len(shape) == 1
    form = {"shape": (len(samples), *shape) if points else (len(samples), *shape[1:], shape[0]), "fortran_order": False}
    form |= {"descr": "<f4" if points else "|u1"}
    small: dict[str, Any] = {"seeds": np.array(samples.seeds, np.int64)}
    if (labels := samples.labels) is not None:
        small |= {"labels": labels.numpy(), "class_names": np.array(samples.names)}
        if labels.ndim == 2:
            small["captions"] = np.array(samples.words(labels))
    with files.new_file(out) as path, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open(f"{'points' if points else 'images'}.npy", "w", force_zip64=True) as entry:
            np.lib.format.write_array_header_2_0(entry, form)
            for part in samples.parts():
                entry.write((part.items.numpy() if points else media.to_uint8(part.items)).tobytes())
                yield part
        for name, array in small.items():
            with archive.open(f"{name}.npy", "w") as entry:
                np.lib.format.write_array(entry, array)


WRITERS = {".png": write_sheet, ".npz": write_npz, "": write_directory}


@Verb
def sample(
    run: RunLike,
    *,
    seeds: Annotated[Seeds, "Such as 0-35,42: a seed always gives the same latent."] = "0-63",
    latents: Annotated[Latents | None, "Instead of seeds: an .npz that project or breed wrote."] = None,
    label: Label | None = None,
    prompt: str | None = None,
    truncation: float = 1.0,
    options: Options | None = None,
    device: Device = "auto",
    out: Annotated[Out | None, "grid.png, samples.npz, or a directory for one PNG a seed."] = None,
    progress: bool = True,
) -> Steps[Samples]:
    """Draw from a trained generator.

    With `out` the samples are written as they are drawn, in constant memory; else they are kept (`Samples.images`).
    Raises RequestError where the request is wrong, WorkError where `out` cannot be written.
    """
    chosen = parse_seeds(seeds)
    generator = generator_of(run, device, options)
    given = None if latents is None else gather_latents(latents, generator.latents([0]))
    if given is not None:
        chosen = list(range(len(given)))
    samples = Samples(generator, chosen, asked_label(label, prompt), truncation, given)
    yield from samples.drawing() if out is None else samples.saving(out)
    return samples
