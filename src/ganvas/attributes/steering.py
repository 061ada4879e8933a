"""A direction learnt through the pictures, with the judge as the loss."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ..frozen import TrainedGenerator
from .judges import Judge, JudgedSamples

STEPS, BATCH, RATE = 120, 48, 0.05
SURE = 0.3  # nats: the loss of a picture stops falling where the judge is this sure of the value


def learn_step(
    generator: TrainedGenerator,
    judge: Judge,
    samples: JudgedSamples,
    attribute: str,
    value: int,
    weight: float,
    start: Tensor,
) -> Tensor:
    """The step w (...) that makes pictures show a value and keeps all other attributes as they were.

    argmin E[-log p_v(G(z + w)) + weight · Σ_b KL(p_b(G(z)) ‖ p_b(G(z + w)))], b the other attributes: a linear walk
    learnt as by Jahanian et al. 2020 ("On the steerability of generative adversarial networks"), from a judge in place
    of edited pictures. The samples do not show the value; `start` is the first w. Its length is learnt too.
    """
    device, random = generator.device, torch.Generator().manual_seed(0)
    w = start.to(device).clone().requires_grad_()
    optimizer = torch.optim.Adam([w], lr=RATE * start.norm().item() / 3)
    for _ in range(STEPS):
        batch = samples.at(torch.randint(len(samples.z), (BATCH,), generator=random))
        labels = None if batch.labels is None else batch.labels.to(device)
        after = judge.log_scores(generator.decoder(batch.z.to(device) + w, labels).float())
        loss = -after[attribute][:, value].clamp(max=-SURE).mean()
        for name, before in batch.scores.items():
            if name != attribute:
                loss = loss + weight * F.kl_div(after[name], before.to(device), reduction="batchmean")
        (w.grad,) = torch.autograd.grad(loss, [w])
        optimizer.step()
    return w.detach().cpu()
