"""Data sets of the Hugging Face hub: `hf:owner/name`, `hf:owner/name/config`, `hf:owner/name@split`.

Tables and archives of samples are downloaded split by split, folders of pictures as a whole; all of it into the hub's
own cache, so that an interrupted download resumes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import unquote

from ..errors import RequestError
from ..progress import Progress, Steps
from . import decode
from .dataset import Dataset
from .folder import read_folder
from .options import DataError, NoSplit, Options
from .store import cached
from .tables import SUFFIXES, VERSION, needs_datasets, reading_tables
from .tar import is_tar
from .tree import stamp_of
from .webdataset import reading_archives

URL = re.compile(r"hf://datasets/(?P<repository>[^/]+/[^/@]+)@(?P<revision>[^/]+)/(?P<path>.+)")
EXPORTED = "refs/convert/parquet"  # where the hub keeps data sets as Parquet that are published as a script


class Address(NamedTuple):
    """What a spec names."""

    repository: str
    config: str
    split: str

    @classmethod
    def of(cls, spec: str) -> Address:
        """From `owner/name[/config][@split]`."""
        path, _, split = spec.partition("@")
        names = path.split("/")
        if len(names) not in (2, 3) or not all(names):
            raise DataError(f"'hf:{spec}' is not a name on the hub", "write hf:owner/name, or hf:owner/name@split")
        return cls("/".join(names[:2]), "".join(names[2:]), split)


def read_hub(spec: str, options: Options) -> Steps[Dataset]:
    """The pictures of a data set on the hub. What is in the hub's cache is not downloaded again."""
    address, place = Address.of(spec), f"hf:{spec}"
    needs_datasets(place)
    yield Progress("asking the hub", text=address.repository)
    with _explaining(place):
        builder = _builder(address)
        splits: dict[str, list[str]] = {str(name): list(found) for name, found in builder.config.data_files.items()}
    if address.split and address.split not in splits:
        raise DataError(f"{place} has no split {address.split!r}", f"choose from {', '.join(splits)}")
    name, urls = address.repository.rpartition("/")[2], [url for found in splits.values() for url in found]
    if all(url.lower().endswith(SUFFIXES) for url in urls):
        features = dict(builder.info.features or {})
        steps = reading_tables(splits, features, place, name, options, address.split, downloading)
    elif all(is_tar(Path(url)) for url in urls):
        steps = reading_archives(splits, place, name, options, address.split, downloading)
    else:
        return (yield from _read_folder(address, place, options))
    content = stamp_of([(address.split,), *((split, *found) for split, found in splits.items())])  # urls name a commit
    key = f"{name}-hub{VERSION}-{content}-{options.key}"
    dataset = yield from cached(key, steps)
    return replace(dataset, name=address.repository, origin=replace(dataset.origin, place=place))


def _builder(address: Address) -> Any:
    import datasets

    try:
        return datasets.load_dataset_builder(address.repository, address.config or None)
    except RuntimeError as error:
        if "scripts are no longer supported" not in str(error):
            raise
    return datasets.load_dataset_builder(address.repository, address.config or None, revision=EXPORTED)


def downloading(urls: list[str]) -> Steps[list[Path]]:
    """Files of the hub, by their addresses, in its cache on this machine."""
    from huggingface_hub import hf_hub_download  # pyright: ignore[reportMissingImports]

    paths: list[Path] = []
    for done, url in enumerate(urls):
        found = URL.fullmatch(url)
        if found is None:
            raise DataError(f"{url} is not a file of the hub", "give hf:owner/name")
        repository, revision, path = found["repository"], unquote(found["revision"]), unquote(found["path"])
        yield Progress("downloading", done, len(urls), PurePosixPath(path).name)
        with _explaining(f"hf:{repository}"), _without_bars():
            paths.append(Path(hf_hub_download(repository, path, repo_type="dataset", revision=revision)))
    return paths


def _read_folder(address: Address, place: str, options: Options) -> Steps[Dataset]:
    """A repository that is a folder of pictures, downloaded as a whole."""
    from huggingface_hub import HfApi, snapshot_download  # pyright: ignore[reportMissingImports]

    with _explaining(place), _without_bars():
        files = HfApi().list_repo_files(address.repository, repo_type="dataset")
        pictures = sum(file.lower().endswith(decode.SUFFIXES) for file in files)
        if not pictures:
            kinds = ", ".join(sorted({PurePosixPath(file).suffix for file in files} - {"", ".md"}))
            raise DataError(f"{place} has no pictures, but {kinds}", "choose one with Parquet, WebDataset or pictures")
        yield Progress("downloading", text=f"{pictures:,} pictures of {address.repository}")
        path = Path(snapshot_download(address.repository, repo_type="dataset"))
    try:
        dataset = yield from read_folder(path, options)
    except NoSplit:
        raise
    except RequestError as error:
        raise DataError(f"{place} cannot be read ({error.problem})", "choose another") from error
    return replace(dataset, name=address.repository)


@contextmanager
def _explaining(place: str) -> Iterator[None]:
    """Turns what the hub's libraries raise into a DataError: what they say, and what to do."""
    try:
        yield
    except RequestError:
        raise
    except Exception as error:  # of many kinds, and of several libraries
        reason = " ".join(str(error).split("\nExample")[0].split()).rstrip(".") or type(error).__name__
        raise DataError(f"{place} cannot be had from the hub: {reason}", _remedy(reason, place)) from error


def _remedy(reason: str, place: str) -> str:
    reason = reason.lower()
    if "gated" in reason:
        return "ask for access on its page, then run `hf auth login`"
    if "config" in reason:
        return f"write {'/'.join(place.partition('@')[0].split('/')[:2])}/CONFIG"
    if any(word in reason for word in ("couldn't reach", "connection", "offline", "timed out", "resolve")):
        return "check the connection, or give the folder of a copy"
    return "check the name; one that is private needs `hf auth login`"


@contextmanager
def _without_bars() -> Iterator[None]:
    """Without the progress bars of the hub's library, which Progress replaces."""
    from huggingface_hub import utils  # pyright: ignore[reportMissingImports]

    shown = not utils.are_progress_bars_disabled()
    utils.disable_progress_bars()
    try:
        yield
    finally:
        if shown:
            utils.enable_progress_bars()
