"""Projection: the latents whose pictures are nearest to given ones, in three stages.

*Begin* at the nearest of many random pictures, or at an encoder's guess. *Descend* by Adam on pixels and, where there
is one, a perceptual distance (Abdal et al. 2019, Karras et al. 2020). *Polish*, where latents are vectors, by Levenberg
and Marquardt's damped Gauss-Newton steps, which in small networks find a generated picture almost exactly.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.func import jvp, vmap  # pyright: ignore[reportPrivateImportUsage]

from ..errors import RequestError
from ..frozen import TrainedGenerator

PerceptualLoss = Callable[[Tensor, Tensor], Tensor]  # images, images -> perceptual distances (N,), differentiable

LARGEST = 4_000_000  # numbers of a Jacobian; a larger one is not polished
CHUNK = 32  # columns of it that are computed at a time
FIRST = 2 * 10**6  # seed of the random starts, far from seeds that people use
DONE = 1e-4  # a distance that needs no more steps, under half a grey level
TRIES = 4  # dampings of one step


class Estimate(NamedTuple):
    """The nearest so far to each of N targets, on the CPU."""

    images: Tensor  # (N, C, H, W) in [-1, 1]
    latents: Tensor  # (N, ...)
    labels: Tensor | None  # (N, ...) of a generator that takes labels, as `TrainedGenerator.labels` gives them
    distance: Tensor  # (N,): the RMS difference of a pixel, as a share of the range


@dataclass(frozen=True)
class Search:
    """The effort of a search."""

    starts: int = 256  # random pictures to begin from
    keep: int = 4  # the nearest of them, which continue
    steps: int = 100  # of the descent
    polish: int = 15  # second-order steps at most, where latents are vectors
    rate: float = 0.2  # Adam's at the start; it falls to 0
    weight: float = 0.1  # of the perceptual distance, added to the pixels' squared error


def distance(x: Tensor, y: Tensor) -> Tensor:
    """The RMS difference of a pixel of images (N, C, H, W) in [-1, 1], as a share of the range: (N,)."""
    return (x - y).flatten(1).square().mean(1).sqrt() / 2


@dataclass
class State:
    """The current latents, `keep` for each target, and the best so far."""

    generator: TrainedGenerator
    targets: Tensor  # (N, C, H, W), on the generator's device
    z: Tensor  # (N, keep, ...)
    labels: Tensor | None  # (N, keep, ...)
    radius: Tensor  # the length of the longest latent that the prior drew
    best: Estimate

    def decode(self, z: Tensor, rows: Tensor) -> Tensor:
        """The pictures (M, C, H, W) of latents (M, ...) in these rows of all N · keep."""
        y = None if self.labels is None else self.labels.flatten(0, 1)[rows]
        return self.generator.decoder(z, y).float()

    def within(self, z: Tensor) -> Tensor:
        """Latents (N, ...), shortened to `radius`: the decoder has not learnt longer ones."""
        length = z.flatten(1).norm(dim=1).clamp(min=1e-12).reshape(-1, *[1] * (z.ndim - 1))
        return z * (self.radius / length).clamp(max=1)

    def update(self, z: Tensor, images: Tensor) -> Estimate:
        """Update the best so far. z: (N, keep, ...), images: (N · keep, C, H, W)."""
        n, keep = z.shape[:2]
        away = distance(images, self.targets.repeat_interleave(keep, 0)).reshape(n, keep)
        which, rows = away.argmin(1), torch.arange(n, device=away.device)
        found = Estimate(
            images.unflatten(0, (n, keep))[rows, which].cpu(),
            z[rows, which].cpu(),
            None if self.labels is None else self.labels[rows, which].cpu(),
            away[rows, which].cpu(),
        )
        nearer = found.distance < self.best.distance
        self.best = Estimate(*(choose(nearer, a, b) for a, b in zip(found, self.best, strict=True)))  # type: ignore[arg-type]
        return self.best


def choose(nearer: Tensor, a: Tensor | None, b: Tensor | None) -> Tensor | None:
    """Rows of `a` where `nearer`, and else of `b`."""
    if a is None or b is None:
        return None
    return torch.where(nearer.reshape(-1, *[1] * (a.ndim - 1)), a, b)


def project(
    generator: TrainedGenerator,
    targets: Tensor,
    search: Search | None = None,
    *,
    perceptual: PerceptualLoss | None = None,
    guesses: Tensor | None = None,
    label: int | str | None = None,
) -> Iterator[Estimate]:
    """Search the latents of `targets`, (N, C, H, W) in [-1, 1], and yield the nearest so far after each step.

    guesses: more latents (N, ...) to begin from, such as an encoder's. label: what all targets show, where the
    generator takes labels; by default it is searched too. The result depends on the arguments alone. Raises
    RequestError where the targets do not have the generator's shape.
    """
    search = search or Search()
    if tuple(targets.shape[1:]) != generator.decoder.shape:
        problem = f"they have shape {tuple(targets.shape[1:])}, and this generator draws {generator.decoder.shape}"
        raise RequestError(problem, "resize them", field="images")
    state = begin(generator, targets, search, guesses, label)
    yield state.best
    yield from descend(state, search, perceptual)
    vectors = state.z.ndim == 3
    if vectors and state.z.shape[-1] * targets[0].numel() <= LARGEST:
        yield from polish(state, search.polish)


def begin(
    generator: TrainedGenerator, targets: Tensor, search: Search, guesses: Tensor | None, label: int | str | None
) -> State:
    """The nearest of many random pictures, `search.keep` for each target; its guess replaces the last of them."""
    seeds = range(FIRST, FIRST + max(search.starts, search.keep))
    z, labels = generator.latents(seeds), generator.labels(seeds, label)
    pictures = generator.decode(z, labels).flatten(1)
    away = torch.cdist(targets.cpu().flatten(1), pictures)  # (N, starts)
    which = away.topk(search.keep, largest=False).indices
    chosen, device = z[which], generator.device
    if guesses is not None:
        chosen[:, -1] = guesses.to(chosen.dtype)
    chosen_labels = None if labels is None else labels[which]
    unknown = torch.full((len(targets),), math.inf)
    first = Estimate(targets.cpu(), chosen[:, 0], None if chosen_labels is None else chosen_labels[:, 0], unknown)
    radius = z.flatten(1).norm(dim=1).max().to(device)
    chosen_labels = None if chosen_labels is None else chosen_labels.to(device)
    state = State(generator, targets.to(device), chosen.to(device), chosen_labels, radius, first)
    y = None if chosen_labels is None else chosen_labels.flatten(0, 1)
    state.update(state.z, generator.decode(chosen.flatten(0, 1), y).to(device))
    return state


def descend(state: State, search: Search, perceptual: PerceptualLoss | None) -> Iterator[Estimate]:
    """Adam on the latents of all targets at once; the rate falls to 0 along half a cosine."""
    z = state.z.clone()
    state.z = z.detach()  # the same numbers, which the optimiser moves
    targets = state.targets.repeat_interleave(z.shape[1], 0)
    optimizer = torch.optim.Adam([z], lr=search.rate)
    for step in range(search.steps):
        optimizer.param_groups[0]["lr"] = search.rate * (1 + math.cos(math.pi * step / search.steps)) / 2
        z.grad, images = gradient(state, targets, perceptual, search.weight)
        found = state.update(state.z, images)
        optimizer.step()
        z.copy_(state.within(z.flatten(0, 1)).unflatten(0, z.shape[:2]))
        yield found


def gradient(state: State, targets: Tensor, perceptual: PerceptualLoss | None, weight: float) -> tuple[Tensor, Tensor]:
    """The gradients of all latents, of their shape, and their pictures; a batch at a time, as memory allows."""
    gradients, pictures = [], []
    for part in torch.arange(len(targets)).split(state.generator.batch):
        z = state.z.flatten(0, 1)[part].requires_grad_()
        images, wanted = state.decode(z, part), targets[part]
        loss = (images - wanted).square().mean((1, 2, 3)).sum()
        if perceptual is not None:
            loss = loss + weight * perceptual(images, wanted).sum()
        gradients += torch.autograd.grad(loss, [z])
        pictures.append(images.detach())
    return torch.cat(gradients).reshape(state.z.shape), torch.cat(pictures)


def polish(state: State, steps: int) -> Iterator[Estimate]:
    """Levenberg and Marquardt's steps from the best of each target: (JᵀJ + λI) δ = -Jᵀr, r the pixels' differences.

    λ falls after a success and rises until there is one. Ends early where nothing improves any more.
    """
    damping = torch.full((len(state.targets),), 1e-2, dtype=torch.float64)
    going = state.best.distance > DONE
    for _ in range(steps):
        for i in going.nonzero().flatten().tolist():
            before = state.best.distance[i].item()
            improve(state, i, damping)
            going[i] = DONE < state.best.distance[i].item() < 0.999 * before
        yield Estimate(*(None if part is None else part.clone() for part in state.best))  # type: ignore[arg-type]
        if not going.any():
            return


def improve(state: State, i: int, damping: Tensor) -> None:
    """One step for the target in row i; `damping` (N,), in units of the mean of JᵀJ's diagonal, changes in place."""
    best, device = state.best, state.targets.device
    start = best.latents[i].to(device)
    label = None if best.labels is None else best.labels[i : i + 1].to(device)

    def picture(z: Tensor) -> Tensor:
        return state.generator.decoder(z[None], label)[0].float()

    def column(v: Tensor) -> Tensor:
        return jvp(picture, (start,), (v,))[1]

    basis = torch.eye(start.numel(), device=device).reshape(-1, *start.shape)
    with torch.no_grad():
        j = vmap(column, chunk_size=CHUNK)(basis).flatten(1).T.cpu().double()  # (pixels, numbers of the latent)
    r = (best.images[i] - state.targets[i].cpu()).flatten().double()
    square, slope = j.T @ j, j.T @ r
    for _ in range(TRIES):
        damped = square + (damping[i] * square.diagonal().mean() + 1e-12) * torch.eye(len(square), dtype=square.dtype)
        z = start - torch.linalg.solve(damped, slope).to(start).reshape(start.shape)
        z = state.within(z[None])[0]
        with torch.no_grad():
            image = picture(z)
        away = distance(image[None], state.targets[i : i + 1])[0].item()
        if away < best.distance[i].item():
            best.images[i], best.latents[i], best.distance[i] = image.cpu(), z.cpu(), away
            damping[i] = max(1e-8, damping[i].item() / 5)
            return
        damping[i] *= 6
