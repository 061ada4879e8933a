"""How an exported generator compares with torch: `python -m benchmarks.exported RUN_OR_FILE...`.

Of each it prints how large it is, how far what onnxruntime draws is from what torch draws over fresh seeds, and the
milliseconds a picture in both, alone and in batches, on as many threads as OMP_NUM_THREADS says: the shortest of some
rounds, in which the two take turns, since whatever else the machine does only makes them longer.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence

import torch

from ganvas import export, frozen
from ganvas.export import graph

ROUNDS = 9
SEEDS = range(50_000, 50_064)  # that are compared


def milliseconds(draw: Callable[..., torch.Tensor], given: Sequence[torch.Tensor]) -> float:
    """Of drawing one batch, once."""
    began = time.perf_counter()
    draw(*given)
    return 1000 * (time.perf_counter() - began)


def measure(path: str, batch: int, threads: int) -> str:
    """A row of the table."""
    generator = frozen.load_generator(path)
    content = graph.encode(generator)
    runtimes = (generator.decode, graph.reopen(content, threads))
    furthest = 0.0
    for seeds in torch.tensor(list(SEEDS[: 4 * batch])).split(batch):
        given = export.inputs(generator, seeds.tolist())
        furthest = max(furthest, float((runtimes[0](*given) - runtimes[1](*given)).abs().max()))
    times = []
    for size in (1, batch):
        given = export.inputs(generator, range(size))
        rounds = [[milliseconds(draw, given) / size for draw in runtimes] for _ in range(ROUNDS)]
        times += [f"{min(column):.2f}" for column in zip(*rounds, strict=True)]
    weights = sum(weight.numel() for weight in generator.decoder.parameters())
    shape = "×".join(map(str, generator.decoder.shape))
    cells = (generator.recipe, shape, f"{weights:,}", f"{len(content) / 1e6:.1f} MB", f"{furthest:.1e}", *times)
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("generators", nargs="+", help="runs, or files of generators")
    parser.add_argument("--batch", type=int, default=16)
    arguments = parser.parse_args()
    threads = torch.get_num_threads()
    print("| recipe | item | weights | ONNX | furthest | torch | onnxruntime | torch, batch | onnxruntime, batch |")
    print("|---|---|---|---|---|---|---|---|---|")
    for path in arguments.generators:
        print(measure(path, arguments.batch, threads), flush=True)


if __name__ == "__main__":
    main()
