"""Feature spaces by name: what the metrics and the monitor look at items with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..data import Dataset
from ..errors import RequestError, unknown
from ..frozen import load_classifier, weights
from . import clip, dino, fitted, inception, lpips
from .extractor import Extractor, embed, embed_batches

# The networks of the literature: name -> the extractor on a device ("cpu", "cuda", "mps").
FEATURES: dict[str, Callable[[str], Extractor]] = {
    "inception": inception.extractor,
    "lpips": lambda device: lpips.extractor("vgg", device),
    "lpips-alex": lambda device: lpips.extractor("alex", device),
    "clip": clip.extractor,
    "dino": dino.extractor,
}
# What needs no weights, but the shape of the items.
PLAIN: dict[str, Callable[[Dataset, str], Extractor]] = {"pixels": fitted.pixels, "points": fitted.points}

__all__ = ["FEATURES", "Extractor", "embed", "embed_batches", "open_features"]


def open_features(name: str | Path = "auto", *, dataset: Dataset | None = None, device: str = "cpu") -> Extractor:
    """The features of this name for the items of `dataset`, on `device`.

    name: "auto" is the classifier that was trained on the data set of that name, for images of that shape, or else
        "pixels", and for points "points"; "cnn-DATA" is the classifier of DATA; one of FEATURES; or a run directory or
        file of a classifier of your own. A name goes before a path: ./cnn-digits is a directory, as any Path is.
    dataset: what "auto", "pixels" and "points" take the shape of the items from.

    Raises RequestError for a name that is not known, weights that are not on this machine (with how to get them), and
    features of images where the items are points, or the reverse.
    """
    text = name if isinstance(name, str) else str(name.absolute())
    if text == "auto":
        return automatic(needed(dataset, text), device)
    if dataset is not None and (text == "points") != (len(dataset.shape) == 1):
        kind, mend = ("images", "pixels") if text == "points" else ("points", "points")
        raise RequestError(f"features {text!r} do not suit {dataset.name}, which holds {kind}; choose auto or {mend}")
    if text in PLAIN:
        return PLAIN[text](needed(dataset, text), device)
    if text in FEATURES:
        return FEATURES[text](device)
    path, file = Path(name).expanduser(), f"{text}.safetensors"
    named = text.startswith("cnn-") and path.name == text
    if named and (weights.locate(file) or not path.exists()):
        remedy = (
            f"`ganvas train cnn {text.removeprefix('cnn-')}` makes such a classifier, whose run can be named instead"
        )
        return fitted.of_classifier(load_classifier(weights.find(text, remedy, file), device), text)
    if not path.exists():
        shipped = [file.stem for file in weights.SHIPPED.glob("cnn-*.safetensors")]
        raise unknown("features or file", text, ["auto", *PLAIN, *FEATURES, *shipped])
    return fitted.of_classifier(load_classifier(path, device), path.name)


def automatic(dataset: Dataset, device: str) -> Extractor:
    """The best features that there are for a data set without asking for any."""
    if len(dataset.shape) == 1:
        return fitted.points(dataset, device)
    path = weights.locate(f"cnn-{dataset.name}.safetensors")
    if path is not None:
        classifier = load_classifier(path, device)
        if classifier.shape == dataset.shape:
            return fitted.of_classifier(classifier, path.stem)
    return fitted.pixels(dataset, device)


def needed(dataset: Dataset | None, name: str) -> Dataset:
    """The data set, where features cannot be opened without one."""
    if dataset is None:
        raise RequestError(f"features {name!r} depend on the items; give their data set, or name a network")
    return dataset
