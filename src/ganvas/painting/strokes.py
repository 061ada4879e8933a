"""Strokes: each moves the latent toward what CLIP finds more like the words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.optim import AdamW

from ..latent import linked
from ..types import Decoder
from .crops import CropPlan, Crops, add_noise, cut, draw, on_colours
from .score import ImageTextModel, Prompts, Score, clip_score
from .start import Prior, measure_prior

CHUNK = 1 << 20  # numbers of the crops that CLIP sees together: 341 of 32 pixels, 6 of 224


@dataclass(frozen=True)
class Brush:
    """How a latent is moved.

    lr, weight_decay: AdamW's; the course material has 0.5 and 0.1 for the grid of a VQGAN, vectors of a GAN need less.
    variation: weight of the image's total variation, the mean difference of neighbouring pixels.
    prior: weight of ((‖z‖ - r) / r)², r the mean length of the latents that the decoder was trained on. Without it a
        latent leaves them, and CLIP likes the mush that is drawn there.
    bound: keep each number within the range of the prior; for a VQGAN within its codebook.
    hold: leave linked numbers (`latent.linkage`), such as the weights of words for a colour, as they begin: half of one
        colour and half of another is none, and breeding finds better ones than strokes can.
    relative: move each number in deviations of the prior. AdamW moves all by about `lr`, and a latent of hundreds of
        words, of which the prior draws a few at a time, becomes a mush of all of them.
    distance: cosine or spherical.
    chunk: crops that CLIP sees together; 0: as many as fit a few megabytes of pixels. It changes only the memory use.
    """

    lr: float = 0.02
    weight_decay: float = 0.0
    variation: float = 0.0
    prior: float = 0.1
    bound: bool = True
    hold: bool = False
    relative: bool = False
    distance: str = "cosine"
    chunk: int = 0


class Moments(NamedTuple):
    """AdamW's moments, of the latent's shape; a painting resumes from them, the latent and the step."""

    first: Tensor
    second: Tensor


class Stroke(NamedTuple):
    """A painting after `step` strokes, everything on the CPU."""

    image: Tensor  # (C, H, W) in [-1, 1]
    latent: Tensor  # (...)
    score: float  # α·cos(include) - β·cos(exclude), mean over the crops of this step
    step: int
    moments: Moments


def paint(
    decoder: Decoder,
    clip: ImageTextModel,
    prompts: Prompts,
    start: Tensor,
    *,
    steps: int = 100,
    seed: int = 0,
    crops: Crops | None = None,
    brush: Brush | None = None,
    label: Tensor | None = None,
    step: int = 0,
    moments: Moments | None = None,
) -> Iterator[Stroke]:
    """Paint: yields the picture of the latent `start` (1, ...), then that after each stroke up to the `steps`-th.

    Crops are functions of (seed, step), so a painting resumes exactly from a stroke's `step`, `moments` and latent.
    `label` is the class () or the keywords (K,) for a decoder that takes them. The decoder must be on `clip.device`.
    """
    crops, brush, device = crops or Crops(), brush or Brush(), clip.device
    score_of, prior = clip_score(clip, prompts, brush.distance), measure_prior(decoder)
    prior = Prior(prior.low.to(device), prior.high.to(device), prior.norm, prior.deviation.to(device))
    held = linked(decoder).to(device) if brush.hold else None
    z = start.to(device).clone().requires_grad_()
    optimizer = AdamW([z], lr=brush.lr, weight_decay=brush.weight_decay)
    if moments is not None:
        optimizer.state[z] = {
            "step": torch.tensor(float(step)),
            "exp_avg": moments.first.to(z)[None].clone(),
            "exp_avg_sq": moments.second.to(z)[None].clone(),
        }
    labels = None if label is None else label[None].to(device)
    for i in range(step, steps + 1):
        image = decoder(z, labels)  # (1, C, H, W)
        plan = draw(crops, image.shape[2], image.shape[3], seed, i)
        gradient, score = image_gradient(score_of, image.detach(), plan, crops, clip.size, brush.chunk)
        yield stroke_of(image, z, score, i, optimizer)
        if i == steps:
            break
        optimizer.zero_grad()
        torch.autograd.backward([image, regularization(brush, prior, z, image)], [gradient, None])
        move(optimizer, z, brush, prior, held)


@torch.no_grad()
def move(optimizer: AdamW, z: Tensor, brush: Brush, prior: Prior, held: Tensor | None) -> None:
    """Move the latent z, in place, except for the numbers that are `held`."""
    before = z.clone()
    optimizer.step()
    if brush.relative:
        z.copy_(before + prior.deviation * (z - before))
    if brush.bound:
        z.clamp_(prior.low, prior.high)
    if held is not None:
        z.copy_(torch.where(held, before, z))


def image_gradient(
    score_of: Callable[[Tensor], Score], image: Tensor, plan: CropPlan, crops: Crops, size: int, chunk: int
) -> tuple[Tensor, float]:
    """The gradient of the loss at the image (1, C, H, W), and the score, both means over the crops.

    Crops are scored a chunk at a time, so that memory does not grow with their number.
    """
    image, count, total = image.requires_grad_(), len(plan.maps), 0.0
    chunk = chunk or max(1, CHUNK // (image.shape[1] * size * size))
    for rows in torch.arange(count).split(chunk):
        views = on_colours(cut(image, plan.maps[rows], size, crops.fill), plan.seeds[rows])
        found = score_of(add_noise(views, plan.deviations[rows], plan.seeds[rows]))
        (found.loss.sum() / count).backward(inputs=[image])
        total += found.score.sum().item() / count
    assert image.grad is not None
    return image.grad, total


def regularization(brush: Brush, prior: Prior, z: Tensor, image: Tensor) -> Tensor:
    """The weighted regularisers of the brush, ()."""
    away = ((z.norm() - prior.norm) / prior.norm).square()
    across = (image[..., 1:] - image[..., :-1]).abs().mean()
    down = (image[..., 1:, :] - image[..., :-1, :]).abs().mean()
    return brush.prior * away + brush.variation * (across + down)


def stroke_of(image: Tensor, z: Tensor, score: float, step: int, optimizer: AdamW) -> Stroke:
    """A stroke, with copies of everything that later strokes change."""
    state = optimizer.state[z]  # empty before the first step
    moments = (state.get(name, torch.zeros_like(z)).detach()[0].cpu().clone() for name in ("exp_avg", "exp_avg_sq"))
    return Stroke(image.detach()[0].float().cpu(), z.detach()[0].cpu().clone(), score, step, Moments(*moments))
