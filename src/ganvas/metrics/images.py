"""Pictures: how alike they are (MS-SSIM, PSNR), how varied, and how smoothly latents change them."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import RequestError
from ..types import Decoder
from . import estimates
from .estimates import Estimate
from .inputs import at_once, check_finite, double

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of the five scales
WINDOW, SIGMA = 11, 1.5  # pixels
C1, C2 = 0.01**2, 0.03**2  # of values from 0 to 1
RANGE = 2.0  # of values in [-1, 1]
CACHED = 2**17  # numbers of one kind that are worked on at one time, which fits into a cache


class ImageList(Protocol):
    """Images that can be had some at a time, (n, C, H, W) in [-1, 1]: a tensor, or what reads or draws them."""

    def __len__(self) -> int: ...
    def __getitem__(self, rows: slice, /) -> Tensor: ...


def ms_ssim(x: Tensor, y: Tensor) -> Tensor:
    """The multi-scale structural similarity of pairs of images (Wang, Simoncelli & Bovik 2003).

    Five scales need 176 pixels. Smaller images are compared at as many scales as an 11×11 window fits, whose weights
    are raised in proportion, and images below 11 pixels through a window of their own size. Where structures are
    opposite, which has no real root, the similarity is 0.

    x, y: images, (N, C, H, W) in [-1, 1]. Gives similarities, (N,) float32, float64 of float64: 1 for equal images, at
    least 0.
    """
    _check_pairs(x, y, "(N, C, H, W)", x.ndim == 4)
    size, found = at_once(2 * x[0].numel()), []
    for a, b in zip(x.split(size), y.split(size), strict=True):
        rows = torch.arange(len(a))
        found.append(_similarities(torch.cat([a, b]), rows, rows + len(a)))
    return torch.cat(found)


def psnr(x: Tensor, y: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of each image, 10 log₁₀(range² / mse), in decibels; infinite where they are equal.

    x, y: images, (N, ...) in [-1, 1]. Gives (N,) float32.
    """
    _check_pairs(x, y, "(N, ...)", x.ndim > 1)
    mse = (double(x) - double(y)).square().flatten(1).mean(1)
    return (10 * (RANGE**2 / mse).log10()).float()


def _check_pairs(x: Tensor, y: Tensor, form: str, fits: bool) -> None:
    """Raise unless both are finite images of one shape."""
    if not fits or x.shape != y.shape or not x.numel() or not (x.is_floating_point() and y.is_floating_point()):
        raise RequestError(
            f"cannot compare images of shapes {tuple(x.shape)} and {tuple(y.shape)}, {x.dtype} and {y.dtype}",
            f"give {form} twice, floating point numbers in [-1, 1]",
        )
    check_finite("images", x, y)


