"""A direction learnt through the pictures: what the judge says of them is its loss."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ..frozen import TrainedGenerator
from .judges import Judge, Scores

STEPS, BATCH, RATE = 120, 48, 0.05
SURE = 0.3  # nats: a picture of which the judge is so sure need not show more of the value


@dataclass(frozen=True)
class Guide:
    """What a step shall do, and what it shall leave."""

    attribute: str
    value: int
    weight: float = 1.0  # of what it shall leave


def steered(
    generator: TrainedGenerator,
    judge: Judge,
    z: Tensor,
    labels: Tensor | None,
    scores: Scores,
    guide: Guide,
    start: Tensor,
) -> Tensor:
    """The step w (...) that makes pictures show a value and leaves all other attributes as they were.

    argmin E[-log p_v(G(z + w)) + weight · Σ_b KL(p_b(G(z)) ‖ p_b(G(z + w)))], b the other attributes: a linear walk
    that is learnt, as Jahanian et al. 2020 ("On the steerability of generative adversarial networks") learn theirs,
    from a judge in place of edited pictures. z (N, ...), which do not show the value, their labels and scores; `start`
    is a step to begin from. The length of w is part of the answer.
    """
    device, random = generator.device, torch.Generator().manual_seed(0)
    w = start.to(device).clone().requires_grad_()
    optimizer = torch.optim.Adam([w], lr=RATE * start.norm().item() / 3)
    for _ in range(STEPS):
        rows = torch.randint(len(z), (BATCH,), generator=random)
        shown = None if labels is None else labels[rows].to(device)
        after = judge.log_scores(generator.decoder(z[rows].to(device) + w, shown).float())
        loss = -after[guide.attribute][:, guide.value].clamp(max=-SURE).mean()
        for name, before in scores.items():
            if name != guide.attribute:
                leak = F.kl_div(after[name], before[rows].to(device), reduction="batchmean")
                loss = loss + guide.weight * leak
        (w.grad,) = torch.autograd.grad(loss, [w])
        optimizer.step()
    return w.detach().cpu()
