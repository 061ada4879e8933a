"""Data sets of the Hugging Face hub that are folders of images: `hf:owner/name`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ..errors import RequestError
from ..progress import Progress, Steps
from .dataset import Dataset
from .folder import read_folder
from .options import Wanted


def read_hub(repository: str, wanted: Wanted) -> Steps[Dataset]:
    """The pictures of a data set on the hub, downloaded where the hub's own cache lacks it."""
    if repository.count("/") != 1:
        raise RequestError(f"'hf:{repository}' names no data set; write hf:owner/name")
    try:
        from huggingface_hub import snapshot_download  # pyright: ignore[reportMissingImports]
    except ModuleNotFoundError as error:
        raise RequestError(f"'hf:{repository}' needs huggingface_hub; pip install 'ganvas[hub]'") from error
    yield Progress("downloading", text=repository)
    try:
        path = Path(snapshot_download(repository, repo_type="dataset"))
    except (OSError, ValueError) as error:
        raise RequestError(f"'hf:{repository}' cannot be had from the hub: {error}") from error
    try:
        dataset = yield from read_folder(path, wanted)
        return replace(dataset, name=repository)
    except RequestError as error:
        raise RequestError(
            f"'hf:{repository}' is no folder of images, all that is read from the hub: {error}"
        ) from error
