"""`ganvas directions --method attribute`: whose word is taken, and how well each direction does what it says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from .. import attributes, latent
from ..attributes.finding import Chosen, named
from ..attributes.judges import LABEL, parse_words
from ..attributes.labeller import STEPS
from ..attributes.table import directions
from ..data import open_data
from ..errors import RequestError
from ..evaluation.sources import trained_on
from ..frozen import Classifier, TrainedGenerator, load_classifier
from .finding import open_clip
from .latents import writing
from .tables import show
from .watching import watched

FIRST, HELD_OUT = 10**6, 4 * 10**6  # seeds of what is learnt from and of what is measured on
KEPT_BACK = 5  # of a table's rows one in so many is not learnt from
SHARE = 0.1  # of a data set without a test split that labellers are measured on


@dataclass(frozen=True)
class Judged:
    """What the command line says of who tells what pictures show."""

    labels: Path | None = None
    data: str | None = None
    words: list[str] = field(default_factory=list)
    clip: Path | None = None
    template: str = "a photo of a {label}"
    classifier: Path | None = None
    labeller: Path | None = None
    held_out: int = 500
    steer: bool = True

    def check(self, method: str) -> None:
        """Raise RequestError where an option would do nothing: without its method, or beside another that leads."""
        asked = {"--labels": self.labels, "--words": self.words, "--classifier": self.classifier}
        asked |= {"--data": self.data} if self.data else {"--labeller": self.labeller}
        given = [name for name, value in asked.items() if value]
        if given and method != "attribute":
            raise RequestError(f"{given[0]} tells attributes, and --method {method} asks for none; use attribute")
        if len(given) > 1:
            raise RequestError(f"{' and '.join(given)}: one alone can tell what pictures show; leave the other out")
        if self.clip and not self.words:
            raise RequestError(f"--clip {self.clip} judges by words; name some, such as --words color=red,blue")


def open_judge(run: Path, generator: TrainedGenerator, judged: Judged) -> attributes.Judge:
    """Words, a classifier, a labeller that was kept, or one that is taught now on the data's real pictures."""
    device = str(generator.device)
    if judged.words:
        if LABEL not in judged.template:
            raise RequestError(
                f"--template {judged.template!r} has no place for the word; write 'a photo of a {LABEL}'"
            )
        words = parse_words(judged.words)
        return attributes.Words(open_clip(judged.clip), words, judged.template)
    if judged.classifier is not None:
        return attributes.Classes(fitting(load_classifier(judged.classifier, device), generator, judged.classifier))
    if judged.labeller is not None and judged.labeller.exists():
        kept = fitting(load_classifier(judged.labeller, device), generator, judged.labeller)
        return attributes.Labeller(kept) if "heads" in kept.facts else attributes.Classes(kept)
    training = trained_on(run)
    spec = judged.data or (training.data if training else None)
    if spec is None:
        raise RequestError("who tells what pictures show? give --data, --labels, --words or --classifier")
    shape = generator.decoder.shape
    data = open_data(spec, size=shape[-1], channels=shape[0], hold_out=SHARE)
    labeller = attributes.learn(data, watch=lambda steps: watched(steps, STEPS, "learning to label"))
    right = ", ".join(f"{name} {share:.1%}" for name, share in labeller.classifier.facts.get("accuracy", {}).items())
    print(f"a labeller of {data.name}, taught on {len(data):,} real pictures, is right on held-out ones: {right}")
    if judged.labeller is not None:
        with writing(judged.labeller):
            labeller.classifier.write(judged.labeller)
    labeller.classifier.network.to(generator.device)
    return labeller


def fitting(classifier: Classifier, generator: TrainedGenerator, path: Path) -> Classifier:
    """The classifier, where it takes what the generator draws; a RequestError where it does not."""
    if classifier.shape != generator.decoder.shape:
        raise RequestError(
            f"{path} classifies images of shape {classifier.shape} and this generator draws "
            f"{generator.decoder.shape}; train one on the generator's own data"
        )
    return classifier


def from_judge(
    run: Path, generator: TrainedGenerator, judged: Judged, samples: int, label: str | None
) -> latent.Directions:
    """A direction to each value of each attribute; prints what a step along each does to held-out samples."""
    if judged.held_out < 10 or samples < 100:
        raise RequestError(f"--samples {samples}, --held-out {judged.held_out}: give 100 and 10 or more")
    judge = open_judge(run, generator, judged)
    learnt = attributes.sampled(generator, judge, range(FIRST, FIRST + samples), label)
    held_out = attributes.sampled(generator, judge, range(HELD_OUT, HELD_OUT + judged.held_out), label)
    chosen = attributes.find(
        generator,
        judge,
        learnt,
        held_out,
        steer=judged.steer,
        watch=lambda found: watched(found, len(found), "finding directions"),
    )
    names = list(named(judge, [one.found for one in chosen]))
    table = [row(name, one) for name, one in zip(names, chosen, strict=True)]
    show(table, ("direction", "step", "changes", "leaks at most", "a unit step", "way", "boundary"))
    return latent.Directions(torch.stack([one.found.vector for one in chosen]), tuple(names), told(chosen))


def row(name: str, one: Chosen) -> tuple[str, ...]:
    """A line of the table."""
    effect, worst = one.effect, max(one.effect.leaked.items(), key=lambda pair: pair[1], default=("", 0.0))
    leaks = f"{worst[1]:.0%} ({worst[0]})" if worst[0] else "-"
    per = f"{effect.gained:+.2f}, {effect.leakage / one.strength:.2f}"
    return name, f"{one.strength:g}", f"{effect.changed:.0%}", leaks, per, one.found.way, f"{one.accuracy:.0%}"


def told(chosen: Sequence[Chosen]) -> dict[str, np.ndarray]:
    """What was measured, for the file."""
    return {
        "strength": np.array([one.strength for one in chosen]),
        "changed": np.array([one.effect.changed for one in chosen]),
        "leakage": np.array([one.effect.leakage for one in chosen]),
        "gained": np.array([one.effect.gained for one in chosen]),
        "accuracy": np.array([one.accuracy for one in chosen]),
        "samples": np.array([one.effect.samples for one in chosen]),
    }


def from_table(generator: TrainedGenerator, file: Path) -> latent.Directions:
    """A direction to each value of each column of a CSV, conditioned on the other columns'; prints how well each tells.

    One row in KEPT_BACK is not learnt from. Without a judge of pictures there is no telling what a step changes.
    """
    seeds, columns = attributes.read_labels(file)
    z = generator.latents(seeds)
    vectors, names, right = directions(z, columns, KEPT_BACK)
    of = f"told rightly, of one row in {KEPT_BACK} that was not learnt from"
    show([(name, f"{share:.0%}") for name, share in zip(names, right, strict=True)], ("direction", of))
    return latent.Directions(vectors, tuple(names), {"accuracy": np.array(right)})
