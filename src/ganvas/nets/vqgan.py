"""VQGAN (Esser et al. 2021, "Taming transformers for high-resolution image synthesis", arXiv:2012.09841).

A convolutional encoder, a codebook, a decoder. Options and parameters are named as the authors' are, so that their
checkpoints load by name: `frozen.compvis`.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import RequestError
from ..sizes import Size
from .blocks import Autoencoder, Generator, arguments
from .quantize import VectorQuantizer
from .taming import GROUPS, Decoder, Encoder, Layout


def layout(o: dict[str, Any]) -> Layout:
    """That of both networks, by their options; a RequestError where the image cannot be halved so often."""
    shape, ch, ch_mult = o["shape"], o["ch"], o["ch_mult"]
    if len(shape) != 3:
        problem = f"VQGAN needs images, not items of shape {tuple(shape)}"
        raise RequestError(problem, "choose another data set", field="data")
    text = ",".join(map(str, ch_mult))
    if min(ch_mult, default=0) < 1:
        problem = f"{text or 'nothing'} is not possible"
        raise RequestError(problem, "give factors of 1 or more, such as 1,2,4", field="options.ch_mult")
    factor = 1 << (len(ch_mult) - 1)
    if shape[1] % factor or shape[2] % factor:
        often = "once" if factor == 2 else f"{len(ch_mult) - 1} times"
        problem = f"{Size(shape[2], shape[1])} images cannot be halved {often} between the levels {text}"
        near = [Size(*(max(1, way(n / factor)) * factor for n in shape[:0:-1])) for way in (math.floor, math.ceil)]
        hint = f"use fewer levels, or size={near[0]} or size={near[1]}"
        raise RequestError(problem, hint, field="options.size")
    attention = [(shape[1] >> i) in o["attn_resolutions"] for i in range(len(ch_mult))]
    return Layout([ch, *(ch * m for m in ch_mult)], attention, o["num_res_blocks"], o["dropout"], o["groups"])


class VQGANDecoder(Generator):
    """A grid of codes (N, embed_dim, h, w) -> images (N, C, H, W) in [-1, 1].

    It decodes any grid: also vectors between codes, as optimisation finds them, and grids of other sizes. The prior
    draws each code independently, by its share in training, so that samples are textures. Labels are not used.
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
        super().__init__(latent, shape, arguments(locals()))
        common = layout(self.options)
        self.factor = 1 << (len(ch_mult) - 1)
        self.quantize = VectorQuantizer(n_embed, latent)
        self.post_quant_conv = nn.Conv2d(latent, z_channels, 1)
        self.decoder = Decoder(shape[0], z_channels, common)

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
    """Images (N, C, H, W) -> the vectors of a grid of codes, (N, embed_dim, h, w) -> images.

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
        super().__init__(shape, arguments(locals()))
        common = layout(self.options)
        self.encoder = Encoder(shape[0], z_channels, common)
        self.decoder = Decoder(shape[0], z_channels, common)
        self.quantize = VectorQuantizer(n_embed, embed_dim)
        self.quant_conv = nn.Conv2d(z_channels, embed_dim, 1)
        self.post_quant_conv = nn.Conv2d(embed_dim, z_channels, 1)

    def outputs(self, x: Tensor) -> Tensor:
        """Images -> the encoder's output before quantisation, (N, embed_dim, h, w)."""
        return self.quant_conv(self.encoder(x))

    def encode(self, x: Tensor) -> Tensor:
        return self.quantize(self.outputs(x)).codes

    def decode(self, z: Tensor) -> Tensor:
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
