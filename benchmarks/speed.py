"""How many steps ganvas takes in the time of one of the tutorial's: `python -m benchmarks.speed`.

Both train the same networks with the same batch, in one process with the same threads, and take turns, so other work
on the machine affects both. The steps' floating-point operations, counted by torch, are also compared with the
machine's rate for a large matrix product, measured in the same minutes.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median
from types import MethodType
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import tutorial
from ganvas import data, plan, recipes
from ganvas.errors import RequestError
from ganvas.loop import train
from ganvas.nets.dcgan import InputProjection
from ganvas.progress import drain

FOREVER = 10**9  # steps


@dataclass
class Contest:
    """The two loops over one recipe's networks, and their measurements."""

    name: str
    precision: str  # of ours; theirs is fp32
    ours: Iterator[Any]
    theirs: Iterator[Any]
    our_flops: int = 0  # a step
    their_flops: int = 0
    our_rates: list[float] = field(default_factory=list)  # steps a second, one a round
    their_rates: list[float] = field(default_factory=list)

    def ratios(self) -> list[float]:
        """Our steps per step of theirs, one value per round."""
        return [a / b for a, b in zip(self.our_rates, self.their_rates, strict=True)]


def pictures(name: str) -> data.Dataset:
    """The data set, or if it is absent the embedded digits at the same 28 pixels."""
    try:
        return data.open_data(name)
    except RequestError as error:
        print(f"{error}\nusing digits at 28 pixels instead")
        return data.open_data("digits", size=28)


def our_loop(name: str, images: data.Dataset, batch: int, precision: str) -> tuple[str, Iterator[Any]]:
    """Steps of ganvas on the CPU as it would train, and the precision of them."""
    options = recipes.override(recipes.recipe(name), {"batch": batch})

    def steps(chosen: plan.Plan) -> Iterator[Any]:
        return train(recipes.build(options, images, chosen), images, steps=FOREVER, batch=options.batch)

    chosen = plan.choose("cpu", precision)
    if precision == "auto":
        chosen = drain(plan.choose_precision(chosen, steps))
    return chosen.precision, steps(chosen)


def their_loop(name: str, images: data.Dataset, batch: int) -> Iterator[Any]:
    """Steps of the tutorial on the same networks, with torch's default memory layout and precision."""
    options = recipes.override(recipes.recipe(name), {"batch": batch})
    modules = recipes.build(options, images, plan.Plan(channels_last=False)).modules
    for module in modules["generator"].modules():
        if isinstance(module, InputProjection):
            module.forward = MethodType(nn.ConvTranspose2d.forward, module)
    pixels = images.items.permute(0, 2, 3, 1).squeeze(3).contiguous().numpy()
    labels = torch.zeros(len(images)) if images.labels is None else images.labels
    loader = DataLoader(tutorial.Pictures(pixels, labels.numpy()), batch_size=batch, shuffle=True, drop_last=True)
    generator = modules["generator"]
    assert isinstance(generator.latent, int)
    return tutorial.LOOPS[name](generator, modules["critic"], tutorial.endless(loader), generator.latent)


def flops(steps: Iterator[Any]) -> int:
    """The floating-point operations of the next step's matrix products and convolutions."""
    with FlopCounterMode(display=False) as counter:
        next(steps)
    return counter.get_total_flops()


def rate(steps: Iterator[Any], seconds: float) -> float:
    """Steps a second, over at least `seconds` and one step."""
    count, taken, begin = 0, 0.0, time.perf_counter()
    while taken < seconds or count == 0:
        next(steps)
        count += 1
        taken = time.perf_counter() - begin
    return count / taken


def measure(contests: Sequence[Contest], rounds: int, seconds: float) -> float:
    """Run the rounds, each loop for `seconds` at a time, in alternating order; returns the peak in FLOP/s."""
    peaks = []
    for contest in contests:
        contest.our_flops, contest.their_flops = flops(contest.ours), flops(contest.theirs)
    for number in range(rounds):
        peaks.append(1e9 * plan.gemm_gflops("cpu", torch.float32))
        for contest in contests:
            turns = [(contest.ours, contest.our_rates), (contest.theirs, contest.their_rates)]
            for loop, rates in turns if number % 2 else reversed(turns):
                rates.append(rate(loop, seconds))
    return max(peaks)


def report(contests: Sequence[Contest], peak: float) -> str:
    """The table, in Markdown."""
    lines = [
        f"fp32 matrix product: {peak / 1e9:.0f} GFLOP/s with {torch.get_num_threads()} threads",
        "",
        "| networks | precision | ratio, median (min to max) | steps/s ganvas | tutorial "
        "| GFLOP/step ganvas | tutorial | share of the fp32 peak ganvas | tutorial |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for c in contests:
        ours, theirs = median(c.our_rates), median(c.their_rates)
        lines.append(
            f"| {c.name} | {c.precision} | {median(c.ratios()):.2f} ({min(c.ratios()):.2f} to {max(c.ratios()):.2f}) "
            f"| {ours:.1f} | {theirs:.1f} | {c.our_flops / 1e9:.2f} | {c.their_flops / 1e9:.2f} "
            f"| {c.our_flops * ours / peak:.0%} | {c.their_flops * theirs / peak:.0%} |"
        )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="turns of each loop (7)")
    parser.add_argument("--seconds", type=float, default=5, help="length of a turn (5)")
    parser.add_argument("--recipes", default="mlp-bn,dcgan", help="networks, of mlp-bn and dcgan")
    parser.add_argument("--data", default="fashion-mnist", help="data set of images (fashion-mnist)")
    parser.add_argument("--batch", type=int, default=128, help="images a step (128)")
    parser.add_argument("--precision", default="auto", help="of ganvas: auto, fp32 or bf16 (auto)")
    options = parser.parse_args(arguments)
    images = pictures(options.data)
    names = options.recipes.split(",")
    contests = []
    for name in names:
        ours = our_loop(name, images, options.batch, options.precision)
        contests.append(Contest(name, *ours, their_loop(name, images, options.batch)))
    print(f"{images.name}, {len(images)} images, batch {options.batch}")
    print(report(contests, measure(contests, options.rounds, options.seconds)))


if __name__ == "__main__":
    main()
