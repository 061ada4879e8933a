"""The judge of what pictures show: words, a classifier, a saved labeller, or one that is trained now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..data import Dataset, Options, opening
from ..data import Source as Data
from ..errors import RequestError, writing
from ..evaluation.sources import trained_on
from ..frozen import Classifier, TrainedGenerator, load_classifier
from ..frozen.opening import open_clip
from ..progress import Note, Steps
from ..sizes import Size
from .judges import LABEL, Judge, Labeller, Words, parse_words
from .labeller import learn

SHARE = 0.1  # of a data set without a test split, on which labellers are measured


@dataclass(frozen=True)
class Source:
    """The source of attributes: at most one of these, or a labeller with its data."""

    labels: Path | None = None
    data: Data | None = None
    words: Sequence[str] = ()
    clip: object = None
    template: str = "a photo of a {label}"
    classifier: Path | None = None
    labeller: Path | None = None

    def check(self, method: str) -> None:
        """Raise RequestError where an argument would have no effect."""
        asked = {"labels": self.labels, "words": self.words, "classifier": self.classifier}
        asked |= {"labeller": self.labeller} if self.data is None else {"data": True}
        given = [name for name, value in asked.items() if value]
        if given and method != "attribute":
            raise RequestError(f"`method` {method} looks at no attributes", "use attribute", field=given[0])
        if len(given) > 1:
            raise RequestError(f"`{given[0]}` is given too", "leave one of them out", field=given[1])
        if self.clip and not self.words:
            raise RequestError("CLIP judges by words", "name `words`, such as color=red,blue", field="clip")
        if LABEL not in self.template:
            hint = f"write 'a photo of a {LABEL}'"
            raise RequestError(f"{self.template!r} has no place for the word", hint, field="template")


def open_judge(run: Path | None, generator: TrainedGenerator, source: Source) -> Steps[Judge]:
    """Open or train the judge. Raises RequestError where no source was given, or it does not fit the generator."""
    if source.words:
        words = parse_words(source.words)
        return Words(open_clip(source.clip, str(generator.device)), words, source.template)  # type: ignore[arg-type]
    if source.classifier is not None:
        classifier = load_fitting(source.classifier, generator, "classifier")
        return Labeller(classifier, {"class": classifier.class_names})
    if source.labeller is not None and source.labeller.exists():
        saved = load_fitting(source.labeller, generator, "labeller")
        return Labeller(saved, saved.facts.get("heads", {"class": saved.class_names}))
    training = trained_on(run)
    spec = source.data if source.data is not None else training and training.data
    if spec is None:
        raise RequestError("no source of attributes was given", "give `data`, `labels`, `words` or `classifier`")
    shape = generator.decoder.shape
    form = Options(Size(shape[2], shape[1]), shape[0])
    if source.data is None and training and training.note:
        yield Note(training.note)
    data = spec if isinstance(spec, Dataset) else (yield from opening(spec, form, hold_out=SHARE))
    labeller = yield from learn(data)
    right = ", ".join(f"{name} {share:.1%}" for name, share in labeller.classifier.facts.get("accuracy", {}).items())
    yield Note(f"a labeller of {data.name}, trained on {len(data):,} real pictures, is right on held-out ones: {right}")
    if source.labeller is not None:
        with writing(source.labeller):
            labeller.classifier.write(source.labeller)
    labeller.classifier.network.to(generator.device)
    return labeller


def load_fitting(path: Path, generator: TrainedGenerator, field: str) -> Classifier:
    """The classifier of a file; a RequestError, for `field`, where it does not take what the generator draws."""
    classifier = load_classifier(path, str(generator.device))
    if classifier.shape != generator.decoder.shape:
        problem = f"{path} takes images of shape {classifier.shape}, this generator draws {generator.decoder.shape}"
        raise RequestError(problem, "train one on the generator's own data", field=field)
    return classifier
