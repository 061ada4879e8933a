"""How good samples are: figures with their intervals, with what perfect looks like, and with how they were measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor

from .. import files, media
from ..data import Dataset
from ..errors import RequestError
from ..frozen import TrainedGenerator
from ..plan import choose
from . import copies, judging, words
from .figures import Figure, available, figure, measure, path_length
from .sources import Watch, drawn, lying, open_generator, open_real, trained_on, unwatched
from .views import only_for, open_eyes

__all__ = ["Evaluation", "Figure", "Watch", "evaluate"]


@dataclass(frozen=True)
class Evaluation:
    """The outcome of `evaluate`."""

    figures: dict[str, Figure]
    protocol: dict[str, Any]  # JSON-able: what was measured, how, and with what
    warnings: tuple[str, ...] = ()  # sentences: why the figures may be less than they seem
    findings: tuple[str, ...] = ()  # sentences: whether the samples are varied, and whether they are copies
    shares: dict[str, dict[str, float]] = field(default_factory=dict)  # "samples", "real" -> class -> its share
    neighbours: Image.Image | None = None  # the samples nearest to training images, beside those

    def to_json(self) -> dict[str, Any]:
        """Everything but the picture."""
        return {
            "figures": {name: figure._asdict() for name, figure in self.figures.items()},
            "protocol": self.protocol,
            "warnings": list(self.warnings),
            "findings": list(self.findings),
            "shares": self.shares,
        }

    def write(self, path: Path) -> None:
        """Write the JSON to `path`, and `neighbours.png` beside it. Raises OSError where that fails."""
        files.write_json(path, self.to_json())
        if self.neighbours is not None:
            media.save_png(self.neighbours, path.with_name(files.NEIGHBOURS))


def evaluate(
    source: str | Path | TrainedGenerator | Dataset | Tensor,
    data: str | Dataset | None = None,
    *,
    metrics: Sequence[str] | None = None,
    features: str | Path = "auto",
    samples: int = 10_000,
    seed: int = 0,
    device: str = "auto",
    track: Watch = unwatched,
) -> Evaluation:
    """Measure how good samples are, beside held-out real items that are measured alike.

    source: a run directory or its checkpoints/best, the file of a trained generator, or samples: what `open_data`
        opens, a data set, or a tensor, images (N, C, H, W) in [-1, 1] or points (N, D).
    data: what they should be like, a data set or what `open_data` opens; for a run by default what it was trained on.
        They are compared with its test split, or what the run held out, or else with half of its items.
    metrics: of fid, kid, is, pr (precision, recall), dc (density, coverage), diversity, ms_ssim, modes, accuracy,
        curve, copies, ppl. By default all that suit the data but ppl, which needs the weights of LPIPS.
    features: what `open_features` opens: "auto", "pixels", "inception", the run of a classifier, ...
    samples: how many to measure, at most; never more than there are held-out real items, so that the two compare.
    seed: of the samples drawn and of every random choice.
    track: wraps the batches of a pass over items, with words on what is done; `rich.progress.track` will do.

    Raises RequestError where the request is wrong, WorkError where samples are not finite or a run's record is damaged.
    """
    where = choose(device, "fp32").device
    training, generator = trained_on(source), open_generator(source, where)
    spec = data if data is not None else training and training.data
    if spec is None:
        raise RequestError("there is nothing to compare the samples with; name the data (--data)")
    shape = None if generator is None else generator.decoder.shape
    real = open_real(spec, training, shape, seed, track)
    judged = lying(source, real.dataset, seed, track) if generator is None else drawn(generator, source, seed)
    eyes, warnings = judging.tell_classes(open_eyes(real.dataset, features, where), real.dataset, where, metrics)
    known = available(real.dataset, eyes, seed, judged.draw(1).labels is not None)
    chosen = judging.select(metrics, [*known, "copies", *(["ppl"] if shape and len(shape) == 3 else [])])
    eyes = only_for(eyes, chosen)
    sides = judging.look_around(real, judged, eyes, samples, "copies" in chosen, track)

    measured = {name: known[name] for name in chosen if name in known}
    told = judging.protocol(real, judged, eyes, sides, measured, seed, where)
    figures: dict[str, Figure] = {}
    for metric in track(list(measured.values()), "measuring"):
        figures |= measure(metric, sides.reference, sides.samples, sides.held_out, seed)
    if "ppl" in chosen and generator is not None:
        figures["ppl"], told["ppl"] = path_length(generator, seed)
    findings, picture = words.variety(figures), None
    if "copies" in chosen:
        found = copies.find_copies(sides.train, sides.samples, sides.test)
        figures["copies"] = figure("copies", found.share, 0.0, found.floor, len(found.near))
        told["copies"] = found.told(len(sides.train), eyes.extractor.name)
        findings.append(words.memory(found, len(sides.train), sides.test is not None))
        picture = copies.picture(found, sides.train) if len(real.dataset.shape) == 3 else None
    warnings += words.warn(real, training, judged, sides.reference, sides.samples)
    shares = judging.class_shares(sides, real.dataset.class_names)
    return Evaluation(figures, told, tuple(warnings), tuple(findings), shares, picture)
