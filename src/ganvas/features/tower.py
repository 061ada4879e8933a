"""A published vision transformer as an extractor."""

from __future__ import annotations

from torch import Tensor

from ..frozen.towers import IMAGE_TOWERS, open_tower
from .extractor import Extractor


def tower_extractor(name: str, device: str) -> Extractor:
    """The tower of IMAGE_TOWERS as an extractor, which sees images of 8 bits, as files hold them.

    CLIP gives embeddings that are not normalised (512 with ViT-B), DINOv2 the class token after the last norm (384
    with ViT-S).
    """
    tower, digest = open_tower(name, device)
    mean, deviation = IMAGE_TOWERS[name]

    def features(x: Tensor) -> Tensor:
        return tower((x * 127.5 + 127.5).round().clamp(0, 255) / 127.5 - 1)

    resize = (
        f"8-bit values, RGB, the short side resized to {tower.size} (bicubic, antialiased), the central "
        f"{tower.size}×{tower.size}, the mean {mean} and deviation {deviation}"
    )
    widest = 4 * tower.network.get_parameter("position").numel()  # of the perceptrons
    return Extractor(name, digest, tower.dim, resize, features, None, device, crops=True, widest=lambda shape: widest)
