"""The losses of both networks of an adversarial recipe."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from .. import alpha, objectives
from ..augment import Adaptive, diff_augment
from ..nets import Generator
from ..nets.blocks import is_batch_independent
from ..types import Adversarial, Batch, Critic, Schedule, Stats
from .gan_options import GAN


def schedules(o: GAN, items: int) -> tuple[Schedule, Schedule]:
    """The critic's steps, then the generator's, repeated; the last of the one is the first of the other."""
    unit = max(1, items // (o.batch * o.accumulate)) if o.turns == "epochs" else 1
    k, m = o.critic_steps * unit, o.generator_steps * unit
    return Schedule(0, k, k + m - 1), Schedule(k - 1, k + m - 1, k + m - 1)


class AdversarialLoss:
    """The losses of a generator and a critic.

    Where both train in one step, they share one batch of fakes, which saves a third of the generator's work.
    """

    def __init__(self, options: GAN, generator: Generator, critic: nn.Module, items: int) -> None:
        """`options` as `resolve` returns them, without `auto`; `items`: those of the data, the length of an epoch."""
        row = objectives.objective(options.objective)
        self.options, self.row = options, row
        self.generator, self.critic = generator, critic
        self.critic_schedule, self.generator_schedule = schedules(options, items)
        self.shared_fakes: Tensor | None = None  # this step's, with their graph, until the generator's loss takes them
        self.penalties = objectives.parse_penalty(options.penalty)
        self.equilibrium = None
        if row.energy:
            self.equilibrium = objectives.Equilibrium(options.began_gamma, options.began_rate / options.accumulate)
        self.ada = Adaptive(images=options.ada_images) if options.augment == "ada" else None

    def augment(self, x: Tensor) -> Tensor:
        if self.ada is not None:
            return self.ada(x)
        return diff_augment(x, self.options.augment_policy) if self.options.augment == "diffaugment" else x

    def losses(self) -> Adversarial:
        return self.equilibrium.losses() if self.equilibrium is not None else self.row.losses

    def draw_fakes(self, batch: Batch) -> Tensor:
        """As many fakes as a batch has items."""
        return self.generator(self.generator.prior(len(batch.x)))

    def critic_for(self, batch: Batch) -> Callable[..., Tensor]:
        """The critic of a batch's items and of the fakes drawn for it; items with alpha it also sees composited."""
        x = batch.x
        return alpha.Composites(self.critic, len(x), x.device) if alpha.has_alpha(x.shape) else self.critic

    def extra_critic_loss(self, critic: Critic, batch: Batch) -> tuple[Tensor | float, Stats]:
        """What is added to the critic's loss, after `critic` has seen the real items and then the fakes."""
        return 0.0, {}

    def extra_generator_loss(self, critic: Critic) -> Tensor | float:
        """What is added to the generator's loss, after `critic` has seen the fakes."""
        return 0.0

    def critic_loss(self, batch: Batch, step: int) -> tuple[Tensor, Stats]:
        o = self.options
        shared = self.generator_schedule.active(step) and o.accumulate == 1  # or memory would hold every pass's graph
        with torch.set_grad_enabled(shared):
            fakes = self.draw_fakes(batch)
        self.shared_fakes = fakes if shared else None
        real, fake = self.augment(batch.x), self.augment(fakes.detach())
        batch_critic = self.critic_for(batch)
        critic = CachedCritic(batch_critic)
        real_logits, fake_logits = critic.both(real, fake, is_batch_independent(self.critic, len(real)))
        loss = self.losses().critic(real_logits, fake_logits).mean()
        real_margin, fake_margin = objectives.margins(real_logits.detach(), fake_logits.detach(), self.row)
        extra, stats = self.extra_critic_loss(batch_critic, batch)
        loss, stats = loss + extra, stats | objectives.accuracy(real_margin, fake_margin)
        if self.critic_schedule.count_before(step) % o.penalty_every == 0:
            for name, weight in self.penalties.items():
                penalty = objectives.PENALTIES[name](critic, real, fake).mean()
                stats[f"critic/{name}"] = penalty.detach()
                loss = loss + weight * o.penalty_every * penalty
        if self.equilibrium is not None:
            stats |= self.equilibrium.update(real_logits.detach(), fake_logits.detach())
        if self.ada is not None:
            self.ada.update(real_margin.repeat_interleave(o.pack))
            stats |= self.ada.stats()
        return loss, stats

    def generator_loss(self, batch: Batch, step: int) -> tuple[Tensor, Stats]:
        fakes = self.draw_fakes(batch) if self.shared_fakes is None else self.shared_fakes
        self.shared_fakes = None
        critic = self.critic_for(batch)
        fake_logits = critic(self.augment(fakes))
        with torch.no_grad():  # relativistic losses compare with real items; they send no gradient to the generator
            real_logits = critic(self.augment(batch.x)) if self.row.paired else fake_logits
        return self.losses().generator(real_logits, fake_logits).mean() + self.extra_generator_loss(critic), {}

    @torch.no_grad()
    def clip_weights(self) -> None:
        for p in self.critic.parameters():
            p.clamp_(-self.options.clip, self.options.clip)


class CachedCritic:
    """A critic that keeps its logits of each tensor: finite differences share the loss's forward pass."""

    def __init__(self, critic: Critic) -> None:
        self.critic = critic
        self.cache: list[tuple[Tensor, Tensor]] = []

    def both(self, real: Tensor, fake: Tensor, one_pass: bool) -> tuple[Tensor, Tensor]:
        """The logits of two batches, float32; in one pass, which is faster, where neither changes the other's."""
        if one_pass:
            self.cache += zip((real, fake), self.critic(torch.cat([real, fake.to(real.dtype)])).chunk(2), strict=True)
        return self(real).float(), self(fake).float()

    def __call__(self, x: Tensor) -> Tensor:
        for seen, logits in self.cache:
            if seen is x:
                return logits
        logits = self.critic(x)
        self.cache.append((x, logits))
        return logits
