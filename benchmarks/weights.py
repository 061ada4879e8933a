"""Makes the classifiers that come with ganvas: `python -m benchmarks.weights --data digits,mnist,fashion-mnist`.

Each is a run of the recipe `cnn`, rounded to half precision. The header of its file, `cnn-DATA.safetensors`, records
what it was trained on, for how long, and its accuracy on unseen images, measured after rounding. Interrupted trainings
resume, and complete ones are not repeated.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

import ganvas
from ganvas.api.types import Device
from ganvas.data import Dataset, open_data
from ganvas.errors import unknown
from ganvas.frozen import Classifier, copy_classifier, load_classifier
from ganvas.frozen.weights import SHIPPED, digest
from ganvas.recipes.cnn import confusion

# Options in addition to the recipe's defaults. A mirrored garment is still one, a mirrored digit is not.
OPTIONS: dict[str, dict[str, Any]] = {
    "digits": {"widths": (32, 64), "steps": 1000},
    "mnist": {"widths": (32, 64, 128), "steps": 3000},
    "fashion-mnist": {"widths": (32, 64, 128), "steps": 6000, "flip": True},
}


def trained(data: str, folder: Path, steps: int | None, device: Device, seed: int) -> ganvas.Run:
    """The run in `folder`, trained to its end: from the start, from its checkpoint, or already complete."""
    if (folder / "recipe.json").exists():
        return ganvas.resume(folder, steps=steps)
    options = {**OPTIONS[data], **({} if steps is None else {"steps": steps})}
    return ganvas.train("cnn", data, out=folder, device=device, precision="fp32", seed=seed, options=options)


def make(runs: Path, out: Path, steps: int | None, device: Device, seed: int, data: str) -> dict[str, Any]:
    """Train the classifier of a data set, write its file; returns the facts of its header, and of the file."""
    run = trained(data, runs / f"cnn-{data}", steps, device, seed)
    images = open_data(data, hold_out=run.options.held_out)
    assert images.held_out is not None
    exact = load_classifier(run.path)
    accuracy = correct(exact, images.held_out)
    exact.network.half().float()  # as the file will hold it
    rounded = correct(exact, images.held_out)
    facts = {
        **exact.facts,
        "steps": run.step,
        "seed": seed,
        "measured_on": f"{len(images.held_out)} images, {images.held_out.split}",
        "accuracy": rounded,
    }
    path = out / f"cnn-{data}.safetensors"
    copy_classifier(exact.network, exact.class_names, facts).write(path, torch.float16)
    size, identity = path.stat().st_size, digest(exact.network.state_dict())
    return {**facts, "accuracy_before_rounding": accuracy, "bytes": size, "hash": identity}


def correct(classifier: Classifier, images: Dataset) -> float:
    """The share of images classified correctly."""
    return confusion(classifier, images)[0].trace().item() / len(images)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the options, train, and print the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=",".join(OPTIONS), help=f"separated by commas ({','.join(OPTIONS)})")
    parser.add_argument("--runs", type=Path, default=Path("runs/weights"), help="where they train (runs/weights)")
    parser.add_argument("--out", type=Path, default=SHIPPED, help="where the files go (the package's own folder)")
    parser.add_argument("--steps", type=int, help="of training, in place of those that are tuned")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps (auto)")
    parser.add_argument("--seed", type=int, default=0, help="of the training (0)")
    parser.add_argument("--workers", type=int, default=1, help="trainings at once, each in a process (1)")
    o = parser.parse_args(arguments)
    names = o.data.split(",")
    for name in names:
        if name not in OPTIONS:
            raise unknown("data set", name, OPTIONS)
    work = partial(make, o.runs, o.out, o.steps, o.device, o.seed)
    if o.workers == 1:
        made = list(map(work, names))
    else:
        threads = max(1, torch.get_num_threads() // o.workers)
        with ProcessPoolExecutor(o.workers, get_context("spawn"), torch.set_num_threads, (threads,)) as pool:
            made = list(pool.map(work, names))
    for facts in made:
        print(json.dumps(facts))


if __name__ == "__main__":
    main()
