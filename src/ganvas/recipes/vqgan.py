"""VQGAN: an autoencoder whose latents are a grid of codes, and a critic that makes its reconstructions sharp."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor
from torch.optim import Adam

from .. import files, frozen, media, nets, objectives
from ..data import Dataset
from ..errors import RequestError
from ..features.perceptual import PERCEPTUAL, Distance, available, perceptual
from ..metrics import measurable, psnr
from ..nets.patch import SMALLEST, PatchCritic
from ..nets.quantize import perplexity, tally
from ..objectives.codebook import codebook_loss
from ..plan import Plan
from ..types import Batch, Examination, Phase, Schedule, Stats, System
from .base import Training, opt, rate

MEASURED, SHOWN = 500, 8  # held-out images, at most
GRID = 8  # codes of a side of the grid, about, where the levels are left open
FIRM = 1e-4  # added to the norm that the adaptive weight divides by
MOST = 1e4  # of the adaptive weight


@dataclass(frozen=True)
class VQGAN(Training):
    """Options of VQGAN; those of the network are named as the authors' are."""

    ch: int = opt(16, "channels at the largest resolution", low=1)
    ch_mult: tuple[int, ...] = opt(
        (),
        "times ch: the levels' channels, halvings between them; none: 1,2,4,4,… till the grid has 8 codes a side",
    )
    num_res_blocks: int = opt(1, "residual blocks of a level; the decoder's has one more", low=1)
    attn_resolutions: tuple[int, ...] = opt((), "heights in pixels at which there is attention, beside the middle's")
    z_channels: int = opt(64, "channels between the networks and the codes' projections", low=1)
    embed_dim: int = opt(32, "numbers of a code", low=1)
    n_embed: int = opt(512, "codes of the codebook", low=2)
    groups: int = opt(0, "of group normalisation; 0: a fourth of ch, at most the authors' 32", high=1024)
    dropout: float = opt(0.0, "in the residual blocks", high=0.99)
    commitment: float = opt(0.25, "weight β of what holds the encoder's outputs near their codes")
    codebook_weight: float = opt(1.0, "weight of the codebook's loss")
    revive: float = opt(0.05, "codes used less than this share of an even use are moved to encoder outputs; 0: none")
    perceptual: str = opt(
        "auto", f"auto, none, or {', '.join(PERCEPTUAL)}; auto: lpips, on a CPU lpips-alex, where found"
    )
    perceptual_weight: float = opt(1.0, "weight of the perceptual distance")
    objective: Literal["hinge", "ns", "lsgan"] = opt("hinge", "the game that the critic plays over patches")
    adversarial_weight: float = opt(0.2, "of the adversarial loss, beside the adaptive weight; 0: no critic")
    critic_start: int = opt(-1, "the step from which on there is a critic; -1: half of `steps`", low=-1)
    critic_ramp: int = opt(200, "steps over which the adversarial loss comes to its weight, since a new critic errs")
    critic_width: int = opt(32, "channels of the critic's first layer", low=1)
    critic_layers: int = opt(0, "halvings of the critic; 0: 1 under 32 pixels, 2 under 64, else 3", high=6)
    lr: float = opt(2e-3, "Adam's learning rate")
    codes_rate: float = opt(5.0, "learning rate of the codes, in times lr: outputs of the encoder outrun slow ones")
    critic_lr: float = opt(1e-3, "the critic's learning rate")
    beta1: float = opt(0.9, "Adam's β₁", high=0.9999)
    beta2: float = opt(0.99, "Adam's β₂", high=0.99999)
    warmup: int = opt(50, "steps over which the autoencoder's learning rate rises from 0")
    decay: int = opt(-1, "step by which the learning rates have fallen to a hundredth; -1: `steps`; 0: constant", -1)


def vqgan() -> VQGAN:
    """VQGAN (Esser et al. 2021; source 002, chapter 3): encoder, codebook, decoder, and a critic of patches.

    L1, perceptual distance, commitment, and from half of the steps on a hinge loss whose weight follows the gradients.
    """
    return VQGAN(data="fashion-mnist", batch=16, monitor_every=0, held_out=0.1, sample_every=500)


