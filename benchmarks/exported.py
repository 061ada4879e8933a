"""How an exported generator compares with torch: `python -m benchmarks.exported RUN_OR_FILE...`.

For each it prints the size, the largest difference between the outputs of onnxruntime and torch over fresh seeds, and
the CPU milliseconds per picture in both, alone and in batches, on one thread: the least of some rounds, in which the
two take turns. Waiting for a processor does not count, so the machine may be shared.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence

import torch

from ganvas import exporters, frozen
from ganvas.exporters import graph

ROUNDS, SECONDS = 9, 10.0  # at most, of both together
SEEDS = range(50_000, 50_064)  # that are compared


def milliseconds(draw: Callable[..., torch.Tensor], given: Sequence[torch.Tensor]) -> float:
    """CPU seconds for one batch, once."""
    began = time.process_time()
    draw(*given)
    return 1000 * (time.process_time() - began)


def measure(path: str, batch: int) -> str:
    """A row of the table."""
    generator = frozen.load_generator(path)
    content = graph.encode(generator)
    runtimes: list[Callable[..., torch.Tensor]] = [generator.decode, graph.reopen(content, threads=1)]
    difference = 0.0
    for seeds in torch.tensor(list(SEEDS[: 4 * batch])).split(batch):
        given = exporters.inputs(generator, seeds.tolist())
        difference = max(difference, float((runtimes[0](*given) - runtimes[1](*given)).abs().max()))
    times = []
    for size in (1, batch):
        given = exporters.inputs(generator, range(size))
        rounds = [[milliseconds(draw, given) for draw in runtimes]]
        while len(rounds) < ROUNDS and sum(map(sum, rounds)) < 1000 * SECONDS:
            rounds.append([milliseconds(draw, given) for draw in runtimes])
        times += [f"{min(column) / size:.2f}" for column in zip(*rounds, strict=True)]
    weights = sum(weight.numel() for weight in generator.decoder.parameters())
    shape = "×".join(map(str, generator.decoder.shape))
    cells = (generator.recipe, shape, f"{weights:,}", f"{len(content) / 1e6:.1f} MB", f"{difference:.1e}", *times)
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("generators", nargs="+", help="runs, or files of generators")
    parser.add_argument("--batch", type=int, default=16)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print("| recipe | item | weights | ONNX | difference | torch | onnxruntime | torch, batch | onnxruntime, batch |")
    print("|---|---|---|---|---|---|---|---|---|")
    for path in arguments.generators:
        print(measure(path, arguments.batch), flush=True)


if __name__ == "__main__":
    main()
