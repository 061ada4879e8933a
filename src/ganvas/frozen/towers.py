"""The towers that others published: networks of ours with their weights, by name."""

from __future__ import annotations

from ..nets.tower import CLIP, IMAGENET, Colours, ImageTower
from ..nets.vit import VisionTransformer
from .published import open_network

# Vision transformers: name -> the colours of their training images.
IMAGE_TOWERS: dict[str, Colours] = {"clip": CLIP, "dino": IMAGENET}


def open_tower(name: str, device: str = "cpu") -> tuple[ImageTower, str]:
    """The image tower whose weights are `name`.safetensors, fixed, and their hash; `name` is of IMAGE_TOWERS.

    Raises RequestError where its weights are not on this machine.
    """
    network, digest = open_network(name, VisionTransformer, device)
    return ImageTower(network, *IMAGE_TOWERS[name]).to(device), digest