class Taming:
    """The two losses of a VQGAN, and what it shows and leaves behind.

    Where the critic acts, it judges the reconstructions that the autoencoder has just made, which saves a forward pass.
    """

    def __init__(
        self,
        options: VQGAN,
        network: nets.VQGAN,
        critic: PatchCritic,
        distance: Distance | None,
        images: Dataset,
        held_out: Dataset,
    ) -> None:
        """`options` as `resolve` leaves them."""
        self.options, self.network, self.critic, self.distance = options, network, critic, distance
        self.game = objectives.objective(options.objective).game
        self.held_out = held_out
        self.facts = {"data": images.name, "images": len(images)}
        self.turn = Schedule(
            options.critic_start if options.adversarial_weight else sys.maxsize, sys.maxsize, sys.maxsize
        )
        self.drawn: list[Tensor] = []  # reconstructions of this step that the critic has not seen yet

    def ramp(self, step: int) -> float:
        """The share of its weight that the adversarial loss has at a step."""
        return min(1.0, (step - self.options.critic_start + 1) / max(1, self.options.critic_ramp))

    def autoencoder_loss(self, batch: Batch, step: int) -> tuple[Tensor, Stats]:
        """L1 + perceptual + codebook + λ·adversarial, where λ is `adaptive_weight`."""
        o, x, codebook = self.options, batch.x, self.network.quantize
        z = self.network.outputs(x)
        revived = codebook.revive(z, o.revive)
        quantized = codebook(z)
        counts = codebook.count(quantized.index)
        drawn = self.network.draw(quantized.z).float()

        l1 = (drawn - x).abs().mean()
        perceptual = l1.new_zeros(()) if self.distance is None else self.distance(drawn, x).mean()
        reconstruction = l1 + o.perceptual_weight * perceptual
        quantization = codebook_loss(z, quantized.codes, o.commitment).mean()
        loss = reconstruction + o.codebook_weight * quantization
        stats = {
            "autoencoder/l1": l1.detach(),
            "autoencoder/perceptual": perceptual.detach(),
            "codebook/loss": quantization.detach(),
            "codebook/used": (counts > 0).float().mean(),
            "codebook/perplexity": perplexity(counts),
            "codebook/revived": revived.float(),
        }
        if self.turn.at(step):
            self.drawn.append(drawn.detach())
            logits = self.critic(drawn)
            adversarial = self.game.generator(logits, logits).mean()
            weight = adaptive_weight(reconstruction, adversarial, self.network.decoder.conv_out.weight)
            loss = loss + self.ramp(step) * o.adversarial_weight * weight * adversarial
            stats |= {"autoencoder/adversarial": adversarial.detach(), "autoencoder/adaptive_weight": weight}
        return loss, stats

    def critic_loss(self, batch: Batch, step: int) -> tuple[Tensor, Stats]:
        """The objective's, over patches of the batch and of its reconstructions."""
        real, fake = self.critic(batch.x), self.critic(self.drawn.pop(0))
        row = objectives.objective(self.options.objective)
        stats = objectives.accuracy(*objectives.margins(real.detach(), fake.detach(), row))
        return self.game.critic(real, fake).mean(), stats

    def freeze(self) -> frozen.Autoencoder:
        """A frozen copy of the autoencoder as it is now."""
        return frozen.take_autoencoder(self.network, "vqgan", self.facts)

    def examine(self) -> Examination:
        """Held-out originals over their reconstructions; errors, and how much of the codebook they need."""
        rows = torch.linspace(0, len(self.held_out) - 1, min(MEASURED, len(self.held_out))).long()
        x = self.held_out.at(rows).x
        network = self.freeze()
        z = network.encode(x)
        drawn, x = network.decode(z), x.cpu()
        counts = tally(self.network.quantize.nearest(z.to(network.device)), self.options.n_embed)
        finite = measurable(drawn)  # or the run tells, by a figure that is not, what to do about it
        figures = {
            "psnr": psnr(drawn, x).mean().item() if finite else math.nan,
            "l1": (drawn - x).abs().mean().item(),
            "codes_used": (counts > 0).float().mean().item(),
            "perplexity": perplexity(counts).item(),
        }
        split = self.held_out.split.replace(" ", "_")
        shown = torch.linspace(0, len(x) - 1, min(4 * SHOWN, len(x))).long()
        picture = media.reconstructions(x[shown], drawn[shown], SHOWN)
        return Examination(picture, {f"{split}/{name}": value for name, value in figures.items()})

    def write(self, path: Path) -> None:
        """Write the file of the autoencoder as it is now. Raises OSError where that fails."""
        self.freeze().write(path)


