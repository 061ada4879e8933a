"""What `ganvas paint` needs before the first stroke: the models, the prompts, and where to begin."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import Progress
from torch import Tensor

from .. import files
from ..data.decode import SUFFIXES
from ..errors import RequestError
from ..frozen import Clip, TrainedGenerator, load_autoencoder, load_clip, openai
from ..frozen.weights import SHIPPED
from ..inversion import project
from ..latent.saved import read_latents
from ..painting import Brush, Moments, Prompt, Wish, best_of, clip_score, drawn, parse_prompt, sized
from ..plan import devices
from .finding import pixels
from .latents import one_label, open_painter
from .paint import Asked
from .projecting import ENCODER, read_pictures

GENERATOR, CLIP = SHIPPED / "paint-generator.safetensors", SHIPPED / "paint-clip.safetensors"
LATENTS = ".npz"  # the suffix of files of latents


@dataclass(frozen=True)
class Easel:
    """All that is fixed while it is painted."""

    generator: TrainedGenerator
    clip: Clip
    words: list[str]  # as they were told
    wishes: list[Wish]  # what they mean, painted in turn
    grid: tuple[int, int] | None  # of the latent, where it is not the generator's own
    label: Tensor | None
    brush: Brush
    recipe: dict[str, Any]  # JSON-able; a latent that was painted by the same one can go on


@dataclass(frozen=True)
class Begun:
    """What an earlier painting has left."""

    done: list[Tensor]  # the latents (...) of the prompts that are painted
    latent: Tensor  # (1, ...) of the one that goes on
    step: int = 0
    moments: Moments | None = None


def open_easel(words: list[str], asked: Asked) -> Easel:
    """The models that are asked for, and what to paint with them."""
    if not words:
        raise RequestError("there is nothing to paint; give words, such as 'a red circle'")
    asked.check()
    generator = open_painter(asked.generator or GENERATOR, asked.settings)
    generator = generator.place_words("latent" if asked.label is None else "label")
    file = asked.clip or (openai.best() if asked.generator else CLIP)
    clip = load_clip(file, devices()[0])
    exclude, extras, settings = asked.exclude or [], asked.extras or [], asked.settings or []
    unwanted, besides = prompts(exclude, clip), prompts(extras, clip)
    wishes = [Wish(prompts([each], clip), unwanted, besides) for each in words]
    brush = asked.brush
    recipe: dict[str, Any] = {
        **{"ganvas": version("ganvas"), "words": words, "exclude": exclude, "extras": extras},
        **{"generator": str(asked.generator or GENERATOR.name), "clip": CLIP.name if file == CLIP else str(file)},
        **{"seed": asked.seed, "label": asked.label, "set": settings, "size": asked.size},
        **{"best_of": asked.best_of, "generations": asked.generations},
        **{"crops": asdict(asked.views), "brush": asdict(brush)},
    }
    if asked.hold is None and asked.init and recorded(asked.init) != recipe:  # nothing was bred for these words
        brush = replace(brush, hold=False)
        recipe["brush"] = asdict(brush)
    label = one_label(generator, asked.label)
    return Easel(generator, clip, words, wishes, grid(asked.size, generator), label, brush, recipe)


def prompts(texts: Sequence[str], clip: Clip) -> tuple[Prompt, ...]:
    """'a red circle::2 | photo.png' -> prompts that count together, each with its picture where it names one."""
    parsed = [parse_prompt(part) for text in texts for part in text.split("|")]
    return tuple(
        prompt._replace(picture=opened(Path(prompt.words), clip.size))
        if Path(prompt.words).suffix.lower() in SUFFIXES
        else prompt
        for prompt in parsed
    )


def opened(file: Path, size: int) -> Tensor:
    """A picture, cut to a square, (3, size, size) in [-1, 1]; a RequestError where it is none."""
    found = pixels(file, size)
    if found is None:
        raise RequestError(f"{file} is no picture that can be decoded; name a .png, .jpg or the like")
    return found.float() / 127.5 - 1


def grid(size: str | None, generator: TrainedGenerator) -> tuple[int, int] | None:
    """The latent's rows and columns for --size WxH, rounded with a message where they do not come out even."""
    if size is None:
        return None
    parts = re.fullmatch(r"([1-9]\d{0,4})[x×]([1-9]\d{0,4})", size.strip())
    if not parts:
        raise RequestError(f"--size {size!r}: write WIDTHxHEIGHT, such as 400x224")
    width, height = int(parts[1]), int(parts[2])
    shape = generator.decoder.shape
    found = sized(generator.decoder, shape, width, height)
    if found is not None:
        cell = shape[1] // generator.decoder.prior(1).shape[2]
        if (found[0] * cell, found[1] * cell) != (height, width):
            print(f"--size {size} is rounded to {found[1] * cell}x{found[0] * cell}, whole cells of {cell} pixels")
    return found


def begin(asked: Asked, easel: Easel, wish: Wish, seed: int) -> Tensor:
    """The latent (1, ...) that a painting begins with: CLIP's favourite of the seed's `best_of` and their children."""
    judge, console = clip_score(easel.clip, wish, asked.brush.distance), Console(stderr=True, highlight=False)
    total = asked.best_of * (1 + asked.generations)
    if not console.is_terminal:
        console.print(f"where to begin: CLIP looks at {total:,} pictures")
    bar = Progress(console=console, transient=True, disable=not console.is_terminal)
    task = bar.add_task("where to begin", total=total)

    def judged(images: Tensor) -> Tensor:
        bar.advance(task, len(images))
        return judge(images).score

    with bar:
        return best_of(
            easel.generator.decoder,
            judged,
            asked.best_of,
            seed,
            generations=asked.generations,
            grid=easel.grid,
            label=easel.label,
            device=easel.clip.device,
        )


def recorded(init: Path) -> dict[str, Any] | None:
    """The recipe of the painting that left a latent.npz; None where none did."""
    arrays = files.read_arrays(init) if init.suffix.lower() == LATENTS else {}
    with files.reading(init):
        return json.loads(str(arrays["recipe"])) if "recipe" in arrays else None


def resume(asked: Asked, easel: Easel, init: Path) -> Begun:
    """What --init names: a picture to begin at, a latent of any origin, or the latent of this very painting."""
    if init.suffix.lower() != LATENTS:
        return Begun([], like(asked, easel, init))
    z = read_latents(init, drawn(easel.generator.decoder, 0, easel.grid))
    if recorded(init) != easel.recipe:
        return Begun([], z[-1:])
    arrays = files.read_arrays(init)
    with files.reading(init):
        moments = Moments(*(torch.from_numpy(arrays[name]) for name in ("first", "second")))
        return Begun(list(z[:-1]), z[-1:], int(arrays["step"]), moments)


def like(asked: Asked, easel: Easel, file: Path) -> Tensor:
    """The latent (1, ...) of a picture: what the encoder beside the generator says, or else its projection."""
    picture = read_pictures([file], easel.generator.decoder.shape)
    beside = (asked.generator or GENERATOR) / ENCODER
    if beside.is_file():
        return load_autoencoder(beside, str(easel.clip.device)).encode(picture)
    *_, last = project(easel.generator, picture, label=asked.label)
    return last.latents
