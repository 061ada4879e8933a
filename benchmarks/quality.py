"""What recipes reach in equal minutes: `python -m benchmarks.quality --minutes 10 --recipes gan,mlp-bn,dcgan`.

Images are judged by the Fréchet distance of samples to the test split in up to three spaces of `ganvas.features`: the
features of the data set's classifier where there is one, pixels, and Inception's where its weights are on this
machine. The floor is the distance of as many images of the train split. Distances depend on the number of samples, so
compare only those of equal numbers. Points are judged by the modes or the curve that they should follow. Interrupted
runs resume, and complete ones are not trained again.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

import ganvas
from ganvas import data, media
from ganvas.errors import RequestError
from ganvas.features import Extractor, embed, open_features
from ganvas.frozen import weights
from ganvas.metrics import curve_report, frechet_distance, mode_report

SHOWN = 64  # samples in a picture
POINTS = 2500  # samples of a point set, as in VEEGAN's protocol
Measure = Callable[[Tensor], dict[str, float]]  # samples -> figures by name


class Space(NamedTuple):
    """One feature space, and the test split in it."""

    features: Extractor
    count: int  # samples compared
    reference: Tensor  # (count, D)


def some_images(images: data.Dataset, count: int) -> Tensor:
    """Up to `count` items, always the same, spread over the data set."""
    return images.at(torch.randperm(len(images), generator=torch.Generator().manual_seed(0))[:count]).x


def image_measure(train: data.Dataset, test: data.Dataset, count: int, inception_count: int) -> Measure:
    """The Fréchet distances of images to the test split, in every available space."""
    real = some_images(test, count)
    counts = {"auto": count, "pixels": count}
    if inception_count and weights.locate("inception.safetensors"):
        counts["inception"] = inception_count
    spaces: dict[str, Space] = {}
    for name, n in counts.items():
        features = open_features(name, dataset=train)
        named = features.name if n == count else f"{features.name} of {n}"
        spaces[named] = Space(features, n, embed(features, real[:n]))

    def measure(x: Tensor) -> dict[str, float]:
        return {
            name: frechet_distance(space.reference, embed(space.features, x[: space.count]))
            for name, space in spaces.items()
        }

    return measure


def point_measure(points: data.Dataset) -> Measure:
    """The modes that points reach, or how they follow the sine."""
    modes = points.modes
    if modes is not None:

        def count_modes(x: Tensor) -> dict[str, float]:
            report = mode_report(x, modes.centres, modes.sigma)
            return {
                f"modes of {len(modes.centres)}": report.modes,
                "high quality": report.high_quality,
                "reverse KL": report.reverse_kl,
            }

        return count_modes
    if points.name == "sine":
        return lambda x: curve_report(x)._asdict()
    raise RequestError(f"there is no measure for the points of {points.name!r}; choose sine, ring or grid")


def trained(recipe: str, name: str, folder: Path, minutes: float, seed: int) -> ganvas.Run:
    """The run in `folder`, trained for `minutes` in all: from the start, from its checkpoint, or already complete."""
    if (folder / "recipe.json").exists():
        return ganvas.resume(folder, minutes=minutes)
    return ganvas.train(recipe, name, out=folder, minutes=minutes, seed=seed)


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Rows with the same keys as a Markdown table."""
    lines = ["| " + " | ".join(rows[0]) + " |", "|" + "---|" * len(rows[0])]
    for row in rows:
        cells = [f"{value:.4g}" if isinstance(value, float) else str(value) for value in row.values()]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def sheet(pictures: dict[str, Image.Image]) -> Image.Image:
    """Pictures side by side, each with its name above."""
    caption, gap = 28, 16
    width = sum(picture.width + gap for picture in pictures.values()) - gap
    whole = Image.new("RGB", (width, caption + max(p.height for p in pictures.values())), "white")
    left = 0
    for name, picture in pictures.items():
        middle = (left + picture.width / 2, caption / 2)
        ImageDraw.Draw(whole).text(middle, name, "black", ImageFont.load_default(size=16), anchor="mm")
        whole.paste(picture, (left, caption))
        left += picture.width + gap
    return whole


def compare(options: argparse.Namespace) -> None:
    """Train what is missing, measure everything, write the results."""
    out = options.out or Path("runs") / f"quality-{options.data}-{options.minutes:g}min"
    train = data.open_data(options.data)
    points = len(train.shape) == 1
    count = POINTS if points else min(options.samples, len(train))
    if points:
        measure = point_measure(train)
    else:
        test = data.open_data(options.data, split="test")
        count = min(count, len(test))
        measure = image_measure(train, test, count, min(options.inception, count))
    real = some_images(train, count)
    rows: list[dict[str, Any]] = [{"recipe": "real data", "seed": "", "steps": "", **measure(real)}]
    pictures = {"real data": media.scatter(real) if points else media.grid(real[:SHOWN])}
    for recipe in options.recipes.split(","):
        for seed in map(int, options.seeds.split(",")):
            run = trained(recipe, options.data, out / f"{recipe}-{seed}", options.minutes, seed)
            x = run.sample(seeds=range(count))
            rows.append({"recipe": recipe, "seed": seed, "steps": run.step, **measure(x)})
            pictures[f"{recipe}, seed {seed}"] = media.scatter(x, real) if points else media.grid(x[:SHOWN])
            print(rows[-1])
            write(out, options, count, rows, pictures)
    print(table(rows))
    print(f"written to {out}")


def write(
    out: Path, options: argparse.Namespace, count: int, rows: list[dict[str, Any]], pictures: dict[str, Image.Image]
) -> None:
    """`quality.json`, `quality.md` and `quality.png` of the results so far."""
    out.mkdir(parents=True, exist_ok=True)
    facts = {
        "data": options.data,
        "minutes": options.minutes,
        "samples": count,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
    (out / "quality.json").write_text(json.dumps({**facts, "rows": rows}, indent=1) + "\n", encoding="utf-8")
    heading = f"{options.data}, {options.minutes:g} minutes each on {facts['threads']} threads, {count} samples\n\n"
    (out / "quality.md").write_text(heading + table(rows) + "\n", encoding="utf-8")
    media.save_png(sheet(pictures), out / "quality.png")


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the options and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10, help="of training a run (10)")
    parser.add_argument("--recipes", default="gan,mlp-bn,dcgan", help="separated by commas (gan,mlp-bn,dcgan)")
    parser.add_argument("--seeds", default="0", help="separated by commas (0)")
    parser.add_argument("--data", default="fashion-mnist", help="a data set with a test split, or of points")
    parser.add_argument("--samples", type=int, default=10_000, help="images that are compared (10,000)")
    parser.add_argument("--inception", type=int, default=1_000, help="images that go through Inception (1,000)")
    parser.add_argument("--out", type=Path, help="directory of the runs and results (runs/quality-DATA-Nmin)")
    compare(parser.parse_args(arguments))


if __name__ == "__main__":
    main()
