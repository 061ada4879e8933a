"""The file of a trained network: safetensors, whose header says what it holds and rebuilds it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NotRequired, TypeVar

from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn
from typing_extensions import TypedDict

from .. import files, nets
from ..errors import RequestError
from ..records import Shape, Versioned

VERSION = 1
FIX = "copy it again, or train it again"
Network = TypeVar("Network", bound=nn.Module)


class Options(TypedDict):
    """What every network of images or points has among its options."""

    shape: NotRequired[Shape]


class Spec(TypedDict):
    """What builds a network."""

    net: str
    options: Options


class Header(Versioned):
    """The JSON object `ganvas` of a file's metadata; of the last four there is one."""

    recipe: NotRequired[str]
    class_names: NotRequired[list[str]]
    facts: NotRequired[dict[str, Any]]
    reader: NotRequired[dict[str, Any]]
    eye: NotRequired[dict[str, Any] | None]
    generator: NotRequired[Spec]
    classifier: NotRequired[Spec]
    autoencoder: NotRequired[Spec]
    clip: NotRequired[Spec]


@dataclass(frozen=True)
class NetworkFile:
    """What the file of a network holds."""

    path: Path
    header: dict[str, Any]
    weights: dict[str, Tensor]

    def network(self, kind: str, known: Mapping[str, type[Network]], device: str) -> Network:
        """The network, one of `known`. Raises ValueError where its spec and its weights do not agree."""
        spec = self.header[kind]
        if spec["net"] not in known:
            raise RequestError(
                f"{self.path} holds a {spec['net']!r}, which this version does not know", "update ganvas"
            )
        try:
            return nets.from_spec(spec, self.weights, known).to(device)
        except RequestError as error:  # of options that no caller has given
            raise ValueError(str(error)) from error


def write(path: str | Path, weights: dict[str, Tensor], header: Mapping[str, Any]) -> None:
    """Write the file of a network atomically. Raises OSError where that fails."""
    files.write(Path(path), save(weights, {"ganvas": json.dumps({"version": VERSION, **header})}))


def read(path: Path) -> NetworkFile:
    """The header and the weights of a file; a RequestError where it is damaged, foreign, or of a newer ganvas."""
    with files.reading(path, FIX):
        with safe_open(path, "pt") as content:
            metadata = content.metadata() or {}
            weights = {key: content.get_tensor(key) for key in content.keys()}  # noqa: SIM118 - not a dict
        if "ganvas" not in metadata:
            raise RequestError(f"{path} is not a network of ganvas: its header does not describe one")
        header: dict[str, Any] = json.loads(metadata["ganvas"])
        if (layout := files.checked(header, Versioned)["version"]) > VERSION:
            raise RequestError(f"{path} was written by a newer ganvas (layout {layout})", "update ganvas to read it")
        return NetworkFile(path, dict(files.checked(header, Header)), weights)
