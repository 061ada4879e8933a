"""Where a painting begins: a latent drawn from the prior, or the best of several and of what is bred from them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from ..errors import RequestError
from ..latent import from_seeds, linkage
from ..latent.breeding import mix
from ..progress import Progress, Steps
from ..types import Decoder

BATCH = 32  # candidates decoded at a time
PARENTS, MUTATION = 8, 0.2  # the best of a generation, that breed; the share of a child's numbers that neither has
SAMPLES = 256  # latents that the prior is measured with


class Prior(NamedTuple):
    """What a decoder was trained to be given, as its own samples tell: all that painting has to know of it."""

    low: Tensor  # (1, C) or (1, C, 1, 1): the least and the greatest of each channel's numbers
    high: Tensor
    norm: float  # the mean length of a latent
    deviation: Tensor  # (1, C) or (1, C, 1, 1) of each channel's numbers


def measure_prior(decoder: Decoder) -> Prior:
    """The prior of a decoder. Of a codebook's entries, drawn by the prior of a VQGAN, these are the bounds."""
    z = decoder.prior(SAMPLES, torch.Generator().manual_seed(0))
    over = [0, *range(2, z.ndim)]
    low, high, deviation = z.amin(over, keepdim=True), z.amax(over, keepdim=True), z.std(over, keepdim=True)
    return Prior(low, high, z.flatten(1).norm(dim=1).mean().item(), deviation)


def draw_latent(decoder: Decoder, seed: int, grid: tuple[int, int] | None = None) -> Tensor:
    """The latent of a seed, (1, ...) on the CPU; of a larger `grid` (rows, columns) laid out from several draws."""
    z = from_seeds(decoder, [seed])
    if grid is None or tuple(z.shape[2:]) == grid:
        return z
    generator = torch.Generator().manual_seed(seed)
    rows, columns = (-(-wanted // side) for wanted, side in zip(grid, z.shape[2:], strict=True))
    bands = [torch.cat([decoder.prior(1, generator) for _ in range(columns)], 3) for _ in range(rows)]
    return torch.cat(bands, 2)[:, :, : grid[0], : grid[1]]


def grid_for(decoder: Decoder, shape: tuple[int, ...], width: int, height: int) -> tuple[int, int] | None:
    """The grid (rows, columns) of latents that decode to about width × height; None where it is the decoder's own.

    shape: (C, H, W) of what it draws by itself. Sides are rounded to whole cells of the grid. Raises RequestError
    where a latent is a vector, which knows one size alone.
    """
    if (height, width) == tuple(shape[1:]):
        return None
    z = decoder.prior(1, torch.Generator().manual_seed(0))
    if z.ndim != 4:
        raise RequestError(
            f"this generator draws {shape[2]}x{shape[1]} alone, since its latent is a vector",
            "leave `size` out, or paint with a VQGAN",
            field="size",
        )
    cell = shape[1] // z.shape[2]
    return max(1, round(height / cell)), max(1, round(width / cell))


def find_start(
    decoder: Decoder,
    judge: Callable[[Tensor], Tensor],
    count: int,
    seed: int = 0,
    *,
    generations: int = 0,
    grid: tuple[int, int] | None = None,
    label: Tensor | None = None,
    device: torch.device | str = "cpu",
) -> Steps[Tensor]:
    """Of `count` latents, and of as many bred from the best in each generation, the one with the greatest `judge`.

    A child takes each number from either of two of the PARENTS best so far, and a share of MUTATION from any of the
    first latents; numbers that make sense only together (`latent.linkage`) have one origin, so that it is as likely a
    latent as they are. This combines what several have, such as another shape, which no gradient finds.
    Returns (1, ...) on the CPU.

    judge: images (N, C, H, W) in [-1, 1] -> (N,).
    """
    if count < 1:
        raise RequestError(f"{count} is too few", "give 1 or more", field="find_start")
    if generations < 0:
        raise RequestError(f"{generations} is negative", "give 0 or more", field="generations")
    seen, total = 0, count * (1 + generations)

    def judged(z: Tensor) -> Steps[Tensor]:
        nonlocal seen
        scores = []
        for images in decoded(decoder, z, label, torch.device(device)):
            with torch.no_grad():
                scores.append(judge(images).cpu())
            seen += len(images)
            yield Progress("searching for a beginning", seen, total)
        return torch.cat(scores)

    first = z = torch.cat([draw_latent(decoder, seed * count + i, grid) for i in range(count)])
    generator = torch.Generator().manual_seed(seed)
    values, links = (yield from judged(z)), linkage(decoder) if generations else None
    for _ in range(generations):
        best = values.topk(min(PARENTS, len(values))).indices
        children = bred(z[best], first, generator, links)
        z, values = torch.cat([z[best], children]), torch.cat([values[best], (yield from judged(children))])
    return z[values.argmax()][None]


def decoded(decoder: Decoder, z: Tensor, label: Tensor | None, device: torch.device) -> Iterator[Tensor]:
    """What latents decode to on `device`, in batches."""
    for part in z.split(BATCH):
        shown = None if label is None else label.expand(len(part), *label.shape).to(device)
        with torch.no_grad():  # closed before images are handed on, so that it does not cover the caller's code
            images = decoder(part.to(device), shown)
        yield images


def bred(parents: Tensor, first: Tensor, generator: torch.Generator, links: Tensor | None) -> Tensor:
    """As many children of random parents (P, ...) as there are `first` latents (N, ...), from which mutations come."""
    pairs = torch.randint(len(parents), (len(first), 2), generator=generator)
    strangers = first[torch.randint(len(first), (len(first),), generator=generator)]
    children = [mix(parents[a], parents[b], generator, links) for a, b in pairs.tolist()]
    both = zip(children, strangers, strict=True)
    return torch.stack([mix(child, one, generator, links, 1 - MUTATION) for child, one in both])
