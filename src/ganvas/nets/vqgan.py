"""VQGAN (Esser et al. 2021, "Taming transformers for high-resolution image synthesis", arXiv:2012.09841).

A convolutional encoder, a codebook, a decoder. Options and parameters are named as the authors' are, so that their
checkpoints load by name: `frozen.compvis`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import RequestError
from .blocks import Autoencoder, Generator
from .quantize import VectorQuantizer

GROUPS = 32  # of group norm, or as many of these as divide the channels


def normalize(channels: int) -> nn.GroupNorm:
    """Group normalisation as everywhere in VQGAN."""
    return nn.GroupNorm(math.gcd(GROUPS, channels), channels, eps=1e-6)


class ResnetBlock(nn.Module):
    """shortcut(x) + conv(swish(norm(conv(swish(norm(x)))))), (N, inputs, H, W) -> (N, outputs, H, W)."""

    def __init__(self, inputs: int, outputs: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.norm1, self.conv1 = normalize(inputs), nn.Conv2d(inputs, outputs, 3, padding=1)
        self.norm2, self.conv2 = normalize(outputs), nn.Conv2d(outputs, outputs, 3, padding=1)
        self.dropout = nn.Dropout(dropout)
        self.nin_shortcut = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        return self.nin_shortcut(x) + self.conv2(self.dropout(F.silu(self.norm2(h))))


class AttnBlock(nn.Module):
    """x + attention(norm(x)): every pixel looks at every other, with one head. (N, C, H, W) -> the same"""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = normalize(channels)
        self.q, self.k, self.v, self.proj_out = (nn.Conv2d(channels, channels, 1) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(x)
        q, k, v = (layer(h).flatten(2).mT.unsqueeze(1) for layer in (self.q, self.k, self.v))  # (N, 1, H·W, C)
        return x + self.proj_out(F.scaled_dot_product_attention(q, k, v).mT.reshape(x.shape))


class Downsample(nn.Module):
    """Halves the sides by a strided convolution, padded on the right and below alone."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.pad(x, (0, 1, 0, 1)))


