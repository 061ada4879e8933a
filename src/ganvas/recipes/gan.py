"""Adversarial training: any objective of the table with any pair of networks that fits it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import replace

import torch
from torch import nn
from torch.nn import Parameter
from torch.optim import Adam, Optimizer, RMSprop

from .. import alpha, objectives
from ..augment import transforms
from ..nets import DCGANCritic, DCGANGenerator, Generator, MLPCritic, MLPGenerator, ResidualCritic, ResidualGenerator
from ..nets.blocks import AutoencoderCritic, apply_spectral_norm, pyramid
from ..plan import Plan
from ..types import Images, Phase, System
from .adversarial import AdversarialLoss
from .base import averaged, place, refuse
from .gan_options import GAN

Shape = tuple[int, ...]
Pair = tuple[Generator, nn.Module]


def mlp(o: GAN, shape: Shape, seen: Shape, outputs: int) -> Pair:
    """The multilayer perceptrons of the options; `outputs` is the critic's, which sees items of another shape."""
    layers = (seen, o.critic_hidden, o.critic_activation, o.dropout, o.critic_norm == "spectral")
    head = (o.minibatch_stddev, o.minibatch_discrimination, o.pack, outputs)
    generator = MLPGenerator(shape, o.latent, o.hidden, o.activation, o.norm, o.out)
    return generator, MLPCritic(*layers, *head, unit=o.out == "sigmoid")


def dcgan(o: GAN, shape: Shape, seen: Shape, outputs: int) -> Pair:
    """The convolutional pair of the options."""
    layers = (seen, o.width, o.max_width, o.critic_activation, o.critic_norm, o.dropout)
    head = (o.minibatch_stddev, o.minibatch_discrimination, o.pack, outputs)
    generator = DCGANGenerator(shape, o.latent, o.width, o.max_width, o.activation, o.norm, o.out)
    return generator, DCGANCritic(*layers, *head)


def residual(o: GAN, shape: Shape, seen: Shape, outputs: int) -> Pair:
    """R3GAN's pair."""
    sizes = (o.width, o.max_width)
    generator = ResidualGenerator(shape, o.latent, *sizes, out=o.out)
    return generator, ResidualCritic(seen, *sizes, minibatch_stddev=o.minibatch_stddev, pack=o.pack, outputs=outputs)


Nets = Callable[[GAN, Shape, Shape, int], Pair]  # options, shapes of the items and of what the critic sees, outputs
NETS: dict[str, Nets] = {"mlp": mlp, "dcgan": dcgan, "residual": residual}


def suitable_net(o: GAN, row: objectives.Objective, shape: tuple[int, ...]) -> str:
    """What `net=auto` means: residual under 16 pixels, where DCGAN has a single layer, unless its critic cannot."""
    if len(shape) == 1:
        return "mlp"
    plain = o.critic_norm in ("auto", "none") and not (o.dropout or o.minibatch_discrimination or row.energy)
    return "residual" if min(shape[1:]) < 16 and plain else "dcgan"


def affordable_width(net: str, size: int, device: str) -> int:
    """Channels at the largest resolution of a network that a CPU trains in minutes; twice as many on a GPU."""
    width = 64 if size < 28 and net == "dcgan" else 32 if size <= 64 else 16
    return width if device == "cpu" else 2 * width


def resolve(o: GAN, shape: tuple[int, ...], device: str = "cpu") -> GAN:
    """Replaces every `auto` by what suits the shape and the device; a RequestError for options that cannot work."""
    row = objectives.objective(o.objective)
    penalty = row.penalty if o.penalty == "auto" else o.penalty
    net = o.net if o.net != "auto" else suitable_net(o, row, shape)
    per_sample = bool(objectives.parse_penalty(penalty)) or row.energy
    hidden = o.hidden or ((128, 128, 128) if len(shape) == 1 else (256, 512, 1024))
    norm = "batch" if net == "dcgan" and not per_sample else "none"
    side = round(math.sqrt(math.prod(shape[1:])))  # of the square with as many pixels
    o = replace(
        o,
        net=net,
        hidden=hidden,
        width=o.width or affordable_width(net, side, device),
        critic_hidden=o.critic_hidden or hidden[::-1],
        penalty=penalty,
        critic_norm=norm if o.critic_norm == "auto" else o.critic_norm,
        clip=row.clip if o.clip < 0 else o.clip,
        critic_steps=o.critic_steps or row.critic_steps,
        critic_lr=o.critic_lr or o.lr,
        out="linear" if len(shape) == 1 else o.out,
    )
    check(o, row, shape)
    if net != "mlp":
        pyramid(shape, o.width, o.max_width)  # refuses a size before anything is allocated
    return o


