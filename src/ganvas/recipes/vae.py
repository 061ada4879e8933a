"""The variational autoencoder: an encoder to a Gaussian over latents, and a decoder, which generates by itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import torch
from PIL.Image import Image
from torch import Tensor
from torch.optim import Adam

from .. import files, frozen, media
from ..data import Dataset
from ..errors import RequestError
from ..nets import VAE as Network
from ..nets.blocks import pyramid
from ..objectives import likelihoods
from ..objectives.likelihoods import LIKELIHOODS
from ..plan import Plan
from ..sizes import base_of
from ..types import Batch, Examination, Phase, Stats, System
from .base import Training, averaged, examination, held_out_of, opt, place, refuse_points

SCALE = 0.2  # initial scale of the pixels' noise, where it is learned: a tenth of their range
SCALE_LR = 10  # its learning rate, in times lr
BATCH = 100  # held-out images at a time
COLUMNS, TRAVERSED, REACH = 10, 6, 3.0  # of the picture; units that it shows; their range around 0


@dataclass(frozen=True)
class VAE(Training):
    """Autoencoder."""

    net: Literal["auto", "mlp", "dcgan"] = opt(
        "auto", "auto: dcgan for sizes that halve twice or more to 3-7 pixels, else mlp"
    )
    latent: int = opt(16, "units of the latent z ~ N(0, I)", low=1)
    hidden: tuple[int, ...] = opt((512, 512), "mlp: the encoder's hidden layers; the decoder's are these in reverse")
    width: int = opt(32, "dcgan: channels at the largest resolution, doubling inward", low=1)
    max_width: int = opt(512, "dcgan: most channels of a layer", low=1)
    activation: str = opt("relu", "after every layer of both networks but the last")
    norm: bool = opt(True, "batch normalisation; mlp: in the decoder alone")
    likelihood: Literal["bernoulli", "gaussian", "logistic"] = opt(
        "bernoulli", "p(x|z) of a pixel; logistic: discretised, for 8-bit images"
    )
    scale: float = opt(0.0, "gaussian: σ, logistic: s, of pixels from -1 to 1; 0: learned, one number for all pixels")
    beta: float = opt(1.0, "weight of the KL divergence (β-VAE); 1: the ELBO itself")
    beta_warmup: int = opt(0, "steps over which β rises from 0")
    free_bits: float = opt(0.0, "nats of KL per unit that cost nothing")
    lr: float = opt(1e-3, "Adam's learning rate")
    beta1: float = opt(0.9, "Adam's β₁", high=0.9999)
    beta2: float = opt(0.999, "Adam's β₂", high=0.99999)
    ema: float = opt(0.999, "decay of the weights' moving average, which is what is saved; 0: none", high=0.99999)
    measured: int = opt(500, "held-out images on which the bound is measured at every sampling step; 0: all")
    importance: int = opt(10, "samples of z per image, for the importance-weighted bound", low=1)


def vae() -> VAE:
    """A variational autoencoder (Kingma and Welling 2014; Belhaddad 2023, section 1.1), or β-VAE (Higgins et al. 2017).

    DCGAN's pair, the encoder in place of the critic, and a moving average. likelihood=logistic gives a bound in true
    bits of 8-bit images; with it beta=4 draws better images than beta=1 (docs/results.md).
    """
    return VAE(data="fashion-mnist", held_out=0.1, steps=5000, sample_every=500)


def beta(o: VAE, step: int) -> float:
    """The weight of the KL divergence at a step: it rises linearly from 0."""
    return o.beta * min(1.0, (step + 1) / max(1, o.beta_warmup))


class Bounds(NamedTuple):
    """Bounds of -log p(x), in nats per item, and the KL of each unit."""

    reconstruction: float  # -E_q log p(x|z)
    kl: Tensor  # (latent,)
    importance: float  # the importance-weighted bound
    active: float  # units, see likelihoods.active_units

    @property
    def bound(self) -> float:
        """-ELBO: no less than -log p(x) in the mean."""
        return self.reconstruction + self.kl.sum().item()


@torch.inference_mode()
def bounds(network: Network, likelihood: str, items: Dataset, samples: int) -> Bounds:
    """The bounds of -log p(x) on `items`, from the same `samples` of z each at every call."""
    nll = LIKELIHOODS[likelihood].nll
    generator = torch.Generator().manual_seed(0)
    means, units, errors, weighted = [], [], [], []
    for rows in torch.arange(len(items)).split(BATCH):
        x = items.at(rows).x
        mu, log_var = network.posterior(x)
        epsilon = torch.randn(samples, *mu.shape, generator=generator).to(mu)
        z = likelihoods.reparameterised(mu, log_var, epsilon)  # (K, N, L)
        error = torch.stack([nll(network.decoder.raw(one), x, network.log_scale) for one in z])  # (K, N)
        prior = likelihoods.log_normal(z, torch.zeros_like(mu), torch.zeros_like(mu))
        weighted.append(likelihoods.importance_bound(prior - likelihoods.log_normal(z, mu, log_var) - error).cpu())
        means.append(mu.cpu())
        units.append(likelihoods.kl_to_standard_normal(mu, log_var).cpu())
        errors.append(error.mean(0).cpu())
    error, kl, importance = (torch.cat(parts).mean(0) for parts in (errors, units, weighted))
    return Bounds(error.item(), kl, importance.item(), likelihoods.active_units(torch.cat(means)).item())


class VAETask:
    """The loss of a variational autoencoder, its validation and its file."""

    def __init__(self, options: VAE, network: Network, kept: Network, images: Dataset, held_out: Dataset) -> None:
        """`options` as `resolve` returns them; `network` trains, `kept` is validated and saved."""
        self.options, self.network, self.kept = options, network, kept
        self.row = LIKELIHOODS[options.likelihood]
        count = min(options.measured or len(held_out), len(held_out))
        self.held_out = held_out.rows(torch.arange(count)).to(held_out.device)
        self.facts = {"data": images.name, "images": len(images), "likelihood": options.likelihood}

    def loss(self, batch: Batch, step: int) -> tuple[Tensor, Stats]:
        network = self.network
        mu, log_var = network.posterior(batch.x)
        z = likelihoods.reparameterised(mu, log_var, torch.randn_like(mu))
        nll = self.row.nll(network.decoder.raw(z), batch.x, network.log_scale).mean()
        kl = likelihoods.kl_to_standard_normal(mu, log_var)
        loss = nll + beta(self.options, step) * likelihoods.free_bits(kl, self.options.free_bits)
        return loss, {
            "vae/nll": nll.detach(),
            "vae/kl": kl.detach().mean(0).sum(),
            "vae/active_units": likelihoods.active_units(mu.detach()).float(),
        }

    def freeze(self) -> frozen.Autoencoder:
        return frozen.copy_autoencoder(self.kept, "vae", self.facts)

    def examine(self) -> Examination:
        """Reconstructions, samples and traversals; the bounds on held-out images."""
        trained, held = self.freeze(), self.held_out
        assert isinstance(trained.network, Network)
        found = bounds(trained.network, self.options.likelihood, held, self.options.importance)
        figures = {
            "reconstruction": found.reconstruction,
            "kl": found.kl.sum().item(),
            "bound": found.bound,
            "bits_per_dim": likelihoods.bits_per_dim(found.bound, held.items[0].numel(), self.row),
            "importance_bound": found.importance,
            "active_units": found.active,
        }
        return examination(picture(trained, held, found), figures, held)


def picture(network: frozen.Autoencoder, held: Dataset, found: Bounds) -> Image:
    """Held-out originals above their reconstructions, samples of the prior, traversals of the units with most KL."""
    x = held.at(torch.arange(min(COLUMNS, len(held)))).x.cpu()
    z = network.encode(x)
    prior = torch.randn(3 * COLUMNS, z.shape[1], generator=torch.Generator().manual_seed(0))
    kl, units = found.kl.topk(min(TRAVERSED, len(found.kl)))
    path = z[0].repeat(len(units), COLUMNS, 1)
    for row, unit in zip(path, units.tolist(), strict=True):
        row[:, unit] = torch.linspace(-REACH, REACH, COLUMNS)
    nats = ", ".join(f"{value:.1f}" for value in kl.tolist())
    title = f"the first image, along the units with the most KL ({nats} nats)"
    if found.active < 1:
        title = f"posterior collapse: no unit depends on the image (KL {found.kl.sum():.2f} nats)"
    return media.sections(
        {
            "held-out images, and their reconstructions below": media.grid(torch.cat([x, network.decode(z)]), len(x)),
            "samples of the prior": media.grid(network.decode(prior), COLUMNS),
            title: media.grid(network.decode(path.flatten(0, 1)), COLUMNS),
        }
    )


def resolve(o: VAE, shape: tuple[int, ...], device: str = "cpu") -> VAE:
    """Replaces open options by what suits the shape; refuses points."""
    refuse_points(shape, "a vae")
    if o.batch < 2:
        raise RequestError(f"{o.batch} is too small for batch normalisation", "give 2 or more", field="batch")
    found = base_of(*shape[1:])
    o = replace(o, net=o.net if o.net != "auto" else "dcgan" if found and found[1] > 1 else "mlp")
    if o.net == "dcgan":
        pyramid(shape, o.width, o.max_width)  # refuses a size before anything is allocated
    return o


def build(o: VAE, images: Dataset, plan: Plan) -> System:
    """The networks, optimiser and loss of options, as `resolve` returns them."""
    held_out = held_out_of(images).to(plan.device)
    row = LIKELIHOODS[o.likelihood]
    layers = (o.net, o.latent, o.hidden, o.width, o.max_width, o.activation, o.norm)
    log_scale = torch.tensor(o.scale or SCALE).log().item()
    network = Network(images.shape, *layers, row.out, log_scale, learned=row.scaled and not o.scale)
    place([network], plan)
    kept, average, update = averaged(network, o.ema)
    task = VAETask(o, network, kept, images, held_out)
    params = [p for p in network.parameters() if p.requires_grad]
    noise = [p for p in params if p is network.log_scale]
    weights = [p for p in params if p is not network.log_scale]
    groups = [{"params": weights}, {"params": noise, "lr": SCALE_LR * o.lr}]
    optimizer = Adam(groups, lr=o.lr, betas=(o.beta1, o.beta2), fused=True)
    phase = Phase("vae", params, optimizer, task.loss, lr_factor=o.lr_factor, after_step=update)
    products = {files.AUTOENCODER: lambda path: task.freeze().write(path)}
    return System({"vae": network, **average}, [phase], kept.decoder, plan.dtype, task.examine, products)
