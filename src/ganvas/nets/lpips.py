"""LPIPS (Zhang et al. 2018, "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric"), version 0.1."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..alpha import flat
from ..errors import RequestError, entry

# LPIPS compares the outputs of stages: of each the side of the max pooling (stride 2) in front or 0; its convolutions
Stage = tuple[int, list[tuple[int, int, int, int]]]  # channels, kernel, stride, padding, each in front of a ReLU
ALEX = (0, (64, 11, 4, 2)), (3, (192, 5, 1, 2)), (3, (384, 3, 1, 1)), (0, (256, 3, 1, 1)), (0, (256, 3, 1, 1))
VGG = (0, 64, 2), (2, 128, 2), (2, 256, 3), (2, 512, 3), (2, 512, 3)
TRUNKS: dict[str, list[Stage]] = {
    "alex": [(pool, [layer]) for pool, layer in ALEX],  # Krizhevsky 2014, one tower
    "vgg": [(pool, [(c, 3, 1, 1)] * depth) for pool, c, depth in VGG],  # Simonyan & Zisserman 2015, 16 layers
}
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)  # ImageNet's mean and deviation, in [-1, 1]


class Lpips(nn.Module):
    """A perceptual distance of images: the weighted difference of normalised activations of a classifier.

    d(x, y) = Σ_l 1/(H_l W_l) Σ_hw ‖w_l ⊙ (ŷ^l_hw − x̂^l_hw)‖²; `heads` hold the squares of w_l.

    Images are (N, C, H, W) in [-1, 1], C 1, 3 or 4; what is transparent is laid on white. Sides under 32 pixels, too
    small for the trunks, are enlarged by a whole factor. Differentiable. net: "alex", the paper's for measuring, or
    "vgg", for losses and path lengths.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, net: str = "vgg") -> None:
        super().__init__()
        self.stages, self.heads = nn.ModuleList(), nn.ParameterList()
        channels = 3
        for pool, layers in entry("LPIPS network", net, TRUNKS):
            stage: list[nn.Module] = [nn.MaxPool2d(pool, 2)] if pool else []
            for layer in layers:
                stage += [nn.Conv2d(channels, *layer), nn.ReLU()]
                channels = layer[0]
            self.stages.append(nn.Sequential(*stage))
            self.heads.append(torch.ones(channels) / channels)
        self.dim = sum(len(head) for head in self.heads)
        self.register_buffer("shift", torch.tensor(SHIFT)[:, None, None], persistent=False)
        self.register_buffer("scale", torch.tensor(SCALE)[:, None, None], persistent=False)

    def activations(self, x: Tensor) -> Sequence[Tensor]:
        """Unit activations of every stage, channels first, each channel times the root of its weight."""
        found = []
        x = (enlarged(flat(x)).expand(-1, 3, -1, -1) - self.shift) / self.scale
        for stage, head in zip(self.stages, self.heads, strict=True):
            x = stage(x)
            # unlike a root of squares, vector_norm has a gradient where all activations are 0
            norm = torch.linalg.vector_norm(x, dim=1, keepdim=True)
            found.append(x / (norm + 1e-10) * head.sqrt()[:, None, None])
        return found

    def distance(self, x: Tensor, y: Tensor) -> Tensor:
        """LPIPS of images x and y of the same shape (N, C, H, W), or of one with many: (N,), at least 0."""
        pairs = zip(self.activations(x), self.activations(y), strict=True)
        return torch.stack([(a - b).square().sum(1).mean((1, 2)) for a, b in pairs]).sum(0)

    def forward(self, x: Tensor) -> Tensor:
        """The means of the activations over the pixels, (N, dim); their squared distance is at most LPIPS."""
        return torch.cat([a.mean((2, 3)) for a in self.activations(x)], 1)


def enlarged(x: Tensor, least: int = 32) -> Tensor:
    """Images with `least` or more pixels a side: each pixel is repeated as often as needed."""
    if x.ndim != 4 or x.shape[1] not in (1, 3):
        raise RequestError(f"LPIPS compares images (N, C, H, W) of 1, 3 or 4 channels, not {tuple(x.shape)}")
    times = -(-least // min(x.shape[2:]))
    return x.repeat_interleave(times, 2).repeat_interleave(times, 3) if times > 1 else x
