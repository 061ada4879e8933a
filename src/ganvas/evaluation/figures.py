"""Every metric of `evaluate`: what it compares, how its interval is found, and its meaning in a line."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from .. import metrics
from ..data import Dataset, Modes
from ..features import lpips
from ..frozen import TrainedGenerator
from ..frozen.weights import digest
from ..metrics.inputs import at_once
from .extraction import Extracted, Networks
from .sources import Items

NEIGHBOURS = 5000  # items of each side among which nearest neighbours are searched: the cost grows with their square
SUBSET = 1000  # the same in a round of an interval
PAIRS, PICTURED = 1000, 500  # pairs that ms_ssim compares, and the images that they are of, at most;
GROUPS = 16  # of large images as many as are held at one time, so often: 336 of 512 pixels in colour, 80 of 1,024
SPLITS = 10  # of the inception score
Z = 1.96  # standard errors to either side: 95 %

Better = Literal["lower", "higher", ""]
Measure = Callable[[Extracted], tuple[float, ...]]  # of samples, against a reference that it holds


class Figure(NamedTuple):
    """One number, and what is needed to read it."""

    value: float
    low: float  # of the 95 % interval
    high: float
    floor: float | None  # the same of held-out real items: what perfect looks like
    better: Better
    meaning: str


@dataclass(frozen=True)
class Metric:
    """Figures that are measured together.

    `against(reference)` gives the measure of samples. With `rounds` its uncertainty is found by measuring random
    subsets; with none the measure gives one figure and its standard error.
    """

    figures: tuple[str, ...]
    against: Callable[[Extracted], Measure]
    rounds: int = 100
    subset: int | None = None  # items of a round, of the samples and of the reference; None: half of the samples alone
    most: int | None = None  # items of either side
    alone: bool = False  # uses no reference: the reference's items, which no classifier was trained on, give the floor

    def interval(self) -> str:
        """How its intervals are found, in words."""
        if not self.rounds:
            return "its own standard error"
        if self.subset is None:
            return f"{self.rounds} random halves of the samples"
        return f"{self.rounds} random subsets of {self.subset:,} items at most, and never more than half, of both sides"


# figure -> better, the least and the most that it can be, and its meaning.
MEANINGS: dict[str, tuple[Better, float, float, str]] = {
    "fid": ("lower", 0, math.inf, "Fréchet distance of the features' Gaussians"),
    "kid": ("lower", -math.inf, math.inf, "kernel distance of the features; unbiased, so it can dip below 0"),
    "is": ("higher", 1, math.inf, "inception score: clear classes, and all of them"),
    "precision": ("higher", 0, 1, "quality: share of samples that lie among real items"),
    "recall": ("higher", 0, 1, "variety: share of real items that lie among samples"),
    "density": ("higher", 0, math.inf, "quality: how densely samples lie among real items"),
    "coverage": ("higher", 0, 1, "variety: share of real items with a sample nearby"),
    "diversity": ("", 0, math.inf, "variety: distance of two samples, over that of two real items"),
    "ms_ssim": ("lower", 0, 1, "likeness of two samples, to be compared with that of real ones"),
    "ppl": ("lower", 0, math.inf, "perceptual path length: how abruptly pictures change"),
    "modes": ("higher", 0, math.inf, "modes or classes that the samples reach"),
    "high_quality": ("higher", 0, 1, "share of samples within 3σ of a mode"),
    "entropy": ("higher", 0, math.inf, "evenness of the classes, nats"),
    "reverse_kl": ("lower", 0, math.inf, "unevenness over modes or classes, nats; 0 is even"),
    "accuracy": ("higher", 0, 1, "share of samples that show the class they were asked for"),
    "error": ("lower", 0, math.inf, "mean distance from the curve, |y − sin x|"),
    "curve_coverage": ("higher", 0, 1, "share of the curve with a sample above it"),
    "copies": ("lower", 0, 1, "share of samples as near to a training item as 1 % of real ones"),
}
# Of these shares the interval is Wilson's, which has a width at 0 and at 1 too.
OF_SAMPLES: tuple[str, ...] = ("precision", "high_quality", "accuracy", "copies")
OF_REFERENCE: tuple[str, ...] = ("recall", "coverage")


def available(dataset: Dataset, networks: Networks, seed: int, labelled_samples: bool) -> dict[str, Metric]:
    """The metrics that suit a data set and the networks, by the names of a request."""
    found = {
        "fid": Metric(("fid",), frechet, rounds=100 if networks.extractor.dim <= 512 else 20),
        "kid": Metric(("kid",), of_features(partial(metrics.kernel_distance, seed=seed)), rounds=0),
        "pr": Metric(("precision", "recall"), of_features(metrics.precision_recall), 20, SUBSET, NEIGHBOURS),
        "dc": Metric(("density", "coverage"), of_features(metrics.density_coverage), 20, SUBSET, NEIGHBOURS),
        "diversity": Metric(("diversity",), partial(diversity, seed=seed)),
    }
    if len(dataset.shape) == 3:
        found["ms_ssim"] = alone(("ms_ssim",), partial(ms_ssim, seed=seed), rounds=0)
    if networks.scorer:
        found["is"] = alone(("is",), inception)
    if networks.classifier:
        found["modes"] = alone(("modes", "entropy", "reverse_kl"), partial(labelled, classes=dataset.classes))
    if networks.classifier and labelled_samples and dataset.labels is not None:
        found["accuracy"] = alone(("accuracy",), lambda samples: (accuracy(samples),))
    if dataset.modes:
        found["modes"] = alone(("modes", "high_quality", "reverse_kl"), partial(mixture, modes=dataset.modes))
    if dataset.name == "sine":
        found["curve"] = alone(("error", "curve_coverage"), lambda samples: metrics.curve_report(samples.features))
    return found


def of_features(metric: Callable[[Tensor, Tensor], tuple[float, ...]]) -> Callable[[Extracted], Measure]:
    """A metric that takes the features of the reference and of the samples."""
    return lambda reference: lambda samples: metric(reference.features, samples.features)


def alone(figures: tuple[str, ...], measure: Measure, rounds: int = 100) -> Metric:
    """A metric that uses no reference."""
    return Metric(figures, lambda reference: measure, rounds, alone=True)


def measure(
    metric: Metric, reference: Extracted, samples: Extracted, held_out: Extracted, seed: int
) -> dict[str, Figure]:
    """The figures of a metric, each with its interval and its floor."""
    reference, samples, held_out = (items.at(slice(metric.most)) for items in (reference, samples, held_out))
    values_of, perfect = metric.against(reference), held_out
    if metric.alone and (reference.items.labels is not None or held_out.items.labels is None):  # or accuracy has none
        perfect = reference.at(slice(len(held_out)))
    if metric.rounds:
        values, floors = values_of(samples), values_of(perfect)
        errors = standard_errors(metric, reference, samples, seed)
    else:
        (value, error), (floor, _) = values_of(samples), values_of(perfect)
        values, floors, errors = (value,), (floor,), (error,)
    figures = zip(metric.figures, values, errors, floors, strict=True)
    counts = dict.fromkeys(OF_SAMPLES, len(samples)) | dict.fromkeys(OF_REFERENCE, len(reference))
    return {name: figure(name, value, error, floor, counts.get(name)) for name, value, error, floor in figures}


def figure(name: str, value: float, error: float, floor: float | None, count: int | None = None) -> Figure:
    """A figure with the interval that its standard error gives, within what it can be; `count`: a share of so many."""
    better, least, most, meaning = MEANINGS[name]
    low, high = max(least, value - Z * error), min(most, value + Z * error)
    if count is not None:
        low, high = metrics.share_interval(value, count, error, Z)
    return Figure(value, low, high, floor, better, meaning)


def standard_errors(metric: Metric, reference: Extracted, samples: Extracted, seed: int) -> tuple[float, ...]:
    """The standard error of each figure: the delete-d jackknife (Shao & Wu 1989).

    Rounds measure m of the n samples, drawn without replacement; their variance s² makes the figure's s² m/(n − m).
    A bootstrap would repeat samples, which nearest neighbours take for copies.
    """
    generator = torch.Generator().manual_seed(seed)

    def some(items: Extracted) -> Extracted:
        m = min(len(items) // 2, metric.subset or len(items))
        return items.at(torch.randperm(len(items), generator=generator)[:m])

    whole = metric.against(reference)
    rounds = [
        (whole if metric.subset is None else metric.against(some(reference)))(some(samples))
        for _ in range(metric.rounds)
    ]
    n, m = len(samples), len(some(samples))
    return tuple((torch.tensor(rounds, dtype=torch.float64).var(0) * m / (n - m)).sqrt().tolist())


def frechet(reference: Extracted) -> Measure:
    """The Fréchet distance to the reference."""
    real = metrics.Moments.of(reference.features)
    return lambda samples: (metrics.frechet(real, metrics.Moments.of(samples.features)),)


def diversity(reference: Extracted, seed: int) -> Measure:
    """The mean distance of two samples, over that of two real items."""

    def distance(items: Extracted) -> float:
        order = torch.randperm(len(items), generator=torch.Generator().manual_seed(seed))
        a, b = (items.features[rows].double() for rows in order[: len(items) // 2 * 2].chunk(2))
        return (a - b).norm(dim=1).mean().item()

    real = distance(reference)
    return lambda samples: (distance(samples) / real if real else 1.0,)


def ms_ssim(samples: Extracted, seed: int) -> metrics.Estimate:
    """How alike the samples' pictures are, and its standard error."""
    return metrics.ms_ssim_diversity(pictured(samples.items), PAIRS, seed)