def check(o: GAN, row: objectives.Objective, shape: tuple[int, ...]) -> None:
    """A RequestError where the options contradict each other."""
    penalties = objectives.parse_penalty(o.penalty)
    finite = [name for name in penalties if name.startswith("fd-")]
    transforms(o.augment_policy)
    batch, energy, why = o.critic_norm == "batch", row.energy, f"with objective {o.objective!r}"
    extras = o.critic_norm != "none" or o.dropout > 0 or o.minibatch_discrimination > 0
    mixing = f"'batch' makes the gradient depend on the whole batch, which penalty {o.penalty!r} does not allow"
    random = f"{o.dropout} makes two passes differ, which finite differences ({', '.join(finite)}) compare"
    bare = "'residual' has no normalisation, dropout or minibatch discrimination"
    shared = f"{o.pack} is not possible with one energy per item"
    refuse(
        (bool(penalties) and batch, "critic_norm", mixing, "use none or spectral"),
        (bool(finite) and o.dropout > 0, "dropout", random, "use 0 or the exact penalty"),
        (energy and o.net == "residual", "net", "'residual' has no autoencoder as critic", f"use mlp or dcgan {why}"),
        (energy and o.pack > 1, "pack", shared, f"use 1 {why}"),
        (o.batch % o.pack != 0, "pack", f"{o.pack} does not divide batch={o.batch}", "use a divisor"),
        (batch and o.net != "dcgan", "critic_norm", f"'batch' does not exist for net={o.net}", "use none"),
        (o.net == "residual" and extras, "net", bare, "leave these options at their defaults"),
        (o.augment != "none" and len(shape) == 1, "augment", f"{o.augment!r} is for images, not points", "use none"),
    )


def optimizer(o: GAN, params: Iterable[Parameter], lr: float) -> Optimizer:
    """The optimiser of the options; Adam is fused, which takes a third of the time on a CPU."""
    if o.optimizer == "rmsprop":
        return RMSprop(params, lr=lr)
    return Adam(params, lr=lr, betas=(o.beta1, o.beta2), fused=True)


def build(o: GAN, images: Images, plan: Plan) -> System:
    """The networks, optimisers and losses of options, as `resolve` returns them, for items of `images`' shape."""
    row = objectives.objective(o.objective)
    seen = alpha.seen(images.shape)
    generator, critic = NETS[o.net](o, images.shape, seen, o.latent if row.energy else 1)
    if row.energy:
        decoder = NETS[o.net](replace(o, norm=False), seen, seen, 1)[0]
        if o.critic_norm == "spectral":
            apply_spectral_norm(decoder)
        critic = AutoencoderCritic(critic, decoder)
    return assemble(AdversarialLoss(o, generator, critic, len(images)), images, plan)


def assemble(loss: AdversarialLoss, images: Images, plan: Plan) -> System:
    """The system that trains with a loss, its networks on the plan's device."""
    o, generator, critic = loss.options, loss.generator, loss.critic
    modules: dict[str, nn.Module] = {"generator": generator, "critic": critic}
    if loss.equilibrium is not None:
        modules["equilibrium"] = loss.equilibrium
    if loss.ada is not None:
        modules["augment"] = loss.ada
    sampled, average, update = averaged(generator, o.ema)
    modules |= average
    place(modules.values(), plan)

    ours, theirs = list(generator.parameters()), list(critic.parameters())
    one, other = optimizer(o, theirs, o.critic_lr), optimizer(o, ours, o.lr)
    phases = [
        Phase("critic", theirs, one, loss.critic_loss, loss.critic_schedule, lr_factor=o.lr_factor),
        Phase("generator", ours, other, loss.generator_loss, loss.generator_schedule, lr_factor=o.lr_factor),
    ]
    phases[0].after_step, phases[1].after_step = loss.clip_weights if o.clip else None, update
    precision = plan.dtype if len(images.shape) == 3 else torch.float32  # bfloat16 would blur points by 1 %
    return System(modules, phases, sampled, precision)
