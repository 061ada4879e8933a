"""VQGAN: an autoencoder with a grid of codes as latent, and a critic that sharpens its reconstructions."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Literal

import torch
from torch import Tensor
from torch.optim import Adam

from .. import alpha, files, frozen, media, nets, objectives
from ..data import Dataset
from ..errors import RequestError
from ..features.perceptual import PERCEPTUAL, Distance, available, perceptual
from ..metrics import measurable, psnr
from ..nets.patch import SMALLEST, PatchCritic
from ..nets.quantize import count_codes, perplexity
from ..objectives.codebook import codebook_loss
from ..plan import Plan
from ..types import Batch, Examination, Phase, Schedule, Stats, System
from .base import Training, examination, held_out_of, opt, place, refuse_points

MEASURED, SHOWN = 500, 8  # held-out images, at most
GRID = 8  # codes per side of the grid, about, where ch_mult is left open
DELTA = 1e-4  # added to the norm that the adaptive weight divides by
MAX_WEIGHT = 1e4  # of the adaptive weight


@dataclass(frozen=True)
class VQGAN(Training):
    """VQGAN. The options of the network have the authors' names."""

    ch: int = opt(16, "channels at the largest resolution", low=1)
    ch_mult: tuple[int, ...] = opt((), "channels of the levels, in times ch; none: 1,2,4,4,… down to 8 codes a side")
    num_res_blocks: int = opt(1, "residual blocks per level; one more in the decoder", low=1)
    attn_resolutions: tuple[int, ...] = opt((), "heights in pixels with attention, in addition to the middle")
    z_channels: int = opt(64, "channels at the end of the encoder", low=1)
    embed_dim: int = opt(32, "numbers per code", low=1)
    n_embed: int = opt(512, "codes of the codebook", low=2)
    groups: int = opt(0, "groups of group normalisation; 0: a fourth of ch, at most the authors' 32", high=1024)
    dropout: float = opt(0.0, "dropout in the residual blocks", high=0.99)
    commitment: float = opt(0.25, "weight β of the commitment: the encoder's outputs stay near their codes")
    codebook_weight: float = opt(1.0, "weight of the codebook's loss")
    revive: float = opt(0.05, "codes with less than this share of an even use move to encoder outputs; 0: none")
    perceptual: str = opt("auto", f"none, {', '.join(PERCEPTUAL)}, or auto: lpips, on a CPU lpips-alex, where found")
    perceptual_weight: float = opt(1.0, "weight of the perceptual distance")
    objective: Literal["hinge", "ns", "lsgan"] = opt("hinge", "loss of the critic, over patches")
    adversarial_weight: float = opt(0.2, "weight of the adversarial loss, times the adaptive weight; 0: no critic")
    critic_start: int = opt(-1, "step at which the critic begins; -1: half of `steps`", low=-1)
    critic_ramp: int = opt(200, "steps over which the adversarial loss rises to its weight")
    critic_width: int = opt(32, "channels of the critic's first layer", low=1)
    critic_layers: int = opt(0, "halvings of the critic; 0: 1 under 32 pixels, 2 under 64, else 3", high=6)
    lr: float = opt(2e-3, "Adam's learning rate")
    codes_rate: float = opt(5.0, "learning rate of the codes, in times lr: slow codes fall behind the encoder")
    critic_lr: float = opt(1e-3, "the critic's learning rate")
    beta1: float = opt(0.9, "Adam's β₁", high=0.9999)
    beta2: float = opt(0.99, "Adam's β₂", high=0.99999)


def vqgan() -> VQGAN:
    """VQGAN (Esser et al. 2021; Nesturi 2024, chapter 3): encoder, codebook, decoder, and a critic of patches.

    L1, perceptual distance, commitment, and from half of the steps on a hinge loss with an adaptive weight.
    """
    options = VQGAN(data="fashion-mnist", batch=16, monitor_every=0, held_out=0.1, sample_every=500)
    return replace(options, warmup=50, decay=-1)