def pictured(items: Items) -> Items:
    """The items that pairs of `ms_ssim` are of."""
    return items.at(slice(min(PICTURED, GROUPS * at_once(items.numbers))))


def pairing(items: Items) -> str:
    """The protocol of `ms_ssim`."""
    count, group = len(pictured(items)), at_once(items.numbers)
    close = f", both of the same {group}" if count > group else ""
    return f"at most {PAIRS:,} random pairs of {count:,} samples{close}"


def path_length(generator: TrainedGenerator, seed: int) -> tuple[Figure, str]:
    """The perceptual path length of a generator on its own device, and its protocol.

    Raises RequestError without LPIPS's weights.
    """
    device = str(generator.device)
    network = lpips.load("vgg", device)
    decoder, labels = generator.decoder, torch.arange(generator.classes) if generator.classes else None
    if generator.keywords:  # without any it would draw what it was never trained on
        labels = decoder.get_buffer("prompts")
    decoded = min(generator.batch, at_once(2 * lpips.widest(generator.decoder.shape)))
    found = metrics.path_length(decoder, network.distance, labels=labels, seed=seed, decoded=decoded, device=device)
    facts = f"LPIPS vgg {digest(network.state_dict())}, 1,000 steps of 1e-4 in Z, whole pictures"
    return figure("ppl", *found, floor=None), facts


def inception(samples: Extracted) -> tuple[float]:
    """The inception score."""
    assert samples.logits is not None
    return (metrics.inception_score(samples.logits, max(1, min(SPLITS, len(samples) // 20))).value,)


def labelled(samples: Extracted, classes: int) -> metrics.LabelReport:
    """Classes reached, their entropy, and their divergence from evenness."""
    assert samples.predicted is not None
    return metrics.labelled_modes(samples.predicted, classes)


def accuracy(samples: Extracted) -> float:
    """How often the classifier sees the class that an item has, or that was requested of it."""
    assert samples.predicted is not None and samples.items.labels is not None
    return (samples.predicted == samples.items.labels).double().mean().item()


def mixture(samples: Extracted, modes: Modes) -> tuple[float, ...]:
    """Modes reached, the share of samples that are near one, and how unevenly they are reached."""
    report = metrics.mode_report(samples.features, modes.centres, modes.sigma)
    return report.modes, report.high_quality, report.reverse_kl
