"""The feature spaces of `benchmarks.quality`: a small classifier of the data set itself, and Inception if given."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

Features = Callable[[Tensor], Tensor]  # images (N, C, H, W) in [-1, 1] -> (N, D)


class Classifier(nn.Module):
    """Two convolutions that halve the image, then 128 features and the logits."""

    def __init__(self, shape: tuple[int, ...], classes: int) -> None:
        """`shape` is (C, H, W) with sides of at least 4 pixels."""
        super().__init__()
        channels, height, width = shape
        self.features = nn.Sequential(
            *(nn.Conv2d(channels, 32, 4, stride=2, padding=1), nn.BatchNorm2d(32), nn.ReLU()),
            *(nn.Conv2d(32, 64, 4, stride=2, padding=1), nn.BatchNorm2d(64), nn.ReLU()),
            *(nn.Flatten(), nn.Linear(64 * (height // 4) * (width // 4), 128), nn.ReLU()),
        )
        self.logits = nn.Linear(128, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Images (N, C, H, W) in [-1, 1] -> logits (N, classes)."""
        return self.logits(self.features(x))


def train_classifier(x: Tensor, label: Tensor, classes: int, epochs: int = 3, seed: int = 0) -> Classifier:
    """A classifier of images (N, C, H, W) in [-1, 1] with labels (N,); the learning rate falls to 0 by a cosine."""
    torch.manual_seed(seed)
    network = Classifier(tuple(x.shape[1:]), classes)
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-3)
    batches = [part for _ in range(epochs) for part in torch.randperm(len(x)).split(128) if len(part) > 1]
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, len(batches))
    for part in batches:
        loss = F.cross_entropy(network(x[part]), label[part])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return network.eval()


def cached_classifier(path: Path, x: Tensor, label: Tensor, classes: int) -> Classifier:
    """The classifier kept at `path`, trained first where there is none."""
    if path.exists():
        network = Classifier(tuple(x.shape[1:]), classes)
        network.load_state_dict(load_file(path))
        return network.eval()
    network = train_classifier(x, label, classes)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(network.state_dict(), path)
    return network


def accuracy(network: Classifier, x: Tensor, label: Tensor) -> float:
    """The share of images whose largest logit is the label's."""
    return (embed(network, x).argmax(1) == label).double().mean().item()


def inception(path: Path) -> Features:
    """The 2015 Inception network that FID is defined with, from a TorchScript file: 2,048 features.

    It wants RGB of 299×299 as (x − 128)/128 of 8-bit values; images are resized bilinearly without antialiasing.
    """
    network = torch.jit.load(path, map_location="cpu").eval()

    def features(x: Tensor) -> Tensor:
        x = x.expand(-1, 3, -1, -1).add(1).mul(127.5).round().clamp(0, 255)
        x = F.interpolate(x, (299, 299), mode="bilinear", align_corners=False)
        return network((x - 128) / 128)

    return features


@torch.inference_mode()
def embed(features: Features, x: Tensor, batch: int = 100) -> Tensor:
    """Features of many images, in batches: (N, C, H, W) -> (N, D)."""
    return torch.cat([features(part) for part in x.split(batch)])
