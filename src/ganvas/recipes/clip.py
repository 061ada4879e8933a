"""CLIP: two towers that learn which captions belong to which images, measured by retrieval on held-out pairs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim import AdamW

from .. import alpha, files, frozen, media, nets, tokens
from ..augment import mirror, translate
from ..data import Dataset
from ..errors import RequestError, unknown
from ..frozen.towers import IMAGE_TOWERS, SENTENCES, open_sentences, open_tower
from ..metrics import measurable
from ..metrics.retrieval import recall
from ..nets.clip import IMAGE, TEXT, Projection
from ..objectives.contrastive import contrastive_loss
from ..plan import Plan
from ..types import Batch, Examination, Phase, Stats, System
from .base import Training, examination, held_out_of, opt, refuse_points
from .cnn import stage_widths
from .pairs import Pairs, gather

SHOWN, NEAREST = 8, 5  # captions in the picture, images found for each


@dataclass(frozen=True)
class Clip(Training):
    """Towers."""

    gallery: int = opt(100, "held-out items with different captions that retrieval searches; 0: all of them")
    image_tower: str = opt("conv", "conv, vit; or a fixed one behind a trained projection: clip, dino")
    text_tower: str = opt("transformer", "transformer; or a fixed one behind a trained projection: minilm")
    dim: int = opt(128, "dimensions of the embeddings", low=1)
    widths: tuple[int, ...] = opt((), "conv: channels of the stages; none: 16, 32, 64, 128, … down to 4 pixels", 1)
    depth: int = opt(2, "conv: convolutions of a stage", low=1)
    hidden: int = opt(256, "conv, projections: units of the layer before the embedding; projections, 0: none")
    patch: int = opt(0, "vit: pixels of a patch's side; 0: an eighth of the image's")
    image_width: int = opt(192, "vit: width of its tokens", low=1)
    image_layers: int = opt(4, "vit: number of blocks", low=1)
    tokenizer: Literal["bpe", "words"] = opt("bpe", "bpe: CLIP's, with the merges that captions need; or whole words")
    text_width: int = opt(128, "transformer: width of its tokens", low=1)
    text_layers: int = opt(2, "transformer: number of blocks", low=1)
    heads: int = opt(4, "attention heads, in either transformer", low=1)
    dropout: float = opt(0.0, "before the image's embedding; projections: before and within both", high=0.99)
    shift: int = opt(-1, "random shift of the images, in pixels at most; -1: a sixteenth of their side", low=-1)
    flip: bool = opt(False, "mirror half of the images; wrong where captions mean left or right")
    lr: float = opt(1e-3, "AdamW's learning rate")
    weight_decay: float = opt(0.05, "AdamW's weight decay, of the matrices alone")

    def meanings(self, images: Dataset) -> Sequence[str]:
        return sorted(set(images.captions or ()))  # of which the tokeniser is made


def clip() -> Clip:
    """CLIP (Radford et al. 2021; Nesturi 2024, chapter 3): images and captions in one space, by a contrastive loss.

    The loss is symmetric, its temperature learned. A small convolutional tower and a text transformer, trained from
    scratch on any captioned data.
    """
    towers = Clip(data="shapes", held_out=0.1, sample_every=250, monitor_every=0)
    return replace(towers, batch=128, steps=1000, warmup=100, decay=-1)


def lit() -> Clip:
    """Locked-image tuning (Zhai et al. 2022): OpenAI's image tower and a sentence encoder, fixed, trained projections.

    A zero-shot classifier from some thousands of captioned pictures, in minutes. Needs the weights that
    docs/features.md describes.
    """
    towers = replace(clip(), image_tower="clip", text_tower="minilm", dim=512, hidden=512)
    options = replace(towers, data="emoji", size=224, batch=256, steps=400, sample_every=200, gallery=200)
    return replace(options, dropout=0.5, weight_decay=0.2)


class ClipTask:
    """The loss of the towers, their validation and their file."""

    def __init__(self, o: Clip, model: frozen.Clip, pairs: Pairs, held: Pairs, facts: dict[str, Any]) -> None:
        """`model` holds the network that trains; `o` as `resolve` returns it."""
        self.o, self.model, self.network = o, model, model.network
        self.pairs, self.held, self.facts = pairs, held, facts

    def loss(self, batch: Batch, step: int) -> tuple[Tensor, Stats]:
        o, rows = self.o, batch.index
        x = self.pairs.images(batch)
        if self.pairs.features is None:
            x = translate(x, o.shift, o.shift, "replicate")
            x = mirror(x) if o.flip else x
            if alpha.has_alpha(x.shape):
                x = alpha.composite(x, alpha.backgrounds(len(x), x.device))
        image, text = self.network.image(x), self.network.text(self.pairs.text(rows))
        meaning = self.pairs.meanings[rows.to(self.pairs.meanings.device)]
        loss = contrastive_loss(image, text, self.network.scale, meaning)
        right = meaning[(image @ text.T).argmax(1)] == meaning
        return loss.mean(), {"clip/accuracy": right.float().mean(), "clip/scale": self.network.scale.detach()}

    def freeze(self) -> frozen.Clip:
        return frozen.copy_clip(self.model, self.facts)

    def examine(self) -> Examination:
        """The nearest images of held-out captions; recall at 1 and 5 in either direction."""
        held = self.held
        image, text = held.embed(self.freeze().network)
        likeness = text @ image.T  # (texts, images)
        finite = measurable(likeness)  # or the figures are NaN, which the run explains
        figures = {
            f"{name}_R@{k}": recall(scores, k) if finite else math.nan
            for name, scores in (("image", likeness), ("text", likeness.T))
            for k in (1, 5)
        }
        best = likeness[:SHOWN].topk(min(NEAREST, len(image)), 1).indices
        right = best == torch.arange(len(best))[:, None]
        images = held.items.at(best.flatten()).x.unflatten(0, best.shape)
        picture = media.ranked((held.items.captions or ())[:SHOWN], images, right)
        return examination(picture, figures, held.items)


def resolve(o: Clip, shape: tuple[int, ...], device: str = "cpu") -> Clip:
    """Replaces open options by what suits the shape; refuses points."""
    refuse_points(shape, "CLIP")
    size = min(shape[1:])
    shift = round(size / 16) if o.shift < 0 else o.shift
    return replace(o, widths=o.widths or stage_widths(size), patch=o.patch or max(1, size // 8), shift=shift)


def check(o: Clip, images: Dataset) -> Dataset:
    """The held-out items; a RequestError where the towers cannot learn from the data."""
    if o.image_tower not in (known := [*IMAGE, *IMAGE_TOWERS]):
        raise unknown("image tower", o.image_tower, known, field="options.image_tower")
    if o.text_tower not in (known := [*TEXT, *SENTENCES]):
        raise unknown("text tower", o.text_tower, known, field="options.text_tower")
    held_out = held_out_of(images)
    for part in (images, held_out):
        missing = (part.captions or ("",) * len(part)).count("")
        if missing:
            problem = f"{missing:,} of the {len(part):,} items of {images.name} have no caption, which CLIP needs"
            hint = "write them into a captions.jsonl next to the images, or a .txt per image with its name"
            raise RequestError(problem, hint, field="data")
    if o.batch < 2:
        raise RequestError(f"{o.batch} leaves no negatives for a pair", "give 2 or more", field="batch")
    return held_out


def model(o: Clip, images: Dataset, device: str) -> frozen.Clip:
    """The towers of the options before training, with fixed towers and the tokeniser in front of them."""
    captions = images.captions or ()
    eye, locked_spec, reader = None, None, open_reader(o, captions, device)
    if o.image_tower in IMAGE_TOWERS:
        eye, digest = open_tower(o.image_tower, device)
        locked_spec = {"tower": o.image_tower, "hash": digest}
    _, height, width = images.shape
    shape = None if height == width or eye is not None else (height, width)
    spec = image_spec(o, min(height, width), eye)
    network = nets.Clip(spec, text_spec(o, reader), shape=shape).to(device)
    return frozen.Clip(network, reader, "clip", eye, locked_spec)


def open_reader(o: Clip, captions: Sequence[str], device: str) -> frozen.TextInput:
    """What turns captions into the text tower's input: a tokeniser or a sentence encoder."""
    if o.text_tower in SENTENCES:
        return open_sentences(o.text_tower, device)[0]
    if o.tokenizer == "words":
        found = tokens.Words.of(captions, tokens.CONTEXT)
        return tokens.Words(min(tokens.CONTEXT, longest(found, captions)), found.words)
    return tokens.Bpe().reduced(captions, min(tokens.CONTEXT, longest(tokens.Bpe(), captions)))


