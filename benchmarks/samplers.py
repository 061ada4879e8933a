"""How good samplers are, by steps: `python -m benchmarks.samplers RUN --samples 2000 --out samplers.json`.

The generator of a diffusion run draws the same seeds with every sampler and number of steps, and each is measured like
`ganvas evaluate`. --picture draws the steps of one sampler on the way from noise.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from PIL import Image

import ganvas
from ganvas import frozen, media
from ganvas.frozen.diffusion import Diffusion

CASES = "euler:8 euler:16 euler:32 heun:4 heun:8 heun:16 dpm++:8 dpm++:12 dpm++:16 dpm++:32 ancestral:16 ancestral:32"
METRICS = ("fid", "pr")
LEVELS = (80, 3, 1.5, 0.9, 0.6, 0.4, 0.25, 0.15, 0.05, 0.0)  # of noise, on the picture


def looks(sampler: str, steps: int) -> int:
    """Passes through the network for an image, without guidance."""
    return 2 * steps - 1 if sampler == "heun" else steps


def cases(text: str) -> list[dict[str, Any]]:
    """'heun:8 dpm++:12:1.5' -> the settings of each: sampler, steps, and guidance if given."""
    found = []
    for case in text.split():
        sampler, steps, *guidance = case.split(":")
        found.append({"sampler": sampler, "steps": int(steps), "guidance": float(guidance[0]) if guidance else 1.0})
    return found


def measure(
    run: Path, chosen: Iterable[dict[str, Any]], data: str, samples: int, metrics: tuple[str, ...] = METRICS
) -> list[dict[str, Any]]:
    """A record of each case: its settings, passes and seconds an image, and the figures with their intervals."""
    generator = frozen.load_generator(run)
    records = []
    for settings in chosen:
        adjusted = generator.adjusted(settings)
        begin = time.process_time()
        adjusted.sample(range(64))
        seconds = (time.process_time() - begin) / 64
        judged = ganvas.evaluate(adjusted, data=data, metrics=metrics, samples=samples, device="cpu")
        figures = {name: [figure.value, figure.low, figure.high] for name, figure in judged.figures.items()}
        passes = looks(settings["sampler"], settings["steps"]) * (1 if settings["guidance"] == 1 else 2)
        records.append({**settings, "passes": passes, "seconds": round(seconds, 4), "samples": samples, **figures})
        print(row(records[-1]), flush=True)
    return records


def row(record: dict[str, Any]) -> str:
    """A line of a Markdown table."""
    figures = [
        f"{value[0]:.3g} ({value[1]:.3g} to {value[2]:.3g})" for value in record.values() if isinstance(value, list)
    ]
    name = f"`{record['sampler']}`" + (f", guidance {record['guidance']:g}" if record["guidance"] != 1 else "")
    return "| " + " | ".join([name, *(str(record[key]) for key in ("steps", "passes", "seconds")), *figures]) + " |"


@torch.inference_mode()
def way(run: Path, settings: dict[str, Any], seeds: range, levels: tuple[float, ...] = LEVELS) -> Image.Image:
    """One row per seed, each of another class: x at the steps nearest to the noise levels, scaled like an image."""
    generator = frozen.load_generator(run).adjusted(settings)
    made = generator.decoder
    assert isinstance(made, Diffusion)
    z, data, sigmas = generator.latents(seeds), made.denoiser.sigma_data, made.sigmas
    steps = [sigmas[0] * z, *made.trajectory(z, generator.labels(seeds))]
    chosen = [min(range(len(steps)), key=lambda i: abs(sigmas[i] - level)) for level in levels]
    shown = [steps[i] * data / (sigmas[i] ** 2 + data**2) ** 0.5 for i in chosen]
    return media.grid(torch.stack(shown, 1).flatten(0, 1).clamp(-1, 1), len(levels))


def main() -> None:
    """Measure, and write the records and the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--data", default="fashion-mnist")
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--cases", default=CASES)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--guidance", type=float, default=1.0, help="of the picture")
    given = parser.parse_args()
    records = measure(given.run, cases(given.cases), given.data, given.samples)
    if given.out:
        given.out.write_text(json.dumps(records, indent=1) + "\n", encoding="utf-8")
    if given.picture:
        media.save_png(
            way(given.run, {"sampler": "heun", "steps": 40, "guidance": given.guidance}, range(6)), given.picture
        )


if __name__ == "__main__":
    main()
