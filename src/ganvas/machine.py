"""What this machine can do, what is missing, and the plan that training would choose."""

from __future__ import annotations

import os
import platform
import shutil
from importlib.util import find_spec
from itertools import repeat
from pathlib import Path

import torch

from .data import cache
from .plan import PRECISIONS, bf16_gain, choose, choose_threads, convolution, devices, gemm_gflops
from .progress import drain

# Extra -> the module that shows it is installed.
EXTRAS = {
    "heic": "pillow_heif",
    "hub": "huggingface_hub",
    "video": "imageio_ffmpeg",
    "onnx": "onnxscript",
    "compvis": "yaml",
}


def examine_machine() -> dict[str, object]:
    """What `ganvas doctor` shows: the machine, torch, measured speeds, the extras, and how to install missing ones."""
    plan = choose()
    work = convolution(plan.device)
    plan = drain(choose_threads(plan, lambda under: (work() for _ in repeat(None))))
    found: dict[str, object] = {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "torch": torch.__version__,
        "cores": os.cpu_count(),
        "threads": f"{plan.threads} (training times its own steps)",
        "cpu capability": torch.backends.cpu.get_cpu_capability(),
        "memory": free_memory(),
        "disk": f"{gib(shutil.disk_usage('.').free)} free in this directory",
        "cache": f"{gib(cache.size())} of data sets in {cache.root()} (`ganvas data --clear-cache` removes them)",
        "devices": ", ".join(devices()),
    }
    if plan.device == "cuda":
        free, total = torch.cuda.mem_get_info()
        found["gpu"] = f"{torch.cuda.get_device_name()}, {gib(free)} free of {gib(total)}"
    for name, dtype in PRECISIONS.items():
        found[f"{name} matrix product"] = f"{gemm_gflops(plan.device, dtype):.0f} GFLOP/s"
    found["bf16 convolution"] = f"{bf16_gain(plan.device):.2f}x the speed of fp32"
    for extra, module in EXTRAS.items():
        found[f"extra [{extra}]"] = "installed" if find_spec(module) else f"missing: pip install 'ganvas[{extra}]'"
    found["plan"] = f"{plan.device}, {plan.precision}{', channels last' if plan.channels_last else ''}"
    return found


def free_memory() -> str:
    """The memory that programs can still have, as Linux reports it."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        sizes = {name: 1024 * int(size.split()[0]) for name, size in (line.split(":") for line in lines)}
        return f"{gib(sizes['MemAvailable'])} free of {gib(sizes['MemTotal'])}"
    except (OSError, ValueError, KeyError):
        return "unknown"


def gib(size: int) -> str:
    """2**30 -> '1.0 GiB'."""
    return f"{size / 2**30:.1f} GiB"
