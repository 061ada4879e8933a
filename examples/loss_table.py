"""The loss table as a picture: a generator's loss for a sample, and how hard its gradient pulls, by the critic's logit.

python examples/loss_table.py [PNG]
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from matplotlib.figure import Figure
from torch import Tensor

from ganvas import media
from ganvas.objectives import ADVERSARIAL, Objective


def pull(row: Objective, logits: Tensor) -> tuple[Tensor, Tensor]:
    """The generator's loss at each logit of a generated sample, and the size of its gradient, (N,) each.

    Where the loss needs a real sample too, the critic cannot tell that one from a fake.
    """
    fake = logits.clone().requires_grad_()
    loss = row.losses.generator(torch.full_like(logits, row.boundary or 0.0), fake)
    (gradient,) = torch.autograd.grad(loss.sum(), fake)
    return loss.detach(), gradient.abs()


def main(out: Path) -> None:
    """Draw the objectives of the table; those with the same generator loss share a curve."""
    logits = torch.linspace(-5, 5, 201)
    names: dict[tuple[float, ...], list[str]] = {}  # by the generator's loss
    for name, row in ADVERSARIAL.items():
        if not row.energy:  # its critic gives an error, not a logit
            names.setdefault(tuple(pull(row, logits)[0].round(decimals=4).tolist()), []).append(name)
    figure = Figure(figsize=(9, 3.6), dpi=110, layout="constrained")
    left, right = figure.subplots(1, 2)
    for alike in names.values():
        for axes, curve in zip((left, right), pull(ADVERSARIAL[alike[0]], logits), strict=True):
            axes.plot(logits.numpy(), curve.numpy(), label=", ".join(alike))
    left.set(title="the generator's loss", ylim=(-5, 6))
    right.set(title="size of its gradient: how hard the sample is pulled", ylim=(0, 3))
    for axes in (left, right):
        axes.set_xlabel("fake to the critic  ←  logit of a generated sample  →  real")
        axes.grid(color="#e4e7eb")
    left.legend(fontsize=8)
    media.save_png(media.rendered(figure), out)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "loss_table.png"))
