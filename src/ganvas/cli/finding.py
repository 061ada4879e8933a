"""`ganvas classify` and `ganvas search`: what a picture shows, and which pictures show something."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .. import media
from ..data.decode import SUFFIXES, Unreadable, decode
from ..errors import RequestError, WorkError
from ..features.cached import PIECE, Cache, looked
from ..frozen import Clip, load_clip
from ..frozen.openai import best
from ..frozen.weights import digest
from ..plan import choose, devices
from ..run.progress import track

SHOWN = 5  # labels of a picture
COLUMNS = 4  # of the sheet
LABEL = "{label}"


def open_clip(clip: Path | None) -> Clip:
    """The towers that were asked for, or the best that lie on this machine."""
    return load_clip(clip or best(), devices()[0])


def pixels(file: Path, size: int) -> Tensor | None:
    """A picture, laid on white and cut to a square, (3, size, size) uint8; None where it cannot be decoded.

    Raises RequestError where there is no such file.
    """
    try:
        return torch.from_numpy(np.array(decode(file.read_bytes(), str(file), size, 3).pixels))
    except Unreadable:
        return None
    except OSError as error:
        raise RequestError(f"cannot read {file}: {(error.strerror or str(error)).lower()}; name a picture") from error


def classify_images(images: Sequence[Path], labels: str, template: str, clip: Path | None) -> None:
    """Print which of the labels, separated by commas, each picture shows."""
    names = [name.strip() for name in labels.split(",") if name.strip()]
    if not names:
        raise RequestError(f"--labels {labels!r} names nothing; write such as --labels 'cat,dog'")
    if LABEL not in template:
        raise RequestError(f"--template {template!r} has no place for the label; write such as 'a photo of a {LABEL}'")
    if not images:
        raise RequestError("there is no picture to classify; name one or more")
    model = open_clip(clip)
    found = [pixels(image, model.size) for image in images]
    for image, x in zip(images, found, strict=True):
        if x is None:
            raise RequestError(f"{image} is no picture that can be decoded; name a .png, .jpg or the like")
    x = torch.stack([x for x in found if x is not None]).float() / 127.5 - 1
    shares = model.probabilities(x, [template.replace(LABEL, name) for name in names])
    best_first = shares.sort(1, descending=True)
    width = max(len(str(image)) for image in images)
    for image, which, p in zip(images, best_first.indices.tolist(), best_first.values.tolist(), strict=True):
        told = (f"{names[i]} {share:.1%}" for i, share in zip(which[:SHOWN], p[:SHOWN], strict=True))
        print(f"{image!s:<{width}}  {'   '.join(told)}")


def search_folder(words: str, folder: Path, clip: Path | None, top: int, out: Path | None) -> None:
    """Print the pictures below a folder that suit the words best, and draw them on a sheet."""
    if not folder.is_dir():
        raise RequestError(f"there is no folder {folder}; name one that holds pictures")
    if top < 1:
        raise RequestError(f"--top {top}: give 1 or more")
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
    if not files:
        raise RequestError(f"{folder} holds no images; put some there ({', '.join(SUFFIXES)})")
    model = open_clip(clip)
    kept, image = embedded(model, files)
    likeness = image @ model.text([words]).cpu()[0]
    values, rows = likeness.topk(min(top, len(kept)))
    for value, i in zip(values.tolist(), rows.tolist(), strict=True):
        print(f"{value:.3f}  {kept[i]}")  # whole, for whatever reads it
    if out is not None:
        write_sheet([kept[i] for i in rows.tolist()], max(model.size, 2 * media.READABLE), out)


def embedded(model: Clip, files: Sequence[Path]) -> tuple[list[Path], Tensor]:
    """The files that can be decoded, and their embeddings (N, dim), of which those seen before are not made again."""
    see, plan = model.eye or model.image, choose(str(model.device))
    identity = model.eye_spec["hash"] if model.eye_spec else digest(model.network.state_dict())
    cache, kept, parts = Cache(identity), [], []
    for piece in pieces(files):
        found = [(file, x) for file in piece if (x := pixels(file, model.size)) is not None]
        if found:
            kept += [file for file, _ in found]
            parts.append(looked(cache, see, torch.stack([x for _, x in found]), plan))
    if not kept:
        raise RequestError(f"none of the {len(files)} images can be decoded; replace them")
    seen = torch.cat(parts)
    with torch.inference_mode():
        return kept, seen if model.eye is None else model.network.image(seen.to(model.device)).cpu()


def pieces(files: Sequence[Path]) -> Iterable[list[Path]]:
    """The files in handfuls, with a bar on a terminal."""
    names = list(map(str, files))
    piece: list[Path] = []
    for name in track(names):
        piece.append(Path(name))
        if len(piece) == PIECE:
            yield piece
            piece = []
    if piece:
        yield piece


def write_sheet(files: Sequence[Path], side: int, out: Path) -> None:
    """One PNG of the pictures, the best first, row by row."""
    found = [x for file in files if (x := pixels(file, side)) is not None]
    try:
        media.save_png(media.grid(torch.stack(found).float() / 127.5 - 1, COLUMNS), out)
    except OSError as error:
        raise WorkError(f"cannot write {out}: {(error.strerror or str(error)).lower()}") from error
    print(f"sheet: {out}")
