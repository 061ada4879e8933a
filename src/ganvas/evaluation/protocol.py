"""Which items are compared, and the protocol of an evaluation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from typing import Any, NamedTuple

import torch

from .. import alpha
from ..data import Dataset
from ..errors import RequestError, unknown
from ..progress import Steps
from .extraction import Extracted, Networks, extract, open_classifier
from .figures import Metric, accuracy, pairing
from .sources import Real, Source

REFERENCE = 10_000  # real items that samples are compared with, at most
LEAST = 20  # items of each side
MANY = 100  # classes: the shares of more are not listed

# Every metric, and what it needs beyond data and samples.
NEEDS = {
    **dict.fromkeys(("fid", "kid", "pr", "dc", "diversity", "copies"), ""),
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


class Sets(NamedTuple):
    """The sets of items that are compared."""

    samples: Extracted
    reference: Extracted
    held_out: Extracted
    train: Extracted  # with features alone; all of the training split where copies are searched
    test: Extracted | None  # the reference, where it is a test split


def select(asked: Sequence[str] | None, known: Iterable[str]) -> list[str]:
    """The requested metrics, by the name of a metric or of a figure; by default all but ppl.

    Raises RequestError for one that is unknown, or that cannot be measured here.
    """
    if asked is None:
        return [name for name in NEEDS if name in known and name != "ppl"]
    chosen = []
    for name in asked:
        metric = MEMBERS.get(name, name)
        if metric not in NEEDS:
            raise unknown("metric", name, [*NEEDS, *MEMBERS], field="metrics")
        if metric not in known:
            raise RequestError(f"{name!r} needs {NEEDS[metric]}", "leave it out", field="metrics")
        chosen.append(metric)
    return list(dict.fromkeys(chosen))


def add_classifier(
    networks: Networks, dataset: Dataset, device: str, asked: Sequence[str] | None
) -> tuple[Networks, list[str]]:
    """The networks with a classifier of the data; a warning where its weights are missing and no metric was named."""
    try:
        classifier = open_classifier(networks, dataset, device)
    except RequestError as error:
        if asked is not None:
            raise
        return networks, [f"The classes of the samples are not counted: {error}."]
    return networks._replace(classifier=classifier, scorer=networks.scorer or classifier), []


def extract_all(real: Real, source: Source, networks: Networks, count: int, whole: bool) -> Steps[Sets]:
    """Extract the samples, and as many real items as they are compared with; `whole`: all training items."""
    half = 0 if real.test else min(len(real.train) // 2, REFERENCE)
    items = source.draw(max(0, min(count, len(real.train) - half)))
    reference = real.test.at(slice(REFERENCE)) if real.test else real.train.at(slice(half))
    if min(len(items), len(reference)) < LEAST:
        raise RequestError(
            f"{len(items)} samples and {len(reference)} real items are too few to measure",
            f"give at least {LEAST} of each ({2 * LEAST} real items where there is no test split)",
            field="samples" if count < LEAST else "data" if len(reference) < LEAST else "source",
        )
    near = half + len(items)
    samples = yield from extract(items, networks, "samples")
    seen = yield from extract(real.train.at(slice(near)), networks, "real items")
    train = seen
    if whole and near < len(real.train):
        bare = networks._replace(classifier=None, scorer=None)
        rest = yield from extract(real.train.at(slice(near, None)), bare, "the training set")
        pixels = None if seen.pixels is None or rest.pixels is None else torch.cat([seen.pixels, rest.pixels])
        train = Extracted(real.train, torch.cat([seen.features, rest.features]), pixels=pixels)
    test = (yield from extract(reference, networks, real.tested_by)) if real.test else None
    return Sets(samples, test or seen.at(slice(half)), seen.at(slice(half, near)), train, test)


def describe(
    real: Real, source: Source, networks: Networks, sets: Sets, metrics: Mapping[str, Metric], seed: int, device: str
) -> dict[str, Any]:
    """The protocol: how the figures were measured, one entry a fact."""
    tested, rows = sets.test is not None, sets.samples.items.rows
    facts = dict(source.facts)
    if source.generated:
        facts["latent_seeds"] = f"{rows[0]}-{rows[-1]}"
        facts["sample_labels"] = "the classes in turn" if sets.samples.items.labels is not None else "none"
    facts |= {
        **{f"data_{name}": value for name, value in real.facts.items()},
        "reference": real.tested_by if tested else "a random half of the training split",
        "held_out": "the training split" if tested else "the other half of the training split",
        "samples": len(sets.samples),
        "reference_count": len(sets.reference),
        "held_out_count": len(sets.held_out),
        "features": networks.extractor.name,
        "features_hash": networks.extractor.hash,
        "features_dim": networks.extractor.dim,
        "resize": networks.extractor.resize,
    }
    if alpha.has_alpha(real.dataset.shape):
        facts["transparency"] = networks.extractor.transparency
    if source.generated and len(real.dataset.shape) == 3:
        facts["values"] = "generated images are rounded to 8 bits"
    if networks.classifier:
        facts |= {"classifier": networks.classifier.name, "classifier_hash": networks.classifier.hash}
        if sets.reference.items.labels is not None:
            facts["classifier_accuracy"] = accuracy(sets.reference)
    if "ms_ssim" in metrics:
        facts["ms_ssim"] = pairing(sets.samples.items)
    intervals = "; ".join(f"{name}: {metric.interval()}" for name, metric in metrics.items())
    facts["intervals"] = f"95 %, 1.96 standard errors to either side, of shares of items Wilson's; {intervals}"
    return facts | {"seed": seed, "device": device, "ganvas": version("ganvas"), "torch": torch.__version__}


def class_shares(sets: Sets, class_names: Sequence[str]) -> dict[str, dict[str, float]]:
    """The share of each class among the samples and the reference, as the classifier sees them; of MANY at most."""
    found: dict[str, dict[str, float]] = {}
    for name, extracted in (("samples", sets.samples), ("real", sets.reference)):
        if extracted.predicted is not None and len(class_names) <= MANY:
            counts = torch.bincount(extracted.predicted, minlength=len(class_names)).double() / len(extracted)
            found[name] = dict(zip(class_names, counts.tolist(), strict=True))
    return found
