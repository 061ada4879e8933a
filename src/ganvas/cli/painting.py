"""`ganvas paint`: a picture from words, in a directory with the way to it and all that it takes to go on."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from PIL.Image import Image
from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bar
from torch import Tensor

from .. import film, latent, media
from ..errors import RequestError
from ..painting import Stroke, paint
from ..run.progress import Left
from .easel import Begun, Easel, begin, open_easel, resume
from .latents import writing
from .paint import Asked
from .walking import watched

LATENT, PREVIEW, PAINTING = "latent.npz", "preview.png", "painting"  # in a painting's directory
SECONDS, HELD = 2.0, 1.0  # from one prompt to the next; that the film stands still at a finished painting


@dataclass
class Work:
    """A painting as far as it is done."""

    easel: Easel
    out: Path
    done: list[Tensor] = field(default_factory=list)  # the latents (...) of the prompts that are painted
    frames: list[Image] = field(default_factory=list)  # of the film

    def save(self, stroke: Stroke) -> None:
        """Write the latents with all that the last of them goes on from."""
        more = {
            "step": np.array(stroke.step),
            "first": stroke.moments.first.numpy(),
            "second": stroke.moments.second.numpy(),
            "recipe": np.array(json.dumps(self.easel.recipe)),
        }
        latent.write_latents(self.out / LATENT, torch.stack([*self.done, stroke.latent]), more)


def write_painting(words: list[str], asked: Asked, out: Path) -> None:
    """Paint each of `words` in turn, and write `out`."""
    going = asked.init is not None and asked.init.parent == out
    if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not going)):
        raise RequestError(f"{out} already exists; choose another directory for the painting")
    easel = open_easel(words, asked)
    begun = resume(asked, easel, asked.init) if asked.init else None
    work = Work(easel, out, begun.done if begun else [])
    with writing(out):
        for i in range(len(work.done), len(easel.wishes)):
            work.done.append(one(asked, work, begun or Begun([], begin(asked, easel, easel.wishes[i], asked.seed + i))))
            if begun and begun.moments:
                begun = None  # the others begin as they would have; a latent of another painting serves them all
        finish(asked, work)


def one(asked: Asked, work: Work, begun: Begun) -> Tensor:
    """Paint the next prompt, and give its latent (...)."""
    easel, i = work.easel, len(work.done)
    if begun.step >= asked.steps:
        raise RequestError(f"--steps {asked.steps}: it is painted to step {begun.step} already; give more")
    strokes = paint(
        easel.generator.decoder,
        easel.clip,
        easel.wishes[i],
        begun.latent,
        steps=asked.steps,
        seed=asked.seed + i,
        crops=asked.views,
        brush=easel.brush,
        label=easel.label,
        step=begun.step,
        moments=begun.moments,
    )
    stroke = None
    try:
        for stroke in shown(strokes, easel.words[i], asked.steps, asked.preview):
            picture = film.picture(stroke.image[None])
            work.frames.append(picture)
            if stroke.step % asked.preview == 0 or stroke.step == asked.steps:
                media.save_png(picture, work.out / PREVIEW)
                work.save(stroke)
    except KeyboardInterrupt as stop:
        if stroke is None:
            raise
        work.save(stroke)
        raise KeyboardInterrupt(f"stopped at stroke {stroke.step}; to go on: {again(work.out)}") from stop
    assert stroke is not None
    work.frames += [work.frames[-1]] * round(HELD * asked.fps)
    return stroke.latent


def again(out: Path) -> str:
    """How to go on with a painting."""
    return f"the same command with --init {shlex.quote(str(out / LATENT))}"


def shown(strokes: Iterator[Stroke], words: str, steps: int, every: int) -> Iterator[Stroke]:
    """The strokes, with a bar on a terminal and lines elsewhere."""
    console = Console(highlight=False, soft_wrap=True)
    if not console.is_terminal:
        for stroke in strokes:
            if stroke.step % every == 0 or stroke.step == steps:
                console.print(f"{words}: stroke {stroke.step:,} of {steps:,}  score {stroke.score:.3f}", markup=False)
            yield stroke
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), Left(), TextColumn("{task.fields[told]}"))
    with Bar(*columns, console=console) as bar:
        task = bar.add_task(words, total=steps, told="")
        for stroke in strokes:
            bar.update(task, completed=stroke.step, told=f"stroke {stroke.step:,}  score {stroke.score:.3f}")
            yield stroke


def finish(asked: Asked, work: Work) -> None:
    """Write the pictures, each with its recipe, and the films."""
    easel, z = work.easel, torch.stack(work.done)
    labels = None if easel.label is None else easel.label.expand(len(z), *easel.label.shape)
    for i, image in enumerate(easel.generator.decode(z, labels), 1):
        path = work.out / (f"{PAINTING}.png" if len(z) == 1 else f"{PAINTING}-{i}.png")
        recipe = {**easel.recipe, "steps": asked.steps, "painted": easel.words[i - 1]}
        media.save_png(film.picture(image[None]), path, {"ganvas": json.dumps(recipe)})
        print(f"{easel.words[i - 1]}: {path}")
    kind = ".mp4" if find_spec("imageio_ffmpeg") else ".webp"
    film.write(watched(iter(work.frames), len(work.frames)), str(work.out / f"{PAINTING}{kind}"), asked.fps)
    print(f"  the strokes:    {work.out / PAINTING}{kind}")
    if len(z) > 1:
        path = latent.path(z, SECONDS, asked.fps, easing="sin6")
        frames = latent.walk(easel.generator.decoder, path, label=easel.label, device=easel.generator.device)
        pictures = (film.picture(frame[None]) for frame in frames)
        film.write(watched(pictures, len(path)), str(work.out / f"interpolation{kind}"), asked.fps)
        print(f"  between them:   {work.out / 'interpolation'}{kind}")
    print(f"  to go on:       {again(work.out)} --out {shlex.quote(str(work.out))} and more --steps")
