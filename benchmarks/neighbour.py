"""How many steps a second training keeps next to a process that holds one core: `python -m benchmarks.neighbour`.

OpenMP's threads wait for each other after every operation. Where another process has one of the cores, a thread that
spins while it waits takes the core from the one that it waits for. Each setting trains in a process of its own, since
OpenMP reads the environment once; it is measured quiet, then next to such a process.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from statistics import median

from ganvas import recipes
from ganvas.data import open_data
from ganvas.loop import train
from ganvas.openmp import SPINS
from ganvas.plan import Plan

SETTINGS = {
    "OpenMP's own, GOMP_SPINCOUNT=300000": {"GOMP_SPINCOUNT": "300000"},
    "GOMP_SPINCOUNT=10000": {"GOMP_SPINCOUNT": "10000"},
    f"ganvas's own, GOMP_SPINCOUNT={SPINS}": {},
    "OMP_WAIT_POLICY=PASSIVE": {"OMP_WAIT_POLICY": "PASSIVE"},
    "one thread": {"OMP_NUM_THREADS": "1"},
}
NEIGHBOUR = "import time; end = time.time() + 600\nwhile time.time() < end: pass"
VARIABLES = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY", "OMP_NUM_THREADS")


def steps_of(recipe: str, spec: str) -> Iterator[object]:
    """Training steps without end, in fp32."""
    images = open_data(spec)
    options = recipes.resolve(recipes.recipe(recipe), images, Plan())
    return train(recipes.build(options, images, Plan()), images, steps=10**9, batch=options.batch)


def rate(steps: Iterator[object], seconds: float) -> float:
    """Steps a second."""
    count, begin = 0, time.perf_counter()
    while time.perf_counter() - begin < seconds or count < 2:
        next(steps)
        count += 1
    return count / (time.perf_counter() - begin)


def measure(recipe: str, spec: str, seconds: float) -> None:
    """Print the steps a second of this process, quiet and next to another process that holds one core."""
    steps = steps_of(recipe, spec)
    rate(steps, 0)  # warm-up
    quiet = rate(steps, seconds)
    # in a session of its own, or the scheduler gives both processes the share of one
    neighbour = subprocess.Popen([sys.executable, "-c", NEIGHBOUR], start_new_session=True)
    try:
        time.sleep(0.5)
        print(json.dumps([quiet, rate(steps, seconds)]))
    finally:
        neighbour.kill()
        neighbour.wait()


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="turns of each setting (3)")
    parser.add_argument("--seconds", type=float, default=5, help="length of a turn (5)")
    parser.add_argument("--recipe", default="gan", help="what is trained (gan)")
    parser.add_argument("--data", default="fashion-mnist", help="data set of images (fashion-mnist)")
    parser.add_argument("--once", action="store_true", help="measure only this process, as its environment is")
    o = parser.parse_args(arguments)
    if o.once:
        return measure(o.recipe, o.data, o.seconds)
    words = [*(sys.executable, "-m", "benchmarks.neighbour", "--once", "--recipe", o.recipe, "--data", o.data)]
    words += ["--seconds", str(o.seconds)]
    rates: dict[str, list[tuple[float, float]]] = {name: [] for name in SETTINGS}
    plain = {key: value for key, value in os.environ.items() if key not in VARIABLES}
    for _ in range(o.rounds):
        for name, setting in SETTINGS.items():
            found = subprocess.run(words, env=plain | setting, check=True, stdout=subprocess.PIPE, text=True).stdout
            rates[name].append(json.loads(found))
    print(f"{o.recipe} on {o.data}, {os.cpu_count()} cores; steps a second, medians of {o.rounds}")
    print("\n| setting | quiet | shared | kept |\n|---|---|---|---|")
    for name, pairs in rates.items():
        quiet, shared = (median(column) for column in zip(*pairs, strict=True))
        kept = median(after / before for before, after in pairs)
        print(f"| {name} | {quiet:.1f} | {shared:.1f} | {kept:.2f} |")
    return None


if __name__ == "__main__":
    main()