class VQGANTask:
    """The losses of a VQGAN, its validation and its file.

    The critic takes the reconstructions that the autoencoder has just made, which saves a forward pass.
    """

    def __init__(
        self, options: VQGAN, network: nets.VQGAN, critic: PatchCritic, distance: Distance | None, images: Dataset
    ) -> None:
        """`options` as `resolve` returns them."""
        self.options, self.network, self.critic, self.distance = options, network, critic, distance
        self.row = objectives.objective(options.objective)
        self.held_out = held_out_of(images).to(network.quantize.usage.device)
        self.facts = {"data": images.name, "images": len(images)}
        start = options.critic_start if options.adversarial_weight else sys.maxsize
        self.schedule = Schedule(start, sys.maxsize, sys.maxsize)
        self.unseen: list[Tensor] = []  # reconstructions of this step that the critic has not seen yet
        self.transparent = alpha.has_alpha(images.shape)

    def critic_for(self, x: Tensor) -> Callable[..., Tensor]:
        """The critic of a batch and its reconstructions, which sees items with alpha composited too."""
        return alpha.Composites(self.critic, len(x), x.device) if self.transparent else self.critic

    def apart(self, output: Tensor, x: Tensor) -> Tensor:
        """The perceptual distance, (); of items with alpha on random backgrounds."""
        if self.distance is None:
            return output.new_zeros(())
        if self.transparent:
            colours = alpha.backgrounds(len(x), x.device)
            output, x = alpha.composite(output, colours), alpha.composite(x, colours)
        return self.distance(output, x).mean()

    def ramp(self, step: int) -> float:
        """The factor of the adversarial loss at a step: it rises linearly to 1."""
        return min(1.0, (step - self.options.critic_start + 1) / max(1, self.options.critic_ramp))

    def autoencoder_loss(self, batch: Batch, step: int) -> tuple[Tensor, Stats]:
        """L1 + perceptual + codebook + λ·adversarial, where λ is `adaptive_weight`."""
        o, x, codebook = self.options, batch.x, self.network.quantize
        z = self.network.outputs(x)
        revived = codebook.revive(z, o.revive)
        quantized = codebook(z)
        counts = codebook.update_usage(quantized.index)
        output = self.network.decode_raw(quantized.z).float()

        l1 = (output - x).abs().mean()
        perceptual = self.apart(output, x)
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
        if self.schedule.active(step):
            self.unseen.append(output.detach())
            logits = self.critic_for(output)(output)
            adversarial = self.row.losses.generator(logits, logits).mean()
            weight = adaptive_weight(reconstruction, adversarial, self.network.decoder.conv_out.weight)
            loss = loss + self.ramp(step) * o.adversarial_weight * weight * adversarial
            stats |= {"autoencoder/adversarial": adversarial.detach(), "autoencoder/adaptive_weight": weight}
        return loss, stats

    def critic_loss(self, batch: Batch, step: int) -> tuple[Tensor, Stats]:
        """The objective's, over patches of the batch and of its reconstructions."""
        critic = self.critic_for(batch.x)
        real, fake = critic(batch.x), critic(self.unseen.pop(0))
        stats = objectives.accuracy(*objectives.margins(real.detach(), fake.detach(), self.row))
        return self.row.losses.critic(real, fake).mean(), stats

    def freeze(self) -> frozen.Autoencoder:
        """A frozen copy of the autoencoder as it is now."""
        return frozen.copy_autoencoder(self.network, "vqgan", self.facts)

    def examine(self) -> Examination:
        """Held-out originals above their reconstructions; their errors, and the share of the codebook in use."""
        rows = torch.linspace(0, len(self.held_out) - 1, min(MEASURED, len(self.held_out))).long()
        x = self.held_out.at(rows).x
        network = self.freeze()
        z = network.encode(x)
        output, x = network.decode(z), x.cpu()
        counts = count_codes(self.network.quantize.nearest(z.to(network.device)), self.options.n_embed)
        finite = measurable(output)  # or the figures are NaN, which the run explains
        figures = {
            "psnr": psnr(output, x).mean().item() if finite else math.nan,
            "l1": (output - x).abs().mean().item(),
            "codes_used": (counts > 0).float().mean().item(),
            "perplexity": perplexity(counts).item(),
        }
        shown = torch.linspace(0, len(x) - 1, min(4 * SHOWN, len(x))).long()
        return examination(media.reconstructions(x[shown], output[shown], SHOWN), figures, self.held_out)


