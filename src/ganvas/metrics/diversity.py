"""Variety and smoothness, as seen in the pictures themselves: MS-SSIM, and the perceptual path length."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import RequestError
from ..types import Decoder
from . import estimates
from .estimates import Estimate
from .inputs import check_finite

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of the five scales
WINDOW, SIGMA = 11, 1.5  # pixels
C1, C2 = 0.01**2, 0.03**2  # of values from 0 to 1


def ms_ssim(x: Tensor, y: Tensor) -> Tensor:
    """The multi-scale structural similarity of pairs of images (Wang, Simoncelli & Bovik 2003).

    Five scales need 176 pixels. Smaller images are compared at as many scales as an 11×11 window fits, whose weights
    are raised in proportion, and images below 11 pixels through a window of their own size. Where structures oppose one
    another, which has no real root, the similarity is 0.

    Args:
        x: images, (N, C, H, W) in [-1, 1].
        y: as many of the same shape.

    Returns:
        Similarities, (N,) float32, float64 of float64: 1 for equal images, at least 0.

    Raises:
        RequestError: the shapes differ, or are not of images, or the values are integers.
        WorkError: a value is not finite.
    """
    floating = x.is_floating_point() and y.is_floating_point()
    if x.ndim != 4 or x.shape != y.shape or not x.numel() or not floating:
        raise RequestError(
            f"cannot compare images of shapes {tuple(x.shape)} and {tuple(y.shape)}, {x.dtype} and {y.dtype}; "
            "give (N, C, H, W) twice, floating point numbers in [-1, 1]"
        )
    check_finite(x, "images")
    check_finite(y, "images")
    x, y = (z.double() if torch.float64 in (x.dtype, y.dtype) else z.float() for z in (x, y))
    side = min(x.shape[2:])
    scales = max(1, sum(side >> scale >= WINDOW for scale in range(len(WEIGHTS))))
    raised = sum(WEIGHTS) / sum(WEIGHTS[:scales])
    x, y = (x + 1) / 2, (y + 1) / 2  # the luminances that are compared count from black
    similarity = x.new_ones(len(x))
    for scale in range(scales):
        if scale:
            x, y = F.avg_pool2d(x, 2), F.avg_pool2d(y, 2)
        luminance, contrast = _compare(x, y)
        local = luminance * contrast if scale == scales - 1 else contrast  # only the coarsest has the luminance
        similarity = similarity * local.mean((1, 2, 3)).clamp(min=0) ** (WEIGHTS[scale] * raised)
    return similarity


def _compare(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """SSIM's luminance and contrast-structure in every window that lies within the images, (N, C, H', W') each."""
    size = min(WINDOW, *x.shape[2:])
    at = torch.arange(size, device=x.device, dtype=x.dtype) - (size - 1) / 2
    window = (-at.square() / (2 * SIGMA**2)).softmax(0)
    maps = torch.stack([x, y, x * x, y * y, x * y])  # (5, N, C, H, W)
    flat = maps.flatten(0, 2).unsqueeze(1)
    flat = F.conv2d(F.conv2d(flat, window.view(1, 1, -1, 1)), window.view(1, 1, 1, -1))
    mx, my, xx, yy, xy = flat.view(*maps.shape[:3], *flat.shape[2:])
    luminance = (2 * mx * my + C1) / (mx * mx + my * my + C1)
    return luminance, (2 * (xy - mx * my) + C2) / ((xx - mx * mx) + (yy - my * my) + C2)


