"""VQGAN (Esser et al. 2021, "Taming transformers for high-resolution image synthesis", arXiv:2012.09841).

A convolutional encoder, a codebook, a decoder. Options and parameters are named as the authors' are, so that their
checkpoints load by name: `frozen.compvis`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..errors import RequestError
from .blocks import Autoencoder, Generator
from .quantize import VectorQuantizer
from .taming import GROUPS, Decoder, Encoder


def levels(
    shape: tuple[int, ...], ch: int, ch_mult: Sequence[int], attn_resolutions: Sequence[int]
) -> tuple[list[int], list[bool]]:
    """The `widths` and `attention` of both networks; a RequestError where the image cannot be halved so often."""
    if len(shape) != 3:
        problem = f"VQGAN needs images, not items of shape {tuple(shape)}"
        raise RequestError(problem, "choose another data set", field="data")
    text = ",".join(map(str, ch_mult))
    if min(ch_mult, default=0) < 1:
        raise RequestError(
            f"{text or 'nothing'} is not possible", "give factors of 1 or more, such as 1,2,4", field="options.ch_mult"
        )
    factor = 1 << (len(ch_mult) - 1)
    if shape[1] % factor or shape[2] % factor:
        problem = f"{shape[1]}×{shape[2]} images cannot be halved {len(ch_mult) - 1} times between the levels {text}"
        hint = f"use fewer levels, or size=N with N a multiple of {factor}"
        raise RequestError(problem, hint, field="options.ch_mult")
    return [ch, *(ch * m for m in ch_mult)], [(shape[1] >> i) in attn_resolutions for i in range(len(ch_mult))]


class VQGANDecoder(Generator):
    """A grid of codes (N, embed_dim, h, w) -> images (N, C, H, W) in [-1, 1].

    It decodes any grid: also vectors between codes, as optimisation finds them, and grids of other sizes, which give
    larger or smaller images. The prior draws each code of the grid independently, by its share in training, so that
    samples are textures. Labels are not used.
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
        groups: int = GROUPS,
    ) -> None:
        """`latent` is VQGAN's embed_dim; for the rest see `VQGAN`."""
        options = {"n_embed": n_embed, "ch": ch, "ch_mult": list(ch_mult), "num_res_blocks": num_res_blocks}
        options |= {"attn_resolutions": list(attn_resolutions), "z_channels": z_channels}
        super().__init__(latent, shape, {**options, "dropout": dropout, "groups": groups})
        widths, attention = levels(shape, ch, ch_mult, attn_resolutions)
        self.factor = 1 << (len(ch_mult) - 1)
        self.quantize = VectorQuantizer(n_embed, latent)
        self.post_quant_conv = nn.Conv2d(latent, z_channels, 1)
        self.decoder = Decoder(shape[0], widths, z_channels, num_res_blocks, attention, dropout, groups)

    def prior(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """(n, embed_dim, h, w), on the CPU with a generator and on the weights' device without."""
        device = self.quantize.usage.device if generator is None else torch.device("cpu")
        usage, codes = (t.detach().to(device) for t in (self.quantize.usage, self.quantize.embedding.weight))
        shares = usage if usage.any() else torch.ones_like(usage)  # published weights do not hold it
        grid = (n, self.shape[1] // self.factor, self.shape[2] // self.factor)
        index = torch.multinomial(shares, math.prod(grid), replacement=True, generator=generator)
        return codes[index].reshape(*grid, -1).movedim(-1, 1).contiguous()

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        return self.decoder(self.post_quant_conv(z)).clamp(-1, 1)


class VQGAN(Autoencoder):
    """Images (N, C, H, W) -> grids of codes -> images. The latents of `encode` and `decode` are the codes' vectors.

    The levels have `ch` times each of `ch_mult` channels, with halvings between them; each has `num_res_blocks` blocks,
    and attention where the height is one of `attn_resolutions`. The encoder ends in `z_channels`; the codebook has
    `n_embed` codes of `embed_dim` numbers. Norms have `groups` groups, or as many of them as divide the channels. The
    defaults are those of vqgan_imagenet_f16_1024. Raises RequestError for images that cannot be halved so often.
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
        groups: int = GROUPS,
    ) -> None:
        options = {"embed_dim": embed_dim, "n_embed": n_embed, "ch": ch, "ch_mult": list(ch_mult)}
        options |= {"num_res_blocks": num_res_blocks, "attn_resolutions": list(attn_resolutions)}
        super().__init__(shape, {**options, "z_channels": z_channels, "dropout": dropout, "groups": groups})
        widths, attention = levels(shape, ch, ch_mult, attn_resolutions)
        self.encoder = Encoder(shape[0], widths, z_channels, num_res_blocks, attention, dropout, groups)
        self.decoder = Decoder(shape[0], widths, z_channels, num_res_blocks, attention, dropout, groups)
        self.quantize = VectorQuantizer(n_embed, embed_dim)
        self.quant_conv = nn.Conv2d(z_channels, embed_dim, 1)
        self.post_quant_conv = nn.Conv2d(embed_dim, z_channels, 1)

    def outputs(self, x: Tensor) -> Tensor:
        """Images -> the encoder's output before quantisation, (N, embed_dim, h, w)."""
        return self.quant_conv(self.encoder(x))

    def encode(self, x: Tensor) -> Tensor:
        """Images (N, C, H, W) in [-1, 1] -> (N, embed_dim, h, w), each vector a code."""
        return self.quantize(self.outputs(x)).codes

    def decode(self, z: Tensor) -> Tensor:
        """(N, embed_dim, h, w) -> images (N, C, H, W) in [-1, 1]."""
        return self.decode_raw(z).clamp(-1, 1)

    def decode_raw(self, z: Tensor) -> Tensor:
        """As `decode`, not clamped: training needs the gradient out of range."""
        return self.decoder(self.post_quant_conv(z))

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))

    def as_generator(self) -> VQGANDecoder:
        options = {name: value for name, value in self.options.items() if name != "embed_dim"}
        with torch.device("meta"):  # its own weights are replaced at once
            decoder = VQGANDecoder(latent=self.options["embed_dim"], **options)
        decoder.quantize, decoder.post_quant_conv, decoder.decoder = self.quantize, self.post_quant_conv, self.decoder
        return decoder
