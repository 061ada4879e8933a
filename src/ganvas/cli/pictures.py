"""Pictures that a command is given: how they are read, and that what it writes does not take their place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..data.decode import Unreadable, decode
from ..errors import RequestError


def read_pictures(files: Sequence[Path], shape: tuple[int, ...]) -> Tensor:
    """Pictures laid on white, cut to squares and resized, (N, *shape) in [-1, 1]; a RequestError for what is none."""
    channels, size = shape[0], shape[-1]
    found = []
    for file in files:
        try:
            found.append(torch.from_numpy(np.array(decode(file.read_bytes(), str(file), size, channels).pixels)))
        except Unreadable as error:
            raise RequestError(f"{file} is no picture that can be decoded ({error}); name a .png or .jpg") from error
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise RequestError(f"cannot read {file}: {reason}; name a picture") from error
    return torch.stack(found).float() / 127.5 - 1


def spare(given: Iterable[str | Path], written: Iterable[Path]) -> None:
    """Raise RequestError where what is to be written would replace what was given, or one of a given folder's files."""
    kept = {Path(path).resolve() for path in given}
    for path in written:
        found = path.resolve()
        if found.exists() and kept & {found, *found.parents}:
            raise RequestError(
                f"{path} is one of the pictures that were given, and would be replaced; name another --out"
            )
