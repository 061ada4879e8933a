"""Feature spaces by name, for the metrics and the monitor.

What opens a network raises RequestError, which says how to get them, where its weights are not on this machine.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from ..data import Dataset
from ..errors import RequestError, unknown
from ..frozen import load_classifier, weights
from . import fitted, inception, lpips
from .extractor import Extractor, embed, embed_batches
from .tower import tower_extractor

# The networks of the literature: name -> the extractor on a device ("cpu", "cuda", "mps").
FEATURES: dict[str, Callable[[str], Extractor]] = {
    "inception": inception.extractor,
    "lpips": partial(lpips.extractor, "vgg"),
    "lpips-alex": partial(lpips.extractor, "alex"),
    "clip": partial(tower_extractor, "clip"),
    "dino": partial(tower_extractor, "dino"),
}
# Features without weights, which depend on the shape of the items.
PLAIN: dict[str, Callable[[Dataset, str], Extractor]] = {"pixels": fitted.pixels, "points": fitted.points}

__all__ = ["FEATURES", "Extractor", "embed", "embed_batches", "open_features"]


def open_features(name: str | Path = "auto", *, dataset: Dataset | None = None, device: str = "cpu") -> Extractor:
    """The features of this name for the items of `dataset`, on `device`.

    name: "auto" is the classifier that was trained on the data set of that name, for images of that shape, or else
        "pixels", and for points "points"; "cnn-DATA" is the classifier of DATA; one of FEATURES; or a run directory or
        file of a classifier of your own. Names come before paths: ./cnn-digits is a directory, as any Path is.
    dataset: what "auto", "pixels" and "points" take the shape of the items from.

    Raises RequestError for an unknown name, and features of images where the items are points, or the reverse.
    """
    text = name if isinstance(name, str) else str(name.absolute())
    if dataset is not None:
        if text == "auto":
            return automatic(dataset, device)
        if (text == "points") != (len(dataset.shape) == 1):
            kind, right = ("images", "pixels") if text == "points" else ("points", "points")
            problem = f"{text!r} does not suit {dataset.name}, which holds {kind}"
            raise RequestError(problem, f"choose auto or {right}", field="features")
        if text in PLAIN:
            return PLAIN[text](dataset, device)
    elif text in ("auto", *PLAIN):
        raise RequestError(
            f"{text!r} depends on the items", "give their `dataset`, or name a network", field="features"
        )
    if text in FEATURES:
        return FEATURES[text](device)
    path, file = Path(name).expanduser(), f"{text}.safetensors"
    named = text.startswith("cnn-") and path.name == text
    if named and (weights.locate(file) or not path.exists()):
        data = text.removeprefix("cnn-")
        remedy = f"`ganvas train cnn {data}` makes such a classifier, whose run can be named instead"
        return fitted.of_classifier(load_classifier(weights.find(text, remedy, file), device), text)
    if not path.exists():
        shipped = [file.stem for file in weights.SHIPPED.glob("cnn-*.safetensors")]
        raise unknown("name or file", text, ["auto", *PLAIN, *FEATURES, *shipped], field="features")
    return fitted.of_classifier(load_classifier(path, device), path.name)


def automatic(dataset: Dataset, device: str) -> Extractor:
    """The default features of a data set: those of its classifier where there is one, else the values themselves."""
    if len(dataset.shape) == 1:
        return fitted.points(dataset, device)
    path = weights.locate(f"cnn-{dataset.name}.safetensors")
    if path is not None:
        classifier = load_classifier(path, device)
        if classifier.shape == dataset.shape:
            return fitted.of_classifier(classifier, path.stem)
    return fitted.pixels(dataset, device)
