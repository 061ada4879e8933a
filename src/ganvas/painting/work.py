"""A painting: prompt by prompt and stroke by stroke, in memory or in a directory that it can resume from."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL.Image import Image
from torch import Tensor

from .. import alpha, files, film, latent, media
from ..errors import RequestError, writing
from ..progress import Progress, Steps, drained
from ..shown import Shown
from .setup import Beginning, Setup, begin_from, search
from .strokes import Stroke, paint

LATENT, PREVIEW, PAINTING, BETWEEN = "latent.npz", "preview.png", "painting", "interpolation"  # in a directory
SECONDS, HELD = 2.0, 1.0  # from one prompt to the next; of still frames after each painting


@dataclass(eq=False, repr=False)
class Painting(Shown):
    """Pictures from words, with their strokes and the state that `init=painting` continues from."""

    setup: Setup
    fps: float
    done: list[Tensor] = field(default_factory=list)  # the latents (...) of the finished prompts
    frames: list[Image] = field(default_factory=list)  # the strokes
    state: dict[str, np.ndarray] = field(default_factory=dict)  # the content of latent.npz
    files: dict[str, Path] = field(default_factory=dict)  # the written files: "the strokes" -> its file, …

    @property
    def latents(self) -> Tensor:
        """(N, ...), one a prompt."""
        return torch.stack(self.done)

    @property
    def images(self) -> Tensor:
        """(N, C, H, W) in [-1, 1], one a prompt."""
        z, label = self.latents, self.setup.label
        return self.setup.generator.decode(z, None if label is None else label.expand(len(z), *label.shape))

    def picture(self) -> Image:
        """All of them in a row."""
        return media.grid(self.images, columns=len(self.done))

    def saving(self, out: str | Path) -> Steps[None]:
        """Write the directory, with a report after each frame of the films."""
        out, setup = Path(out), self.setup
        with writing(out):
            files.write_arrays(out / LATENT, self.state)
            for i, (words, image) in enumerate(zip(setup.request.words, self.images, strict=False), 1):
                path = out / (f"{PAINTING}.png" if len(self.done) == 1 else f"{PAINTING}-{i}.png")
                recipe = {**setup.recipe, "steps": setup.request.steps, "painted": words}
                media.save_png(film.picture(image[None]), path, {"ganvas": json.dumps(recipe)})
                self.files[words] = path
            kind = film.preferred(alpha.has_alpha(setup.generator.decoder.shape))
            yield from self.filming("the strokes", self.frames, len(self.frames), out / f"{PAINTING}{kind}")
            if len(self.done) > 1:
                path = latent.path(self.latents, SECONDS, self.fps, easing="sin6")
                generator = setup.generator
                walked = latent.walk(generator.decoder, path, label=setup.label, device=generator.device)
                frames = (film.picture(frame[None]) for frame in walked)
                yield from self.filming("between them", frames, len(path), out / f"{BETWEEN}{kind}")

    def filming(self, what: str, frames: Iterable[Image], total: int, out: Path) -> Steps[None]:
        """Write one film."""
        self.files[what] = out
        for done in film.write(frames, out, self.fps):
            yield Progress("filming", done, total)

    save = drained(saving)

    def keep(self, stroke: Stroke) -> None:
        """Keep the state that the painting resumes from."""
        self.state = {
            "latents": torch.stack([*self.done, stroke.latent]).float().numpy(),
            "step": np.array(stroke.step),
            "first": stroke.moments.first.numpy(),
            "second": stroke.moments.second.numpy(),
            "recipe": np.array(json.dumps(self.setup.recipe)),
        }


def paint_all(setup: Setup, fps: float, preview: int, out: Path | None) -> Steps[Painting]:
    """Paint each prompt in turn. With `out` the state is saved there every `preview` strokes, and on closing."""
    request, painting = setup.request, Painting(setup, fps)
    begun = None if request.init is None else begin_from(setup, request.init)
    painting.done = list(begun.finished) if begun else []
    for i in range(len(painting.done), len(request.words)):
        if begun is None:
            begun = Beginning((yield from search(setup, i)))
        painting.done.append((yield from paint_one(painting, begun, preview, out)))
        if begun.moments or request.init is None:
            begun = None  # the next prompt searches; a latent of another origin begins all prompts
    if out is not None:
        yield from painting.saving(out)
    return painting


def paint_one(painting: Painting, begun: Beginning, preview: int, out: Path | None) -> Steps[Tensor]:
    """Paint the next prompt, and return its latent (...)."""
    setup, i = painting.setup, len(painting.done)
    request, words = setup.request, setup.request.words[i]
    if begun.step >= request.steps:
        raise RequestError(f"it is painted to step {begun.step} already", "give more", field="steps")
    stroke = None
    try:
        for stroke in paint(
            setup.generator.decoder,
            setup.clip,
            setup.prompts[i],
            begun.latent,
            steps=request.steps,
            seed=request.seed + i,
            crops=request.crops,
            brush=setup.brush,
            label=setup.label,
            step=begun.step,
            moments=begun.moments,
        ):
            picture = film.picture(stroke.image[None])
            painting.frames.append(picture)
            painting.keep(stroke)
            if out is not None and (stroke.step % preview == 0 or stroke.step == request.steps):
                save_state(painting, out, picture)
            saved = None if out is None else out / LATENT
            yield Progress(f"{words}: stroke", stroke.step, request.steps, f"score {stroke.score:.3f}", picture, saved)
    except GeneratorExit:
        if out is not None and stroke is not None:
            save_state(painting, out, painting.frames[-1])
        raise
    assert stroke is not None, "a painting yields its first picture"
    painting.frames += [painting.frames[-1]] * round(HELD * painting.fps)
    return stroke.latent


def save_state(painting: Painting, out: Path, picture: Image) -> None:
    """Write the picture as it is now, and the state to resume from."""
    with writing(out):
        media.save_png(picture, out / PREVIEW)
        files.write_arrays(out / LATENT, painting.state)
