"""Find the pictures of a folder that suit some words best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
from PIL.Image import Image
from torch import Tensor

from .. import media
from ..data.decode import SUFFIXES
from ..data.pictures import read_picture
from ..errors import RequestError, writing
from ..features.cached import PIECE, Cache, embedding
from ..frozen import Clip
from ..frozen.opening import open_clip
from ..frozen.weights import digest
from ..plan import choose
from ..progress import Progress, Steps, drain
from ..shown import Shown
from .arguments import at_least, device_of
from .types import ClipLike, Device, Out
from .verb import Verb

COLUMNS = 4  # of the sheet


@dataclass(eq=False, repr=False)
class Matches(Shown):
    """The pictures that suit some words best, the best first."""

    files: list[Path]
    scores: list[float]  # cosines
    shape: tuple[int, int, int]  # (C, H, W) of each, as it is shown
    left_out: list[str]  # what could not be decoded, and why

    def picture(self) -> Image:
        """All of them, row by row."""
        return media.grid(torch.stack([read_picture(file, self.shape) for file in self.files]), COLUMNS)

    def save(self, out: Out) -> None:
        """Write sheet.png. WorkError where that fails."""
        with writing(out):
            media.save_png(self.picture(), Path(out))


@Verb
def search(
    words: Annotated[str, "What to look for, in a few words."],
    folder: Annotated[Out, "Pictures, in it and in its sub-folders."],
    *,
    clip: Annotated[ClipLike | None, "Run or file; by default the best CLIP on this machine."] = None,
    top: Annotated[int, "How many of them to show."] = 12,
    device: Device = "auto",
    out: Annotated[Out | None, "Also draw what was found, such as sheet.png."] = None,
    progress: bool = True,
) -> Steps[Matches]:
    """Find the pictures of a folder that suit some words best."""
    at_least(1, top=top)
    place = Path(folder)
    if not place.is_dir():
        raise RequestError(f"there is no folder {folder}", "name one that holds pictures", field="folder")
    files = sorted(file for file in place.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
    if not files:
        raise RequestError(f"{folder} holds no pictures", f"put some there ({', '.join(SUFFIXES)})", field="folder")
    model = open_clip(clip, device_of(device))
    kept, images, left_out = yield from embed(model, files)
    values, rows = (images @ model.text([words]).cpu()[0]).topk(min(top, len(kept)))
    factor = -(-2 * media.READABLE // model.size)
    channels, height, width = model.shape
    shown = (channels, max(1, factor) * height, max(1, factor) * width)
    found = Matches([kept[i] for i in rows.tolist()], values.tolist(), shown, left_out)
    if out is not None:
        found.save(out)
    return found


def embed(model: Clip, files: Sequence[Path]) -> Steps[tuple[list[Path], Tensor, list[str]]]:
    """The files that can be decoded, their embeddings (N, dim), which the disk keeps, and why others are left out."""
    see, plan, shape = model.locked_tower or model.image, choose(str(model.device)), model.shape
    cache = Cache(model.locked_spec["hash"] if model.locked_spec else digest(model.network.state_dict()))
    kept: list[Path] = []
    left_out: list[str] = []
    parts = []
    for i in range(0, len(files), PIECE):
        pixels = []
        for file in files[i : i + PIECE]:
            try:
                pixels.append(((read_picture(file, shape) + 1) * 127.5).round().byte())
                kept.append(file)
            except RequestError as error:
                left_out.append(error.problem)
        if pixels:
            parts.append(drain(embedding(cache, see, torch.stack(pixels), plan)))
        yield Progress("looking at pictures", min(i + PIECE, len(files)), len(files))
    if not kept:
        raise RequestError(f"none of the {len(files)} pictures can be decoded", "replace them", field="folder")
    seen = torch.cat(parts)
    with torch.inference_mode():
        return kept, seen if model.locked_tower is None else model.network.image(seen.to(model.device)).cpu(), left_out
