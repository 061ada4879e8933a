"""How often a painting shows what was asked for: `python -m benchmarks.paint --judge runs/paint/judge`.

Prompts are combinations of a colour, a shape and a place that neither the generator nor the CLIP has seen
(`benchmarks.placed`). A classifier that was trained on real drawings alone judges colour and shape, and the ink of the
picture its place and size; neither takes part in the painting. Unguided samples of the generator are measured too. The
judge is a run of `benchmarks.paint_weights`.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

import ganvas
from benchmarks import placed
from benchmarks.placed import Look
from ganvas import media
from ganvas.data.shapes import COLORS, KINDS
from ganvas.frozen import Classifier, Clip, TrainedGenerator, load_classifier, load_clip, load_generator
from ganvas.painting import Crops, Prompts, clip_score, find_start
from ganvas.painting.setup import CLIP, GENERATOR
from ganvas.progress import drain

ATTRIBUTES = ("color", "kind", "place", "size")
AREA = 0.09  # share of a picture: small shapes cover 0.04 to 0.08 of it, large ones 0.10 to 0.19


class Asked(NamedTuple):
    """What is to be painted: words that count together, what is excluded, extras."""

    words: Sequence[str]
    exclude: Sequence[str] = ()
    extras: Sequence[str] = ()


@dataclass
class Bench:
    """What paints and what judges."""

    generator: TrainedGenerator
    clip: Clip
    judge: Classifier
    steps: int
    crops: Crops
    seconds: list[float] = field(default_factory=list)  # of each painting

    def paint(self, asked: Asked, seed: int, best: int = 64, generations: int = 4) -> Tensor:
        """A picture (3, H, W), as `ganvas paint` paints it."""
        begin = time.perf_counter()
        painting = ganvas.paint(
            " | ".join(asked.words),
            exclude=asked.exclude,
            extras=asked.extras,
            generator=self.generator,
            clip=self.clip,
            steps=self.steps,
            seed=seed,
            crops=self.crops.count,
            whole=self.crops.whole,
            best_of=best,
            generations=generations,
            progress=False,
        )
        self.seconds.append(time.perf_counter() - begin)
        return painting.images[0]

    def chosen(self, asked: Asked, seed: int, best: int = 64, generations: int = 4) -> Tensor:
        """The picture that a painting begins with, before any stroke."""
        judge, decoder = clip_score(self.clip, Prompts.of(asked.words)), self.generator.decoder
        z = drain(find_start(decoder, lambda x: judge(x).score, best, seed, generations=generations))
        return decoder(z)[0]

    def look(self, images: Tensor) -> list[Look]:
        """What the judge sees in images (N, 3, H, W)."""
        names = [self.judge.class_names[i].split(" ") for i in self.judge.logits(images).argmax(1).tolist()]
        ink = placed.place_seen(images)
        return [
            Look("large" if area > AREA else "small", color, kind, placed.place_of(x, y))
            for (color, kind), (x, y, area) in zip(names, ink, strict=True)
        ]


def success(asked: Sequence[Look], seen: Sequence[Look]) -> dict[str, float]:
    """The share of pictures that show each attribute that was asked for, colour and shape together, and all."""
    pairs = list(zip(asked, seen, strict=True))
    found = {name: sum(getattr(a, name) == getattr(b, name) for a, b in pairs) for name in ATTRIBUTES}
    found["color and kind"] = sum((a.color, a.kind) == (b.color, b.kind) for a, b in pairs)
    found["all"] = sum(a == b for a, b in pairs)
    return {name: count / len(pairs) for name, count in found.items()}


def words(count: int, bench: Bench, pictures: dict[str, Tensor], only: str) -> Iterator[tuple[str, dict[str, float]]]:
    """Prompts alone: painted in the ways whose name holds `only`, and the same without painting."""
    looks = placed.prompts(count)
    wishes = [Asked([placed.caption(look)]) for look in looks]
    yield "the judge, on real drawings of the prompts", success(looks, bench.look(placed.plain_pictures(looks, 3)))
    yield "samples, unguided", success(looks, bench.look(bench.generator.sample(range(count))))
    makers: dict[str, Callable[[Asked, int], Tensor]] = {
        "the best of 64 samples, no strokes": lambda asked, seed: bench.chosen(asked, seed, generations=0),
        "and of four generations of their children": bench.chosen,
        "painted from one sample": lambda asked, seed: bench.paint(asked, seed, 1, 0),
        "painted from the best of 64": lambda asked, seed: bench.paint(asked, seed, generations=0),
        "painted from the best of all": bench.paint,
    }
    for name, make in ((name, make) for name, make in makers.items() if only in name):
        pictures[name] = torch.stack([make(wish, seed) for seed, wish in enumerate(wishes)])
        yield name, success(looks, bench.look(pictures[name]))


def short(bench: Bench, pictures: dict[str, Tensor]) -> Iterator[tuple[str, dict[str, float]]]:
    """Each colour and shape, without a place or size."""
    asked = [Look("", color, kind, "") for color, kind in product(COLORS, KINDS)]
    makers = {"begun": bench.chosen, "painted": bench.paint}
    for name, make in makers.items():
        wishes = [Asked([placed.caption(look)]) for look in asked]
        pictures[name] = torch.stack([make(wish, seed) for seed, wish in enumerate(wishes)])
        figures = success(asked, bench.look(pictures[name]))
        yield f"short: {name}", {key: figures[key] for key in ("color", "kind", "color and kind")}


def share(seen: Sequence[Look], name: str, wanted: Sequence[str]) -> float:
    """How many of the pictures show the attribute that was asked for."""
    return sum(getattr(look, name) == word for look, word in zip(seen, wanted, strict=True)) / len(seen)


def exclusion(bench: Bench) -> Iterator[tuple[str, dict[str, float]]]:
    """A shape at a place, painted twice from each seed: freely, and with the resulting colour excluded."""
    asked = [Look("", "", kind, place) for kind, place in product(KINDS, placed.PLACES)]
    free = bench.look(torch.stack([bench.paint(Asked([placed.caption(a)]), i) for i, a in enumerate(asked)]))
    colors = [look.color for look in free]
    wishes = [
        Asked([placed.caption(a)], [placed.caption(Look("", color, "", ""))])
        for a, color in zip(asked, colors, strict=True)
    ]
    without = bench.look(torch.stack([bench.paint(wish, i) for i, wish in enumerate(wishes)]))
    for name, seen in (("freely", free), ("its colour excluded", without)):
        figures = {
            "that colour": share(seen, "color", colors),
            "the shape": share(seen, "kind", [a.kind for a in asked]),
        }
        yield f"exclude: {name}", figures


def extras(bench: Bench) -> Iterator[tuple[str, dict[str, float]]]:
    """A coloured shape, painted with and without a size as an extra."""
    asked = [Look("", color, kind, "") for color, kind in sorted(product(COLORS, KINDS))[::2]]
    for extra in ("", "small", "large"):
        more = [placed.caption(Look(extra, "", "", ""))] if extra else []
        wishes = [Asked([placed.caption(a)], extras=more) for a in asked]
        seen = bench.look(torch.stack([bench.paint(wish, i) for i, wish in enumerate(wishes)]))
        figures = {
            **{"large": share(seen, "size", ["large"] * len(seen))},
            **{"colour": share(seen, "color", [a.color for a in asked])},
            **{"shape": share(seen, "kind", [a.kind for a in asked])},
        }
        yield f"extras: {extra or 'none'}", figures


def weights(bench: Bench) -> Iterator[tuple[str, dict[str, float]]]:
    """Two colours in one prompt, with all weights between them."""
    colors = list(COLORS)
    pairs = [(a, b) for i, a in enumerate(colors) for b in colors[i + 1 :]]
    for first in (0.25, 0.5, 0.75):
        wishes = [Asked([f"something {a}::{first}", f"something {b}::{1 - first}"]) for a, b in pairs]
        seen = bench.look(torch.stack([bench.paint(wish, i) for i, wish in enumerate(wishes)]))
        figures = {
            "the first colour": share(seen, "color", [a for a, _ in pairs]),
            "the second": share(seen, "color", [b for _, b in pairs]),
        }
        yield f"weights: {first:g} and {1 - first:g}", figures


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the options, paint, judge, and print a line of JSON a row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--judge", type=Path, default=Path("runs/paint/judge"), help="run of the classifier")
    parser.add_argument(
        "--generator", type=Path, default=GENERATOR, help="run or file (the one that comes with ganvas)"
    )
    parser.add_argument("--clip", type=Path, default=CLIP, help="run or file (the one that comes with ganvas)")
    parser.add_argument("--prompts", type=int, default=100)
    parser.add_argument("--steps", type=int, default=100, help="strokes")
    parser.add_argument("--crops", type=int, default=30)
    parser.add_argument("--whole", type=float, default=0.5, help="share of the crops that show the whole picture")
    parser.add_argument("--parts", default="short,words,exclusion,extras,weights", help="of what is measured")
    parser.add_argument("--only", default="", help="of words: the ways of painting whose name holds this")
    parser.add_argument("--sheet", type=Path, help="also draw the first 49 paintings here")
    o = parser.parse_args(arguments)
    models = load_generator(o.generator).place_words("latent"), load_clip(o.clip), load_classifier(o.judge)
    bench, pictures = Bench(*models, o.steps, Crops(o.crops, whole=o.whole)), dict[str, Tensor]()
    parts: dict[str, Callable[[], Iterator[tuple[str, dict[str, float]]]]] = {
        "words": lambda: words(o.prompts, bench, pictures, o.only),
        "short": lambda: short(bench, pictures),
        "exclusion": lambda: exclusion(bench),
        "extras": lambda: extras(bench),
        "weights": lambda: weights(bench),
    }
    for name in o.parts.split(","):
        for row, figures in parts[name]():
            print(json.dumps({"row": row, **{key: round(value, 3) for key, value in figures.items()}}), flush=True)
    if bench.seconds:
        print(json.dumps({"paintings": len(bench.seconds), "seconds each": sum(bench.seconds) / len(bench.seconds)}))
    if o.sheet and pictures:
        *_, painted = pictures.values()
        media.save_png(media.grid(painted[:49]), o.sheet)


if __name__ == "__main__":
    main()
