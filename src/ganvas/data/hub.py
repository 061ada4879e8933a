"""Data sets of the Hugging Face hub that are folders of images: `hf:owner/name`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ..errors import RequestError
from ..progress import Progress, Steps
from .dataset import Dataset
from .folder import read_folder
from .options import DataError, NoSplit, Options, blaming


def read_hub(repository: str, options: Options) -> Steps[Dataset]:
    """The pictures of a data set on the hub, downloaded unless the hub's own cache has them."""
    if repository.count("/") != 1:
        raise DataError(f"'hf:{repository}' is not a name on the hub", "write hf:owner/name")
    try:
        from huggingface_hub import snapshot_download  # pyright: ignore[reportMissingImports]
    except ModuleNotFoundError as error:
        raise DataError(f"'hf:{repository}' needs huggingface_hub", "pip install 'ganvas[hub]'") from error
    yield Progress("downloading", text=repository)
    with blaming(f"'hf:{repository}' cannot be downloaded from the hub", kinds=(OSError, ValueError)):
        path = Path(snapshot_download(repository, repo_type="dataset"))
    try:
        dataset = yield from read_folder(path, options)
    except NoSplit:
        raise
    except RequestError as error:
        problem = f"'hf:{repository}' cannot be read ({error.problem})"
        raise DataError(problem, "choose one that is a folder of images") from error
    return replace(dataset, name=repository)
