"""Training of a labeller on the attributes of a data set's real pictures."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.optim import AdamW

from ..data import Dataset
from ..data.shapes import VALUES
from ..errors import RequestError
from ..frozen import copy_classifier
from ..loop import train
from ..nets import CNN
from ..progress import Progress, Steps
from ..types import Batch, Phase, Stats, System
from .judges import Labeller

MOST = 64  # values of an attribute; columns with more are left out
BATCH, RATE = 64, 3e-3
NOISE = 0.1  # added to the pictures, since generated ones are less clean
STEPS = 600


def attributes_of(data: Dataset) -> dict[str, tuple[tuple[str, ...], Tensor]]:
    """The attributes of every item of a data set: name -> (the names of its values, (N,) int64).

    Columns of its table that take two values or more; of several objects, the first one's. Without a table, its
    classes. Raises RequestError where there is neither.
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
        raise RequestError(f"{data.name} has no attributes or classes", "give `labels` or `words`", field="data")
    return found


def learn(data: Dataset, steps: int = STEPS, seed: int = 0) -> Steps[Labeller]:
    """Train a labeller on `data`: a CNN with one softmax an attribute; the loss is the sum of their cross-entropies.

    Its classifier's facts hold the `accuracy` on `data.held_out`.
    """
    attributes = attributes_of(data)
    heads = {name: list(names) for name, (names, _) in attributes.items()}
    sizes = [len(names) for names in heads.values()]
    torch.manual_seed(seed)
    stages = max(2, math.ceil(math.log2(min(data.shape[1:]) / 4)))
    network = CNN(data.shape, sum(sizes), tuple(min(16 << i, 128) for i in range(stages)), depth=1)
    truth = torch.stack([values for _, values in attributes.values()], 1)

    def loss(batch: Batch, step: int) -> tuple[Tensor, Stats]:
        logits = network(batch.x + NOISE * torch.randn_like(batch.x)).split(sizes, 1)
        rows = truth[batch.index]
        return torch.stack([F.cross_entropy(part, rows[:, i]) for i, part in enumerate(logits)]).sum(), {}

    params = list(network.parameters())
    phase = Phase("labeller", params, AdamW(params, lr=RATE, weight_decay=1e-2), loss)
    phase.lr_factor = lambda step: (1 + math.cos(math.pi * step / steps)) / 2
    for step, _ in train(System({"labeller": network}, [phase]), data, steps=steps, batch=BATCH, seed=seed):
        yield Progress("learning to label", step + 1, steps)
    names = [f"{name}={value}" for name, values in heads.items() for value in values]
    facts = {"data": data.name, "heads": heads}
    labeller = Labeller(copy_classifier(network.eval(), names, facts), heads)
    if data.held_out is not None:
        facts["accuracy"] = accuracy(labeller, data.held_out)
    return labeller


@torch.inference_mode()
def accuracy(labeller: Labeller, data: Dataset) -> dict[str, float]:
    """The accuracy on each attribute."""
    attributes, right = attributes_of(data), dict.fromkeys(labeller.values, 0)
    for rows in torch.arange(len(data)).split(512):
        scores = labeller.log_scores(data.at(rows).x)
        for name in right:
            right[name] += int((scores[name].argmax(1) == attributes[name][1][rows]).sum())
    return {name: count / len(data) for name, count in right.items()}