def ms_ssim_diversity(images: Tensor, pairs: int = 1000, seed: int = 0, *, batch: int = 64) -> Estimate:
    """How alike the images are: the mean MS-SSIM of random pairs of them (Odena et al. 2017). Lower is more varied.

    The figure has no meaning by itself: compare with that of the data. It is 1 when all images are equal.

    Args:
        images: (N, C, H, W) in [-1, 1], N ≥ 2. The paper takes those of one class.
        pairs: how many, at least 2.
        seed: of the choice of pairs.
        batch: pairs compared at one time.

    Returns:
        The mean similarity, and its standard error over the pairs.

    Raises:
        RequestError: fewer than two images or pairs, or a shape that is not of images.
        WorkError: a value is not finite.
    """
    if images.ndim != 4 or len(images) < 2 or pairs < 2:
        raise RequestError(
            f"cannot compare {pairs} pairs of images of shape {tuple(images.shape)}; "
            "give (N, C, H, W) with at least two images, and at least two pairs"
        )
    generator = torch.Generator().manual_seed(seed)
    first = torch.randint(len(images), (pairs,), generator=generator)
    other = (first + torch.randint(1, len(images), (pairs,), generator=generator)) % len(images)  # never the same one
    parts = zip(first.to(images.device).split(batch), other.to(images.device).split(batch), strict=True)
    return estimates.mean(torch.cat([ms_ssim(images[i], images[j]) for i, j in parts]))


@torch.inference_mode()
def path_length(
    decoder: Decoder,
    distance: Callable[[Tensor, Tensor], Tensor],
    *,
    pairs: int = 1000,
    epsilon: float = 1e-4,
    classes: int = 0,
    seed: int = 0,
    batch: int = 64,
    device: torch.device | str = "cpu",
) -> Estimate:
    """The perceptual path length in Z (Karras et al. 2019): E d(G(z(t)), G(z(t + ε))) / ε².

    z(t) goes from one draw of the prior to another along the sphere, t is uniform in [0, 1]. Short paths mean that
    small steps of the latent make small changes of the picture. As published, paths outside of the 1st to the 99th
    percentile are left out.

    Args:
        decoder: what makes items of latents, with a Gaussian prior.
        distance: of items, (N, ...) twice to (N,); it must grow as the square of a small change, as LPIPS does.
        pairs: how many steps to average, at least 2.
        epsilon: ε, the step.
        classes: of a decoder that takes labels; each pair has one at random. 0 where it takes none.
        seed: of the latents, of t and of the labels.
        batch: pairs decoded at one time.
        device: the decoder's.

    Returns:
        The mean, in units of the distance a squared unit of t, and its standard error.

    Raises:
        RequestError: fewer than two pairs, or ε not positive.
        WorkError: a distance is not finite.
    """
    if pairs < 2 or epsilon <= 0:
        raise RequestError(f"cannot measure {pairs} paths of length {epsilon}; take at least 2 of a positive length")
    generator = torch.Generator().manual_seed(seed)
    lengths = []
    for part in torch.arange(pairs).split(batch):
        z0, z1 = (decoder.prior(len(part), generator).double() for _ in range(2))
        t = torch.rand(len(part), generator=generator, dtype=torch.float64)
        label = torch.randint(classes, (len(part),), generator=generator).to(device) if classes else None
        a, b = (decoder(_slerp(z0, z1, s).float().to(device), label) for s in (t, t + epsilon))
        lengths.append(distance(a, b).double().cpu() / epsilon**2)
    lengths = torch.cat(lengths)
    check_finite(lengths, "lengths of the paths")
    low, high = lengths.quantile(0.01, interpolation="lower"), lengths.quantile(0.99, interpolation="higher")
    return estimates.mean(lengths[(low <= lengths) & (lengths <= high)])


def _slerp(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """Spherical interpolation (Shoemake 1985) of a and b, (N, ...) float64, at t (N,)."""
    cosine = F.cosine_similarity(a.flatten(1), b.flatten(1))
    angle = cosine.clamp(-1 + 1e-9, 1 - 1e-9).acos()  # parallel latents, which have a limit
    u, v = ((s * angle).sin() / angle.sin() for s in (1 - t, t))
    shape = (-1, *[1] * (a.ndim - 1))
    return u.view(shape) * a + v.view(shape) * b
