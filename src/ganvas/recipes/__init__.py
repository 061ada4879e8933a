"""Recipes by name. A family is a frozen dataclass of options and a `build` that turns them into a `System`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

from ..data import Dataset
from ..errors import entry
from ..plan import Plan
from ..types import Images, System
from . import clip, cnn, conditional, diffusion, gan, gan_options, presets, vae, vqgan
from .base import Training, describe, grouped, override

RECIPES: dict[str, Callable[[], Training]] = {
    "gan": presets.gan,
    "sine": presets.sine,
    "points": presets.points,
    "mlp": presets.mlp,
    "mlp-bn": presets.mlp_bn,
    "mlp-selu": presets.mlp_selu,
    "mlp-wide": presets.mlp_wide,
    "dcgan": presets.dcgan,
    "r3gan": presets.r3gan,
    "cgan": conditional.cgan,
    "prompt-gan": conditional.prompt_gan,
    "cnn": cnn.cnn,
    "clip": clip.clip,
    "lit": clip.lit,
    "vae": vae.vae,
    "diffusion": diffusion.diffusion,
    "flow": diffusion.flow,
    "vqgan": vqgan.vqgan,
}

FAMILIES = {
    gan_options.GAN: gan,
    conditional.Conditional: conditional,
    cnn.CNN: cnn,
    clip.Clip: clip,
    vae.VAE: vae,
    diffusion.Diffusion: diffusion,
    vqgan.VQGAN: vqgan,
}

__all__ = ["RECIPES", "Training", "build", "describe", "from_json", "grouped", "override", "recipe"]
__all__ += ["refuse_size", "resolve", "to_json"]


def recipe(name: str) -> Training:
    """The default options of a recipe; a RequestError with similar names where there is none."""
    return entry("recipe", name, RECIPES, field="recipe")()


def resolve(options: Training, images: Images, plan: Plan) -> Training:
    """The options with every `auto` replaced by what suits the data and the device; `build` takes either."""
    o = FAMILIES[type(options)].resolve(options, images.shape, plan.device)
    return replace(o, decay=o.steps) if o.decay < 0 else o


def refuse_size(options: Training, device: str) -> None:
    """A RequestError for a size that is asked for and cannot be drawn: before the data is read."""
    if size := options.reading().size:
        FAMILIES[type(options)].resolve(options, (options.channels or 3, size.height, size.width), device)


def build(options: Training, images: Dataset, plan: Plan) -> System:
    """The system that `options` describe, its weights drawn from torch's global generator."""
    return FAMILIES[type(options)].build(resolve(options, images, plan), images, plan)


def to_json(options: Training) -> dict[str, Any]:
    """Every option, for the run's record."""
    return asdict(options)


def from_json(name: str, record: dict[str, Any]) -> Training:
    """The options of a run's record: what it does not hold is as in its recipe."""
    return override(recipe(name), record)
