"""Single pictures as people have them: files, PIL images, arrays, tensors."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..alpha import straight
from ..errors import RequestError
from ..sizes import Size
from .decode import Unreadable, decode

# The fourth channel of an array is that of a file; a tensor has colour premultiplied by it, as networks do.
Picture = str | Path | Image.Image | np.ndarray | Tensor  # arrays (H, W, C) uint8, tensors (C, H, W) in [-1, 1]


def read_picture(picture: Picture, shape: tuple[int, ...], field: str = "images") -> Tensor:
    """One picture, cut to its middle and resized: `shape` (C, H, W) in [-1, 1]. Without a fourth channel, alpha, it is
    laid on white; with one, its colour is premultiplied.

    An array is (H, W) or (H, W, C) uint8, a tensor (C, H, W) in [-1, 1]. Raises RequestError, for `field`, where there
    is no such file or it cannot be decoded.
    """
    name, data = _contents(picture, field)
    channels, height, width = shape
    try:
        pixels = decode(data, name, Size(width, height), channels).pixels
    except Unreadable as error:
        problem = f"{name} cannot be decoded ({error})"
        raise RequestError(problem, "name a .png, .jpg or the like", field=field) from error
    return torch.from_numpy(np.array(pixels)).float() / 127.5 - 1


def read_pictures(pictures: Sequence[Picture], shape: tuple[int, ...], field: str = "images") -> Tensor:
    """Pictures (N, *shape) in [-1, 1], each as `read_picture` reads it. Raises RequestError where there is none."""
    if not len(pictures):
        raise RequestError("there is no picture", "name one or more", field=field)
    return torch.stack([read_picture(picture, shape, field) for picture in pictures])


def several(pictures: Picture | Sequence[Picture]) -> list[Picture]:
    """One picture or several in a list; a tensor or an array of four dimensions is several."""
    if isinstance(pictures, str | Path | Image.Image):
        return [pictures]
    if isinstance(pictures, np.ndarray | Tensor):
        return list(pictures) if pictures.ndim == 4 else [pictures]
    return list(pictures)


def name_of(picture: Picture, number: int = 0) -> str:
    """What a picture is called in tables and files: its file's name, or its number."""
    return Path(picture).name if isinstance(picture, str | Path) else f"picture {number + 1}"


def _contents(picture: Picture, field: str) -> tuple[str, bytes]:
    """The name and the bytes of a picture file; what is in memory becomes one without loss."""
    if isinstance(picture, str | Path):
        try:
            return str(picture), Path(picture).read_bytes()
        except (OSError, ValueError) as error:  # ValueError: a path with a NUL byte
            reason = (getattr(error, "strerror", None) or str(error)).lower()
            raise RequestError(f"cannot read {picture}: {reason}", "name a picture", field=field) from error
    if isinstance(picture, Tensor):
        if picture.ndim != 3 or not picture.is_floating_point():
            problem = f"a tensor of {picture.dtype} and shape {tuple(picture.shape)} is not a picture"
            raise RequestError(problem, "give (C, H, W) floating point numbers in [-1, 1]", field=field)
        values = picture.detach().cpu().float().add(1).mul(127.5).round().clamp(0, 255).byte()
        pixels = values.permute(1, 2, 0).numpy()
        picture = straight(pixels) if pixels.shape[2] == 4 else pixels
    if isinstance(picture, np.ndarray):
        if picture.dtype != np.uint8 or picture.ndim not in (2, 3):
            problem = f"an array of {picture.dtype} and shape {picture.shape} is not a picture"
            raise RequestError(problem, "give (H, W) or (H, W, C) uint8", field=field)
        picture = Image.fromarray(picture.squeeze(2) if picture.ndim == 3 and picture.shape[2] == 1 else picture)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return "the picture", buffer.getvalue()
