"""The execution plan: where and how to compute, chosen by looking and measuring, and recorded with the run."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from importlib.util import find_spec

import torch

from .errors import RequestError

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}
HOPELESS = 0.8  # the gain below which bf16 is not worth a try
# Extra -> the module that shows it is installed.
EXTRAS = {"hub": "huggingface_hub", "video": "imageio_ffmpeg", "onnx": "onnxscript"}


@dataclass(frozen=True)
class Plan:
    """Device ('cpu', 'cuda', 'mps'), precision ('fp32', 'bf16'), and whether convolutions run channels-last."""

    device: str = "cpu"
    precision: str = "fp32"
    channels_last: bool = True

    @property
    def dtype(self) -> torch.dtype:
        return PRECISIONS[self.precision]


def devices() -> list[str]:
    """The devices that this torch can use, the fastest first."""
    found = ["cuda"] if torch.cuda.is_available() else []
    return [*found, *(["mps"] if torch.backends.mps.is_available() else []), "cpu"]


def choose(device: str = "auto", precision: str = "auto") -> Plan:
    """The plan for this machine: `auto` takes the fastest device, and bf16 where it computes faster than fp32.

    That is a guess from one small convolution; `choose_precision` then times the steps themselves.
    """
    if device not in ("auto", "cpu", "cuda", "mps"):
        raise RequestError(f"--device {device!r} is not known; choose auto, cpu, cuda or mps")
    if precision not in ("auto", *PRECISIONS):
        raise RequestError(f"--precision {precision!r} is not known; choose auto, fp32 or bf16")
    if device not in ("auto", *devices()):
        raise RequestError(f"--device {device} is not available here; this torch can use {', '.join(devices())}")
    device = devices()[0] if device == "auto" else device
    if precision == "auto":
        precision = "bf16" if bf16_gain(device) > 1 else "fp32"
    # MPS gains nothing from channels-last and has had wrong gradients there.
    return Plan(device, precision, channels_last=device != "mps")


def choose_precision(plan: Plan, steps: Callable[[Plan], Iterator[object]]) -> Plan:
    """`plan` in the precision in which training steps are quicker: fp32, unless bf16 takes a tenth less time.

    `steps` starts training afresh under a plan; a second of it is spent in each precision. Small networks gain nothing
    where the overhead of each operation outweighs its arithmetic, whatever one large product gains.
    """
    if bf16_gain(plan.device) < HOPELESS:  # emulated: a step could take minutes
        return replace(plan, precision="fp32")
    taken: dict[str, float] = {}
    for precision in PRECISIONS:
        trial = steps(replace(plan, precision=precision))
        taken[precision] = seconds(lambda trial=trial: next(trial), plan.device, budget=1.0)
    return replace(plan, precision="bf16" if taken["bf16"] < 0.9 * taken["fp32"] else "fp32")


@cache
def bf16_gain(device: str) -> float:
    """How many times faster a strided convolution, forward and backward, runs in bf16 than in fp32."""
    if device == "mps":
        return 1.0  # autocast to bf16 depends on the macOS version there: fp32 unless asked for

    n, c = (16, 32) if device == "cpu" else (256, 256)  # on a GPU enough work to outweigh its launch

    def convolution(dtype: torch.dtype) -> Callable[[], None]:
        x = torch.randn(n, c, 14, 14, device=device).to(dtype, memory_format=torch.channels_last)
        w = torch.randn(2 * c, c, 4, 4, device=device).to(dtype, memory_format=torch.channels_last).requires_grad_()
        return lambda: torch.nn.functional.conv2d(x, w, stride=2, padding=1).sum().backward()

    return seconds(convolution(torch.float32), device) / seconds(convolution(torch.bfloat16), device)


def seconds(work: Callable[[], object], device: str, budget: float = 0.05) -> float:
    """The shortest of a few timings of `work`, in seconds; at least one after a warm-up, at most `budget` in all."""
    synchronize = {"cuda": torch.cuda.synchronize, "mps": torch.mps.synchronize}.get(device, lambda: None)
    best, spent = float("inf"), 0.0
    work()
    while spent < budget:
        synchronize()
        begin = time.perf_counter()
        work()
        synchronize()
        taken = time.perf_counter() - begin
        best, spent = min(best, taken), spent + taken
    return best


def gemm_gflops(device: str, dtype: torch.dtype, n: int = 1024) -> float:
    """The rate of an n×n matrix product in GFLOP/s."""
    a, b = (torch.randn(n, n, device=device).to(dtype) for _ in range(2))
    return 2 * n**3 / seconds(lambda: a @ b, device, budget=0.3) / 1e9


def facts() -> dict[str, object]:
    """What `ganvas doctor` shows: the machine, torch, measured speeds, extras and how to install those that lack."""
    plan = choose()
    found: dict[str, object] = {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "torch": torch.__version__,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "cpu capability": torch.backends.cpu.get_cpu_capability(),
        "devices": ", ".join(devices()),
    }
    if plan.device == "cuda":
        properties = torch.cuda.get_device_properties(0)
        found["gpu"] = f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB"
    for name, dtype in PRECISIONS.items():
        found[f"{name} matrix product"] = f"{gemm_gflops(plan.device, dtype):.0f} GFLOP/s"
    found["bf16 convolution"] = f"{bf16_gain(plan.device):.2f}x the speed of fp32"
    for extra, module in EXTRAS.items():
        found[f"extra [{extra}]"] = "installed" if find_spec(module) else f"missing: pip install 'ganvas[{extra}]'"
    found["plan"] = plan
    return found
