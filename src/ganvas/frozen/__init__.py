"""Trained networks: each is one safetensors file, which loads without anything that trains.

The metadata of its header hold one JSON object, `ganvas`: the layout's version, the names of the classes, other facts,
and under the kind (`generator`, `classifier`, …) the spec that rebuilds the network.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from .. import files
from ..errors import RequestError
from ..plan import choose
from . import autoencoder, classifier, clip, generator, openvino, tfjs
from .autoencoder import Autoencoder, copy_autoencoder
from .classifier import Classifier, copy_classifier
from .clip import Clip, TextInput, copy_clip
from .file import FIX, NetworkFile, read, write
from .generator import TrainedGenerator, copy_generator
from .towers import Sentences

__all__ = ["KINDS", "Autoencoder", "Classifier", "Clip", "Network", "Sentences", "TextInput", "TrainedGenerator"]
__all__ += ["copy_autoencoder", "copy_classifier", "copy_clip", "copy_generator", "load", "load_autoencoder"]
__all__ += ["load_classifier", "load_clip", "load_generator", "write"]

GIVE = "give a run directory or a .safetensors file"
PICKLES = (".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".bin")
Network = TrainedGenerator | Classifier | Autoencoder | Clip
Kind = TypeVar("Kind", bound=Network)

# The kind of a network -> what makes it of its file, which is one of files.NETWORKS in a run directory.
KINDS: dict[str, Callable[[NetworkFile, str], Network]] = {
    "generator": generator.of_file,
    "classifier": classifier.of_file,
    "autoencoder": autoencoder.of_file,
    "clip": clip.of_file,
}
DOES: dict[type[Network], tuple[str, str]] = {  # what it is, and what it does
    TrainedGenerator: ("a generator", "draws"),
    Classifier: ("a classifier", "names classes"),
    Autoencoder: ("an autoencoder", "encodes and decodes"),
    Clip: ("a CLIP", "matches pictures and words"),
}


def load(path: str | Path, device: str = "auto") -> Network:
    """The network of a file, or of a run directory: there the first of files.NETWORKS.

    Published networks too: files of OpenAI's CLIP (`frozen.openai`) and VQGAN (`frozen.compvis`), folders of a ProGAN
    of TensorFlow.js (`frozen.tfjs`) and of OpenVINO's MobileStyleGAN (`frozen.openvino`). Raises RequestError where
    there is none, where the file is damaged, or where it is a pickle: reading a pickle can run code, so pickles are
    read as weights alone.
    """
    path, device = Path(path), choose(device, "fp32").device
    inside = [path / name for name in files.NETWORKS]
    file = next((file for file in inside if file.is_file()), inside[0]) if path.is_dir() else path
    if path.is_dir() and not file.is_file():
        for pattern, read_folder in FOLDERS.items():
            if any(path.glob(pattern)):
                return read_folder(path, device)
    if file.suffix.lower() in (".pt", ".pth", ".bin", ".ckpt") and file.is_file():
        return _foreign(file, device)
    if file.suffix.lower() in PICKLES:
        raise RequestError(f"{file} is a pickle, and reading one can run code", GIVE)
    if not file.is_file():
        kind, fix = ("trained network", "train it for at least one checkpoint") if path.is_dir() else ("file", GIVE)
        raise RequestError(f"there is no {kind} at {path}", fix)
    content = read(file)
    kind = next((kind for kind in KINDS if kind in content.header), None)
    if kind is None:
        raise RequestError(f"{file} holds no network that this version knows", "update ganvas to read it")
    with files.reading(file, FIX):
        return KINDS[kind](content, device)


def _foreign(path: Path, device: str) -> Network:
    """The network of a file in another format, read as weights alone."""
    from . import compvis, foreign, openai  # rarely needed

    try:
        loaded = compvis.load(path, device) or openai.load(path, device)
    except foreign.Unreadable as error:
        raise RequestError(
            f"{path} is a pickle, and reading one can run code; as weights alone it cannot be read ({error})", GIVE
        ) from error
    if loaded is None:
        raise RequestError(
            f"{path} holds weights of a network that ganvas does not know", "give weights of a CLIP or a VQGAN"
        )
    return loaded


# A file in a folder of another format -> what reads the folder.
FOLDERS: dict[str, Callable[[Path, str], Network]] = {
    **dict.fromkeys(("config.json", "*.ckpt", "ckpts/*.ckpt", "checkpoints/*.ckpt"), _foreign),
    tfjs.GRAPH: tfjs.load,
    openvino.SYNTHESIS: openvino.load,
}


def load_generator(path: str | Path, device: str = "cpu") -> TrainedGenerator:
    """The generator of a run directory or file; of an autoencoder, its decoder.

    Raises RequestError for what `load` refuses, and for other networks.
    """
    loaded = load(path, device)
    return loaded.as_generator() if isinstance(loaded, Autoencoder) else _of_kind(path, loaded, TrainedGenerator)


def load_classifier(path: str | Path, device: str = "cpu") -> Classifier:
    """The classifier of a run directory or file; a RequestError for what `load` refuses, and for other networks."""
    return _load_kind(path, device, Classifier)


def load_autoencoder(path: str | Path, device: str = "cpu") -> Autoencoder:
    """The autoencoder of a run directory or file; a RequestError for what `load` refuses, and for other networks."""
    inside = Path(path) / files.AUTOENCODER
    return _load_kind(inside if inside.is_file() else path, device, Autoencoder)


def load_clip(path: str | Path, device: str = "cpu") -> Clip:
    """The image and text towers of a run directory or file; a RequestError for what `load` refuses, and for others."""
    inside = Path(path) / files.CLIP
    return _load_kind(inside if inside.is_file() else path, device, Clip)


def _load_kind(path: str | Path, device: str, wanted: type[Kind]) -> Kind:
    return _of_kind(path, load(path, device), wanted)


def _of_kind(path: str | Path, loaded: Network, wanted: type[Kind]) -> Kind:
    if isinstance(loaded, wanted):
        return loaded
    asked, found = DOES[wanted][0], DOES[type(loaded)]
    raise RequestError(f"{path} is {found[0]}, which {found[1]}", f"give {asked}, or the run of one")