def _similarities(images: Tensor, first: Tensor, other: Tensor) -> Tensor:
    """The MS-SSIM of the images (N, C, H, W) of these rows, (P,) each. An image's moments serve all of its pairs."""
    count, channels, side = len(first), images.shape[1], min(images.shape[2:])
    scales = max(1, sum(side >> scale >= WINDOW for scale in range(len(WEIGHTS))))
    raised = sum(WEIGHTS) / sum(WEIGHTS[:scales])
    planes = images.double() if images.dtype == torch.float64 else images.float()
    planes = planes.flatten(0, 1) / 2  # (N C, H, W) about 0, where variances lose the least to rounding
    own = torch.arange(channels)
    first, other = ((rows[:, None] * channels + own).flatten().to(planes.device) for rows in (first, other))
    similarity = planes.new_ones(count)
    for scale in range(scales):
        if scale:
            planes = F.avg_pool2d(planes, 2)
        batch = max(1, CACHED // planes[0].numel())
        mean, variance = _moments(planes, batch)
        local = []
        for i, j in zip(first.split(batch), other.split(batch), strict=True):
            (x, y), (a, b), (u, v) = ((_chosen(z, i), _chosen(z, j)) for z in (planes, mean, variance))
            contrast = (_windowed(x * y) - a * b).mul_(2).add_(C2).div_((u + v).add_(C2))
            if scale == scales - 1:  # only the coarsest has the luminance
                a, b = a + 0.5, b + 0.5  # counted from black
                contrast *= (2 * a * b + C1) / (a * a + b * b + C1)
            local.append(contrast.mean((1, 2)))
        means = torch.cat(local).view(count, channels).mean(1)
        similarity = similarity * means.clamp(min=0) ** (WEIGHTS[scale] * raised)
    return similarity


def _moments(planes: Tensor, batch: int) -> tuple[Tensor, Tensor]:
    """The mean and the variance of planes (N, H, W) in every window that lies within them, (N, H', W') each."""
    mean = torch.cat([_windowed(part) for part in planes.split(batch)])
    variance = torch.empty_like(mean)
    for part, own, out in zip(planes.split(batch), mean.split(batch), variance.split(batch), strict=True):
        out.copy_(_windowed(part * part)).sub_(own * own)
    return mean, variance


def _windowed(x: Tensor) -> Tensor:
    """The Gaussian means of planes (N, H, W) in every window that lies within them, (N, H', W').

    Sums of shifted planes: a CPU's convolutions take four times as long with a single channel.
    """
    size = min(WINDOW, *x.shape[1:])
    at = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    weights = (-at.square() / (2 * SIGMA**2)).softmax(0).tolist()
    rows, found = max(size, CACHED // (len(x) * x.shape[2])), []
    for start in range(0, x.shape[1] - size + 1, rows):
        part = x[:, start : start + rows + size - 1]
        for dim in (1, 2):
            length = part.shape[dim] - size + 1
            total = part.narrow(dim, 0, length) * weights[0]
            for k in range(1, size):
                total.add_(part.narrow(dim, k, length), alpha=weights[k])
            part = total
        found.append(part)
    return found[0] if len(found) == 1 else torch.cat(found, 1)


def _chosen(planes: Tensor, rows: Tensor) -> Tensor:
    """The planes of these rows, of a single one without a copy."""
    return planes[rows] if len(rows) > 1 else planes.narrow(0, int(rows), 1)


def ms_ssim_diversity(images: ImageList, pairs: int = 1000, seed: int = 0) -> Estimate:
    """How alike the images are: the mean MS-SSIM of random pairs of them (Odena et al. 2017). Lower is more varied.

    The figure has no meaning by itself: compare with that of the data. It is 1 when all images are equal.

    Of images with more numbers than NUMBERS together (85 images of 256×256×3, 5 of 1024×1024×3) both of a pair come
    from the same group of so many that follow one another, and the groups are read in turn. In images that are in
    random order such a pair is as random as any, so that the expectation is the same. A group of n gives n (n − 1) / 2
    pairs at most, which is how many differ.

    images: (N, C, H, W) in [-1, 1], N ≥ 2, in random order. The paper takes those of one class.
    pairs: how many, at least 2. Gives their mean similarity, and its standard error over them.
    """
    count, shape = len(images), images[:1].shape
    if len(shape) != 4 or count < 2 or pairs < 2:
        raise RequestError(
            f"cannot compare {pairs} pairs of {count} images of shape {tuple(shape[1:])}",
            "give (N, C, H, W) with at least two images, and at least two pairs",
        )
    generator = torch.Generator().manual_seed(seed)
    groups = min(math.ceil(count / at_once(shape.numel())), count // 2)
    ends = [round(k * count / groups) for k in range(groups + 1)]
    values = []
    for start, end in pairwise(ends):
        n, m = end - start, round(pairs * end / count) - round(pairs * start / count)
        m = m if groups == 1 else min(m, n * (n - 1) // 2)
        first = torch.randint(n, (m,), generator=generator)
        other = (first + torch.randint(1, n, (m,), generator=generator)) % n  # never the same one
        if m:
            part, rows = images[start:end], torch.stack([first, other], 1).sort(1).values
            check_finite("images", part)
            distinct, back = rows.unique(dim=0, return_inverse=True)  # pairs that recur, in either order, once
            values.append(_similarities(part, *distinct.unbind(1))[back.to(part.device)])
    return estimates.mean(torch.cat(values))


@torch.inference_mode()
def path_length(
    decoder: Decoder,
    distance: Callable[[Tensor, Tensor], Tensor],
    *,
    pairs: int = 1000,
    epsilon: float = 1e-4,
    labels: Tensor | None = None,
    seed: int = 0,
    batch: int = 64,
    decoded: int = 0,
    device: torch.device | str = "cpu",
) -> Estimate:
    """The perceptual path length in Z (Karras et al. 2019): E d(G(z(t)), G(z(t + ε))) / ε².

    z(t) goes from one draw of the prior to another along the sphere, t is uniform in [0, 1]. Short paths mean that
    small steps of the latent make small changes of the picture. As published, paths outside of the 1st to the 99th
    percentile are left out. Gives the mean, in units of the distance a squared unit of t, and its standard error.

    decoder: latents -> items, with a Gaussian prior.
    distance: of items, (N, ...) twice to (N,); it must grow as the square of a small change, as LPIPS does.
    pairs: how many steps to average, at least 2.
    epsilon: ε, the step, positive.
    labels: of a decoder that takes some, (K, ...); each pair has one of them at random.
    seed: of the latents, of t and of the labels.
    batch: pairs drawn at one time, on which the figure depends as on the seed.
    decoded: of these, pairs decoded at one time, on which memory depends; 0: all.
    device: the decoder's.
    """
    if pairs < 2 or epsilon <= 0:
        raise RequestError(f"cannot measure {pairs} paths of length {epsilon}", "take at least 2 of a positive length")
    generator = torch.Generator().manual_seed(seed)
    lengths = []
    for part in torch.arange(pairs).split(batch):
        z0, z1 = (decoder.prior(len(part), generator).double() for _ in range(2))
        t = torch.rand(len(part), generator=generator, dtype=torch.float64)
        label = None if labels is None else labels[torch.randint(len(labels), (len(part),), generator=generator)]
        for i in range(0, len(part), decoded or batch):
            some = slice(i, i + (decoded or batch))
            own = None if label is None else label[some].to(device)
            z = (_slerp(z0[some], z1[some], s[some]).float().to(device) for s in (t, t + epsilon))
            lengths.append(distance(*(decoder(end, own) for end in z)).double().cpu() / epsilon**2)
    lengths = torch.cat(lengths)
    check_finite("lengths of the paths", lengths)
    low, high = lengths.quantile(0.01, interpolation="lower"), lengths.quantile(0.99, interpolation="higher")
    return estimates.mean(lengths[(low <= lengths) & (lengths <= high)])


def _slerp(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """Spherical interpolation (Shoemake 1985) of a and b, (N, ...) float64, at t (N,)."""
    cosine = F.cosine_similarity(a.flatten(1), b.flatten(1))
    angle = cosine.clamp(-1 + 1e-9, 1 - 1e-9).acos()  # parallel latents, which have a limit
    u, v = ((s * angle).sin() / angle.sin() for s in (1 - t, t))
    shape = (-1, *[1] * (a.ndim - 1))
    return u.view(shape) * a + v.view(shape) * b
