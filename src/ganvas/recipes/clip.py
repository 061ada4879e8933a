"""CLIP: two towers that learn which captions belong to which images, measured by how well they find held-out ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim import AdamW

from .. import files, frozen, media, nets, tokens
from ..augment import mirror, translate
from ..data import Dataset
from ..errors import RequestError, unknown
from ..frozen.towers import IMAGE_TOWERS, SENTENCES, open_sentences, open_tower
from ..metrics import measurable
from ..metrics.retrieval import recall
from ..nets.clip import IMAGE, TEXT, Projection
from ..objectives import contrastive
from ..plan import Plan
from ..types import Batch, Examination, Phase, Stats, System
from .base import Training, opt, rate
from .pairs import Pairs, gather

SHOWN, NEAREST = 8, 5  # captions in the picture, images found for each


@dataclass(frozen=True)
class Clip(Training):
    """Options of the paired towers."""

    held_out: float = opt(
        0.1, "share of the items to measure on and not train on, where the data has no test split", low=0.01, high=0.9
    )
    gallery: int = opt(100, "held-out items of different captions among which each is to be found; 0: all of them")
    image_tower: str = opt("conv", "conv, vit; or a fixed one behind a trained projection: clip, dino")
    text_tower: str = opt("transformer", "transformer; or a fixed one behind a trained projection: minilm")
    dim: int = opt(128, "of the space that both embed in", low=1)
    widths: tuple[int, ...] = opt(
        (), "conv: channels of the stages; none: 16, 32, 64, 128, …, till 4 pixels are left", 1
    )
    depth: int = opt(2, "conv: convolutions of a stage", low=1)
    hidden: int = opt(256, "conv, and projections: units of the layer before the embedding; projections, 0: none")
    patch: int = opt(0, "vit: pixels of a patch's side; 0: an eighth of the image's")
    image_width: int = opt(192, "vit: of its tokens", low=1)
    image_layers: int = opt(4, "vit: its blocks", low=1)
    tokenizer: Literal["bpe", "words"] = opt("bpe", "CLIP's, with the merges that the captions need; or whole words")
    text_width: int = opt(128, "transformer: of its tokens", low=1)
    text_layers: int = opt(2, "transformer: its blocks", low=1)
    heads: int = opt(4, "of attention, in either transformer", low=1)
    dropout: float = opt(0.0, "before the image's embedding; of projections, before and within both", high=0.99)
    shift: int = opt(-1, "pixels by which images are moved at most, at random; -1: a sixteenth of their side", low=-1)
    flip: bool = opt(False, "mirror half of the images; wrong where captions tell left from right")
    lr: float = opt(1e-3, "AdamW's learning rate")
    weight_decay: float = opt(0.05, "AdamW's weight decay, of the matrices alone")
    warmup: int = opt(100, "steps over which the learning rate rises from 0")
    decay: int = opt(-1, "step by which the learning rate has fallen to a hundredth; -1: `steps`; 0: constant", -1)


def clip() -> Clip:
    """CLIP (source 002): images and captions in one space, by a symmetric contrastive loss with a learned temperature.

    A small convolutional tower and a text transformer, trained from nothing; any captioned data.
    """
    return Clip(data="shapes", batch=128, steps=1000, sample_every=250, monitor_every=0)


def lit() -> Clip:
    """Locked-image tuning: OpenAI's image tower and a sentence encoder, both fixed, joined by trained projections.

    An open-vocabulary scorer from some thousands of captioned pictures, in minutes. Needs the weights that
    docs/features.md describes.
    """
    return Clip(
        data="emoji",
        size=224,
        image_tower="clip",
        text_tower="minilm",
        dim=512,
        hidden=512,
        dropout=0.5,
        weight_decay=0.2,
        batch=256,
        steps=400,
        sample_every=200,
        monitor_every=0,
        gallery=200,
    )


class Contrast:
    """The loss of the towers, and what they show and leave behind."""

    def __init__(self, o: Clip, model: frozen.Clip, pairs: Pairs, held: Pairs, told: dict[str, Any]) -> None:
        """`model` holds the network that trains; `o` as `resolve` leaves it."""
        self.o, self.model, self.network = o, model, model.network
        self.pairs, self.held, self.facts = pairs, held, told

    def loss(self, batch: Batch, step: int) -> tuple[Tensor, Stats]:
        o, rows = self.o, batch.index
        x = self.pairs.images(batch)
        if self.pairs.seen is None:
            x = translate(x, o.shift, o.shift, "replicate")
            x = mirror(x) if o.flip else x
        image, text = self.network.image(x), self.network.text(self.pairs.texts(rows))
        meaning = self.pairs.meaning(rows)
        loss = contrastive(image, text, self.network.scale, meaning)
        right = meaning[(image @ text.T).argmax(1)] == meaning
        return loss.mean(), {
            "clip/accuracy": right.float().mean(),
            "clip/scale": self.network.scale.detach(),
        }

    def freeze(self) -> frozen.Clip:
        return frozen.take_clip(self.model, self.facts)

    def examine(self) -> Examination:
        """What held-out captions find first, and how often either finds its own among the gallery."""
        held, split = self.held, self.held.split.replace(" ", "_")
        image, text = held.embed(self.freeze().network)
        likeness = text @ image.T  # (texts, images)
        finite = measurable(likeness)  # or the run tells, by a figure that is not, what to do about it
        figures = {
            f"{split}/{name}_R@{k}": recall(scores, k) if finite else math.nan
            for name, scores in (("image", likeness), ("text", likeness.T))
            for k in (1, 5)
        }
        best = likeness[:SHOWN].topk(min(NEAREST, len(image)), 1).indices
        right = best == torch.arange(len(best))[:, None]
        picture = media.ranked(held.captions[:SHOWN], held.items.at(best.flatten()).x.unflatten(0, best.shape), right)
        return Examination(picture, figures)

    def write(self, path: Path) -> None:
        self.freeze().write(path)


def resolve(o: Clip, shape: tuple[int, ...], device: str = "cpu") -> Clip:
    """Puts the choice of the shape where the options leave it open."""
    size = min(shape[1:], default=1)
    stages = max(2, math.ceil(math.log2(max(size, 4) / 4)))
    return replace(
        o,
        widths=o.widths or tuple(min(16 << i, 128) for i in range(stages)),
        patch=o.patch or max(1, size // 8),
        shift=round(size / 16) if o.shift < 0 else o.shift,
        decay=o.steps if o.decay < 0 else o.decay,
    )


def check(o: Clip, images: Dataset) -> Dataset:
    """The held-out items; a RequestError where the towers cannot learn from the data."""
    for kind, name, known in (
        ("image tower", o.image_tower, [*IMAGE, *IMAGE_TOWERS]),
        ("text tower", o.text_tower, [*TEXT, *SENTENCES]),
    ):
        if name not in known:
            raise unknown(kind, name, known)
    if len(images.shape) != 3:
        raise RequestError(f"{images.name} holds points, and CLIP learns from captioned images; choose other data")
    held_out = images.held_out
    if held_out is None:
        raise RequestError(f"{images.name} has nothing held out to measure on; use --set held_out=0.1")
    for part in (images, held_out):
        missing = (part.captions or ("",) * len(part)).count("")
        if missing:
            raise RequestError(
                f"{missing:,} of the {len(part):,} items of {images.name} have no caption, and CLIP learns from "
                "captions; write them into a captions.jsonl beside the images, or a .txt named like each"
            )
    if o.batch < 2:
        raise RequestError(f"batch={o.batch} leaves nothing to tell a pair from; use --batch 2 or more")
    return held_out


def model(o: Clip, images: Dataset, device: str) -> frozen.Clip:
    """The towers that the options ask for, before training, with what they see and read through."""
    captions = images.captions or ()
    eye, eye_spec, reader = None, None, reading(o, captions, device)
    if o.image_tower in IMAGE_TOWERS:
        eye, digest = open_tower(o.image_tower, device)
        eye_spec = {"tower": o.image_tower, "hash": digest}
    network = nets.Clip(image_spec(o, images.shape[-1], eye), text_spec(o, reader)).to(device)
    return frozen.Clip(network, reader, "clip", eye, eye_spec)


def reading(o: Clip, captions: Sequence[str], device: str) -> frozen.Reader:
    """What turns captions into what the text tower reads."""
    if o.text_tower in SENTENCES:
        return open_sentences(o.text_tower, device)[0]
    if o.tokenizer == "words":
        found = tokens.Words.of(captions, tokens.CONTEXT)
        return tokens.Words(min(tokens.CONTEXT, longest(found, captions)), found.words)
    return tokens.Bpe().reduced(captions, min(tokens.CONTEXT, longest(tokens.Bpe(), captions)))


def longest(tokenizer: tokens.Bpe | tokens.Words, captions: Sequence[str]) -> int:
    """Tokens of the longest caption, its start and end included, and room for a template around a label."""
    return max(len(tokenizer.encode(caption)) for caption in set(captions)) + 2 + tokens.TEMPLATE


def image_spec(o: Clip, size: int, eye: nn.Module | None) -> dict[str, Any]:
    """What builds the image tower."""
    if eye is not None:
        options = {"inputs": eye.dim, "outputs": o.dim, "hidden": o.hidden, "dropout": o.dropout}
        return {"net": "projection", "options": options}
    if o.image_tower == "conv":
        options = {"size": size, "widths": list(o.widths), "depth": o.depth, "hidden": o.hidden, "dropout": o.dropout}
        return {"net": "conv", "options": {**options, "outputs": o.dim}}
    return {
        "net": "vit",
        "options": {
            **{"size": size, "patch": o.patch, "width": o.image_width, "layers": o.image_layers, "heads": o.heads},
            **{"mlp": 4 * o.image_width, "pre_norm": True, "outputs": o.dim},
        },
    }


def text_spec(o: Clip, reader: frozen.Reader) -> dict[str, Any]:
    """What builds the text tower."""
    if isinstance(reader, frozen.Sentences):
        options = {"inputs": reader.dim, "outputs": o.dim, "hidden": o.hidden, "dropout": o.dropout}
        return {"net": "projection", "options": options}
    assert isinstance(reader, tokens.Bpe | tokens.Words)
    return {
        "net": "transformer",
        "options": {
            **{"vocabulary": reader.size, "context": reader.context, "width": o.text_width},
            **{"layers": o.text_layers, "heads": o.heads, "outputs": o.dim},
        },
    }


def build(options: Clip, images: Dataset, plan: Plan) -> System:
    """The towers, optimiser and loss of `options` for the images, whose `held_out` they are measured on."""
    held_out = check(options, images)
    o = resolve(options, images.shape, plan.device)
    made = model(o, images, plan.device)
    network = made.network
    pairs = gather(images, made, plan)
    for tower, features in ((network.image_tower, pairs.seen), (network.text_tower, pairs.read)):
        if isinstance(tower, Projection) and features is not None:
            tower.centre(features)
    task = Contrast(
        o, made, pairs, gather(held_out, made, plan, o.gallery), {"data": images.name, "pairs": len(images)}
    )
    params = list(network.parameters())
    groups = [
        {"params": [p for p in params if p.ndim > 1], "weight_decay": o.weight_decay},
        {"params": [p for p in params if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = AdamW(groups, lr=o.lr, betas=(0.9, 0.98), eps=1e-6, fused=True)
    return System(
        {"clip": network},
        [Phase("clip", params, optimizer, task.loss, rate=rate(o.warmup, o.decay), after=network.clamp)],
        precision=plan.dtype,
        examine=task.examine,
        products={files.CLIP: task.write},
    )