def adaptive_weight(reconstruction: Tensor, adversarial: Tensor, last: Tensor) -> Tensor:
    """λ = ‖∇_L L_rec‖ / (‖∇_L L_adv‖ + δ), at most 10⁴, L being the decoder's last layer: equation 7.

    It makes either loss pull the decoder as strongly as the other, whatever their scales. Without a graph, a scalar.
    """
    pulls = [torch.autograd.grad(loss, last, retain_graph=True)[0] for loss in (reconstruction, adversarial)]
    rec, adv = (pull.float().norm() for pull in pulls)
    return (rec / (adv + FIRM)).clamp(max=MOST)


def resolve(o: VQGAN, shape: tuple[int, ...], device: str = "cpu") -> VQGAN:
    """Puts the choice of the shape, of the machine and of the steps where the options leave it open."""
    size = min(shape[1:], default=1)
    halvings = 1
    while size >> halvings > GRID and (size >> halvings) % 2 == 0:
        halvings += 1
    return replace(
        o,
        ch_mult=o.ch_mult or tuple(min(1 << i, 4) for i in range(halvings + 1)),
        groups=o.groups or max(1, min(32, o.ch // 4)),
        perceptual=available(device) if o.perceptual == "auto" else o.perceptual,
        critic_start=o.steps // 2 if o.critic_start < 0 else o.critic_start,
        critic_layers=o.critic_layers or (1 if size < 32 else 2 if size < 64 else 3),
        decay=o.steps if o.decay < 0 else o.decay,
    )


def check(o: VQGAN, images: Dataset) -> Dataset:
    """The held-out items; a RequestError where VQGAN cannot learn from the data. `o` as `resolve` leaves it."""
    if len(images.shape) != 3:
        raise RequestError(f"{images.name} holds points, and VQGAN encodes images; choose other data")
    if images.held_out is None:
        raise RequestError(f"{images.name} has nothing held out to measure on; use --set held_out=0.1")
    heights = [images.shape[1] >> i for i in range(len(o.ch_mult))]
    if wrong := [str(height) for height in o.attn_resolutions if height not in heights]:
        there = ", ".join(map(str, heights))
        raise RequestError(f"attn_resolutions={','.join(wrong)}: no level is so high; they are of {there} pixels")
    least = SMALLEST << o.critic_layers
    if o.adversarial_weight and min(images.shape[1:]) < least:
        raise RequestError(
            f"a critic of {o.critic_layers} halvings judges images of {least} pixels a side or more, not of "
            f"{images.shape[1]}×{images.shape[2]}; use a smaller --set critic_layers, or adversarial_weight=0"
        )
    return images.held_out


def phases(o: VQGAN, network: nets.VQGAN, critic: PatchCritic, task: Taming) -> list[Phase]:
    """The autoencoder's move, whose codes have a learning rate of their own, and the critic's."""
    ours, theirs = list(network.parameters()), list(critic.parameters())
    codes = network.quantize.embedding.weight
    groups = [{"params": [p for p in ours if p is not codes]}, {"params": [codes], "lr": o.codes_rate * o.lr}]
    betas = o.beta1, o.beta2
    first, then = Adam(groups, lr=o.lr, betas=betas, fused=True), Adam(theirs, lr=o.critic_lr, betas=betas, fused=True)
    return [
        Phase("autoencoder", ours, first, task.autoencoder_loss, rate=rate(o.warmup, o.decay)),
        Phase("critic", theirs, then, task.critic_loss, task.turn, rate=rate(0, o.decay)),
    ]


def build(options: VQGAN, images: Dataset, plan: Plan) -> System:
    """The networks, optimisers and losses of `options` for the images, whose `held_out` it is measured on."""
    o = resolve(options, images.shape, plan.device)
    held_out = check(o, images)
    distance = None if o.perceptual == "none" else perceptual(o.perceptual, images, plan.device)
    network = nets.VQGAN(
        images.shape,
        o.embed_dim,
        o.n_embed,
        o.ch,
        o.ch_mult,
        o.num_res_blocks,
        o.attn_resolutions,
        o.z_channels,
        o.dropout,
        o.groups,
    )
    critic = PatchCritic(images.shape[0], o.critic_width, o.critic_layers)
    layout = torch.channels_last if plan.channels_last else torch.contiguous_format
    for module in (network, critic):
        module.to(plan.device).to(memory_format=layout)  # pyright: ignore[reportCallIssue] - torch's stub forgets it
    task = Taming(o, network, critic, distance, images, held_out.to(plan.device))

    return System(
        {"autoencoder": network, "critic": critic},
        phases(o, network, critic, task),
        network.alone(),
        plan.dtype,
        task.examine,
        {files.AUTOENCODER: task.write},
    )
