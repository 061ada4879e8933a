"""The image tower of OpenAI's CLIP (Radford et al. 2021), whose embeddings share a space with words."""

from __future__ import annotations

from ..frozen.foreign import Tensors
from ..frozen.openai import vision_of_transformers
from ..frozen.published import Options
from ..frozen.towers import open_tower
from ..nets.tower import ImageTower


def convert(tensors: Tensors) -> tuple[Options, Tensors]:
    """The options and weights of a `VisionTransformer` from CLIP's tensors in the layout of Hugging Face's CLIPModel.

    Any of the vision transformers of OpenAI, whose heads all have 64 channels; a text tower is ignored.
    """
    spec, found = vision_of_transformers(tensors, {})
    return spec["options"], found


def load(device: str = "cpu") -> ImageTower:
    """The tower itself, fixed and differentiable: images (N, C, H, W) in [-1, 1] -> embeddings, (N, 512) with ViT-B."""
    return open_tower("clip", device)[0]
