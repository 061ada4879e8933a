"""Do prompted generators draw what was asked for? `python -m benchmarks.prompts RUN... --data one-shape --out DIR`.

Each run of `prompt-gan` draws every pair of a colour and a shape. Two classifiers judge, trained on drawn scenes of a
single shape, without any generated image. Their figures on the scenes' test split are printed too, the most that any
generator could get. For each keyword: its precision, the share of the samples prompted with it that show it; and its
coverage, the share of real scenes of it that have such a sample among their nearest neighbours (Naeem et al. 2020).
The diversity within a pair is the mean distance of two of its correct samples, divided by that of two real scenes of
the pair: 1 is as varied as the data, 0 one picture. Distances are those of the judges' features.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

import torch
from torch import Tensor

import ganvas
from ganvas import frozen, media
from ganvas.data import Dataset, open_data
from ganvas.data.shapes import COLORS, KINDS
from ganvas.frozen import Classifier, TrainedGenerator
from ganvas.metrics import density_coverage

STEPS = 600  # of a judge
SAMPLES = 24  # of a pair
SHOWN = 6  # of a pair in the picture
WORDS: dict[str, tuple[str, ...]] = {"color": tuple(COLORS), "shape": KINDS}


def judges(folder: Path, data: str) -> dict[str, Classifier]:
    """The classifier of each attribute, trained if absent."""
    scenes = open_data(data)
    found: dict[str, Classifier] = {}
    for name, words in WORDS.items():
        run, store = folder / f"{data}-judge-{name}", folder / f"{data}-{name}"
        if not store.exists():
            with_classes(scenes, name, words).save(store)
        if not (run / "classifier.safetensors").exists():
            options = {"held_out": 0.05}
            ganvas.train("cnn", str(store), out=run, steps=STEPS, options=options, overwrite=True)
        found[name] = frozen.load_classifier(run)
    return found


def with_classes(scenes: Dataset, attribute: str, words: tuple[str, ...]) -> Dataset:
    """The scenes, with an attribute of their only shape as the class."""
    assert scenes.attributes is not None
    labels = scenes.attributes[attribute][:, 0]
    return replace(scenes, labels=labels, class_names=words, held_out=None, fingerprint="")


class Seen(NamedTuple):
    """The judges' answers for images."""

    named: dict[str, Tensor]  # attribute -> (N,) number of the word
    features: Tensor  # (N, D)


def look(judged: Mapping[str, Classifier], x: Tensor) -> Seen:
    """The judges' answers for images (N, 3, H, W)."""
    named = {name: judge.logits(x).argmax(1) for name, judge in judged.items()}
    return Seen(named, torch.cat([judge.features(x) for judge in judged.values()], 1))


def truth(scenes: Dataset) -> dict[str, Tensor]:
    """The words of scenes of one shape, (N,) each."""
    assert scenes.attributes is not None
    return {name: scenes.attributes[name][:, 0] for name in WORDS}


def spread(features: Tensor) -> float:
    """The mean distance of two rows."""
    return torch.pdist(features.double()).mean().item()


def measure(seen: Seen, asked: Mapping[str, Tensor], real: Seen, is_: Mapping[str, Tensor]) -> dict[str, object]:
    """The figures of samples that were `asked` for, next to real scenes with known attributes `is_`."""
    right = {name: seen.named[name] == asked[name] for name in WORDS}
    both = torch.stack(list(right.values())).all(0)
    figures: dict[str, object] = {f"{name}_right": right[name].double().mean().item() for name in WORDS}
    words = {}
    for name, known in WORDS.items():
        for i, word in enumerate(known):
            ours, theirs = asked[name] == i, is_[name] == i
            coverage = density_coverage(real.features[theirs], seen.features[ours]).coverage
            words[word] = {"precision": right[name][ours].double().mean().item(), "coverage": coverage}
    varied = []
    for pair in product(*(range(len(known)) for known in WORDS.values())):
        mine = torch.stack([asked[name] == i for name, i in zip(WORDS, pair, strict=True)]).all(0)
        theirs = torch.stack([is_[name] == i for name, i in zip(WORDS, pair, strict=True)]).all(0)
        if (mine & both).sum() > 1:
            varied.append(spread(seen.features[mine & both]) / spread(real.features[theirs]))
    return {
        "both_right": both.double().mean().item(),
        **figures,
        "diversity": fmean(varied) if varied else 0.0,
        "words": words,
    }


def prompted(generator: TrainedGenerator, count: int) -> tuple[Tensor, dict[str, Tensor]]:
    """`count` samples of every pair, and what was asked for."""
    pairs = list(product(range(len(COLORS)), range(len(KINDS))))
    seeds = range(count)
    items = [
        generator.sample([seed + count * n for seed in seeds], label=f"{tuple(COLORS)[c]} {KINDS[k]}")
        for n, (c, k) in enumerate(pairs)
    ]
    asked = torch.tensor(pairs).repeat_interleave(count, 0)
    return torch.cat(items), {"color": asked[:, 0], "shape": asked[:, 1]}


def sheet(items: Tensor, count: int) -> Tensor:
    """Rows of colours, and SHOWN samples of each shape across."""
    return items.unflatten(0, (len(COLORS), len(KINDS), count))[:, :, :SHOWN].flatten(0, 2)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure runs: DIR/prompts.json has everything, DIR/NAME.png samples, DIR/NAME-shape.png confusions."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.prompts", description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--data", default="one-shape", help="scenes of a single shape: one-shape or centred-shape")
    parser.add_argument("--out", type=Path, default=Path("runs/prompts"))
    parser.add_argument("--samples", type=int, default=SAMPLES, help="of every pair of a colour and a shape")
    o = parser.parse_args(arguments)
    judged = judges(o.out, o.data)
    test = open_data(o.data, split="test")
    real, is_ = look(judged, test.at(torch.arange(len(test))).x), truth(test)
    report: dict[str, object] = {"real": measure(real, is_, real, is_)}
    for run in o.runs:
        items, asked = prompted(frozen.load_generator(run), o.samples)
        seen = look(judged, items)
        report[run.name] = measure(seen, asked, real, is_)
        media.save_png(media.grid(sheet(items, o.samples), columns=SHOWN * len(KINDS)), o.out / f"{run.name}.png")
        for name, words in WORDS.items():
            counts = torch.bincount(asked[name] * len(words) + seen.named[name], minlength=len(words) ** 2)
            picture = media.confusion(counts.reshape(len(words), -1), words, f"{run.name}: {name} asked and seen")
            media.save_png(picture, o.out / f"{run.name}-{name}.png")
    (o.out / "prompts.json").write_text(json.dumps(report, indent=1), encoding="utf-8")
    for name, figures in report.items():
        assert isinstance(figures, dict)
        shown = ", ".join(f"{key} {value:.3f}" for key, value in figures.items() if isinstance(value, float))
        print(f"{name}: {shown}")


if __name__ == "__main__":
    main()
