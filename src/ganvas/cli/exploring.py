"""The commands that explore what a generator knows: sample, walk, edit, breed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from ..errors import RequestError
from .root import app

RunOrFile = Annotated[Path, Parameter(help="A run directory, or its generator.safetensors.")]
Label = Annotated[str | None, Parameter(help="Class, by name or number, where the generator knows classes.")]
Prompt = Annotated[
    str | None, Parameter(help="Keywords, such as 'red circle', where the generator was trained with keywords.")
]
Truncation = Annotated[float, Parameter(help="Below 1: more typical, less varied.")]
Settings = Annotated[
    list[str] | None,
    Parameter(
        "--set", negative="", help="KEY=VALUE; of diffusion sampler, steps, guidance, …; words=latent: labels too."
    ),
]
Fps = Annotated[float, Parameter(help="Frames a second, of a film.")]


def told(label: str | None, prompt: str | None) -> str | None:
    """What is to be drawn, by either option."""
    if label is not None and prompt is not None:
        raise RequestError(f"--label {label} and --prompt {prompt!r}: give one of the two")
    return prompt if label is None else label


@app.command
def sample(
    run: RunOrFile,
    /,
    *,
    out: Annotated[str, Parameter(help="grid.png, samples.npz, or a directory for one PNG a seed.")],
    seeds: Annotated[str, Parameter(help="Such as 0-35,42: a seed always gives the same latent.")] = "0-63",
    latents: Annotated[Path | None, Parameter(help="Instead of seeds: an .npz that project or breed wrote.")] = None,
    label: Label = None,
    prompt: Prompt = None,
    truncation: Truncation = 1.0,
    settings: Settings = None,
) -> None:
    """Draw from a trained generator."""
    from .sampling import parse_seeds, write_samples, write_saved

    chosen = parse_seeds(seeds)

    from .latents import open_generator

    generator = open_generator(run, settings)
    if latents is None:
        write_samples(generator, chosen, told(label, prompt), truncation, out)
    else:
        write_saved(generator, latents, told(label, prompt), truncation, out)


@app.command
def walk(
    run: RunOrFile,
    /,
    *,
    out: Annotated[str, Parameter(help="walk.mp4, .gif, .webp, or a directory for numbered PNGs.")],
    seeds: Annotated[str | None, Parameter(help="The keyframes; by default 0-4.")] = None,
    latents: Annotated[
        list[Path] | None, Parameter(negative="", help="More keyframes: .npz files of project or breed.")
    ] = None,
    seconds: Annotated[str, Parameter(help="Of each leg; or one for each, such as 2,1,3.")] = "2",
    fps: Fps = 25.0,
    easing: Annotated[
        Literal["linear", "smooth", "sin6"], Parameter(help="How a leg is gone; sin6: sin(1.5 t)^6.")
    ] = "linear",
    loop: Annotated[bool, Parameter(help="Go back to the first keyframe in the end.")] = True,
    interpolation: Annotated[
        Literal["slerp", "lerp"], Parameter(help="slerp: on arcs, right for Gaussian latents; lerp: straight.")
    ] = "slerp",
    through: Annotated[
        str | None, Parameter(help="FILE[:K]: from the first keyframe along the first K directions and back.")
    ] = None,
    strength: Annotated[float, Parameter(help="How far --through goes.")] = 3.0,
    grid: Annotated[str, Parameter(help="COLUMNSxROWS of walks, which share the keyframes out.")] = "1x1",
    label: Label = None,
    prompt: Prompt = None,
    truncation: Truncation = 1.0,
    settings: Settings = None,
) -> None:
    """Film a way through latent space, from keyframe to keyframe."""
    from .walking import Walk, write_walk

    walk = Walk(seeds, latents or [], seconds, fps, easing, loop, interpolation, through, strength, grid)
    write_walk(run, walk, told(label, prompt), truncation, settings, out)


@app.command
def edit(
    run: RunOrFile,
    /,
    *,
    direction: Annotated[str, Parameter(help="FILE[:K]: directions.npz, and which of them by number or name.")],
    out: Annotated[str, Parameter(help="strip.png, or a film: .mp4, .gif, .webp, a directory.")],
    seed: Annotated[int | None, Parameter(help="What to edit.")] = None,
    image: Annotated[Path | None, Parameter(help="Or a picture, which is projected first.")] = None,
    latents: Annotated[
        Path | None, Parameter(help="Or the first latent of an .npz that project or breed wrote.")
    ] = None,
    strength: Annotated[
        str, Parameter(help="FROM:TO, in deviations of the latent.", allow_leading_hyphen=True)
    ] = "-3:3",
    steps: Annotated[int | None, Parameter(help="Pictures; by default 7 on a strip, 101 in a film.")] = None,
    fps: Fps = 25.0,
    label: Label = None,
    prompt: Prompt = None,
    truncation: Truncation = 1.0,
    settings: Settings = None,
) -> None:
    """Move a latent along a direction, and see what changes."""
    from .editing import write_edit

    what = told(label, prompt)
    write_edit(run, direction, seed, image, latents, strength, steps, fps, what, truncation, settings, out)


@app.command
def breed(
    run: RunOrFile,
    /,
    *,
    parents: Annotated[str, Parameter(help="Seeds, and children of litters: 3,17,litter/5.")],
    out: Annotated[Path, Parameter(help="Directory of the litter.")],
    children: Annotated[int, Parameter(help="How many.")] = 16,
    mutation: Annotated[float, Parameter(help="0: inherited alone, to 1: nothing is inherited.")] = 0.2,
    crossover: Annotated[
        Literal["mix", "blend"], Parameter(help="mix: number by number from either parent; blend: between them.")
    ] = "mix",
    seed: Annotated[int, Parameter(help="Of the crossover and the mutation.")] = 0,
    label: Label = None,
    prompt: Prompt = None,
    settings: Settings = None,
) -> None:
    """Breed children of latents, and keep the lineage."""
    from .breeding import write_litter

    write_litter(run, parents, children, mutation, crossover, seed, told(label, prompt), settings, out)
