"""A labeller of a data set's own attributes, taught on its real pictures alone."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.optim import AdamW

from ..data import Dataset
from ..data.shapes import VALUES
from ..errors import RequestError
from ..frozen import take_classifier
from ..loop import train
from ..nets import CNN
from ..progress import Progress, Steps
from ..types import Batch, Phase, Stats, System
from .judges import Labeller

MOST = 64  # values of an attribute; what has more is no set of kinds
BATCH, RATE = 64, 3e-3
NOISE = 0.1  # added to each picture that is learnt from, since generated ones are not as clean
STEPS = 600


def attributes_of(data: Dataset) -> dict[str, tuple[tuple[str, ...], Tensor]]:
    """What is known of every item of a data set: attribute -> (the names of its values, (N,) int64).

    Those of its table that take two values or more; of several objects, the first one's. Without a table, its classes.
    Raises RequestError where nothing is known.
    """
    found: dict[str, tuple[tuple[str, ...], Tensor]] = {}
    for name, table in (data.attributes or {}).items():
        if table.is_floating_point() or not table.numel():
            continue
        values = table.reshape(len(table), -1)[:, 0]
        if int(values.min()) < 0 or not 1 < len(values.unique()) <= MOST:
            continue
        names = VALUES.get(name, ())
        count = int(values.max()) + 1
        found[name] = (names if len(names) >= count else tuple(map(str, range(count))), values.long())
    if not found and data.labels is not None and data.classes > 1:
        found["class"] = (data.class_names, data.labels.cpu())
    if not found:
        raise RequestError(f"nothing is known of the items of {data.name}; label samples (--labels) or give --words")
    return found


def learn(data: Dataset, steps: int = STEPS, seed: int = 0) -> Steps[Labeller]:
    """Teach a labeller what is known of the items of `data`, whose `held_out` it is then measured on.

    A CNN with one softmax an attribute; the loss is the sum of their cross-entropies. Its classifier's facts hold
    how often it is right on held-out pictures (`accuracy`).
    """
    known = attributes_of(data)
    heads = {name: list(names) for name, (names, _) in known.items()}
    sizes = [len(names) for names in heads.values()]
    torch.manual_seed(seed)
    stages = max(2, math.ceil(math.log2(min(data.shape[1:]) / 4)))
    network = CNN(data.shape, sum(sizes), tuple(min(16 << i, 128) for i in range(stages)), depth=1)
    truth = torch.stack([values for _, values in known.values()], 1)

    def loss(batch: Batch, step: int) -> tuple[Tensor, Stats]:
        logits = network(batch.x + NOISE * torch.randn_like(batch.x)).split(sizes, 1)
        rows = truth[batch.index]
        return torch.stack([F.cross_entropy(part, rows[:, i]) for i, part in enumerate(logits)]).sum(), {}

    def rate(step: int) -> float:
        return (1 + math.cos(math.pi * step / steps)) / 2

    params = list(network.parameters())
    phase = Phase("labeller", params, AdamW(params, lr=RATE, weight_decay=1e-2), loss, lr_factor=rate)
    for step, _ in train(System({"labeller": network}, [phase]), data, steps=steps, batch=BATCH, seed=seed):
        yield Progress("learning to label", step + 1, steps)
    names = [f"{name}={value}" for name, values in heads.items() for value in values]
    facts = {"data": data.name, "heads": heads}
    labeller = Labeller(take_classifier(network.eval(), names, facts))
    if data.held_out is not None:
        facts["accuracy"] = accuracy(labeller, data.held_out)
    return labeller


@torch.inference_mode()
def accuracy(labeller: Labeller, data: Dataset) -> dict[str, float]:
    """How often each attribute of the items is told rightly."""
    known, right = attributes_of(data), dict.fromkeys(labeller.values, 0)
    cuts = [*range(0, len(data), 512), len(data)]
    for a, b in pairwise(cuts):
        scores = labeller.log_scores(data.at(torch.arange(a, b)).x)
        for name in right:
            right[name] += int((scores[name].argmax(1) == known[name][1][a:b]).sum())
    return {name: count / len(data) for name, count in right.items()}
