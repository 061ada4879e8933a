"""Latents and directions in .npz files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from ..errors import RequestError, unknown
from ..files import read_arrays, write_arrays


def npz_path(out: str | Path) -> Path:
    """`out` as a path; a RequestError where it is not an .npz."""
    path = Path(out)
    if path.suffix != ".npz":
        raise RequestError(f"{path} is not an .npz", "name such as z.npz", field="out")
    return path


def write_latents(path: Path, latents: Tensor, more: Mapping[str, np.ndarray] | None = None) -> None:
    """Write `latents` (N, ...) as float32, and further arrays. Raises OSError where that fails."""
    write_arrays(path, {"latents": latents.float().cpu().numpy(), **(more or {})})


def read_latents(path: Path, like: Tensor | None = None) -> Tensor:
    """The `latents` of an .npz, (N, ...) float32 on the CPU.

    like: latents of the shape that they must have, (n, ...). Raises RequestError where there are none, or of another
    shape.
    """
    found, _ = _read(path, "latents", "ganvas project and ganvas breed write such files", like)
    if not len(found) or not found.isfinite().all():
        raise RequestError(f"the latents of {path} are empty or not finite", "make them again")
    return found


def _read(path: Path, name: str, hint: str, like: Tensor | None) -> tuple[Tensor, dict[str, np.ndarray]]:
    """The array `name` of an .npz as float32, and the other arrays."""
    arrays = read_arrays(path)
    if name not in arrays:
        raise RequestError(f"{path} holds no {name} but {', '.join(arrays)}", hint)
    found = torch.from_numpy(arrays.pop(name).astype(np.float32))
    if like is not None and found.shape[1:] != like.shape[1:]:
        problem = f"the {name} of {path} have shape {tuple(found.shape[1:])}, not {tuple(like.shape[1:])}"
        raise RequestError(problem, "use the generator that they were made with")
    return found, arrays


@runtime_checkable
class HasLatents(Protocol):
    """A result that holds latents (N, ...)."""

    @property
    def latents(self) -> Tensor: ...


Latents = str | Path | Tensor | np.ndarray | HasLatents  # .npz files, or a litter, a projection, samples


def gather_latents(given: Latents | Sequence[Latents], like: Tensor, field: str = "latents") -> Tensor:
    """Latents (N, ...) of one or several files, tensors, arrays and results of other verbs.

    like: latents of the shape that they must have. field: the argument that holds them. Raises RequestError where they
    have another shape.
    """
    if isinstance(given, str | Path):
        return read_latents(Path(given), like)
    if isinstance(given, HasLatents):
        given = given.latents
    if not isinstance(given, Tensor | np.ndarray):
        return torch.cat([gather_latents(one, like, field) for one in given])
    z = torch.as_tensor(given).detach().cpu().float()
    z = z[None] if z.ndim == like.ndim - 1 else z
    if z.shape[1:] != like.shape[1:] or not len(z) or not z.isfinite().all():
        hint = f"give (N, {', '.join(map(str, like.shape[1:]))})"
        raise RequestError(f"{tuple(z.shape)} are not finite latents of this generator", hint, field=field)
    return z


@dataclass(frozen=True)
class Directions:
    """Directions v of a latent space: z' = z + i·v."""

    vectors: Tensor  # (K, ...), each of length 1 over all its numbers, on the CPU
    names: tuple[str, ...]
    measured: dict[str, np.ndarray] = field(default_factory=dict)  # of each, (K,) or (K, ...)

    def write(self, path: Path) -> None:
        """Write `directions`, `names` and what was measured of them. Raises OSError where that fails."""
        arrays = {"directions": self.vectors.float().numpy(), "names": np.array(self.names)}
        write_arrays(path, {**arrays, **self.measured})

    def index(self, which: str) -> int:
        """The row of a direction by its name or number; a RequestError where there is none."""
        if which in self.names:
            return self.names.index(which)
        if which.isdecimal() and int(which) < len(self.names):
            return int(which)
        raise unknown("direction", which, [*self.names, f"0 to {len(self.names) - 1}"], field="direction")

    def __getitem__(self, which: int | str) -> Directions:
        """One of them, by number or name."""
        row = self.index(str(which))
        return Directions(self.vectors[row : row + 1], self.names[row : row + 1])


def read_directions(path: Path, like: Tensor | None = None) -> Directions:
    """The directions of an .npz. Arguments and errors as of `read_latents`."""
    vectors, measured = _read(path, "directions", "ganvas directions writes such files", like)
    names = measured.pop("names", np.arange(len(vectors)))
    return Directions(vectors, tuple(map(str, names)), measured)


def find_directions(given: str | Path | Directions, like: Tensor) -> tuple[Directions, str | None]:
    """The directions of a result or of FILE[:K], and K where one is named. Errors as of `read_directions`."""
    if isinstance(given, Directions):
        return given, None
    file, colon, which = str(given).rpartition(":")
    if not colon or Path(given).exists():
        file, which = str(given), ""
    return read_directions(Path(file), like), which or None


def move_along(z: Tensor, direction: Tensor, strengths: Sequence[float]) -> Tensor:
    """z + i·v for each strength i: z (...), v (...) -> (len(strengths), ...)."""
    i = torch.tensor(strengths, dtype=z.dtype).reshape(-1, *[1] * z.ndim)
    return z + i * direction
