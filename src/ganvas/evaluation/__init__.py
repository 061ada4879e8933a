"""How good samples are: figures with their intervals, the same figures of real items, and the protocol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

from PIL import Image
from torch import Tensor

from .. import files, media
from ..data import Dataset
from ..data import Source as Data
from ..errors import RequestError, writing
from ..frozen import TrainedGenerator
from ..plan import choose
from ..progress import Note, Progress, Steps, drained
from ..shown import table_html, text_html
from . import copies, findings, protocol
from .extraction import needed_for, open_networks
from .figures import Figure, available, figure, measure, path_length
from .sources import generated_items, open_generator, opening_items, opening_real, trained_on

ARROWS = {"lower": "↓", "higher": "↑", "": ""}  # where good figures go

__all__ = ["Evaluation", "Figure", "evaluate", "evaluating"]


@dataclass(frozen=True)
class Evaluation:
    """The result of `evaluate`."""

    figures: dict[str, Figure]
    protocol: dict[str, Any]  # JSON-able: what was measured, how, and with what
    warnings: tuple[str, ...] = ()  # sentences: why the figures may mean less than they seem to
    findings: tuple[str, ...] = ()  # sentences: whether the samples are varied, and whether they are copies
    shares: dict[str, dict[str, float]] = field(default_factory=dict)  # "samples", "real" -> class -> its share
    neighbours: Image.Image | None = None  # the samples nearest to training images, next to those

    header: ClassVar[tuple[str, ...]] = ("", "value", "95 %", "real", "meaning")

    @property
    def table(self) -> list[tuple[str, ...]]:
        """A row a figure, under the header."""
        rows = []
        for name, one in self.figures.items():
            interval = f"{one.low:.4g} to {one.high:.4g}"
            floor = "" if one.floor is None else f"{one.floor:.4g}"
            rows.append((f"{name} {ARROWS[one.better]}", f"{one.value:.4g}", interval, floor, one.meaning))
        return rows

    @property
    def sentences(self) -> list[str]:
        """The findings, then the warnings."""
        return [*self.findings, *(f"Warning: {warning}" for warning in self.warnings)]

    def _repr_html_(self) -> str:
        return table_html(self.header, self.table) + text_html(self.sentences)

    def to_json(self) -> dict[str, Any]:
        """Everything but the picture."""
        return {
            "figures": {name: figure._asdict() for name, figure in self.figures.items()},
            "protocol": self.protocol,
            "warnings": list(self.warnings),
            "findings": list(self.findings),
            "shares": self.shares,
        }

    def save(self, out: str | Path) -> None:
        """Write the JSON to `out`, and `neighbours.png` next to it. WorkError where that fails."""
        with writing(out):
            files.write_json(Path(out), self.to_json())
            if self.neighbours is not None:
                media.save_png(self.neighbours, Path(out).with_name(files.NEIGHBOURS))


def evaluating(
    source: str | Path | TrainedGenerator | Dataset | Tensor,
    data: Data | None = None,
    *,
    metrics: Sequence[str] | None = None,
    features: str | Path = "auto",
    samples: int = 10_000,
    seed: int = 0,
    device: str = "auto",
) -> Steps[Evaluation]:
    """Measure how good samples are, and held-out real items in the same way.

    source: a run directory or its checkpoints/best, the file of a trained generator, or samples: what `open_data`
        opens, a data set, or a tensor, images (N, C, H, W) in [-1, 1] or points (N, D).
    data: what they should be like, a data set or what `open_data` opens; for a run by default what it was trained on.
        They are compared with its test split, or what the run held out, or else with half of its items.
    metrics: of fid, kid, is, pr (precision, recall), dc (density, coverage), diversity, ms_ssim, modes, accuracy,
        curve, copies, ppl. By default all that suit the data but ppl, which needs the weights of LPIPS.
    features: what `open_features` opens: "auto", "pixels", "inception", the run of a classifier, ...
    samples: how many to measure, at most; never more than there are held-out real items, so that the two compare.
    seed: of the samples drawn and of every random choice.

    Raises RequestError where the request is wrong or a run's record is damaged, WorkError where samples are not finite.
    """
    where = choose(device, "fp32").device
    training, generator = trained_on(source), open_generator(source, where)
    spec = data if data is not None else training and training.data
    if spec is None:
        raise RequestError("there is nothing to compare the samples with", "name the data set", field="data")
    if data is None and training and training.note:
        yield Note(training.note)
    shape = None if generator is None else generator.decoder.shape
    real = yield from opening_real(spec, training, shape, seed)
    if generator is None:
        sampled = yield from opening_items(source, real.dataset, seed)
    else:
        sampled = generated_items(generator, source, seed)
    networks = open_networks(real.dataset, features, where)
    networks, warnings = protocol.add_classifier(networks, real.dataset, where, metrics)
    known = available(real.dataset, networks, seed, sampled.draw(1).labels is not None)
    chosen = protocol.select(metrics, [*known, "copies", *(["ppl"] if shape and len(shape) == 3 else [])])
    networks = needed_for(chosen, networks)
    sets = yield from protocol.extract_all(real, sampled, networks, samples, "copies" in chosen)

    measured = {name: known[name] for name in chosen if name in known}
    facts = protocol.describe(real, sampled, networks, sets, measured, seed, where)
    figures: dict[str, Figure] = {}
    for i, (name, metric) in enumerate(measured.items()):
        yield Progress(f"measuring {name}", i, len(chosen))
        figures |= measure(metric, sets.reference, sets.samples, sets.held_out, seed)
    if "ppl" in chosen and generator is not None:
        yield Progress("measuring ppl", len(measured), len(chosen))
        figures["ppl"], facts["ppl"] = path_length(generator, seed)
    warnings += findings.warn(real, training, sampled, sets.reference, sets.samples, networks.extractor)
    shares = protocol.class_shares(sets, real.dataset.class_names)
    evaluation = Evaluation(figures, facts, tuple(warnings), tuple(findings.variety(figures)), shares)
    if "copies" not in chosen:
        return evaluation
    yield Progress("measuring copies", len(chosen) - 1, len(chosen))
    return with_copies(evaluation, sets, real.dataset, networks.extractor.name)


def with_copies(evaluation: Evaluation, sets: protocol.Sets, dataset: Dataset, extractor: str) -> Evaluation:
    """The evaluation with its share of copies, what that means, and the nearest neighbours."""
    found = copies.find_copies(sets.train, sets.samples, sets.test)
    share = figure("copies", found.share, 0.0, found.floor, len(found.near))
    return replace(
        evaluation,
        figures=evaluation.figures | {"copies": share},
        protocol=evaluation.protocol | {"copies": found.describe(len(sets.train), extractor)},
        findings=(*evaluation.findings, findings.memorisation(found, len(sets.train), sets.test is not None)),
        neighbours=copies.picture(found, sets.train) if len(dataset.shape) == 3 else None,
    )


evaluate = drained(evaluating)
