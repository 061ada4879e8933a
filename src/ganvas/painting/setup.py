"""What a painting needs before its first stroke: the models, the prompts, the options, and the first latent."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .. import sizes
from ..data.decode import SUFFIXES
from ..data.pictures import read_picture
from ..errors import RequestError
from ..files import read_arrays
from ..frozen import Clip, TrainedGenerator, openai
from ..frozen.opening import open_clip, open_image_generator, path_of
from ..frozen.weights import SHIPPED
from ..inversion import encode_guesses, project
from ..latent.saved import HasLatents, gather_latents
from ..progress import Note, Progress, Steps
from .crops import Crops, surrounded
from .score import Prompt, Prompts, clip_score, parse_prompt
from .start import draw_latent, find_start, grid_for
from .strokes import Brush, Moments

GENERATOR, CLIP = SHIPPED / "paint-generator.safetensors", SHIPPED / "paint-clip.safetensors"


@dataclass(frozen=True)
class Request:
    """What to paint, and how; everything but the models."""

    words: list[str]  # painted in turn
    exclude: list[str] = field(default_factory=list)
    extras: list[str] = field(default_factory=list)
    steps: int = 100
    seed: int = 0
    best_of: int = 64
    generations: int = 4
    size: str | None = None
    label: int | str | None = None
    init: Any = None  # a picture, latents, or an earlier painting
    hold: bool | None = None  # None: where the search for a beginning breeds
    brush: Brush = field(default_factory=Brush)
    crops: Crops = field(default_factory=Crops)

    def check(self, preview: int) -> None:
        """Raise RequestError for numbers that are not possible, and where there are no words."""
        if not self.words:
            raise RequestError("there is nothing to paint", "give words, such as 'a red circle'", field="words")
        counts = {"steps": self.steps, "best_of": self.best_of, "generations": self.generations, "preview": preview}
        for name, value in counts.items():
            if value < (least := 0 if name == "generations" else 1):
                raise RequestError(f"{value} is too few", f"give {least} or more", field=name)
        for name in ("lr", "weight_decay", "variation", "prior"):
            if not 0 <= (amount := getattr(self.brush, name)) < math.inf:
                raise RequestError(f"{amount:g} is not possible", "give 0 or more", field=name)


@dataclass(frozen=True)
class Setup:
    """What stays the same during a painting."""

    request: Request
    generator: TrainedGenerator
    clip: Clip
    prompts: list[Prompts]  # one for each of the words
    grid: tuple[int, int] | None  # of the latent, where it is not the generator's own
    label: Tensor | None
    brush: Brush
    recipe: dict[str, Any]  # JSON-able; a latent that was painted with the same recipe can be continued


@dataclass(frozen=True)
class Beginning:
    """Where a painting begins or continues."""

    latent: Tensor  # (1, ...)
    finished: tuple[Tensor, ...] = ()  # the latents (...) of earlier prompts
    step: int = 0
    moments: Moments | None = None


def set_up(
    request: Request, generator: object, clip: object, options: Mapping[str, object] | None, device: str
) -> Steps[Setup]:
    """Open the models, by default those that come with ganvas, and read the prompts."""
    yield Progress("opening the models")
    model = open_image_generator(GENERATOR if generator is None else generator, device, options)  # type: ignore[arg-type]
    model = model.place_words("latent" if request.label is None else "label")
    shipped = clip is None and generator is None
    towers = open_clip(CLIP if shipped else clip, device)  # type: ignore[arg-type]
    exclude, extras = (read_prompts(getattr(request, name), towers, name) for name in ("exclude", "extras"))
    prompts = [Prompts(read_prompts([each], towers, "words"), exclude, extras) for each in request.words]
    bred = min(request.best_of - 1, request.generations) > 0
    brush = replace(request.brush, hold=bred if request.hold is None else request.hold)
    kept = ("words", "exclude", "extras", "seed", "label", "size", "best_of", "generations")
    recipe: dict[str, Any] = {
        "ganvas": version("ganvas"),
        **{name: getattr(request, name) for name in kept},
        "generator": GENERATOR.name if generator is None else model_name(generator, model.recipe),
        "clip": CLIP.name if shipped else model_name(openai.best() if clip is None else clip, towers.recipe),
        "set": [f"{key}={value}" for key, value in (options or {}).items()],
        "crops": asdict(request.crops),
        "brush": asdict(brush),
    }
    if request.hold is None and request.init is not None and saved_state(request.init)[0] != recipe:
        brush = replace(brush, hold=False)  # nothing was bred for these words
        recipe["brush"] = asdict(brush)
    grid = yield from parse_size(request.size, model)
    labels = model.labels([0], request.label)
    label = None if labels is None else labels[0]
    return Setup(request, model, towers, prompts, grid, label, brush, recipe)


def model_name(source: object, recipe: str) -> str:
    """What a painting's recipe calls a model: its path, or its own recipe where it was given in memory."""
    path = path_of(source)
    return f"{recipe}, in memory" if path is None else str(path)