def adaptive_weight(reconstruction: Tensor, adversarial: Tensor, last: Tensor) -> Tensor:
    """λ = ‖∇_L L_rec‖ / (‖∇_L L_adv‖ + δ), at most 10⁴, L being the decoder's last layer: equation 7.

    With it, the gradients of both losses are equally large, whatever their scales. A scalar without a graph.
    """
    gradients = [torch.autograd.grad(loss, last, retain_graph=True)[0] for loss in (reconstruction, adversarial)]
    rec, adv = (gradient.float().norm() for gradient in gradients)
    return (rec / (adv + DELTA)).clamp(max=MAX_WEIGHT)


def resolve(o: VQGAN, shape: tuple[int, ...], device: str = "cpu") -> VQGAN:
    """Replaces open options by what suits the shape, the device and the number of steps; refuses points."""
    refuse_points(shape, "VQGAN")
    size, common, halvings = min(shape[1:]), math.gcd(*shape[1:]), 1
    while size >> halvings > GRID and common % (2 << halvings) == 0:
        halvings += 1
    resolved = replace(
        o,
        ch_mult=o.ch_mult or tuple(min(1 << i, 4) for i in range(halvings + 1)),
        groups=o.groups or max(1, min(32, o.ch // 4)),
        perceptual=available(device) if o.perceptual == "auto" else o.perceptual,
        critic_start=o.steps // 2 if o.critic_start < 0 else o.critic_start,
        critic_layers=o.critic_layers or (1 if size < 32 else 2 if size < 64 else 3),
    )
    nets.vqgan.layout({**asdict(resolved), "shape": shape})  # refuses a size before anything is allocated
    return resolved


def check(o: VQGAN, images: Dataset) -> None:
    """A RequestError where VQGAN cannot learn from the data. `o` as `resolve` returns it."""
    heights = [images.shape[1] >> i for i in range(len(o.ch_mult))]
    if wrong := [str(height) for height in o.attn_resolutions if height not in heights]:
        hint = f"the levels have {', '.join(map(str, heights))} pixels"
        raise RequestError(f"no level has height {','.join(wrong)}", hint, field="options.attn_resolutions")
    least = SMALLEST << o.critic_layers
    if o.adversarial_weight and min(images.shape[1:]) < least:
        problem = (
            f"a critic with {o.critic_layers} halvings needs images of {least} pixels a side or more, not "
            f"{images.shape[1]}×{images.shape[2]}"
        )
        hint = "use a smaller critic_layers, or adversarial_weight=0"
        raise RequestError(problem, hint, field="options.critic_layers")


def build(o: VQGAN, images: Dataset, plan: Plan) -> System:
    """The networks, optimisers and losses of options, as `resolve` returns them; the codes have their own rate."""
    check(o, images)
    distance = None if o.perceptual == "none" else perceptual(o.perceptual, images, plan.device)
    layers = (o.ch, o.ch_mult, o.num_res_blocks, o.attn_resolutions, o.z_channels, o.dropout, o.groups)
    network = nets.VQGAN(images.shape, o.embed_dim, o.n_embed, *layers)
    critic = PatchCritic(alpha.seen(images.shape)[0], o.critic_width, o.critic_layers)
    place([network, critic], plan)
    task = VQGANTask(o, network, critic, distance, images)
    ours, theirs = list(network.parameters()), list(critic.parameters())
    codes, betas = network.quantize.embedding.weight, (o.beta1, o.beta2)
    groups = [{"params": [p for p in ours if p is not codes]}, {"params": [codes], "lr": o.codes_rate * o.lr}]
    one, other = (Adam(params, lr, betas, fused=True) for params, lr in ((groups, o.lr), (theirs, o.critic_lr)))
    factor = replace(o, warmup=0).lr_factor  # the critic begins late and without a warm-up
    phases = [
        Phase("autoencoder", ours, one, task.autoencoder_loss, lr_factor=o.lr_factor),
        Phase("critic", theirs, other, task.critic_loss, task.schedule, lr_factor=factor),
    ]
    modules = {"autoencoder": network, "critic": critic}
    products = {files.AUTOENCODER: lambda path: task.freeze().write(path)}
    return System(modules, phases, network.as_generator(), plan.dtype, task.examine, products)
