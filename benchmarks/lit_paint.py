"""Common words painted by a published tower: `python -m benchmarks.lit_paint --assets FOLDER --clip runs/lit/run`.

Trains `prompt-gan` on emoji unless given one, and paints words through it with the CLIP of `benchmarks.lit`. An
independent judge, DINOv2, finds the real emoji most like a painting, and their names and tags say whether they are
what was asked for. The same is measured of unguided samples, of the samples that CLIP scores highest, and of real
emoji. `--assets` holds `emoji-datasource-google` and `emojibase-data` (npm), unpacked.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

import ganvas
from ganvas import media
from ganvas.data import Dataset, open_data
from ganvas.features.cached import Cache, embedding
from ganvas.files import write
from ganvas.frozen import TrainedGenerator, load_clip, load_generator
from ganvas.frozen.towers import open_tower
from ganvas.painting import Brush, Crops, Prompts, paint
from ganvas.painting.score import encode
from ganvas.plan import choose
from ganvas.progress import drain
from ganvas.tokens.keywords import content_words

from .lit import on_white, seen

LEFT_OUT = ("People & Body", "Flags", "Component")  # more than half of all, in similar postures and skins
WAYS = ("samples", "the best sample", "painted", "real")
JUDGED = ("nearest", "of five", "of the words")  # columns of `Judge.found`
Pictures = dict[str, Tensor]  # prompt -> images (N, C, H, W) in [-1, 1]
Rows = dict[str, dict[str, Tensor]]  # prompt -> way -> (3,), as `Judge.found`
NEAREST = 5  # real emoji that a picture is compared with
# prompt -> the word in the names or tags of a right answer
WORDS = {
    "a red heart": "heart",
    "a smiling face": "smiling",
    "a green tree": "tree",
    "a yellow star": "star",
    "a car": "car",
    "a dog": "dog",
    "the moon": "moon",
    "a flower": "flower",
    "a house": "house",
    "a cat": "cat",
    "a clock": "clock",
    "a bird": "bird",
}


def gather(assets: Path, out: Path) -> Path:
    """Write the folder of emoji, each with its name and tags as its caption, unless it exists; returns its path."""
    if out.exists():
        return out
    pictures, words = assets / "emoji-datasource-google/package", assets / "emojibase-data/package/en/data.json"
    known = {plain(row["hexcode"]): row for row in json.loads(words.read_text(encoding="utf-8"))}
    part, lines = out.with_name(f"{out.name}.part"), []
    part.mkdir(parents=True, exist_ok=True)
    for emoji in json.loads((pictures / "emoji.json").read_text(encoding="utf-8")):
        row = known.get(plain(emoji["unified"]))
        if emoji["category"] in LEFT_OUT or row is None:
            continue
        on_white(Image.open(pictures / "img/google/64" / emoji["image"])).save(part / emoji["image"])
        lines.append(json.dumps({"file": emoji["image"], "caption": ", ".join([row["label"], *row.get("tags", [])])}))
    write(part / "captions.jsonl", "\n".join(lines).encode())
    part.rename(out)
    return out


def plain(code: str) -> str:
    """The code points of an emoji without those that only request colour."""
    return code.replace("-FE0F", "")


class Judge:
    """Which real emoji a picture is most like, in the features of DINOv2."""

    def __init__(self, real: Dataset) -> None:
        assert real.captions is not None
        self.pixels, self.captions = real.items, real.captions
        self.tower, digest = open_tower("dino")
        self.cache = Cache(digest)
        self.real, self.words = self.see(real.items), [set(content_words(caption)) for caption in real.captions]

    def see(self, pixels: Tensor) -> Tensor:
        """Unit vectors (N, D) of images (N, C, H, W) uint8."""
        return F.normalize(drain(embedding(self.cache, self.tower, pixels, choose("cpu"), "judging")), dim=1)

    def order(self, pixels: Tensor) -> Tensor:
        """(N, real): the indices of the real emoji, most similar first."""
        return (self.see(pixels) @ self.real.T).argsort(1, descending=True)

    def nearest(self, picture: Tensor) -> list[int]:
        """The indices of the NEAREST real emoji of one picture (1, C, H, W) uint8."""
        return self.order(picture)[0, :NEAREST].tolist()

    def found(self, pixels: Tensor, word: str, *, itself: bool = False) -> Tensor:
        """(N, 3): whether the nearest real emoji has the word, the share of the NEAREST that do, and `prefers_word`.

        itself: the pictures are real and have the word; none is compared with itself.
        """
        order = self.order(pixels)[:, int(itself) :][:, :NEAREST]
        right = torch.tensor([[word in self.words[i] for i in row] for row in order.tolist()]).float()
        return torch.stack([right[:, 0], right.mean(1), self.prefers_word(pixels, word, itself=itself)], 1)

    def prefers_word(self, pixels: Tensor, word: str, *, itself: bool = False) -> Tensor:
        """(N,): whether a picture is more like the real emoji of the word, in the mean, than like those of any other.

        The others are those of WORDS. Comparisons of a picture with itself are left out.
        """
        seen, scores = self.see(pixels), {}
        for each in WORDS.values():
            like = seen @ self.real[self.of(each)].T
            own = (like > 1 - 1e-5).float() if itself else torch.zeros_like(like)
            scores[each] = ((like * (1 - own)).sum(1) / (1 - own).sum(1)).nan_to_num(-1)
        return (scores[word] >= torch.stack(list(scores.values())).amax(0)).float()

    def of(self, word: str) -> list[int]:
        """The indices of the real emoji that have the word."""
        return [i for i, words in enumerate(self.words) if word in words]


def to_pixels(images: Tensor) -> Tensor:
    """Images (N, C, H, W) in [-1, 1] -> uint8."""
    return torch.from_numpy(media.to_uint8(images)).permute(0, 3, 1, 2).contiguous()


def paintings(found: TrainedGenerator, judge: Judge, o: argparse.Namespace) -> tuple[Pictures, Rows]:
    """Paint all words: rows of pictures for the sheet, and what the judge found by word and way, (3,) each."""
    clip, decoder = load_clip(o.clip), found.decoder
    z = found.latents(range(o.seed * o.samples, (o.seed + 1) * o.samples))  # the samples of `--best-of`
    samples = to_pixels(found.decode(z))
    vectors = seen(clip, samples)
    pictures: Pictures = {}
    rows: Rows = {}
    for text, word in WORDS.items():
        wish, begin = Prompts.of([text]), time.perf_counter()
        best = int((vectors @ encode(clip, wish.include)[0].cpu()).argmax())
        strokes = paint(
            *(decoder, clip, wish, z[best][None]), steps=o.steps, seed=o.seed, brush=Brush(lr=o.lr, relative=True),
            crops=Crops(o.crops, whole=0.5),
        )  # fmt: skip
        *_, last = strokes
        seconds, painted, real = time.perf_counter() - begin, to_pixels(last.image[None]), judge.of(word)
        rows[text] = {
            "samples": judge.found(samples[: o.judged], word).mean(0),
            "the best sample": judge.found(samples[best][None], word)[0],
            "painted": judge.found(painted, word)[0],
            "real": judge.found(judge.pixels[real], word, itself=True).mean(0),
        }
        nearest = judge.nearest(painted)
        pictures[text] = torch.cat([samples[best][None], painted, judge.pixels[nearest]]).float() / 127.5 - 1
        figures = {way: [round(v, 3) for v in value.tolist()] for way, value in rows[text].items()}
        figures |= {"like": [judge.captions[i].split(",")[0] for i in nearest]}
        print(
            json.dumps({"asked": text, "seconds": round(seconds, 1), "score": round(last.score, 3)} | figures),
            flush=True,
        )
        media.save_png(media.single(last.image), o.out / f"{text.replace(' ', '-')}.png")
    return pictures, rows


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the options, gather, train, paint, judge, and print a line of JSON a word."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--assets", type=Path, required=True, help="where the packages are unpacked")
    parser.add_argument("--clip", type=Path, required=True, help="run or file of the CLIP that paints")
    parser.add_argument("--generator", type=Path, help="run or file of emoji; by default one is trained")
    parser.add_argument("--out", type=Path, default=Path("runs/lit-paint"), help="output folder")
    parser.add_argument("--samples", type=int, default=256, help="that CLIP chooses the beginnings from (256)")
    parser.add_argument("--judged", type=int, default=100, help="of them, that are judged for comparison (100)")
    parser.add_argument("--steps", type=int, default=12, help="strokes (12)")
    parser.add_argument("--crops", type=int, default=3, help="views of a stroke (3)")
    parser.add_argument("--lr", type=float, default=0.08, help="of the strokes (0.08)")
    parser.add_argument("--seed", type=int, default=0, help="of the samples and the crops (0)")
    parser.add_argument("--train-steps", type=int, default=3000, help="of the generator (3000)")
    o = parser.parse_args(arguments)
    emoji = gather(o.assets, o.out / "emoji")
    found = load_generator(o.generator or trained(emoji, o.out / "generator", o.train_steps))
    judge = Judge(open_data(str(emoji.absolute()), size=found.decoder.shape[1], channels=3))
    pictures, rows = paintings(found.place_words("latent"), judge, o)
    for way in WAYS:
        mean = torch.stack([row[way] for row in rows.values()]).mean(0)
        print(json.dumps({"way": way} | dict(zip(JUDGED, [round(v, 3) for v in mean.tolist()], strict=True))))
    media.labelled_rows(pictures).save(o.out / "sheet.png")


def trained(emoji: Path, out: Path, steps: int) -> Path:
    """A run of `prompt-gan` on the emoji, at 32 pixels."""
    options = {"size": "32", "keywords": "600", "augment": "none"}
    return ganvas.train("prompt-gan", str(emoji.absolute()), out=out, steps=steps, options=options).path


if __name__ == "__main__":
    main()
