"""Transparency: emoji learnt with alpha, against emoji learnt on white and cut out by a threshold.

    python -m benchmarks.alpha FOLDER --minutes 15 --out alpha.json

FOLDER holds 64×64 PNGs with transparency. Both arms have the same recipe, seed and steps: those that the first arm
takes in half of the minutes. Real emoji, of which one half is compared with the other, show what is possible.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

import ganvas
from ganvas import alpha, files, media, metrics
from ganvas.data import Dataset

CLEAN = 10 / 255  # alpha nearer to 0 or 1 than this is clean
WHITE_FROM = 0.96  # cut out: what is lighter than this in its darkest channel, and joined to the border
OPTIONS = {"width": 16, "max_width": 128, "batch": 32, "augment": "diffaugment", "ema": 0.995, "monitor_every": 0}
BACKGROUNDS = {"white": 1.0, "grey": 0.0, "black": -1.0}


def cut_out(x: Tensor) -> Tensor:
    """Opaque images (N, 3, H, W) -> with alpha: what is nearly white and joined to the border becomes transparent."""
    light = ((x.amin(1, keepdim=True) + 1) / 2 > WHITE_FROM).float()
    edge = torch.ones_like(light)
    edge[..., 1:-1, 1:-1] = 0
    outside = light * edge
    for _ in range(2 * x.shape[2]):
        outside = light * F.max_pool2d(outside, 3, 1, 1)
    seen = 1 - outside
    return torch.cat([(x + 1) * seen - 1, 2 * seen - 1], 1)


def edges(x: Tensor) -> dict[str, float]:
    """Of images with alpha (N, 4, H, W): how clean alpha is, how wide soft edges are, and what bleeds there.

    clean: the share of pixels that are wholly seen or wholly hidden. soft: half transparent pixels, in shares of the
    contour's length; 1 is antialiasing, 0 are steps. bleeding: how far the straight colour of the seen pixels beside
    hidden ones is from that of the opaque pixels further in, from 0 to 1. impossible: the share of pixels whose colour
    is above alpha by more than 2 %. seen: the mean of alpha.
    """
    colour, share = (x[:, :3] + 1) / 2, (x[:, 3:] + 1) / 2
    clear, full = share < CLEAN, share > 1 - CLEAN
    middle = ~(clear | full)
    solid = (share > 0.5).float()
    contour = (F.max_pool2d(solid, 3, 1, 1) - solid).sum().clamp(min=1)
    beside = F.max_pool2d(clear.float(), 3, 1, 1) > 0
    inner = (full & ~beside).float()
    weight = F.avg_pool2d(inner, 5, 1, 2)
    near = F.avg_pool2d(colour * inner, 5, 1, 2) / weight.clamp(min=1e-6)
    rim = beside & (share > 0.1) & (weight > 0)
    apart = ((colour / share.clamp(min=1e-6)).clamp(0, 1) - near).abs().mean(1, keepdim=True)
    return {
        "clean": 1 - middle.float().mean().item(),
        "soft": (middle.sum() / contour).item(),
        "bleeding": apart[rim].mean().item(),
        "impossible": (colour.amax(1, keepdim=True) > share + 0.02).float().mean().item(),
        "seen": share.mean().item(),
    }


def distances(x: Tensor, real: Tensor) -> dict[str, float]:
    """The Fréchet distance of pictures averaged down to 16×16 pixels, over the data's variance, by background."""
    found = {}
    for name, colour in BACKGROUNDS.items():
        a, b = (F.adaptive_avg_pool2d(alpha.composite(part, colour), 16).flatten(1).double() for part in (real, x))
        scale = a.var(0).sum().item()
        found[name] = float(metrics.frechet(metrics.Moments.of(a), metrics.Moments.of(b))) / scale
    return found


def measured(x: Tensor, real: Tensor) -> dict[str, dict[str, float]]:
    """Everything of one set of pictures, as files would hold them."""
    x = alpha.possible(x).add(1).mul(127.5).round().div(127.5).sub(1)
    return {"edges": edges(x), "distance": distances(x, real)}


def train(data: Dataset, out: Path, minutes: float | None, steps: int | None) -> ganvas.Run:
    """A run of minutes, or of as many steps as another one."""
    store, options = data.save(out.with_suffix(".data")), {**OPTIONS, "sample_every": 500}
    return ganvas.train("gan", str(store), out=out, minutes=minutes, steps=steps, options=options, device="cpu")


def main() -> None:
    """Train both arms, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=15.0, help="of both arms together")
    parser.add_argument("--size", default="64")
    parser.add_argument("--work", type=Path, default=Path("alpha-runs"), help="directory of the runs")
    parser.add_argument("--out", type=Path, default=Path("alpha.json"))
    asked = parser.parse_args()
    data = ganvas.open_data(str(asked.folder), size=asked.size, channels=4)
    rows = torch.randperm(len(data), generator=torch.Generator().manual_seed(0))
    half, other = (data.at(part).x for part in rows.chunk(2))
    white = (alpha.composite(data.at(torch.arange(len(data))).x) * 127.5 + 127.5).round().byte()
    opaque = Dataset("emoji-on-white", white)
    first = train(data, asked.work / "alpha", asked.minutes / 2, None)
    second = train(opaque, asked.work / "white", None, first.step)
    seeds = f"0-{len(half) - 1}"
    drawn = [ganvas.sample(str(run.path), seeds=seeds, device="cpu").images for run in (first, second)]
    pictures = {"real": other[: len(half)], "with alpha": drawn[0], "cut out": cut_out(drawn[1])}
    found = {name: measured(x, half) for name, x in pictures.items()}
    files.write_json(asked.out, {"steps": first.step, "options": OPTIONS, "size": asked.size, "figures": found})
    media.save_png(media.labelled_rows({name: x[:10] for name, x in pictures.items()}), asked.out.with_suffix(".png"))
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
