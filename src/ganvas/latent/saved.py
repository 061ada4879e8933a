"""Latents and directions in .npz files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..errors import RequestError, unknown
from ..files import read_arrays, write_arrays


def write_latents(path: Path, latents: Tensor, more: Mapping[str, np.ndarray] | None = None) -> None:
    """Write `latents` (N, ...) as float32, with further arrays beside them. Raises OSError where that fails."""
    write_arrays(path, {"latents": latents.float().cpu().numpy(), **(more or {})})


def read_latents(path: Path, like: Tensor | None = None) -> Tensor:
    """The `latents` of an .npz, (N, ...) float32 on the CPU.

    like: latents that they must be shaped as, (n, ...). Raises RequestError where there are none, or of another shape.
    """
    arrays = read_arrays(path)
    if "latents" not in arrays:
        raise RequestError(
            f"{path} holds no `latents` but {', '.join(arrays)}; `ganvas project` and `breed` write some"
        )
    z = torch.from_numpy(arrays["latents"].astype(np.float32))
    if like is not None and z.shape[1:] != like.shape[1:]:
        raise RequestError(
            f"the latents of {path} have shape {tuple(z.shape[1:])} and this generator takes {tuple(like.shape[1:])}; "
            "use the generator that they were made with"
        )
    if not len(z) or not z.isfinite().all():
        raise RequestError(f"the latents of {path} are empty or not finite; make them again")
    return z


@dataclass(frozen=True)
class Directions:
    """Ways through a latent space: z' = z + i·v."""

    vectors: Tensor  # (K, ...), each of length 1 over all its numbers, on the CPU
    names: tuple[str, ...]
    told: dict[str, np.ndarray] = field(default_factory=dict)  # what was measured of each, (K,) or (K, ...)

    def write(self, path: Path) -> None:
        """Write `directions`, `names` and what was measured of them. Raises OSError where that fails."""
        arrays = {"directions": self.vectors.float().numpy(), "names": np.array(self.names)}
        write_arrays(path, {**arrays, **self.told})

    def index(self, which: str) -> int:
        """The row of a direction by its name or number; a RequestError where there is none."""
        if which in self.names:
            return self.names.index(which)
        if which.isdecimal() and int(which) < len(self.names):
            return int(which)
        raise unknown("direction", which, [*self.names, f"0 to {len(self.names) - 1}"])

    def first(self, count: int) -> Directions:
        """The first `count` of them."""
        return Directions(self.vectors[:count], self.names[:count])


def read_directions(path: Path, like: Tensor | None = None) -> Directions:
    """The directions of an .npz. Arguments and errors as of `read_latents`."""
    arrays = read_arrays(path)
    if "directions" not in arrays:
        raise RequestError(f"{path} holds no `directions` but {', '.join(arrays)}; `ganvas directions` writes some")
    vectors = torch.from_numpy(arrays.pop("directions").astype(np.float32))
    names = arrays.pop("names", np.array([str(i) for i in range(len(vectors))]))
    if like is not None and vectors.shape[1:] != like.shape[1:]:
        raise RequestError(
            f"the directions of {path} have shape {tuple(vectors.shape[1:])} and this generator's latents "
            f"{tuple(like.shape[1:])}; find them with the generator that they are for"
        )
    return Directions(vectors, tuple(map(str, names)), arrays)


def strip(z: Tensor, direction: Tensor, strengths: Sequence[float]) -> Tensor:
    """z + i·v for each strength i: z (...), v (...) -> (len(strengths), ...)."""
    i = torch.tensor(strengths, dtype=z.dtype).reshape(-1, *[1] * z.ndim)
    return z + i * direction
