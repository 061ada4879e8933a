"""Encode pictures and decode them again."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import PIL.Image
import torch
from PIL.Image import Image
from torch import Tensor

from .. import media
from ..data import Dataset, Options, opening
from ..data.decode import SUFFIXES
from ..data.pictures import name_of, read_pictures, several
from ..errors import RequestError, writing
from ..film import is_folder
from ..frozen import Autoencoder
from ..metrics import psnr
from ..progress import Progress, Steps
from ..shown import Shown
from ..sizes import Size
from .arguments import at_least, autoencoder_of, refuse_overwriting
from .types import Data, Device, Out, RunLike, Sources
from .verb import Verb

COLUMNS = 8  # of the sheet


@dataclass(eq=False, repr=False)
class Reconstructions(Shown):
    """Pictures, and what an autoencoder keeps of them."""

    names: list[str]
    originals: Tensor  # (N, C, H, W) in [-1, 1]
    images: Tensor  # (N, C, H, W) in [-1, 1]
    psnr: Tensor  # (N,) dB
    latents: Tensor  # (N, ...)

    @property
    def l1(self) -> float:
        """The mean absolute difference of a pixel, of values in [-1, 1]."""
        return (self.images - self.originals).abs().mean().item()

    def picture(self) -> Image:
        """Originals above their reconstructions."""
        return media.reconstructions(self.originals, self.images, COLUMNS)

    def save(self, out: Out) -> None:
        """Write sheet.png, or a directory with a PNG for each reconstruction alone. WorkError where that fails."""
        with writing(out):
            files = places(self.names, out)
            if is_sheet(out):
                media.save_png(self.picture(), files[0])
                return
            for file, item in zip(files, self.images, strict=True):
                media.save_png(media.single(item), file)


def is_sheet(out: Out) -> bool:
    """Whether `out` names a sheet, and not a directory; a RequestError for any other file."""
    path = Path(out)
    if is_folder(out):
        return False
    if path.suffix.lower() != ".png":
        raise RequestError(f"{path.suffix} is not written", "name a .png or a directory/", field="out")
    return True


def places(names: list[str], out: Out) -> list[Path]:
    """The files that are written. Raises RequestError where two pictures would get the same name."""
    path = Path(out)
    if is_sheet(out):
        return [path]
    name, count = Counter(names).most_common(1)[0]
    if count > 1:
        raise RequestError(f"{count} of the pictures would be {name}.png", "name a sheet.png", field="out")
    return [path / f"{name}.png" for name in names]


@Verb
def reconstruct(
    run: Annotated[RunLike, "Run of an autoencoder (vae, vqgan), its file, or a published VQGAN's."],
    sources: Annotated[Sources, "Pictures; or a whole data set, as for train."],
    *,
    count: Annotated[int, "How many of a data set, at most, from all over it."] = 64,
    split: Annotated[Literal["train", "test"], "Part of the data set, where it has two."] = "train",
    device: Device = "auto",
    out: Annotated[Out | None, "sheet.png, originals above their reconstructions, or a directory."] = None,
    progress: bool = True,
) -> Steps[Reconstructions]:
    """Encode pictures and decode them again, to see and measure what an autoencoder keeps of them."""
    at_least(1, count=count)
    if out is not None:
        is_sheet(out)
    autoencoder = autoencoder_of(run, device)
    names, x = yield from originals(sources, autoencoder, count, split)
    if out is not None:
        refuse_overwriting(sources if isinstance(sources, list | tuple) else [sources], places(names, out))
    z, images = [], []
    for part in x.split(autoencoder.batch):
        z.append(autoencoder.encode(part))
        images.append(autoencoder.decode(z[-1]))
        yield Progress("reconstructing", sum(map(len, images)), len(x))
    drawn = torch.cat(images)
    found = Reconstructions(names, x, drawn, psnr(drawn, x), torch.cat(z))
    if out is not None:
        found.save(out)
    return found


def originals(sources: Sources, autoencoder: Autoencoder, count: int, split: str) -> Steps[tuple[list[str], Tensor]]:
    """The names and the pixels (N, C, H, W) of what is asked for, in the form that the autoencoder takes."""
    shape = autoencoder.network.shape
    dataset: Data = sources  # type: ignore[assignment]
    if isinstance(sources, str | Path | PIL.Image.Image | np.ndarray | Tensor | list | tuple):
        given = several(sources)  # type: ignore[arg-type]
        files = [Path(one) for one in given if isinstance(one, str | Path)]
        if all(file.suffix.lower() in SUFFIXES for file in files):
            names = [Path(name_of(one, i)).stem for i, one in enumerate(given)]
            return names, read_pictures(given, shape, "sources")
        if len(given) > 1:
            problem = f"{' '.join(map(str, given))} are several"
            raise RequestError(problem, "name pictures, or one data set", field="sources")
        dataset = files[0]
    if not isinstance(dataset, Dataset):
        dataset = yield from opening(dataset, Options(Size(shape[2], shape[1]), shape[0], split))
    rows = torch.linspace(0, len(dataset) - 1, min(count, len(dataset)), dtype=torch.float64).long()
    return [f"{row:06d}" for row in rows.tolist()], dataset.at(rows).x.cpu()
