"""The training loops that courses teach, on plain torch: ganvas is timed against them.

They follow the text of two widely used introductions step for step (zeroed gradients, fresh targets, `.item()` of
every statistic at every step, the default Adam) and train the given networks.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset


class Pictures(Dataset[tuple[Tensor, int]]):
    """Makes a PIL image of each item and a normalised tensor from it, as image data sets commonly do."""

    def __init__(self, pixels: np.ndarray, labels: np.ndarray) -> None:
        """`pixels` are uint8, (N, H, W) or (N, H, W, 3); `labels` are integers, (N,)."""
        self.pixels, self.labels = pixels, labels

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        picture = Image.fromarray(self.pixels[index])
        array = np.array(picture)
        x = torch.from_numpy(array.reshape(*array.shape[:2], -1)).permute(2, 0, 1).contiguous()
        return (x.float().div(255) - 0.5) / 0.5, int(self.labels[index])


def endless(loader: DataLoader[tuple[Tensor, int]]) -> Iterator[Tensor]:
    """The images of epoch after epoch, (N, C, H, W)."""
    while True:
        for real, _ in loader:
            yield real


def mlp_bn(gen: nn.Module, disc: nn.Module, reals: Iterator[Tensor], z_dim: int) -> Iterator[tuple[float, float]]:
    """The basic GAN of a course on creative AI: both losses on fresh noise. Yields (D's loss, G's loss) a step."""
    loss_func = nn.BCEWithLogitsLoss()
    disc_opt = torch.optim.Adam(disc.parameters(), lr=1e-4)
    gen_opt = torch.optim.Adam(gen.parameters(), lr=1e-4)
    for real in reals:
        disc_opt.zero_grad()
        fake = gen(torch.randn(len(real), z_dim))
        disc_fake = disc(fake.detach())
        disc_fake_loss = loss_func(disc_fake, torch.zeros_like(disc_fake))
        disc_real = disc(real)
        disc_real_loss = loss_func(disc_real, torch.ones_like(disc_real))
        disc_loss = (disc_fake_loss + disc_real_loss) / 2
        disc_loss.backward(retain_graph=True)
        disc_opt.step()

        gen_opt.zero_grad()
        pred = disc(gen(torch.randn(len(real), z_dim)))
        gen_loss = loss_func(pred, torch.ones_like(pred))
        gen_loss.backward(retain_graph=True)
        gen_opt.step()

        yield disc_loss.item(), gen_loss.item()


def dcgan(gen: nn.Module, disc: nn.Module, reals: Iterator[Tensor], z_dim: int) -> Iterator[tuple[float, float]]:
    """PyTorch's DCGAN tutorial: one batch of fakes serves both players. Yields (D's loss, G's loss) a step."""
    criterion = nn.BCEWithLogitsLoss()
    disc_opt = torch.optim.Adam(disc.parameters(), lr=2e-4, betas=(0.5, 0.999))
    gen_opt = torch.optim.Adam(gen.parameters(), lr=2e-4, betas=(0.5, 0.999))
    for real in reals:
        disc.zero_grad()
        label = torch.full((len(real),), 1.0)
        output = disc(real).view(-1)
        real_loss = criterion(output, label)
        real_loss.backward()
        output.mean().item()
        fake = gen(torch.randn(len(real), z_dim, 1, 1))
        label.fill_(0.0)
        output = disc(fake.detach()).view(-1)
        fake_loss = criterion(output, label)
        fake_loss.backward()
        output.mean().item()
        disc_opt.step()

        gen.zero_grad()
        label.fill_(1.0)
        output = disc(fake).view(-1)
        gen_loss = criterion(output, label)
        gen_loss.backward()
        output.mean().item()
        gen_opt.step()

        yield (real_loss + fake_loss).item(), gen_loss.item()


LOOPS = {"mlp-bn": mlp_bn, "dcgan": dcgan}