def read_prompts(texts: Sequence[str], clip: Clip, field: str) -> tuple[Prompt, ...]:
    """'a red circle::2 | photo.png' -> prompts that count together; a name of a picture file stands for the picture."""
    found = []
    for part in (part for text in texts for part in text.split("|")):
        prompt = parse_prompt(part, field)
        if Path(prompt.words).suffix.lower() in SUFFIXES:
            prompt = prompt._replace(picture=read_picture(prompt.words, clip.shape, field))
        found.append(prompt)
    return tuple(found)


def parse_size(size: str | None, generator: TrainedGenerator) -> Steps[tuple[int, int] | None]:
    """The rows and columns of the latent for WIDTHxHEIGHT, with a note where they are rounded."""
    if size is None:
        return None
    try:
        wanted = sizes.parse_size(size)
    except ValueError as error:
        problem, _, hint = str(error).partition(": ")
        raise RequestError(problem, hint, field="size") from None
    if wanted is None:
        return None
    (width, height), shape = wanted, generator.decoder.shape
    found = grid_for(generator.decoder, shape, width, height)
    if found is not None:
        cell = shape[1] // generator.decoder.prior(1).shape[2]
        if (found[0] * cell, found[1] * cell) != (height, width):
            yield Note(f"size {size} is rounded to {found[1] * cell}x{found[0] * cell}, whole cells of {cell} pixels")
    return found


def search(setup: Setup, number: int) -> Steps[Tensor]:
    """The first latent (1, ...): the one of the seed's samples and their children that CLIP scores highest."""
    request = setup.request
    score = clip_score(setup.clip, setup.prompts[number], setup.brush.distance)
    yield Note(f"searching for a beginning among {request.best_of * (1 + request.generations):,} pictures")
    return (
        yield from find_start(
            setup.generator.decoder,
            lambda images: score(surrounded(images)).score,
            request.best_of,
            request.seed + number,
            generations=request.generations,
            grid=setup.grid,
            label=setup.label,
            device=setup.clip.device,
        )
    )


def saved_state(init: Any) -> tuple[dict[str, Any] | None, dict[str, np.ndarray]]:
    """The recipe and the arrays of an earlier painting, from its latent.npz or its result; None and {} of others."""
    arrays: dict[str, np.ndarray] = {}
    if isinstance(init, str | Path):
        arrays = {} if is_picture(init) else read_arrays(Path(init))
    elif isinstance(state := getattr(init, "state", None), dict):
        arrays = state
    try:
        return json.loads(str(arrays["recipe"])) if "recipe" in arrays else None, arrays
    except ValueError as error:
        raise damaged(init, error) from error


def damaged(init: object, error: Exception) -> RequestError:
    """The error for a latent.npz that cannot be continued."""
    return RequestError(f"{init} is damaged ({error})", "begin again without it", field="init")


def is_picture(init: Any) -> bool:
    """Whether it is a picture and not latents, which are in an .npz, a tensor or a result."""
    if isinstance(init, str | Path):
        return Path(init).suffix.lower() != ".npz"
    return not isinstance(init, Tensor | HasLatents)


def begin_from(setup: Setup, init: Any) -> Beginning:
    """Begin at a picture or at the last of some latents; continue an earlier painting with the same recipe."""
    if is_picture(init):
        return Beginning(from_picture(setup, init))
    z = gather_latents(init, draw_latent(setup.generator.decoder, 0, setup.grid), "init")
    recipe, arrays = saved_state(init)
    if recipe != setup.recipe:
        return Beginning(z[-1:])
    try:
        moments = Moments(*(torch.from_numpy(arrays[name]) for name in ("first", "second")))
        return Beginning(z[-1:], tuple(z[:-1]), int(arrays["step"]), moments)
    except (KeyError, TypeError, ValueError) as error:
        raise damaged(init, error) from error


def from_picture(setup: Setup, picture: Any) -> Tensor:
    """The latent (1, ...) of a picture, from the encoder next to the generator where there is one, or by projection."""
    target = read_picture(picture, setup.generator.decoder.shape, "init")[None]
    place = Path(setup.recipe["generator"])
    guess = encode_guesses(place, target, str(setup.clip.device)) if place.exists() else None
    if guess is not None:
        return guess
    *_, last = project(setup.generator, target, label=setup.request.label)
    return last.latents
