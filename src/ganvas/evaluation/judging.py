"""What is compared with what, and what the protocol says of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from typing import Any, NamedTuple

import torch

from ..data import Dataset
from ..errors import RequestError, unknown
from .figures import Metric, share_right
from .sources import Real, Source, Watch
from .views import Eyes, View, look, with_classifier

REFERENCE = 10_000  # real items that samples are compared with, at most
LEAST = 20  # items of each side
MANY = 100  # classes: the shares of more are not listed

# Every metric that can be asked for, and what it needs where it is not to be had of any data.
NEEDS = {
    "fid": "",
    "kid": "",
    "pr": "",
    "dc": "",
    "diversity": "",
    "copies": "",
    "ms_ssim": "images",
    "is": "images and a network that classifies them",
    "modes": "points with known modes, or labelled images and a classifier of them",
    "accuracy": "samples with labels and a classifier of the data's classes",
    "curve": "the points of sine",
    "ppl": "a generator of images",
}
MEMBERS = {
    **dict.fromkeys(("precision", "recall"), "pr"),
    **dict.fromkeys(("density", "coverage"), "dc"),
    **dict.fromkeys(("high_quality", "entropy", "reverse_kl"), "modes"),
    **dict.fromkeys(("error", "curve_coverage"), "curve"),
}


class Sides(NamedTuple):
    """Everything that is looked at."""

    samples: View
    reference: View
    held_out: View
    train: View  # with features alone; all of the training split where copies are sought
    test: View | None  # the reference, where it is a test split


def select(asked: Sequence[str] | None, known: Iterable[str]) -> list[str]:
    """The metrics that were asked for, by the name of either a metric or a figure, or all but ppl.

    Raises RequestError for one that is not known, or that cannot be had here.
    """
    if asked is None:
        return [name for name in NEEDS if name in known and name != "ppl"]
    chosen = []
    for name in asked:
        metric = MEMBERS.get(name, name)
        if metric not in NEEDS:
            raise unknown("metric", name, [*NEEDS, *MEMBERS])
        if metric not in known:
            raise RequestError(f"metric {name!r} needs {NEEDS[metric]}; leave it out")
        chosen.append(metric)
    return list(dict.fromkeys(chosen))


def tell_classes(eyes: Eyes, dataset: Dataset, device: str, asked: Sequence[str] | None) -> tuple[Eyes, list[str]]:
    """The eyes with a classifier of the data; or a warning, where its weights are missing and no metric was named."""
    try:
        return with_classifier(eyes, dataset, device), []
    except RequestError as error:
        if asked is not None:
            raise
        return eyes, [f"The classes of the samples are not counted: {error}."]


def look_around(real: Real, source: Source, eyes: Eyes, count: int, whole: bool, watch: Watch) -> Sides:
    """Look at the samples, and at as many real items as they are compared with; `whole`: at all training items."""
    half = 0 if real.test else min(len(real.train) // 2, REFERENCE)
    items = source.draw(max(0, min(count, len(real.train) - half)))
    reference = real.test.at(slice(REFERENCE)) if real.test else real.train.at(slice(half))
    if min(len(items), len(reference)) < LEAST:
        raise RequestError(
            f"{len(items)} samples and {len(reference)} real items are too few to measure; give at least {LEAST} of "
            f"each ({2 * LEAST} real items where there is no test split)"
        )
    near = half + len(items)
    samples = look(items, eyes, watch, "samples")
    seen = look(real.train.at(slice(near)), eyes, watch, "real items")
    train = seen
    if whole and near < len(real.train):
        bare = eyes._replace(classifier=None, logits=None)
        rest = look(real.train.at(slice(near, None)), bare, watch, "the training set")
        pixels = None if seen.pixels is None or rest.pixels is None else torch.cat([seen.pixels, rest.pixels])
        train = View(real.train, torch.cat([seen.features, rest.features]), pixels=pixels)
    test = look(reference, eyes, watch, real.tested_by) if real.test else None
    return Sides(samples, test or seen.at(slice(half)), seen.at(slice(half, near)), train, test)


def protocol(
    real: Real, source: Source, eyes: Eyes, sides: Sides, metrics: Mapping[str, Metric], seed: int, device: str
) -> dict[str, Any]:
    """How the figures came about, a fact an entry."""
    tested, rows = sides.test is not None, sides.samples.items.rows
    told: dict[str, Any] = {f"source_{name}" if name == "kind" else name: value for name, value in source.told.items()}
    if source.generated:
        told["latent_seeds"] = f"{rows[0]}-{rows[-1]}"
        told["sample_labels"] = "the classes in turn" if sides.samples.items.labels is not None else "none"
    told |= {
        **{f"data_{name}": value for name, value in real.told.items()},
        "reference": real.tested_by if tested else "a random half of the training split",
        "held_out": "the training split" if tested else "the other half of the training split",
        "samples": len(sides.samples),
        "reference_count": len(sides.reference),
        "held_out_count": len(sides.held_out),
        "features": eyes.extractor.name,
        "features_hash": eyes.extractor.hash,
        "features_dim": eyes.extractor.dim,
        "resize": eyes.extractor.resize,
    }
    if source.generated and len(real.dataset.shape) == 3:
        told["values"] = "generated images are rounded to 8 bits"
    if eyes.classifier:
        told |= {"classifier": eyes.classifier.name, "classifier_hash": eyes.classifier.hash}
        if sides.reference.items.labels is not None:
            told["classifier_accuracy"] = share_right(sides.reference)
    intervals = "; ".join(f"{name}: {metric.interval()}" for name, metric in metrics.items())
    told["intervals"] = f"95 %, 1.96 standard errors to either side, of shares of items Wilson's; {intervals}"
    return told | {"seed": seed, "device": device, "ganvas": version("ganvas"), "torch": torch.__version__}


def class_shares(sides: Sides, class_names: Sequence[str]) -> dict[str, dict[str, float]]:
    """The share of each class among the samples and the reference, as the classifier sees them; of MANY at most."""
    found: dict[str, dict[str, float]] = {}
    for name, view in (("samples", sides.samples), ("real", sides.reference)):
        if view.named is not None and len(class_names) <= MANY:
            counts = torch.bincount(view.named, minlength=len(class_names)).double() / len(view)
            found[name] = dict(zip(class_names, counts.tolist(), strict=True))
    return found
