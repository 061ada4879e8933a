"""Adversarial training: any objective of the table with any pair of networks that fits it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import nn
from torch.nn import Parameter
from torch.optim import Adam, Optimizer, RMSprop

from .. import objectives
from ..augment import POLICIES, transforms
from ..errors import RequestError
from ..loop import EMA
from ..nets import DCGANCritic, DCGANGenerator, Generator, MLPCritic, MLPGenerator, ResidualCritic, ResidualGenerator
from ..nets.blocks import AutoencoderCritic, apply_spectral_norm
from ..plan import Plan
from ..types import Images, Phase, Schedule, System
from .adversarial import AdversarialLoss
from .base import Training, opt, rate


@dataclass(frozen=True)
class GAN(Training):
    """Options of the adversarial recipes."""

    net: Literal["auto", "mlp", "dcgan", "residual"] = opt(
        "auto", "architecture; auto: mlp for points, residual under 16 pixels, else dcgan"
    )
    latent: int = opt(100, "size of the latent z ~ N(0, I)", low=1)
    hidden: tuple[int, ...] = opt(
        (), "mlp: the generator's hidden layers; none: 256,512,1024, for points 128 thrice", 1
    )
    critic_hidden: tuple[int, ...] = opt((), "mlp: the critic's hidden layers; none: the generator's from the end", 1)
    width: int = opt(64, "dcgan, residual: channels at the largest resolution, doubling inward; 0: by size and device")
    max_width: int = opt(512, "dcgan, residual: most channels of a layer", low=1)
    activation: str = opt("relu", "the generator's activation")
    critic_activation: str = opt("leaky", "the critic's activation")
    norm: bool = opt(True, "mlp, dcgan: batch normalisation in the generator")
    critic_norm: Literal["auto", "none", "batch", "spectral"] = opt(
        "auto", "normalisation in the critic; auto: batch for dcgan, unless a gradient penalty forbids it"
    )
    out: Literal["tanh", "sigmoid", "linear"] = opt("tanh", "the generator's last function; points need linear")
    dropout: float = opt(0.0, "dropout in the critic", high=0.99)
    minibatch_stddev: bool = opt(False, "the critic sees the batch's standard deviation")
    minibatch_discrimination: int = opt(0, "kernels of minibatch discrimination in the critic; 0: none")
    pack: int = opt(1, "samples that the critic judges together (PacGAN)", low=1)
    objective: str = opt("ns", f"one of {', '.join(objectives.ADVERSARIAL)}")
    penalty: str = opt("auto", f"name:weight+… of {', '.join(objectives.PENALTIES)}; auto: the objective's own")
    penalty_every: int = opt(1, "critic's turns between two uses of the penalty, which then weighs as much more", 1)
    clip: float = opt(-1.0, "clip the critic's weights to ±clip; 0: do not; -1: as the objective's paper does", -1)
    began_gamma: float = opt(0.5, "BEGAN's diversity ratio γ")
    began_rate: float = opt(0.001, "BEGAN's λₖ")
    optimizer: Literal["adam", "rmsprop"] = opt("adam", "optimiser of both players")
    lr: float = opt(2e-4, "the generator's learning rate")
    critic_lr: float = opt(0.0, "the critic's learning rate; 0: the generator's")
    beta1: float = opt(0.5, "Adam's β₁", high=0.9999)
    beta2: float = opt(0.999, "Adam's β₂", high=0.99999)
    warmup: int = opt(0, "steps over which the learning rate rises from 0")
    decay: int = opt(0, "step by which the learning rate has fallen to a hundredth; -1: `steps`; 0: constant", -1)
    critic_steps: int = opt(0, "critic's turns in a row; 0: as the objective's paper does")
    generator_steps: int = opt(1, "generator's turns in a row", low=1)
    turns: Literal["steps", "epochs"] = opt("steps", "the unit of the turns")
    ema: float = opt(0.0, "decay of the generator's moving average, which is what is sampled; 0: none", high=0.99999)
    augment: Literal["none", "diffaugment", "ada"] = opt("none", "augmentation of what the critic sees")
    augment_policy: str = opt(",".join(POLICIES), "diffaugment: its transforms")
    ada_images: int = opt(500_000, "images in which ADA's probability can rise from 0 to 1", low=1)


# -- networks ----------------------------------------------------------------------------------------------------------


def mlp(o: GAN, shape: tuple[int, ...], outputs: int) -> tuple[Generator, nn.Module]:
    """The multilayer perceptrons of the options; `outputs` is the critic's."""
    generator = MLPGenerator(shape, o.latent, o.hidden, o.activation, o.norm, o.out)
    critic = MLPCritic(
        shape,
        o.critic_hidden,
        o.critic_activation,
        dropout=o.dropout,
        spectral=o.critic_norm == "spectral",
        stddev=o.minibatch_stddev,
        discrimination=o.minibatch_discrimination,
        pack=o.pack,
        outputs=outputs,
        unit=o.out == "sigmoid",
    )
    return generator, critic


