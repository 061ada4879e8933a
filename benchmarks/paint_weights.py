"""Makes the generator and the CLIP that `ganvas paint` uses by default: `python -m benchmarks.paint_weights`.

The generator is a `prompt-gan` on drawings of one shape (`benchmarks.placed`), with its words in its latent; the CLIP
is a run of the recipe `clip` on such drawings with captions that name some of their attributes, its weights rounded to
half precision. Neither sees any of the combinations of colour, shape and place that `benchmarks.paint` asks for. In
addition a `cnn` learns colours and shapes from real drawings alone; it judges paintings and is not shipped.
Interrupted trainings resume, and complete ones are not repeated.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

import ganvas
from benchmarks import placed
from ganvas.data.shapes import COLORS, KINDS
from ganvas.frozen import Clip, copy_clip, load_clip, load_generator
from ganvas.frozen.weights import SHIPPED

PAIRS, PICTURES, JUDGED = 24_000, 24_000, 12_000  # drawings for the CLIP, the generator and the judge
SHOWN = 500  # drawings that the CLIP is measured on


class Training(NamedTuple):
    """What is trained on which drawings, and for how long."""

    recipe: str
    data: str
    steps: int
    options: dict[str, Any]


TRAININGS = {
    "clip": Training("clip", "pairs", 4000, {}),
    "generator": Training("prompt-gan", "pictures", 12_000, {"augment": "none"}),  # captions name places
    "judge": Training("cnn", "judged", 1200, {}),
}


def data(runs: Path, name: str) -> str:
    """The store of drawings of that name, drawn if absent."""
    make = {
        "pairs": lambda: placed.pairs(PAIRS, 0),
        "pictures": lambda: placed.pictures(PICTURES, 7),
        "judged": lambda: placed.pictures(JUDGED, 7, everything=True),
    }
    return str(placed.stored(runs / "data" / name, make[name]))


def trained(runs: Path, name: str, steps: int | None = None) -> Path:
    """The run of that name, trained to its end: from the start, from its checkpoint, or already complete."""
    it, path = TRAININGS[name], runs / name
    if (path / "recipe.json").exists():
        return ganvas.resume(path, steps=steps).path
    run = ganvas.train(
        it.recipe, data(runs, it.data), out=path, steps=steps or it.steps, precision="fp32", options=it.options
    )
    return run.path


def accuracy(clip: Clip, count: int) -> dict[str, float]:
    """How often a CLIP recognises colour, shape and place of unseen plain drawings."""
    looks = placed.prompts(count)
    seen = clip.images(placed.plain_pictures(looks, seed=11))
    words = {"color": tuple(COLORS), "kind": KINDS, "place": placed.PLACES}
    found = {}
    for name, choices in words.items():
        texts = [placed.caption(placed.Look("", "", "", "")._replace(**{name: word})) for word in choices]
        best = (seen @ clip.text(texts).T).argmax(1).tolist()
        found[name] = sum(choices[i] == getattr(look, name) for i, look in zip(best, looks, strict=True)) / count
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the options, train, and write the files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("runs/paint"), help="where they train (runs/paint)")
    parser.add_argument("--out", type=Path, default=SHIPPED, help="where the files go (the package's own folder)")
    parser.add_argument("--steps", type=int, help="of each training, instead of the tuned ones")
    o = parser.parse_args(arguments)
    paths = {name: trained(o.runs, name, o.steps) for name in TRAININGS}
    clip = load_clip(paths["clip"])
    clip.network.half().float()  # as the file will hold it
    facts = {**clip.facts, "combinations_held_out": placed.HELD_OUT, "accuracy": accuracy(clip, SHOWN)}
    copy_clip(clip, facts).write(o.out / "paint-clip.safetensors", torch.float16)
    load_generator(paths["generator"]).place_words("latent").write(o.out / "paint-generator.safetensors")
    sizes = {path.name: path.stat().st_size for path in o.out.glob("paint-*.safetensors")}
    print(json.dumps({**facts, "bytes": sizes}))


if __name__ == "__main__":
    main()
