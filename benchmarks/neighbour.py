"""How many steps a second training keeps next to a process that holds one core: `python -m benchmarks.neighbour`.

OpenMP's threads wait for each other after every operation. Where another process has one of the cores, a thread that
spins while it waits takes the core from the one that it waits for. Each setting trains in a process of its own, since
OpenMP reads the environment once; quiet and shared turns alternate, so that other load falls on both.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from statistics import median

SETTINGS = {
    "OpenMP's own": {},
    "GOMP_SPINCOUNT=10000": {"GOMP_SPINCOUNT": "10000"},
    "GOMP_SPINCOUNT=1000": {"GOMP_SPINCOUNT": "1000"},
    "OMP_WAIT_POLICY=PASSIVE": {"OMP_WAIT_POLICY": "PASSIVE"},
    "one thread": {"OMP_NUM_THREADS": "1"},
}
VARIABLES = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY", "OMP_NUM_THREADS")

TRAIN = """
import sys, time
name, data, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
from ganvas import recipes
from ganvas.data import open_data
from ganvas.loop import train
from ganvas.plan import Plan
images = open_data(data)
options = recipes.resolve(recipes.override(recipes.recipe(name), {}), images, Plan())
steps = train(recipes.build(options, images, Plan()), images, steps=10**9, batch=options.batch)
next(steps), next(steps)
count, begin = 0, time.perf_counter()
while time.perf_counter() - begin < seconds:
    next(steps)
    count += 1
print(count / (time.perf_counter() - begin))
"""
NEIGHBOUR = "import time; end = time.time() + 600\nwhile time.time() < end: pass"


def rate(setting: dict[str, str], shared: bool, request: Sequence[str]) -> float:
    """Steps a second of training in a new process; `shared`: while another process holds one core."""
    variables = {key: value for key, value in os.environ.items() if key not in VARIABLES} | setting
    # in a session of its own, or the scheduler groups the neighbour with the training and gives both one share
    other = subprocess.Popen([sys.executable, "-c", NEIGHBOUR], start_new_session=True) if shared else None
    try:
        words = [sys.executable, "-c", TRAIN, *request]
        return float(subprocess.run(words, env=variables, check=True, capture_output=True, text=True).stdout)
    finally:
        if other is not None:
            other.kill()
            other.wait()


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="turns of each setting (3)")
    parser.add_argument("--seconds", type=float, default=5, help="length of a turn (5)")
    parser.add_argument("--recipe", default="gan", help="what is trained (gan)")
    parser.add_argument("--data", default="fashion-mnist", help="data set of images (fashion-mnist)")
    options = parser.parse_args(arguments)
    request = [options.recipe, options.data, str(options.seconds)]
    rates: dict[str, list[tuple[float, float]]] = {name: [] for name in SETTINGS}
    for _ in range(options.rounds):
        for name, setting in SETTINGS.items():
            rates[name].append((rate(setting, False, request), rate(setting, True, request)))
    print(f"{options.recipe} on {options.data}, {os.cpu_count()} cores; steps a second, medians of {options.rounds}")
    print("\n| setting | quiet | shared | kept |\n|---|---|---|---|")
    for name, pairs in rates.items():
        quiet, shared = (median(column) for column in zip(*pairs, strict=True))
        kept = median(after / before for before, after in pairs)
        print(f"| {name} | {quiet:.1f} | {shared:.1f} | {kept:.2f} |")


if __name__ == "__main__":
    main()