def dcgan(o: GAN, shape: tuple[int, ...], outputs: int) -> tuple[Generator, nn.Module]:
    """The convolutional pair of the options."""
    generator = DCGANGenerator(shape, o.latent, o.width, o.max_width, o.activation, o.norm, o.out)
    critic = DCGANCritic(
        shape,
        o.width,
        o.max_width,
        o.critic_activation,
        norm=o.critic_norm,
        dropout=o.dropout,
        stddev=o.minibatch_stddev,
        discrimination=o.minibatch_discrimination,
        pack=o.pack,
        outputs=outputs,
    )
    return generator, critic


def residual(o: GAN, shape: tuple[int, ...], outputs: int) -> tuple[Generator, nn.Module]:
    """R3GAN's pair."""
    generator = ResidualGenerator(shape, o.latent, o.width, o.max_width, out=o.out)
    critic = ResidualCritic(
        shape, o.width, o.max_width, minibatch_stddev=o.minibatch_stddev, pack=o.pack, outputs=outputs
    )
    return generator, critic


NETS: dict[str, Callable[[GAN, tuple[int, ...], int], tuple[Generator, nn.Module]]] = {
    "mlp": mlp,
    "dcgan": dcgan,
    "residual": residual,
}


def suitable_net(o: GAN, row: objectives.Objective, shape: tuple[int, ...]) -> str:
    """What `net=auto` means: residual under 16 pixels, where DCGAN has a single layer, unless its critic cannot."""
    if len(shape) == 1:
        return "mlp"
    plain = o.critic_norm in ("auto", "none") and not (o.dropout or o.minibatch_discrimination or row.energy)
    return "residual" if shape[-1] < 16 and plain else "dcgan"


def affordable_width(net: str, size: int, device: str) -> int:
    """Channels at the largest resolution of a network that a CPU trains in minutes; twice as many on a GPU."""
    width = 64 if size < 28 and net == "dcgan" else 32 if size <= 64 else 16
    return width if device == "cpu" else 2 * width


def resolve(o: GAN, shape: tuple[int, ...], device: str = "cpu") -> GAN:
    """Puts the choice of the shape and the device where the options say `auto`; refuses pairs that cannot work."""
    row = objectives.objective(o.objective)
    penalty = row.penalty if o.penalty == "auto" else o.penalty
    net = o.net if o.net != "auto" else suitable_net(o, row, shape)
    per_sample = bool(objectives.parse_penalty(penalty)) or row.energy
    hidden = o.hidden or ((128, 128, 128) if len(shape) == 1 else (256, 512, 1024))
    critic_norm = o.critic_norm
    if critic_norm == "auto":
        critic_norm = "batch" if net == "dcgan" and not per_sample else "none"
    o = replace(
        o,
        net=net,
        hidden=hidden,
        width=o.width or affordable_width(net, shape[-1], device),
        critic_hidden=o.critic_hidden or hidden[::-1],
        penalty=penalty,
        critic_norm=critic_norm,
        clip=row.clip if o.clip < 0 else o.clip,
        critic_steps=o.critic_steps or row.critic_steps,
        critic_lr=o.critic_lr or o.lr,
        decay=o.steps if o.decay < 0 else o.decay,
        out="linear" if len(shape) == 1 else o.out,
    )
    check(o, row, shape)
    return o


