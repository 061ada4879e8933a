"""Differentiable augmentation of what a critic sees, so that few images train a GAN longer.

A critic memorises a small data set. Both remedies here show it only augmented images, real and generated:
`diff_augment` always (DiffAugment, Zhao et al. 2020, arXiv:2006.10738), `Adaptive` with a probability that follows the
critic's overfitting (ADA, Karras et al. 2020, arXiv:2006.06676).

Images are `(N, C, H, W)` in [-1, 1]; results may leave that range, as in both papers. Every draw comes from the global
generator of the images' device. It uses element-wise arithmetic, `pad` and `gather`, never `grid_sample`, so that it
runs on every device and a gradient penalty can differentiate through it twice.

Of images with alpha, colours change as far as alpha allows and alpha stays; beyond their border all is transparent.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import alpha
from .errors import RequestError, entry, unknown

# --- DiffAugment -----------------------------------------------------------------------------------------------------


def _color(x: Tensor) -> Tensor:
    brightness, saturation, contrast = torch.rand(3, len(x), 1, 1, 1, device=x.device)
    opaque = not alpha.has_alpha(x.shape)
    x, share = _weighted(x)
    x = x + share * (brightness - 0.5)
    grey = x.mean(1, keepdim=True)
    x = grey + (x - grey) * (2 * saturation)  # one channel is its own mean: nothing happens
    mean = share * (x.mean((1, 2, 3), keepdim=True) / share.mean((1, 2, 3), keepdim=True).clamp(min=1e-3))
    x = mean + (x - mean) * (contrast + 0.5)
    return x if opaque else _joined(x, share)


def _weighted(x: Tensor) -> tuple[Tensor, Tensor]:
    """Colours from -1 to 1, times alpha, and alpha from 0 to 1 (N, 1, H, W); 1 (1, 1, 1, 1) where there is none.

    A change of straight colours, such as y + b, is then one of these: yα + bα.
    """
    if not alpha.has_alpha(x.shape):
        return x, x.new_ones(1, 1, 1, 1)
    colour, share = x.split((3, 1), 1)
    share = (share + 1) / 2
    return colour + 1 - share, share


def _joined(colour: Tensor, share: Tensor) -> Tensor:
    """The reverse of `_weighted`; colours beyond alpha are clamped, since no picture could hold them."""
    return torch.cat([torch.minimum(torch.maximum(colour, -share), share) - 1 + share, 2 * share - 1], 1)


def _nothing(x: Tensor) -> float:
    """What is beyond the border: transparent, or mid-grey where there is no alpha."""
    return -1.0 if alpha.has_alpha(x.shape) else 0.0


def translate(x: Tensor, down: int, right: int, border: str = "constant") -> Tensor:
    """Move every image by whole pixels, up to `down` and `right` either way; `border` is the mode of `F.pad`."""
    n, c, h, w = x.shape
    x = F.pad(x, (right, right, down, down), border, _nothing(x) if border == "constant" else None)
    row = torch.randint(0, 2 * down + 1, (n, 1, 1, 1), device=x.device) + torch.arange(h, device=x.device)[:, None]
    col = torch.randint(0, 2 * right + 1, (n, 1, 1, 1), device=x.device) + torch.arange(w, device=x.device)
    return x.gather(2, row.expand(n, c, h, x.shape[3])).gather(3, col.expand(n, c, h, w))


def _translation(x: Tensor) -> Tensor:
    return translate(x, round(x.shape[2] / 8), round(x.shape[3] / 8))


def _cutout(x: Tensor) -> Tensor:
    n, _, h, w = x.shape
    # The centre falls anywhere in the image, so a square at the border is cut off by it.
    top = torch.randint(0, h + 1, (n, 1, 1, 1), device=x.device) - h // 4
    left = torch.randint(0, w + 1, (n, 1, 1, 1), device=x.device) - w // 4
    row = torch.arange(h, device=x.device)[:, None] - top
    col = torch.arange(w, device=x.device) - left
    hole = (row >= 0) & (row < h // 2) & (col >= 0) & (col < w // 2)  # (N, 1, H, W)
    return x.masked_fill(hole, _nothing(x))


def mirror(x: Tensor) -> Tensor:
    """Mirror half of the images, left to right."""
    return torch.where(torch.rand(len(x), 1, 1, 1, device=x.device) < 0.5, x.flip(3), x)


POLICIES = {"color": _color, "translation": _translation, "cutout": _cutout}


def transforms(policy: str) -> list[str]:
    """The names in a policy such as "color,translation"; a RequestError for an unknown one."""
    names = [name.strip() for name in policy.split(",")] if policy else []
    for name in names:
        entry("augmentation", name, POLICIES, field="options.augment_policy")
    return names


def diff_augment(x: Tensor, policy: str = ",".join(POLICIES)) -> Tensor:
    """Augment every image of `x` (N, C, H, W) by each transform that `policy` names, in its order.

    - `color`: brightness shifted by U(-0.5, 0.5), saturation scaled by U(0, 2), contrast scaled by U(0.5, 1.5);
    - `translation`: by whole pixels, up to an eighth of the image, the border filled with 0, which is mid-grey, or
      transparent;
    - `cutout`: a square of half the image's height and width set to the same.

    An empty policy returns `x` itself. The result has the shape and the dtype of `x`; the arithmetic is float32.
    Raises RequestError for an unknown name. Zhao et al. 2020, section 3.2.
    """
    names = transforms(policy)
    y = x.float()
    for name in names:
        y = POLICIES[name](y)
    return y.to(x.dtype) if names else x


# --- ADA -------------------------------------------------------------------------------------------------------------

GROUPS = ("flip", "rotate90", "geometric", "color")


def _affine(*entries: Tensor | float) -> Tensor:
    """The matrices [[a, b, tx], [c, d, ty], [0, 0, 1]], (N, 3, 3), from a, b, tx, c, d, ty: (N,) or a number each."""
    like = next(entry for entry in entries if isinstance(entry, Tensor))
    filled = [e if isinstance(e, Tensor) else torch.full_like(like, e) for e in (*entries, 0, 0, 1)]
    return torch.stack(filled, dim=-1).view(-1, 3, 3)


def _rotation(cos: Tensor, sin: Tensor) -> Tensor:
    return _affine(cos, -sin, 0, sin, cos, 0)


def _reflect(index: Tensor, size: int) -> Tensor:
    """Fold any integer onto 0..size-1, as if the image were mirrored at its edges repeatedly."""
    index = index % (2 * size)
    return torch.minimum(index, 2 * size - 1 - index)


def warp(x: Tensor, matrix: Tensor) -> Tensor:
    """Resample `x` (N, C, H, W) bilinearly: output pixel q shows the input at `matrix` (N, 3, 3) times q.

    Coordinates are (column, row, 1) in pixels from the image's centre; outside, the image is mirrored, or transparent
    where it has alpha. Where the matrix maps pixels to pixels, the result is exact; the identity returns the values of
    `x`.
    """
    n, c, h, w = x.shape
    u = torch.arange(w, device=x.device) - (w - 1) / 2
    v = (torch.arange(h, device=x.device) - (h - 1) / 2)[:, None]
    m = matrix[:, :2, :, None, None]  # (N, 2, 3, 1, 1)
    col, row = (m[:, :, 0] * u + m[:, :, 1] * v + m[:, :, 2]).unbind(1)  # each (N, H, W)
    col, row = col + (w - 1) / 2, row + (h - 1) / 2
    left, top = col.floor(), row.floor()
    right_part, low_part = (col - left).view(n, 1, -1), (row - top).view(n, 1, -1)
    rows = [_reflect(top.long() + i, h) * w for i in (0, 1)]
    cols = [_reflect(left.long() + j, w) for j in (0, 1)]
    flat = x.flatten(2)

    def corner(i: int, j: int) -> Tensor:
        values = flat.gather(2, (rows[i] + cols[j]).view(n, 1, -1).expand(-1, c, -1))
        if not alpha.has_alpha(x.shape):
            return values
        r, k = top + i, left + j
        outside = (r < 0) | (r >= h) | (k < 0) | (k >= w)
        return values.masked_fill(outside.view(n, 1, -1), _nothing(x))

    upper = torch.lerp(corner(0, 0), corner(0, 1), right_part)
    lower = torch.lerp(corner(1, 0), corner(1, 1), right_part)
    return torch.lerp(upper, lower, low_part).view(n, c, h, w)


class Adaptive(nn.Module):
    """Adaptive discriminator augmentation: each transform applies to each image with probability `p`.

    `forward` augments, for both losses; `update` then moves `p`. Its state is in buffers. Groups, in their order:

    - `flip`: mirrored left to right, for half of the selected images;
    - `rotate90`: rotated by 0, 90, 180 or 270 degrees;
    - `geometric`: translation by whole pixels, uniform within an eighth of the image; isotropic scale, octaves
      N(0, 0.2²); rotation by any angle; anisotropic scale of the same spread; a second rotation; translation by
      N(0, 0.125²) of the image. Composed with the two groups above into one bilinear resampling, mirrored at the edge;
    - `color`: brightness + N(0, 0.2²); contrast, octaves N(0, 0.5²); luma inverted, for half of those selected; and in
      colour images the hue rotated by any angle; saturation, octaves N(0, 1).

    The default suits images with an upright and a left and right (digits, letters, clothes). Up to p = 0.8 no
    transform should leak into the generated images (appendix C of the paper), but flips leak first, which at that p
    affect 40 % of the images, then quarter turns: use them where mirrored or rotated images could be data.

    groups: some of `GROUPS`. p: the initial probability. target: of the mean sign of the critic's real logits.
    images: how many raise p from 0 to 1; `math.inf` keeps it fixed. interval: updates between two changes of p.
    limit: the largest p of `update`.

    Raises RequestError for an unknown group or an impossible probability. Karras et al. 2020, appendices B and C;
    without the wavelet filters and corruptions, which the paper does not recommend.
    """

    p: Tensor
    sign: Tensor
    tally: Tensor

    def __init__(
        self,
        groups: tuple[str, ...] = ("geometric", "color"),
        *,
        p: float = 0.0,
        target: float = 0.6,
        images: float = 500_000,
        interval: int = 4,
        limit: float = 0.8,
    ) -> None:
        super().__init__()
        for name in groups:
            if name not in GROUPS:
                raise unknown("augmentation group", name, GROUPS)
        if not 0 <= p <= limit <= 1:
            raise RequestError(f"augmentation probability {p} with limit {limit}: need 0 <= p <= limit <= 1")
        self.groups, self.target, self.images, self.interval, self.limit = groups, target, images, interval, limit
        self.register_buffer("p", torch.tensor(float(p)))
        self.register_buffer("sign", torch.tensor(0.0))  # the mean sign over the last interval
        self.register_buffer("tally", torch.zeros(3))  # of this interval: the sum of signs, logits, updates

    def forward(self, x: Tensor) -> Tensor:
        """Augment `x` (N, C, H, W), C = 1, 3 or 4, in float32, to its shape and dtype; at p = 0 it stays as it is."""
        # no branch depends on p: the host would wait for the device at every call
        with torch.autocast(x.device.type, enabled=False):
            y = x.float()
            if set(self.groups) - {"color"}:
                y = warp(y, self._geometry(y))
            if "color" in self.groups:
                y, share = _weighted(y)
                matrix, offset = self._colors(y)
                y = (matrix[..., None, None] * y[:, None]).sum(2) + share * offset[..., None, None]
                y = _joined(y, share) if alpha.has_alpha(x.shape) else y
        return y.to(x.dtype)

    @torch.no_grad()
    def update(self, real_logits: Tensor) -> None:
        """Move p once every `interval` calls, up where the mean sign of `real_logits` (N,) exceeds `target`.

        Give D(x) of the augmented real images; with a relativistic loss, where only differences of logits mean
        anything, D(x) - D(x̂). Equation 1 of the paper (r_t).
        """
        self.tally[0] += real_logits.float().sign().sum()
        self.tally[1] += real_logits.numel()
        self.tally[2] += 1
        total, seen, calls = self.tally.unbind()
        due = calls >= self.interval
        sign = total / seen
        p = self.p + (sign - self.target).sign() * seen / self.images
        self.sign.copy_(torch.where(due, sign, self.sign))
        self.p.copy_(torch.where(due, p.clamp(0.0, self.limit), self.p))
        self.tally.mul_(~due)

    def stats(self) -> dict[str, Tensor]:
        """The scalars `augment/p` and `augment/sign`, the mean sign of real logits over the last interval."""
        return {"augment/p": self.p.clone(), "augment/sign": self.sign.clone()}

    def _select(self, values: Tensor, neutral: float, p: Tensor | None = None) -> Tensor:
        """`values` (N, ...) for samples selected with probability p, and `neutral` for the others."""
        draws = torch.rand(len(values), *[1] * (values.dim() - 1), device=values.device)
        return torch.where(draws < (self.p if p is None else p), values, neutral)

    def _octaves(self, n: int, spread: float) -> Tensor:
        """Scale factors (N,), log-normal with a standard deviation of `spread` octaves."""
        return self._select(torch.exp2(spread * torch.randn(n, device=self.p.device)), 1.0)

    def _angles(self, n: int, p: Tensor | None = None) -> Tensor:
        return self._select((2 * torch.rand(n, device=self.p.device) - 1) * math.pi, 0.0, p)

    def _geometry(self, x: Tensor) -> Tensor:
        """Matrices (N, 3, 3) for `warp`.

        They map output to input, so that a product reads in the order of the transforms. No inverses are needed: every
        transform is as likely as its inverse.
        """
        (n, _, h, w), device = x.shape, x.device
        m = torch.eye(3, device=device).expand(n, 3, 3)
        if "flip" in self.groups:
            m = m @ _affine(self._select(1 - 2 * torch.randint(2, (n,), device=device).float(), 1.0), 0, 0, 0, 1, 0)
        if "rotate90" in self.groups:
            turns = self._select(torch.randint(4, (n,), device=device), 0)
            cos, sin = (turns == 0).float() - (turns == 2).float(), (turns == 1).float() - (turns == 3).float()
            m = m @ _rotation(cos, sin)
        if "geometric" in self.groups:
            across, down = self._select((torch.rand(n, 2, device=device) - 0.5) / 4, 0.0).unbind(1)
            m = m @ _affine(1, 0, (across * w).round(), 0, 1, (down * h).round())
            scale = self._octaves(n, 0.2)
            m = m @ _affine(scale, 0, 0, 0, scale, 0)
            p_rotate = 1 - torch.sqrt(1 - self.p)  # so that one rotation or the other applies with probability p
            before, after = self._angles(n, p_rotate), self._angles(n, p_rotate)
            stretch = self._octaves(n, 0.2)
            m = m @ _rotation(before.cos(), before.sin()) @ _affine(stretch, 0, 0, 0, 1 / stretch, 0)
            m = m @ _rotation(after.cos(), after.sin())
            across, down = self._select(0.125 * torch.randn(n, 2, device=device), 0.0).unbind(1)
            m = m @ _affine(1, 0, across * w, 0, 1, down * h)
        return m

    def _colors(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Matrices (N, C, C) and offsets (N, C) that map a pixel's channels."""
        (n, c), device = x.shape[:2], x.device
        eye = torch.eye(c, device=device)
        luma = torch.full((c, c), 1 / c, device=device)  # vvᵀ: the projection on the grey axis v
        brightness = self._select(0.2 * torch.randn(n, device=device), 0.0)
        contrast = self._octaves(n, 0.5)
        reverse = self._select(torch.randint(2, (n,), device=device).float(), 0.0)
        m = contrast[:, None, None] * eye
        m = (eye - 2 * reverse[:, None, None] * luma) @ m
        if c == 3:
            angle = self._angles(n)[:, None, None]
            cross = (eye.roll(1, 0) - eye.roll(-1, 0)) / math.sqrt(3)  # cross @ x = v × x
            m = (angle.cos() * eye + (1 - angle.cos()) * luma + angle.sin() * cross) @ m  # Rodrigues
            m = (eye + (self._octaves(n, 1.0)[:, None, None] - 1) * (eye - luma)) @ m
        return m, m.sum(2) * brightness[:, None]
