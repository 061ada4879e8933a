"""Your own training loop: ganvas has the networks, the losses and the steps; you decide what happens between them.

python examples/own_loop.py [PNG]
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from ganvas import media, plan, recipes
from ganvas.data import open_data
from ganvas.loop import train


def main(out: Path, steps: int = 1000) -> None:
    """Train on the embedded digits with the hinge loss, stop early if the critic wins, and draw 64 samples."""
    chosen = plan.choose()
    images = open_data("digits").to(chosen.device)
    options = recipes.override(recipes.recipe("gan"), {"objective": "hinge", "penalty": "r1:1", "batch": 64})
    torch.manual_seed(0)
    system = recipes.build(options, images, chosen)
    for step, stats in train(system, images, steps=steps, batch=options.batch):
        if step % 100 == 0:
            print(step, {name: round(value.item(), 3) for name, value in stats.items()})
        if stats["critic/loss"] < 0.01:
            print(f"the critic has won at step {step}")
            break
    decoder = system.decoder  # the moving average of the generator
    assert decoder is not None  # as in families that draw nothing
    with torch.no_grad():
        media.save_png(media.grid(decoder(decoder.prior(64))), out)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "own_loop.png"))
