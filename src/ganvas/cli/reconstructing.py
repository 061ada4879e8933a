"""`ganvas reconstruct`: what an autoencoder leaves of pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from ..errors import RequestError
from .root import app

if TYPE_CHECKING:
    from torch import Tensor

COLUMNS = 8  # of the sheet


@app.command
def reconstruct(
    run: Annotated[Path, Parameter(help="Run of an autoencoder (vae, vqgan), its file, or a published VQGAN's.")],
    sources: Annotated[list[str], Parameter(help="Pictures; or one data set, folder, .zip, .npz or IDX file.")],
    /,
    *,
    out: Annotated[Path, Parameter(help="sheet.png, originals above what is left of them, or a directory.")],
    count: Annotated[int, Parameter(help="How many of a data set, at most, from all over it.")] = 64,
    split: Annotated[Literal["train", "test"], Parameter(help="Part of the data set, where it has two.")] = "train",
) -> None:
    """Encode pictures and decode them again, to see and measure what an autoencoder leaves of them."""
    from ..frozen import load_autoencoder
    from ..metrics import psnr
    from ..plan import devices
    from .latents import writing

    if count < 1:
        raise RequestError(f"--count {count}: give 1 or more")
    if out.suffix.lower() not in ("", ".png") and not out.is_dir():
        raise RequestError(f"--out {out}: {out.suffix} is not written; name a .png or a directory")
    autoencoder = load_autoencoder(run, devices()[0])
    names, x = pictures(sources, autoencoder.network.shape, count, split)
    drawn = autoencoder.reconstruct(x)
    with writing(out):
        write(names, x, drawn, out)
    decibels = psnr(drawn, x)
    spread = f" ({decibels.min():.1f} to {decibels.max():.1f})" if len(x) > 1 else ""
    print(
        f"{len(x):,} reconstructions in {out}: PSNR {decibels.mean():.2f} dB{spread}, L1 {(drawn - x).abs().mean():.4f}"
    )


def pictures(sources: list[str], shape: tuple[int, ...], count: int, split: str) -> tuple[list[str], Tensor]:
    """The names and the pixels (N, C, H, W) of what is asked for, in the form that the autoencoder takes."""
    import torch

    from ..data import open_data
    from ..data.decode import SUFFIXES
    from ..run.progress import track

    if all(Path(source).suffix.lower() in SUFFIXES for source in sources):
        return [Path(source).stem for source in sources], torch.stack([picture(Path(s), shape) for s in sources])
    if len(sources) > 1:
        raise RequestError(f"{' '.join(sources)}: name pictures, or one data set")
    dataset = open_data(sources[0], size=shape[-1], channels=shape[0], split=split, track=track)
    rows = torch.linspace(0, len(dataset) - 1, min(count, len(dataset)), dtype=torch.float64).long()
    return [f"{row:06d}" for row in rows.tolist()], dataset.at(rows).x


def picture(file: Path, shape: tuple[int, ...]) -> Tensor:
    """A file's picture, laid on white and cut to a square, (C, H, W) in [-1, 1]."""
    import numpy as np
    import torch

    from ..data.decode import Unreadable, decode

    try:
        pixels = decode(file.read_bytes(), str(file), shape[-1], shape[0]).pixels
    except OSError as error:
        raise RequestError(f"cannot read {file}: {(error.strerror or str(error)).lower()}; name a picture") from error
    except Unreadable as error:
        raise RequestError(f"{file} is no picture that can be decoded ({error}); replace it") from error
    return torch.from_numpy(np.array(pixels)).float() / 127.5 - 1


def write(names: list[str], x: Tensor, drawn: Tensor, out: Path) -> None:
    """A sheet of both, or in a directory the reconstructions alone, one PNG each under its name."""
    from .. import media

    if out.suffix.lower() == ".png" and not out.is_dir():
        media.save_png(media.reconstructions(x, drawn, COLUMNS), out)
        return
    for name, item in zip(names, drawn, strict=True):
        media.save_png(media.single(item), out / f"{name}.png")
