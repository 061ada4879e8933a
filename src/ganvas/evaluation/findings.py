"""What the figures mean, and what limits them, in sentences."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch

from .. import metrics
from ..features import Extractor
from .copies import Copies
from .extraction import Extracted
from .figures import Figure
from .sources import Real, Source, Training

NEIGHBOURS = 3  # of precision and recall
FEW = 1000  # items: with fewer, figures depend on how many there are
HALF = 0.5  # of the variety of real items: less is a collapse
QUARTER = 0.25  # of the coverage of real items, where nothing is known of modes: less is a collapse
LOST = 0.1  # of their recall or coverage: with less, samples of a mode are all alike, however many modes there are
ALMOST = 0.99  # of the modes that real items reach: fewer are missing
SOME, MANY = 3, 10  # times the odds that a real item is as near to the training set as a copy
UNEVEN = 0.05  # of the real items in other classes than an even draw would give


def unseen(extractor: Extractor, shape: tuple[int, ...]) -> list[str]:
    """A warning where the features see only the middle of pictures that are not square."""
    if not extractor.crops or len(shape) != 3 or shape[1] == shape[2]:
        return []
    lost = 1 - min(shape[1:]) / max(shape[1:])
    return [
        f"{extractor.name} sees the central square of each picture: the ends, {lost:.0%} of it, are in no figure; "
        "inception, lpips and pixels see all of it.",
    ]


def warn(
    real: Real,
    training: Training | None,
    source: Source,
    reference: Extracted,
    samples: Extracted,
    extractor: Extractor,
) -> list[str]:
    """Why the figures may mean less than they seem to."""
    found, name, own = [], real.dataset.name, training is not None and training.fingerprint
    if real.test is None:
        seen = ", all of which this run was trained on: the figures of copies would be good" if own else ""
        found.append(
            f"{name} has no test split: samples are compared with a random half of its training split, and the other "
            f"half is the floor{seen if own == real.dataset.fingerprint else ''}."
        )
    if own and own == real.facts.get("test_fingerprint"):
        found.append(
            f"A train/test mix: this run was trained on the items that it is compared with, the test split of {name}."
        )
    elif training and own != real.dataset.fingerprint:
        found.append(f"This run was trained on {training.data}, and is compared with other items, those of {name}.")
    if training and training.changed:
        found.append(f"Until step {training.changed:,} this run learned from other data, which is not compared here.")
    found += [*source.warnings, *unseen(extractor, real.dataset.shape)]
    dim = samples.features.shape[1]
    if min(len(samples), len(reference)) <= dim:
        found.append(
            f"{len(samples):,} samples and {len(reference):,} real items are no more than the {dim:,} features: their "
            "covariances are singular, and a Fréchet distance depends on the counts more than on the samples; read "
            f"kid, or use more than {dim:,} of both."
        )
    elif min(len(samples), len(reference)) < FEW:
        found.append(
            f"{len(samples):,} samples and {len(reference):,} real items are few: compare the figures with the floor, "
            "and with figures of the same counts only."
        )
    if repeated(reference):
        found.append(
            "Most of the real items occur several times: precision, density and coverage then count only samples that "
            "equal one of them, and mean little."
        )
    labels = real.train.labels
    if source.generated and samples.items.labels is not None and labels is not None:
        shares = torch.bincount(labels, minlength=real.dataset.classes) / len(labels)
        if (shares - 1 / len(shares)).clamp(min=0).sum() > UNEVEN:
            found.append("The classes of the data are uneven, and as many samples of each class were requested.")
    return found


def repeated(items: Extracted) -> bool:
    """Whether most items have so many equals that their neighbourhoods, which precision uses, are single points."""
    some = items.features[:FEW]
    return bool((metrics.nearest(some, items.features, NEIGHBOURS + 1)[0][:, -1] == 0).double().mean() > HALF)


def variety(figures: Mapping[str, Figure]) -> list[str]:
    """Whether the samples are as varied as real items: mode collapse in a sentence; none where nothing was measured."""
    facts, signs = [], []
    quality = figures.get("precision") or figures.get("density")
    unlike = quality is None or below_half(quality)
    pictures = figures.get("ms_ssim")  # noise is alike in features, but not as pictures
    alike = pictures is None or pictures.value > (pictures.floor or 0)
    # A classifier takes noise for some few classes.
    guessed = quality is not None and unlike and not (pictures and alike) and "high_quality" not in figures
    if modes := figures.get("modes"):
        facts.append(reached(modes))
        few = few_modes(modes, figures.get("reverse_kl"))
        signs += [few] if few and not guessed else []
    if spread := figures.get("diversity"):
        facts.append(f"two of them are {spread.value:.0%} as far apart as two real items")
        signs += facts[-1:] if below_half(spread) and alike else []
    coverage, recall = figures.get("coverage"), figures.get("recall")
    sparse = coverage is not None and below_half(coverage)
    if coverage:
        facts.append(f"they cover {coverage.value:.0%} of the real items, and other real ones {coverage.floor:.0%}")
        bare = coverage.value < (LOST if modes else QUARTER) * (coverage.floor or 0)
        narrow = bare and (recall is None or below_half(recall)) and not unlike
        signs += facts[-1:] if narrow or (sparse and signs) else []
    if recall and recall.value < LOST * (recall.floor or 0) and not unlike:
        signs.append(f"they recall {recall.value:.1%} of the real items, and other real ones {recall.floor:.0%}")
    if signs:
        return [f"Variety: this is mode collapse: {'; '.join(signs)}."]
    said = f"{'; '.join(facts)}."
    if unlike and (sparse or (modes and below_half(modes))):
        return [f"Variety: cannot be measured, since the samples are unlike the data: {said}"]
    if sparse:
        return [f"Variety: lower than that of real items, but not a mode collapse: {said}"]
    if modes and modes.high < ALMOST * (modes.floor or 0):  # by more than chance
        return [f"Variety: some modes are missing: {said}"]
    return [f"Variety: no sign of mode collapse: {said}"] if facts else []


def reached(modes: Figure) -> str:
    """How many modes the samples reach."""
    return f"they reach {modes.value:,.0f} modes or classes, of {modes.floor:,.0f} that real ones reach"


def few_modes(modes: Figure, reverse_kl: Figure | None) -> str:
    """How the samples keep to less than half of the modes, in words; '' where they do not.

    A reverse KL that is higher by log 2 than that of real items is that of as many with half of the modes missing.
    """
    if below_half(modes):
        return reached(modes)
    lean = 0.0 if reverse_kl is None else reverse_kl.value - (reverse_kl.floor or 0)
    even = (modes.floor or 0) * math.exp(-lean)
    return f"they are spread as unevenly as over {even:.1f} modes or classes" if lean > math.log(2) else ""


def below_half(figure: Figure) -> bool:
    """Whether it is less than half of what real items have."""
    return figure.value < HALF * (figure.floor or 0)


def memorisation(found: Copies, total: int, tested: bool) -> str:
    """Whether the samples look copied from the training set."""
    share = found.share
    fresh = "held-out real items" if tested else "real items, each among the others,"
    fact = (
        f"{share:.1%} of the samples are as near to one of the {total:,} training items as the nearest "
        f"{found.floor:.1%} of {fresh} are"
    )

    def beyond(times: int) -> bool:
        """Whether the odds are higher than so many times those of real items; of equal items they never are."""
        return share * (1 - found.floor) > times * found.floor * (1 - share)

    if beyond(MANY):
        return f"Memorisation: this looks like copying of the training set: {fact}; see the nearest neighbours."
    if beyond(SOME):
        return f"Memorisation: some samples may be copies: {fact}; look at the nearest neighbours."
    return f"Memorisation: no sign of it: {fact}."
