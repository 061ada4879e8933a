"""Resampling as the published feature networks do it, by two matrix products: the same on every device, differentiable.

torch's antialiased resampling does not exist on every device, and its gradient on CUDA is not deterministic.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from ..errors import entry


def _triangle(t: Tensor) -> Tensor:
    """The bilinear kernel."""
    return (1 - t.abs()).clamp(min=0)


def _cubic(t: Tensor, a: float = -0.5) -> Tensor:
    """The bicubic kernel (Keys 1981), with the constant of Pillow and of antialiased torch."""
    t = t.abs()
    near = (a + 2) * t**3 - (a + 3) * t**2 + 1
    far = a * (t**3 - 5 * t**2 + 8 * t - 4)
    return torch.where(t <= 1, near, torch.where(t < 2, far, 0.0))


KERNELS = {"bilinear": (_triangle, 1), "bicubic": (_cubic, 2), "tensorflow": (_triangle, 1)}  # and their half widths


@lru_cache(maxsize=64)
@torch.inference_mode(False)  # what is kept must also serve a call that needs gradients
def weights(old: int, new: int, method: str) -> Tensor:
    """The share of each of `old` pixels in each of `new`, (new, old), float32 on the CPU.

    method: "bilinear" or "bicubic", antialiased, from pixel centres, as in Pillow; or "tensorflow", the bilinear
        resampling of TensorFlow 1, which FID is defined with: from pixel corners, not antialiased.
    """
    at = torch.arange(new, dtype=torch.float64)[:, None]
    pixel = torch.arange(old, dtype=torch.float64)
    kernel, width = entry("resampling", method, KERNELS)
    if method == "tensorflow":
        share = kernel((at * old / new).clamp(max=old - 1) - pixel)
    else:
        scale = max(old / new, 1.0)  # the kernel widens where images shrink
        offset = (at + 0.5) * old / new - (pixel + 0.5)
        share = kernel(offset / scale) * (offset.abs() < width * scale)
    return (share / share.sum(1, keepdim=True)).float()


def resize(x: Tensor, size: int | tuple[int, int], method: str) -> Tensor:
    """Images (N, C, H, W) resampled to `size`, (H, W) or one side of a square, by a method of `weights`."""
    height, width = (size, size) if isinstance(size, int) else size
    down = weights(x.shape[2], height, method).to(x)
    across = weights(x.shape[3], width, method).to(x)
    return down @ (x @ across.T)


def square(x: Tensor, size: int, method: str) -> Tensor:
    """Images (N, C, H, W), the short side resized to `size`, cropped to the central square (N, C, size, size)."""
    short = min(x.shape[2:])
    height, width = (size if side == short else int(side * size / short) for side in x.shape[2:])
    top, left = (height - size) // 2, (width - size) // 2
    if (height, width) != tuple(x.shape[2:]):
        x = resize(x, (height, width), method)
    return x[:, :, top : top + size, left : left + size]