def longest(tokenizer: tokens.Bpe | tokens.Words, captions: Sequence[str]) -> int:
    """Tokens of the longest caption with start and end, and room for a template around a label."""
    return max(len(tokenizer.encode(caption)) for caption in set(captions)) + 2 + tokens.TEMPLATE


def image_spec(o: Clip, size: int, eye: nn.Module | None) -> dict[str, Any]:
    """The spec of the image tower, as `nets.Clip` takes it."""
    ends = {"outputs": o.dim, "hidden": o.hidden, "dropout": o.dropout}
    if eye is not None:
        return {"net": "projection", "options": {"inputs": eye.dim, **ends}}
    if o.image_tower == "conv":
        return {"net": "conv", "options": {"size": size, "widths": list(o.widths), "depth": o.depth, **ends}}
    sizes = {"size": size, "patch": o.patch, "width": o.image_width, "layers": o.image_layers, "heads": o.heads}
    return {"net": "vit", "options": {**sizes, "mlp": 4 * o.image_width, "pre_norm": True, "outputs": o.dim}}


def text_spec(o: Clip, reader: frozen.TextInput) -> dict[str, Any]:
    """The spec of the text tower, as `nets.Clip` takes it."""
    if isinstance(reader, frozen.Sentences):
        options = {"inputs": reader.dim, "outputs": o.dim, "hidden": o.hidden, "dropout": o.dropout}
        return {"net": "projection", "options": options}
    assert isinstance(reader, tokens.Bpe | tokens.Words)
    sizes = {"width": o.text_width, "layers": o.text_layers, "heads": o.heads, "outputs": o.dim}
    return {"net": "transformer", "options": {"vocabulary": reader.size, "context": reader.context, **sizes}}


def build(o: Clip, images: Dataset, plan: Plan) -> System:
    """The towers, optimiser and loss of options, as `resolve` returns them."""
    held_out = check(o, images)
    towers = model(o, images, plan.device)
    network = towers.network
    pairs = gather(images, towers, plan)
    for tower, features in ((network.image_tower, pairs.features), (network.text_tower, pairs.texts)):
        if isinstance(tower, Projection) and features is not None:
            tower.centre(features)
    facts = {"data": images.name, "pairs": len(images)}
    task = ClipTask(o, towers, pairs, gather(held_out, towers, plan, o.gallery), facts)
    params = list(network.parameters())
    groups = [
        {"params": [p for p in params if p.ndim > 1], "weight_decay": o.weight_decay},
        {"params": [p for p in params if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = AdamW(groups, lr=o.lr, betas=(0.9, 0.98), eps=1e-6, fused=True)
    phase = Phase("clip", params, optimizer, task.loss, lr_factor=o.lr_factor, after_step=network.clamp)
    products = {files.CLIP: lambda path: task.freeze().write(path)}
    return System({"clip": network}, [phase], None, plan.dtype, task.examine, products)