def check(o: GAN, row: objectives.Objective, shape: tuple[int, ...]) -> None:
    """Raises a RequestError with the reason and the mend where the options contradict each other."""
    penalties = objectives.parse_penalty(o.penalty)
    finite = [name for name in penalties if name.startswith("fd-")]
    transforms(o.augment_policy)
    refusals = {
        "batch normalisation in the critic makes its gradient depend on the whole batch, so the penalty "
        f"{o.penalty!r} is not defined; use critic_norm=none or spectral": bool(penalties) and o.critic_norm == "batch",
        f"finite differences ({', '.join(finite)}) compare two passes of the critic, which dropout makes differ; "
        "use dropout=0 or the exact penalty": bool(finite) and o.dropout > 0,
        f"objective {o.objective!r} needs an autoencoder as critic, and a 'residual' one has not been built; "
        "use net=mlp or dcgan": row.energy and o.net == "residual",
        f"objective {o.objective!r} rebuilds each item, so pack={o.pack} has no meaning; use pack=1": row.energy
        and o.pack > 1,
        f"pack={o.pack} must divide batch={o.batch}": o.batch % o.pack != 0,
        "critic_norm=batch exists for net=dcgan alone": o.critic_norm == "batch" and o.net != "dcgan",
        "net=residual has no normalisation, dropout or minibatch discrimination; leave them at their defaults": o.net
        == "residual"
        and (o.critic_norm != "none" or o.dropout > 0 or o.minibatch_discrimination > 0),
        f"augment={o.augment} is for images, not for points": o.augment != "none" and len(shape) == 1,
    }
    for reason, wrong in refusals.items():
        if wrong:
            raise RequestError(reason)


# -- the system --------------------------------------------------------------------------------------------------------


def optimizer(o: GAN, params: Iterable[Parameter], lr: float) -> Optimizer:
    """The optimiser of the options; Adam is fused, which takes a third of the time on a CPU."""
    if o.optimizer == "rmsprop":
        return RMSprop(params, lr=lr)
    return Adam(params, lr=lr, betas=(o.beta1, o.beta2), fused=True)


def turns(o: GAN, items: int) -> tuple[Schedule, Schedule]:
    """The critic's turns, then the generator's, repeated; they meet in one step, which shares its batch."""
    unit = max(1, items // (o.batch * o.accumulate)) if o.turns == "epochs" else 1
    k, m = o.critic_steps * unit, o.generator_steps * unit
    return Schedule(0, k, k + m - 1), Schedule(k - 1, k + m - 1, k + m - 1)


def build(options: GAN, images: Images, plan: Plan) -> System:
    """The networks, optimisers and losses of `options` for items of `images`' shape."""
    o = resolve(options, images.shape, plan.device)
    row = objectives.objective(o.objective)
    generator, critic = NETS[o.net](o, images.shape, o.latent if row.energy else 1)
    if row.energy:
        decoder = NETS[o.net](replace(o, norm=False), images.shape, 1)[0]
        if o.critic_norm == "spectral":
            apply_spectral_norm(decoder)
        critic = AutoencoderCritic(critic, decoder)
    return assemble(AdversarialLoss(o, generator, critic, *turns(o, len(images))), images, plan)


def assemble(game: AdversarialLoss, images: Images, plan: Plan) -> System:
    """The system that plays a game, its networks on the plan's device."""
    o, generator, critic = game.options, game.generator, game.critic
    modules: dict[str, nn.Module] = {"generator": generator, "critic": critic}
    if game.control is not None:
        modules["equilibrium"] = game.control
    if game.adaptive is not None:
        modules["augment"] = game.adaptive
    sampled = copy.deepcopy(generator) if o.ema else generator
    average = EMA(generator, sampled, o.ema) if o.ema else None
    if average is not None:
        modules["average"] = average
    layout = torch.channels_last if plan.channels_last else torch.contiguous_format
    for module in modules.values():
        module.to(plan.device).to(memory_format=layout)  # pyright: ignore[reportCallIssue] - torch's stub forgets it

    scale = rate(o.warmup, o.decay)
    ours, theirs = list(generator.parameters()), list(critic.parameters())
    phases = [
        Phase("critic", theirs, optimizer(o, theirs, o.critic_lr), game.critic_loss, game.first, rate=scale),
        Phase("generator", ours, optimizer(o, ours, o.lr), game.generator_loss, game.then, average, scale),
    ]
    phases[0].after = game.clip_weights if o.clip else None
    precision = plan.dtype if len(images.shape) == 3 else torch.float32  # bfloat16 would blur points by 1 %
    return System(modules, phases, sampled, precision)