class Upsample(nn.Module):
    """Repeats every pixel 2×2, then convolves."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.interpolate(x, scale_factor=2.0))


class Level(nn.Module):
    """The blocks of one resolution, each with attention behind it where `attention` says so."""

    def __init__(self, inputs: int, outputs: int, blocks: int, attention: bool, dropout: float) -> None:
        super().__init__()
        widths = [inputs, *[outputs] * blocks]
        self.block = nn.ModuleList(ResnetBlock(a, b, dropout) for a, b in pairwise(widths))
        self.attn = nn.ModuleList(AttnBlock(outputs) for _ in range(blocks if attention else 0))

    def forward(self, x: Tensor) -> Tensor:
        for i, block in enumerate(self.block):
            x = block(x)
            x = self.attn[i](x) if len(self.attn) else x
        return x


class Down(Level):
    """A level of the encoder, which all but the last halve."""

    def __init__(self, inputs: int, outputs: int, blocks: int, attention: bool, dropout: float, last: bool) -> None:
        super().__init__(inputs, outputs, blocks, attention, dropout)
        self.downsample = nn.Identity() if last else Downsample(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.downsample(super().forward(x))


class Up(Level):
    """A level of the decoder, which all but the last double."""

    def __init__(self, inputs: int, outputs: int, blocks: int, attention: bool, dropout: float, last: bool) -> None:
        super().__init__(inputs, outputs, blocks, attention, dropout)
        self.upsample = nn.Identity() if last else Upsample(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.upsample(super().forward(x))


class Mid(nn.Module):
    """Two blocks around attention, at the lowest resolution."""

    def __init__(self, channels: int, dropout: float) -> None:
        super().__init__()
        self.block_1 = ResnetBlock(channels, channels, dropout)
        self.attn_1 = AttnBlock(channels)
        self.block_2 = ResnetBlock(channels, channels, dropout)

    def forward(self, x: Tensor) -> Tensor:
        return self.block_2(self.attn_1(self.block_1(x)))


class Encoder(nn.Module):
    """Images (N, C, H, W) -> (N, z_channels, H/f, W/f), where f = 2^(levels - 1).

    `widths` are the channels of the first convolution, then those of each level; `attention` says where there is some.
    """

    def __init__(
        self, channels: int, widths: Sequence[int], z_channels: int, blocks: int, attention: Sequence[bool], p: float
    ) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(channels, widths[0], 3, padding=1)
        last = len(attention) - 1
        self.down = nn.ModuleList(
            Down(a, b, blocks, attention[i], p, i == last) for i, (a, b) in enumerate(pairwise(widths))
        )
        self.mid = Mid(widths[-1], p)
        self.norm_out, self.conv_out = normalize(widths[-1]), nn.Conv2d(widths[-1], z_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv_in(x)
        for level in self.down:
            h = level(h)
        return self.conv_out(F.silu(self.norm_out(self.mid(h))))


class Decoder(nn.Module):
    """(N, z_channels, h, w) -> images (N, C, f·h, f·w): the encoder the other way, one block more a level.

    `up` is numbered as `down` is: its first is the largest resolution, and the last to be gone through.
    """

    def __init__(
        self, channels: int, widths: Sequence[int], z_channels: int, blocks: int, attention: Sequence[bool], p: float
    ) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(z_channels, widths[-1], 3, padding=1)
        self.mid = Mid(widths[-1], p)
        outputs, inputs = widths[1:], [*widths[2:], widths[-1]]
        self.up = nn.ModuleList(
            Up(a, b, blocks + 1, attention[i], p, i == 0) for i, (a, b) in enumerate(zip(inputs, outputs, strict=True))
        )
        self.norm_out, self.conv_out = normalize(outputs[0]), nn.Conv2d(outputs[0], channels, 3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        h = self.mid(self.conv_in(z))
        for level in reversed(self.up):
            h = level(h)
        return self.conv_out(F.silu(self.norm_out(h)))


def levels(
    shape: tuple[int, ...], ch: int, ch_mult: Sequence[int], attn_resolutions: Sequence[int]
) -> tuple[list[int], list[bool]]:
    """The `widths` and `attention` of the networks; a RequestError where the image cannot be halved so often."""
    if len(shape) != 3:
        raise RequestError(f"VQGAN encodes images, not items of shape {tuple(shape)}; choose another data set")
    factor = 1 << (len(ch_mult) - 1)
    if shape[1] % factor or shape[2] % factor:
        raise RequestError(
            f"{shape[1]}×{shape[2]} images cannot be halved {len(ch_mult) - 1} times, once between two of the "
            f"{len(ch_mult)} levels of ch_mult={','.join(map(str, ch_mult))}; use fewer levels, or --set size=N with N "
            f"a multiple of {factor}"
        )
    return [ch, *(ch * m for m in ch_mult)], [(shape[1] >> i) in attn_resolutions for i in range(len(ch_mult))]


class VQGANDecoder(Generator):
    """A grid of codes (N, embed_dim, h, w) -> images (N, C, H, W) in [-1, 1].

    Any grid is decoded: one between codes, as optimising it makes, and one of another size than the prior's, which
    gives images of as many times that size. The prior draws every code of the grid by itself, as often as training used
    it; what belongs together it does not know, so that such samples are textures. The labels are not used.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        latent: int = 256,
        n_embed: int = 1024,
        ch: int = 128,
        ch_mult: tuple[int, ...] = (1, 1, 2, 2, 4),
        num_res_blocks: int = 2,
        attn_resolutions: tuple[int, ...] = (16,),
        z_channels: int = 256,
        dropout: float = 0.0,
    ) -> None:
        """`latent` is what VQGAN calls embed_dim; for the rest see `VQGAN`."""
        options = {"n_embed": n_embed, "ch": ch, "ch_mult": list(ch_mult), "num_res_blocks": num_res_blocks}
        options |= {"attn_resolutions": list(attn_resolutions), "z_channels": z_channels, "dropout": dropout}
        super().__init__(latent, shape, options)
        widths, attention = levels(shape, ch, ch_mult, attn_resolutions)
        self.factor = 1 << (len(ch_mult) - 1)
        self.quantize = VectorQuantizer(n_embed, latent)
        self.post_quant_conv = nn.Conv2d(latent, z_channels, 1)
        self.decoder = Decoder(shape[0], widths, z_channels, num_res_blocks, attention, dropout)

    def prior(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """(n, embed_dim, h, w), on the CPU with a generator and on the weights' device without."""
        device = self.quantize.usage.device if generator is None else torch.device("cpu")
        usage, codes = (t.detach().to(device) for t in (self.quantize.usage, self.quantize.embedding.weight))
        shares = usage if usage.any() else torch.ones_like(usage)  # of published weights it is not known
        grid = (n, self.shape[1] // self.factor, self.shape[2] // self.factor)
        index = torch.multinomial(shares, math.prod(grid), replacement=True, generator=generator)
        return codes[index].reshape(*grid, -1).movedim(-1, 1).contiguous()

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        return self.decoder(self.post_quant_conv(z)).clamp(-1, 1)


class VQGAN(Autoencoder):
    """Images (N, C, H, W) -> grids of codes -> images. The latents of `encode` and `decode` are the codes' vectors.

    `ch` channels times each of `ch_mult` are the levels', which halve the sides between them; each has
    `num_res_blocks` blocks, and attention where the height is one of `attn_resolutions`. The encoder ends in
    `z_channels`, the codebook has `n_embed` codes of `embed_dim`. The defaults are those of vqgan_imagenet_f16_1024.
    Raises RequestError for images that cannot be halved so often.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        embed_dim: int = 256,
        n_embed: int = 1024,
        ch: int = 128,
        ch_mult: tuple[int, ...] = (1, 1, 2, 2, 4),
        num_res_blocks: int = 2,
        attn_resolutions: tuple[int, ...] = (16,),
        z_channels: int = 256,
        dropout: float = 0.0,
    ) -> None:
        options = {"embed_dim": embed_dim, "n_embed": n_embed, "ch": ch, "ch_mult": list(ch_mult)}
        options |= {"num_res_blocks": num_res_blocks, "attn_resolutions": list(attn_resolutions)}
        super().__init__(shape, {**options, "z_channels": z_channels, "dropout": dropout})
        widths, attention = levels(shape, ch, ch_mult, attn_resolutions)
        self.encoder = Encoder(shape[0], widths, z_channels, num_res_blocks, attention, dropout)
        self.decoder = Decoder(shape[0], widths, z_channels, num_res_blocks, attention, dropout)
        self.quantize = VectorQuantizer(n_embed, embed_dim)
        self.quant_conv = nn.Conv2d(z_channels, embed_dim, 1)
        self.post_quant_conv = nn.Conv2d(embed_dim, z_channels, 1)

    def outputs(self, x: Tensor) -> Tensor:
        """Images -> what is quantised, (N, embed_dim, h, w)."""
        return self.quant_conv(self.encoder(x))

    def encode(self, x: Tensor) -> Tensor:
        """Images (N, C, H, W) in [-1, 1] -> (N, embed_dim, h, w), every vector of which is a code's."""
        return self.quantize(self.outputs(x)).codes

    def decode(self, z: Tensor) -> Tensor:
        """(N, embed_dim, h, w) -> images (N, C, H, W) in [-1, 1]."""
        return self.draw(z).clamp(-1, 1)

    def draw(self, z: Tensor) -> Tensor:
        """What `decode` clamps: training needs the gradient of what is out of range."""
        return self.decoder(self.post_quant_conv(z))

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))

    def alone(self) -> VQGANDecoder:
        options = {name: value for name, value in self.options.items() if name != "embed_dim"}
        with torch.device("meta"):  # its own weights are never seen
            part = VQGANDecoder(latent=self.options["embed_dim"], **options)
        part.quantize, part.post_quant_conv, part.decoder = self.quantize, self.post_quant_conv, self.decoder
        return part
