"""The vectors of fixed towers for pictures and texts, computed once and kept on the disk.

A vector is found again by the hashes of the tower and of the content, in any data set, split or order. It is kept piece
by piece, so that an interruption loses little.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from hashlib import blake2b

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from .. import files
from ..plan import Plan
from ..progress import Progress, Steps

PIECE = 128  # contents a file
BATCH = 16  # images at a time
KEY = 16  # bytes of a content's hash

logger = logging.getLogger(__name__)


class Cache:
    """The vectors of one tower: those that are on the disk, and those that are added."""

    def __init__(self, digest: str) -> None:
        """`digest` is the hash of the tower's weights."""
        self.folder = files.cache_directory() / "features" / digest
        self.known: dict[bytes, Tensor] = {}
        for file in sorted(self.folder.glob("*.safetensors")):
            try:
                content = load_file(file)
                keys = (key.tobytes() for key in content["keys"].numpy())
                self.known |= dict(zip(keys, content["vectors"], strict=True))  # all of a file or nothing
            except (SafetensorError, OSError, KeyError, ValueError) as error:
                logger.warning("%s is damaged (%s) and is left out", file, error)

    def vectors(self, keys: Sequence[bytes], compute: Callable[[list[int]], Tensor], what: str = "") -> Steps[Tensor]:
        """The vectors (N, D) float32 on the CPU of the contents that the keys are of, at least one.

        `compute` makes those that are not known yet, by number. `what` says what that is, in the reports.
        """
        missing = [i for i, key in enumerate(keys) if key not in self.known]
        pieces = [missing[i : i + PIECE] for i in range(0, len(missing), PIECE)]
        if pieces and what:
            logger.info("%s: %d are known, %d are computed once", what, len(keys) - len(missing), len(missing))
        for i, piece in enumerate(pieces):
            yield Progress(what, PIECE * i, len(missing))
            own, vectors = [keys[j] for j in piece], compute(piece).float().cpu()
            self.known |= zip(own, vectors, strict=True)
            self._keep(own, vectors)
        return torch.stack([self.known[key] for key in keys])

    def _keep(self, keys: list[bytes], vectors: Tensor) -> None:
        table = torch.frombuffer(bytearray(b"".join(keys)), dtype=torch.uint8).reshape(len(keys), KEY)
        path = self.folder / f"{keys[0].hex()}.safetensors"
        try:
            files.write(path, save({"keys": table, "vectors": vectors.contiguous()}))
        except OSError as error:
            logger.warning("%s cannot be written (%s): what was computed is not kept", path, error)


def key(content: bytes) -> bytes:
    """The hash of a content."""
    return blake2b(content, digest_size=KEY).digest()


def embedding(
    cache: Cache, tower: Callable[[Tensor], Tensor], pixels: Tensor, plan: Plan, what: str = "looking at images"
) -> Steps[Tensor]:
    """A tower's vectors of images (N, C, H, W) uint8, at least one: (N, D) on the CPU.

    With bf16 it takes half the time, and vectors differ by a thousandth; the cache does not distinguish the two.
    """
    shape = str(tuple(pixels.shape[1:])).encode()
    keys = [key(shape + np.ascontiguousarray(image).tobytes()) for image in pixels.cpu().numpy()]

    @torch.inference_mode()
    def compute(rows: list[int]) -> Tensor:
        parts = (pixels[part].to(plan.device).float() / 127.5 - 1 for part in torch.tensor(rows).split(BATCH))
        with torch.autocast(plan.device, plan.dtype, enabled=plan.dtype != torch.float32):
            return torch.cat([tower(x).float().cpu() for x in parts])

    return (yield from cache.vectors(keys, compute, what))
