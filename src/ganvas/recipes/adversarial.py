"""The two losses of an adversarial recipe."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from .. import objectives
from ..augment import Adaptive, diff_augment
from ..nets import Generator
from ..nets.blocks import judges_apart
from ..types import Adversarial, Batch, Critic, Schedule, Stats

if TYPE_CHECKING:
    from .gan import GAN


class AdversarialLoss:
    """The two losses of an adversarial recipe over its networks.

    Where both players act in one step, one batch of fakes serves both, which saves a third of the generator's work.
    """

    def __init__(self, options: GAN, generator: Generator, critic: nn.Module, first: Schedule, then: Schedule) -> None:
        """`options` as `resolve` leaves them, so that nothing in them says `auto`; the critic's turns come first."""
        row = objectives.objective(options.objective)
        self.options, self.row = options, row
        self.generator, self.critic = generator, critic
        self.first, self.then = first, then
        self.drawn: Tensor | None = None  # this step's fakes, with their graph, until the generator takes them
        self.penalties = objectives.parse_penalty(options.penalty)
        self.control = None
        if row.energy:
            self.control = objectives.Equilibrium(options.began_gamma, options.began_rate / options.accumulate)
        self.adaptive = Adaptive(images=options.ada_images) if options.augment == "ada" else None

    def augment(self, x: Tensor) -> Tensor:
        if self.adaptive is not None:
            return self.adaptive(x)
        return diff_augment(x, self.options.augment_policy) if self.options.augment == "diffaugment" else x

    def losses(self) -> Adversarial:
        return self.control.game() if self.control is not None else self.row.game

    def draw(self, batch: Batch) -> Tensor:
        """As many fakes as a batch has items."""
        return self.generator(self.generator.prior(len(batch.x)))

    def judge(self, batch: Batch) -> Critic:
        """What judges the items of a batch, and fakes in their place."""
        return self.critic

    def critic_words(self, judge: Critic, batch: Batch) -> tuple[Tensor | float, Stats]:
        """What the critic's loss has beside the game, once `judge` has judged the real items and then the fakes."""
        return 0.0, {}

    def generator_words(self, judge: Critic, batch: Batch) -> tuple[Tensor | float, Stats]:
        """What the generator's loss has beside the game, once `judge` has judged the fakes, first of all."""
        return 0.0, {}

    def critic_loss(self, batch: Batch, step: int) -> tuple[Tensor, Stats]:
        shared = self.then.at(step) and self.options.accumulate == 1  # or every pass's graph would be kept at once
        with torch.set_grad_enabled(shared):
            drawn = self.draw(batch)
        self.drawn = drawn if shared else None
        real, fake = self.augment(batch.x), self.augment(drawn.detach())
        judge = self.judge(batch)
        critic = Remembered(judge)
        real_logits, fake_logits = critic.both(real, fake, judges_apart(self.critic, len(real)))
        loss = self.losses().critic(real_logits, fake_logits).mean()
        real_margin, fake_margin = objectives.margins(real_logits.detach(), fake_logits.detach(), self.row)
        more, stats = self.critic_words(judge, batch)
        loss, stats = loss + more, stats | objectives.accuracy(real_margin, fake_margin)
        if self.first.before(step) % self.options.penalty_every == 0:
            for name, weight in self.penalties.items():
                penalty = objectives.PENALTIES[name](critic, real, fake).mean()
                stats[f"critic/{name}"] = penalty.detach()
                loss = loss + weight * self.options.penalty_every * penalty
        if self.control is not None:
            stats |= self.control.update(real_logits.detach(), fake_logits.detach())
        if self.adaptive is not None:
            self.adaptive.update(real_margin.repeat_interleave(self.options.pack))
            stats |= self.adaptive.stats()
        return loss, stats

    def generator_loss(self, batch: Batch, step: int) -> tuple[Tensor, Stats]:
        fake = self.draw(batch) if self.drawn is None else self.drawn
        self.drawn = None
        judge = self.judge(batch)
        fake_logits = judge(self.augment(fake))
        with torch.no_grad():  # relativistic losses compare with real items; they send no gradient to the generator
            real_logits = judge(self.augment(batch.x)) if self.row.paired else fake_logits
        more, stats = self.generator_words(judge, batch)
        return self.losses().generator(real_logits, fake_logits).mean() + more, stats

    @torch.no_grad()
    def clip_weights(self) -> None:
        for p in self.critic.parameters():
            p.clamp_(-self.options.clip, self.options.clip)


class Remembered:
    """A critic that does not judge the same tensor twice: finite differences share the game's forward pass."""

    def __init__(self, critic: Critic) -> None:
        self.critic = critic
        self.judged: list[tuple[Tensor, Tensor]] = []

    def both(self, real: Tensor, fake: Tensor, apart: bool) -> tuple[Tensor, Tensor]:
        """The judgements of two batches, float32; in one pass where neither changes the other's, which is quicker."""
        if apart:
            self.judged += zip((real, fake), self.critic(torch.cat([real, fake.to(real.dtype)])).chunk(2), strict=True)
        return self(real).float(), self(fake).float()

    def __call__(self, x: Tensor) -> Tensor:
        for seen, logits in self.judged:
            if seen is x:
                return logits
        logits = self.critic(x)
        self.judged.append((x, logits))
        return logits
