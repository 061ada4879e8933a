"""Do scenes of several shapes show what they are asked for? `python -m benchmarks.scenes RUN... --out DIR`.

Each run of `prompt-gan` on `shapes` draws every pair of a colour and a shape. A scene is split into parts: a connected
patch of ink, alone on paper, is a scene of one shape, and the judges of `benchmarks.prompts`, trained on real scenes
alone, name it. A sample is right if one of its patches has the colour and the shape. Real scenes of the test split are
measured too: against the shape that their caption names first, the most that any generator could get, and against that
of the next scene, which is chance. The spread is the mean distance of two places where a pair was drawn, divided by
that of real scenes: 1 is as varied as the data, 0 always the same place.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

import torch
from scipy import ndimage
from torch import Tensor

from benchmarks.placed import ink, place_seen
from benchmarks.prompts import SAMPLES, SHOWN, judges, look, prompted, sheet, truth
from ganvas import frozen, media
from ganvas.data import open_data
from ganvas.data.shapes import BACKGROUND, KINDS
from ganvas.frozen import Classifier

LEAST = 8  # pixels of a patch; real shapes have 16 and more
TESTED = 2000  # real scenes


class Patch(NamedTuple):
    """One shape of a scene, as the judges name it."""

    color: int
    shape: int
    x: float  # of its centre, shares of the side
    y: float


def patches(image: Tensor) -> list[Tensor]:
    """The connected patches of ink of an image (3, H, W) in [-1, 1], each alone on paper."""
    paper = torch.tensor(BACKGROUND).view(3, 1, 1) / 127.5 - 1
    numbers, count = ndimage.label(ink(image[None])[0].numpy())  # pyright: ignore[reportGeneralTypeIssues] - SciPy's stub
    found = []
    for i in range(1, count + 1):
        around = ndimage.binary_dilation(numbers == i) & ((numbers == i) | (numbers == 0))  # with its soft border
        if (numbers == i).sum() >= LEAST:
            found.append(torch.where(torch.from_numpy(around), image, paper))
    return found


def split_scenes(judged: Mapping[str, Classifier], images: Tensor) -> list[list[Patch]]:
    """The shapes of each of the images (N, 3, H, W)."""
    parts = [patches(image) for image in images]
    every = [patch for patch_list in parts for patch in patch_list]
    if not every:
        return [[] for _ in parts]
    stack = torch.stack(every)
    named = look(judged, stack).named
    rows = zip(named["color"].tolist(), named["shape"].tolist(), place_seen(stack), strict=True)
    found = iter([Patch(color, shape, x, y) for color, shape, (x, y, _) in rows])
    return [[next(found) for _ in patch_list] for patch_list in parts]


def measure(scenes: Sequence[Sequence[Patch]], asked: Sequence[tuple[int, int]]) -> dict[str, float]:
    """How many scenes show what each was asked for, and how many shapes they have; the places where it was drawn."""
    pairs = list(zip(scenes, asked, strict=True))
    places: dict[tuple[int, int], list[tuple[float, float]]] = {}
    for scene, pair in pairs:
        places.setdefault(pair, []).extend((p.x, p.y) for p in scene if (p.color, p.shape) == pair)
    apart = [torch.pdist(torch.tensor(found)).mean().item() for found in places.values() if len(found) > 1]
    return {
        "color": fmean(any(p.color == color for p in scene) for scene, (color, _) in pairs),
        "shape": fmean(any(p.shape == shape for p in scene) for scene, (_, shape) in pairs),
        "both": fmean(any((p.color, p.shape) == pair for p in scene) for scene, pair in pairs),
        "shapes a scene": fmean(len(scene) for scene in scenes),
        "apart": fmean(apart) if apart else 0.0,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure runs: DIR/scenes.json has the figures, DIR/NAME.png samples."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.scenes", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, default=Path("runs/prompts"))
    parser.add_argument("--samples", type=int, default=SAMPLES, help="of every pair of a colour and a shape")
    o = parser.parse_args(arguments)
    judged, test = judges(o.out, "one-shape"), open_data("shapes", split="test")
    rows = torch.arange(min(TESTED, len(test)))
    known = {name: values[rows].tolist() for name, values in truth(test).items()}
    first = list(zip(known["color"], known["shape"], strict=True))
    real = split_scenes(judged, test.at(rows).x)
    report = {"real": measure(real, first), "chance": measure(real, first[1:] + first[:1])}
    for run in o.runs:
        items, asked = prompted(frozen.load_generator(run), o.samples)
        pairs = list(zip(asked["color"].tolist(), asked["shape"].tolist(), strict=True))
        report[run.name] = measure(split_scenes(judged, items), pairs)
        media.save_png(media.grid(sheet(items, o.samples), columns=SHOWN * len(KINDS)), o.out / f"{run.name}.png")
    varied = report["real"]["apart"]
    for figures in report.values():
        figures["spread"] = figures.pop("apart") / varied
    (o.out / "scenes.json").write_text(json.dumps(report, indent=1), encoding="utf-8")
    for name, figures in report.items():
        print(f"{name}: " + ", ".join(f"{key} {value:.3f}" for key, value in figures.items()))


if __name__ == "__main__":
    main()
