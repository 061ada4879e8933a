"""The painting itself: a latent, moved stroke by stroke toward what CLIP finds more like the words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.optim import AdamW

from ..latent.linkage import linked
from ..types import Decoder
from .crops import Crops, Drawn, add_noise, cut, draw
from .score import ImageTextModel, Prompts, Score, clip_score
from .start import Prior, measure_prior

CHUNK = 1 << 20  # numbers of the crops that are looked at together: 341 of 32 pixels, 6 of 224


@dataclass(frozen=True)
class Brush:
    """How a latent is moved.

    lr, weight_decay: AdamW's; the source has 0.5 and 0.1 for the grid of a VQGAN, vectors of a GAN want less.
    variation: weight of the image's total variation, the mean step between neighbouring pixels.
    prior: weight of ((‖z‖ - r) / r)², r the mean length of the latents that the decoder was trained on. Without it a
        latent goes where the decoder has never been, and what is drawn there is mush that CLIP alone likes.
    bound: keep each number within what the prior draws; of a VQGAN within its codebook.
    hold: leave numbers that make sense only together (`latent.linkage`), such as the weights of words for a colour, as
        they begin: half of a colour and half of another is none, and breeding finds better ones than strokes can.
    relative: move each number in deviations of the prior. AdamW moves all alike, by about `lr`, and of a latent with
        hundreds of words, of which the prior draws a handful at a time, that makes a mush of all of them.
    distance: cosine or spherical.
    chunk: crops that CLIP looks at together; 0: as many as fit a few megabytes of pixels. It changes the memory that a
        step takes and nothing else.
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
    """What AdamW remembers, shaped as the latent: with the latent and the step, all that a painting goes on from."""

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
    """Paint: the picture of the latent `start` (1, ...) first, then that after each stroke up to the `steps`-th.

    Crops are functions of (seed, step): with `step` and the `moments` of a stroke, and its latent as `start`, painting
    goes on exactly as if it had not been interrupted. `label` is what a decoder that knows classes or keywords is told,
    () or (K,).
    Works on the device of `clip`, where the decoder must be too, and needs nothing of the decoder but what any has.
    """
    crops, brush = crops or Crops(), brush or Brush()
    judge, known = clip_score(clip, prompts, brush.distance), measure_prior(decoder)
    known = Prior(known.low.to(clip.device), known.high.to(clip.device), known.norm, known.deviation.to(clip.device))
    held = linked(decoder).to(clip.device) if brush.hold else None
    z = start.to(clip.device).clone().requires_grad_()
    optimizer = AdamW([z], lr=brush.lr, weight_decay=brush.weight_decay)
    if moments is not None:
        optimizer.state[z] = {
            "step": torch.tensor(float(step)),
            "exp_avg": moments.first.to(z)[None].clone(),
            "exp_avg_sq": moments.second.to(z)[None].clone(),
        }
    labels = None if label is None else label[None].to(clip.device)
    for i in range(step, steps + 1):
        image = decoder(z, labels)  # (1, C, H, W)
        drawn = draw(crops, image.shape[2], image.shape[3], seed, i)
        gradient, score = look(judge, image.detach(), drawn, crops, clip.size, brush.chunk)
        yield stroke_of(image, z, score, i, optimizer)
        if i == steps:
            break
        optimizer.zero_grad()
        torch.autograd.backward([image, regularization(brush, known, z, image)], [gradient, None])
        stroke(optimizer, z, brush, known, held)


@torch.no_grad()
def stroke(optimizer: AdamW, z: Tensor, brush: Brush, known: Prior, held: Tensor | None) -> None:
    """Move the latent z, in place, but for the numbers that are `held`."""
    before = z.clone()
    optimizer.step()
    if brush.relative:
        z.copy_(before + known.deviation * (z - before))
    if brush.bound:
        z.clamp_(known.low, known.high)
    if held is not None:
        z.copy_(torch.where(held, before, z))


def look(
    judge: Callable[[Tensor], Score], image: Tensor, drawn: Drawn, crops: Crops, size: int, chunk: int
) -> tuple[Tensor, float]:
    """The gradient of the loss at the image (1, C, H, W), and the score, both means over the crops.

    A chunk of crops at a time: each adds to the gradient at the image, and is then forgotten, so that memory does not
    grow with the number of crops.
    """
    seen, count, score = image.requires_grad_(), len(drawn.maps), 0.0
    chunk = chunk or max(1, CHUNK // (image.shape[1] * size * size))
    for rows in torch.arange(count).split(chunk):
        views = cut(seen, drawn.maps[rows], size, crops.fill)
        judged = judge(add_noise(views, drawn.deviations[rows], drawn.seeds[rows]))
        (judged.loss.sum() / count).backward(inputs=[seen])
        score += judged.score.sum().item() / count
    assert seen.grad is not None
    return seen.grad, score


def regularization(brush: Brush, known: Prior, z: Tensor, image: Tensor) -> Tensor:
    """What holds a painting back, (): the regularisers of the brush."""
    away = ((z.norm() - known.norm) / known.norm).square()
    across = (image[..., 1:] - image[..., :-1]).abs().mean()
    down = (image[..., 1:, :] - image[..., :-1, :]).abs().mean()
    return brush.prior * away + brush.variation * (across + down)


def stroke_of(image: Tensor, z: Tensor, score: float, step: int, optimizer: AdamW) -> Stroke:
    """A stroke, of copies that later ones do not change."""
    state = optimizer.state[z]  # empty before the first step
    moments = (state.get(name, torch.zeros_like(z)).detach()[0].cpu().clone() for name in ("exp_avg", "exp_avg_sq"))
    return Stroke(image.detach()[0].float().cpu(), z.detach()[0].cpu().clone(), score, step, Moments(*moments))
