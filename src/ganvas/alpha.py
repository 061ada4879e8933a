"""Transparency: the arithmetic of images of four channels, red, green, blue and alpha.

Colour is premultiplied by alpha (Porter and Duff 1984): it is at most alpha, and zero where nothing is seen. So
neighbours can be averaged, and a picture on a background is one sum. Networks see c·2 - 1 of all four channels, and
what is without colour and alpha is -1 throughout.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

CHANNELS = 4
WHITE, BLACK = 1.0, -1.0


def has_alpha(shape: Sequence[int]) -> bool:
    """Whether items of this shape are images (..., 4, H, W), whose last channel is alpha."""
    return len(shape) >= 3 and shape[-3] == CHANNELS


def composite(x: Tensor, background: Tensor | float = WHITE) -> Tensor:
    """Images (..., 4, H, W) in [-1, 1] laid on a colour -> (..., 3, H, W): c + (1 - α)·b. Differentiable.

    background: a number or a tensor that is broadcast, such as (N, 3, 1, 1), in [-1, 1].
    """
    colour, alpha = x.split((3, 1), -3)
    return colour + (1 - alpha) * ((background + 1) / 2)


def flat(x: Tensor, background: Tensor | float = WHITE) -> Tensor:
    """What networks of opaque images see: images with alpha laid on a colour, others as they are."""
    return composite(x, background) if has_alpha(x.shape) else x


def possible(x: Tensor) -> Tensor:
    """Images in [-1, 1] as a file can hold them: of four channels no colour is above alpha, others stay as they are."""
    x = x.clamp(-1, 1)
    return torch.cat([x[..., :3, :, :].minimum(x[..., 3:, :, :]), x[..., 3:, :, :]], -3) if has_alpha(x.shape) else x


def backgrounds(count: int, device: torch.device | str = "cpu") -> Tensor:
    """Random colours (N, 3, 1, 1) in [-1, 1], uniform, drawn from the device's global generator."""
    return 2 * torch.rand(count, 3, 1, 1, device=device) - 1


def premultiplied(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Straight colour and alpha (..., 4) -> the colour times alpha, rounded, and alpha."""
    alpha = pixels[..., 3:].astype(np.uint16)
    colour = (pixels[..., :3] * alpha + 127) // 255
    return np.concatenate([colour, alpha], -1).astype(np.uint8)


def straight(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The reverse, as PNG holds it; colour above alpha becomes alpha. `premultiplied` gives the other pixels back."""
    alpha = pixels[..., 3:].astype(np.float32)
    colour = np.minimum(pixels[..., :3], alpha) * 255 / np.maximum(alpha, 1)
    return np.concatenate([colour.round(), alpha], -1).astype(np.uint8)


class Composites:
    """A critic that also sees what it judges on a background: images (N, 4, H, W) become (N, 7, H, W).

    Each item has a random colour, the same for the real and the generated item of a pair and in all passes of a step:
    then penalties, which compare passes, follow the four channels alone.
    """

    def __init__(self, critic: Callable[..., Tensor], count: int, device: torch.device | str) -> None:
        self.critic, self.colours = critic, backgrounds(count, device)

    def __call__(self, x: Tensor, *labels: Tensor) -> Tensor:
        """Of one or more batches, one after the other."""
        colours = self.colours.repeat(len(x) // len(self.colours), 1, 1, 1)
        return self.critic(torch.cat([x, composite(x, colours)], 1), *labels)


def seen(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of what a critic sees of items of a shape: four channels become seven."""
    return (CHANNELS + 3, *shape[1:]) if has_alpha(shape) else shape
