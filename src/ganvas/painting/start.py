"""The first latent of a painting: the best of several samples and of their children."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ..errors import RequestError
from ..latent import from_seeds, linkage
from ..latent.breeding import mix
from ..progress import Progress, Steps
from ..types import Decoder

BATCH = 32  # candidates decoded at a time
PARENTS, MUTATION = 8, 0.2  # the best of a generation, which breed; the share of a child's numbers from neither
SAMPLES = 256  # latents that measure the prior


class Prior(NamedTuple):
    """The latents that a decoder was trained on, measured: all that painting knows of a decoder."""

    low: Tensor  # (1, C) or (1, C, 1, 1): the least number of each channel
    high: Tensor  # the greatest
    norm: float  # the mean length of a latent
    deviation: Tensor  # (1, C) or (1, C, 1, 1) of each channel's numbers


def measure_prior(decoder: Decoder) -> Prior:
    """The prior of a decoder; for a VQGAN, low and high are the bounds of its codebook."""
    z = decoder.prior(SAMPLES, torch.Generator().manual_seed(0))
    over = [0, *range(2, z.ndim)]
    low, high, deviation = z.amin(over, keepdim=True), z.amax(over, keepdim=True), z.std(over, keepdim=True)
    return Prior(low, high, z.flatten(1).norm(dim=1).mean().item(), deviation)


def draw_latent(decoder: Decoder, seed: int, grid: tuple[int, int] | None = None) -> Tensor:
    """The latent of a seed, (1, ...) on the CPU; a larger `grid` (rows, columns) consists of several draws."""
    z = from_seeds(decoder, [seed])
    if grid is None or tuple(z.shape[2:]) == grid:
        return z
    generator = torch.Generator().manual_seed(seed)
    rows, columns = (-(-wanted // side) for wanted, side in zip(grid, z.shape[2:], strict=True))
    bands = [torch.cat([decoder.prior(1, generator) for _ in range(columns)], 3) for _ in range(rows)]
    return torch.cat(bands, 2)[:, :, : grid[0], : grid[1]]


def grid_for(decoder: Decoder, shape: tuple[int, ...], width: int, height: int) -> tuple[int, int] | None:
    """The grid (rows, columns) of latents that decode to about width × height; None where it is the decoder's own.

    shape: the decoder's own (C, H, W). Sides are rounded to whole cells of the grid. Raises RequestError where a latent
    is a vector.
    """
    if (height, width) == tuple(shape[1:]):
        return None
    z = decoder.prior(1, torch.Generator().manual_seed(0))
    if z.ndim != 4:
        problem = f"this generator draws {shape[2]}x{shape[1]} only, since its latent is a vector"
        raise RequestError(problem, "leave it out, or paint with a VQGAN", field="size")
    cell = shape[1] // z.shape[2]
    return max(1, round(height / cell)), max(1, round(width / cell))


def find_start(
    decoder: Decoder,
    score: Callable[[Tensor], Tensor],
    count: int,
    seed: int = 0,
    *,
    generations: int = 0,
    grid: tuple[int, int] | None = None,
    label: Tensor | None = None,
    device: torch.device | str = "cpu",
) -> Steps[Tensor]:
    """The latent (1, ...), on the CPU, with the greatest score among `count` samples and as many children a generation.

    A child takes each number from either of two of the PARENTS best so far, and a share of MUTATION from any of the
    samples; linked numbers (`latent.linkage`) come from one of them, so that a child is as likely as a sample. This
    combines what several have, such as another shape, which no gradient finds.

    score: images (N, C, H, W) in [-1, 1] -> (N,).
    """
    done, total = 0, count * (1 + generations)

    def scored(z: Tensor) -> Steps[Tensor]:
        nonlocal done
        scores = []
        for part in z.split(BATCH):
            labels = None if label is None else label.expand(len(part), *label.shape).to(device)
            with torch.no_grad():  # not around `yield`, where it would cover the caller's code
                scores.append(score(decoder(part.to(device), labels)).cpu())
            done += len(part)
            yield Progress("searching for a beginning", done, total)
        return torch.cat(scores)

    first = z = torch.cat([draw_latent(decoder, seed * count + i, grid) for i in range(count)])
    generator = torch.Generator().manual_seed(seed)
    scores, links = (yield from scored(z)), linkage(decoder) if generations else None
    for _ in range(generations):
        best = scores.topk(min(PARENTS, len(scores))).indices
        children = make_children(z[best], first, generator, links)
        z, scores = torch.cat([z[best], children]), torch.cat([scores[best], (yield from scored(children))])
    return z[scores.argmax()][None]


def make_children(parents: Tensor, first: Tensor, generator: torch.Generator, links: Tensor | None) -> Tensor:
    """As many children of random parents (P, ...) as there are `first` latents (N, ...), from which mutations come."""
    pairs = torch.randint(len(parents), (len(first), 2), generator=generator)
    strangers = first[torch.randint(len(first), (len(first),), generator=generator)]
    children = [mix(parents[a], parents[b], generator, links) for a, b in pairs.tolist()]
    both = zip(children, strangers, strict=True)
    return torch.stack([mix(child, one, generator, links, 1 - MUTATION) for child, one in both])
