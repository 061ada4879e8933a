"""The vision transformer (Dosovitskiy et al. 2021), with the variations of CLIP (2021) and DINOv2 (2024)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import RequestError, entry


class QuickGELU(nn.Module):
    """x σ(1.702 x), the approximation of GELU in OpenAI's CLIP."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(1.702 * x)


ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {"gelu": nn.GELU, "quick-gelu": QuickGELU}


class Attention(nn.Module):
    """Multi-head self-attention (Vaswani et al. 2017), `causal`: only to earlier tokens. (N, T, width) -> the same"""

    def __init__(self, width: int, heads: int, causal: bool = False) -> None:
        super().__init__()
        if width % heads:
            raise RequestError(f"{heads} does not divide the width {width}", "give a divisor", field="options.heads")
        self.heads, self.causal = heads, causal
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """`mask` (N, 1, 1, T): true for the tokens to attend to."""
        n, t, width = x.shape
        q, k, v = self.qkv(x).reshape(n, t, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, mask, is_causal=self.causal)  # (N, heads, T, width / heads)
        return self.out(y.transpose(1, 2).reshape(n, t, width))


class Scale(nn.Module):
    """Each channel of a residual branch times its own factor: layer scale (Touvron et al. 2021)."""

    def __init__(self, width: int, start: float = 1e-5) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((width,), start))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gamma


class Block(nn.Module):
    """x + attention(norm x), then x + mlp(norm x). (N, T, width) -> the same. `activation`: of ACTIVATIONS."""

    def __init__(
        self,
        width: int,
        heads: int,
        mlp: int,
        activation: str,
        epsilon: float,
        scaled: bool = False,
        causal: bool = False,
    ) -> None:
        """scaled: with `Scale` at the end of each branch."""
        super().__init__()
        function = entry("activation", activation, ACTIVATIONS, field="options.activation")()
        self.attention = nn.Sequential(nn.LayerNorm(width, epsilon), Attention(width, heads, causal))
        self.mlp = nn.Sequential(nn.LayerNorm(width, epsilon), nn.Linear(width, mlp), function, nn.Linear(mlp, width))
        if scaled:
            self.attention.append(Scale(width))
            self.mlp.append(Scale(width))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(x)
        return x + self.mlp(x)


class VisionTransformer(nn.Module):
    """Normalised images (N, 3, size, size) -> embeddings (N, outputs), or the class token (N, width) without outputs.

    size, patch: pixels of a side, the first a multiple of the second, or a RequestError. mlp: hidden units of a block.
    epsilon: of the layer norms. pre_norm: another one before the first block, and patches without bias, as in CLIP.
    layer_scale: as in DINOv2. outputs: of the linear projection at the end, which has no bias; 0 for none.
    """

    def __init__(
        self,
        size: int = 224,
        patch: int = 16,
        width: int = 768,
        layers: int = 12,
        heads: int = 12,
        mlp: int = 3072,
        activation: str = "gelu",
        epsilon: float = 1e-6,
        pre_norm: bool = False,
        layer_scale: bool = False,
        outputs: int = 0,
    ) -> None:
        super().__init__()
        if size % patch:
            problem = f"{patch} does not divide images of {size} pixels"
            raise RequestError(problem, "give a divisor", field="options.patch")
        self.size, self.dim = size, outputs or width
        self.patches = nn.Conv2d(3, width, patch, stride=patch, bias=not pre_norm)
        self.class_token = nn.Parameter(torch.randn(width) * width**-0.5)
        self.position = nn.Parameter(torch.randn((size // patch) ** 2 + 1, width) * width**-0.5)  # class token first
        self.pre_norm = nn.LayerNorm(width, epsilon) if pre_norm else nn.Identity()
        self.blocks = nn.Sequential(
            *(Block(width, heads, mlp, activation, epsilon, layer_scale) for _ in range(layers))
        )
        self.norm = nn.LayerNorm(width, epsilon)
        self.projection = nn.Linear(width, outputs, bias=False) if outputs else nn.Identity()

    def tokens(self, x: Tensor) -> Tensor:
        """The class token and the patches row by row after the last norm, (N, 1 + (size / patch)², width)."""
        patches = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.class_token.expand(len(x), 1, -1), patches], 1) + self.position
        return self.norm(self.blocks(self.pre_norm(x)))

    def forward(self, x: Tensor) -> Tensor:
        return self.projection(self.tokens(x)[:, 0])
