"""Sample a trained generator from its file, without the training code.

python examples/frozen_generator.py runs/gan-digits/generator.safetensors [PNG]
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

import ganvas
from ganvas import latent, media


def main(file: Path, out: Path) -> None:
    """Draw seeds 0 to 7 above, and below them the path from seed 0 to seed 7 in equal steps."""
    generator = ganvas.load(file)
    assert isinstance(generator, ganvas.TrainedGenerator), f"{file} holds no generator"
    samples = generator.sample(seeds=range(8))  # (8, C, H, W) in [-1, 1]
    first, last = latent.from_seeds(generator.decoder, [0, 7])
    with torch.inference_mode():
        way = generator.decoder(torch.stack([first.lerp(last, i / 7) for i in range(8)]))
    media.save_png(media.grid(torch.cat([samples, way]), columns=8), out)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2] if len(sys.argv) > 2 else "frozen_generator.png"))
