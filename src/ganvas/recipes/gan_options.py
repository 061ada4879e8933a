"""The options of the adversarial recipes, in groups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .. import objectives
from ..augment import POLICIES
from .base import Training, opt


@dataclass(frozen=True)
class Networks:
    """Networks."""

    net: Literal["auto", "mlp", "dcgan", "residual"] = opt(
        "auto", "architecture; auto: mlp for points, residual under 16 pixels, else dcgan"
    )
    latent: int = opt(100, "size of the latent z ~ N(0, I)", low=1)
    activation: str = opt("relu", "the generator's activation")
    critic_activation: str = opt("leaky", "the critic's activation")
    norm: bool = opt(True, "batch normalisation in the generator; residual has none")
    critic_norm: Literal["auto", "none", "batch", "spectral"] = opt(
        "auto", "normalisation in the critic; auto: batch for dcgan without a gradient penalty, else none"
    )
    out: Literal["tanh", "sigmoid", "linear"] = opt("tanh", "the generator's last function; points need linear")
    dropout: float = opt(0.0, "dropout in the critic", high=0.99)
    minibatch_stddev: bool = opt(False, "the critic sees the batch's standard deviation")
    minibatch_discrimination: int = opt(0, "kernels of minibatch discrimination in the critic; 0: none")
    pack: int = opt(1, "samples that the critic judges together (PacGAN)", low=1)


@dataclass(frozen=True)
class Perceptrons:
    """Perceptrons (net=mlp)."""

    hidden: tuple[int, ...] = opt((), "the generator's hidden layers; none: 256,512,1024, for points 128,128,128", 1)
    critic_hidden: tuple[int, ...] = opt((), "the critic's hidden layers; none: the generator's in reverse", 1)


@dataclass(frozen=True)
class Convolutions:
    """Convolutions (net=dcgan or residual)."""

    width: int = opt(64, "channels at the largest resolution, doubling inward; 0: by size and device")
    max_width: int = opt(512, "most channels of a layer", low=1)


@dataclass(frozen=True)
class Losses:
    """Losses."""

    objective: str = opt("ns", f"one of {', '.join(objectives.ADVERSARIAL)}")
    penalty: str = opt("auto", f"name:weight+… of {', '.join(objectives.PENALTIES)}; auto: the objective's own")
    penalty_every: int = opt(1, "critic steps between two uses of the penalty, whose weight is multiplied by this", 1)
    clip: float = opt(-1.0, "clip the critic's weights to ±clip; 0: do not; -1: as the objective's paper does", -1)
    began_gamma: float = opt(0.5, "BEGAN's diversity ratio γ")
    began_rate: float = opt(0.001, "BEGAN's λₖ")


@dataclass(frozen=True)
class Optimisers:
    """Optimisers."""

    optimizer: Literal["adam", "rmsprop"] = opt("adam", "optimiser of both networks")
    lr: float = opt(2e-4, "the generator's learning rate")
    critic_lr: float = opt(0.0, "the critic's learning rate; 0: the generator's")
    beta1: float = opt(0.5, "Adam's β₁", high=0.9999)
    beta2: float = opt(0.999, "Adam's β₂", high=0.99999)
    critic_steps: int = opt(0, "critic steps in a row; 0: as the objective's paper does")
    generator_steps: int = opt(1, "generator steps in a row", low=1)
    turns: Literal["steps", "epochs"] = opt("steps", "the unit of critic_steps and generator_steps")
    ema: float = opt(0.0, "decay of the generator's moving average, which draws the samples; 0: none", high=0.99999)


@dataclass(frozen=True)
class Augmentation:
    """Augmentation."""

    augment: Literal["none", "diffaugment", "ada"] = opt("none", "augmentation of what the critic sees")
    augment_policy: str = opt(",".join(POLICIES), "diffaugment: its transforms")
    ada_images: int = opt(500_000, "images in which ADA's probability can rise from 0 to 1", low=1)


@dataclass(frozen=True)
class GAN(Augmentation, Optimisers, Losses, Convolutions, Perceptrons, Networks, Training):
    """Adversarial training. The fields of the last base come first."""
