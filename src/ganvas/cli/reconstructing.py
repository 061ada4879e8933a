"""`ganvas reconstruct`: what an autoencoder leaves of pictures."""

from __future__ import annotations

from collections import Counter
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
    from .pictures import spare

    if count < 1:
        raise RequestError(f"--count {count}: give 1 or more")
    if out.suffix.lower() not in ("", ".png") and not out.is_dir():
        raise RequestError(f"--out {out}: {out.suffix} is not written; name a .png or a directory")
    autoencoder = load_autoencoder(run, devices()[0])
    names, x = pictures(sources, autoencoder.network.shape, count, split)
    files = places(names, out)
    spare(sources, files)
    drawn = autoencoder.reconstruct(x)
    with writing(out):
        write(x, drawn, files, sheet=files == [out])
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
    from .pictures import read_pictures

    files = [Path(source) for source in sources]
    if all(file.suffix.lower() in SUFFIXES for file in files):
        return [file.stem for file in files], read_pictures(files, shape)
    if len(sources) > 1:
        raise RequestError(f"{' '.join(sources)}: name pictures, or one data set")
    dataset = open_data(sources[0], size=shape[-1], channels=shape[0], split=split)
    rows = torch.linspace(0, len(dataset) - 1, min(count, len(dataset)), dtype=torch.float64).long()
    return [f"{row:06d}" for row in rows.tolist()], dataset.at(rows).x


def places(names: list[str], out: Path) -> list[Path]:
    """What is written: the sheet, or in a directory a PNG for each name. Raises RequestError where two share a name."""
    if out.suffix.lower() == ".png" and not out.is_dir():
        return [out]
    name, count = Counter(names).most_common(1)[0]
    if count > 1:
        raise RequestError(f"--out {out}: {count} of the pictures would be {name}.png; name a sheet.png")
    return [out / f"{name}.png" for name in names]


def write(x: Tensor, drawn: Tensor, files: list[Path], sheet: bool) -> None:
    """A sheet of both, or of the reconstructions alone a PNG each."""
    from .. import media

    if sheet:
        media.save_png(media.reconstructions(x, drawn, COLUMNS), files[0])
        return
    for file, item in zip(files, drawn, strict=True):
        media.save_png(media.single(item), file)
