"""The execution plan: where and how to compute, chosen by looking and measuring, and recorded with the run."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from statistics import median

import torch

from .errors import RequestError
from .progress import Progress, Steps

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}
HOPELESS = 0.8  # the gain below which bf16 is not worth a try
TRIAL = 0.5  # seconds for which steps are timed
GAIN = 1.1  # more threads, or bf16, must make a step so many times quicker


@dataclass(frozen=True)
class Plan:
    """Device ('cpu', 'cuda', 'mps'), precision ('fp32', 'bf16'), whether convolutions run channels-last, and threads.

    `threads` are the CPU's: results depend on their number in the last bits. 0: as many as torch has.
    """

    device: str = "cpu"
    precision: str = "fp32"
    channels_last: bool = True
    threads: int = 0

    @property
    def dtype(self) -> torch.dtype:
        return PRECISIONS[self.precision]


def devices() -> list[str]:
    """The devices that this torch can use, the fastest first."""
    found = ["cuda"] if torch.cuda.is_available() else []
    return [*found, *(["mps"] if torch.backends.mps.is_available() else []), "cpu"]


def choose(device: str = "auto", precision: str = "auto") -> Plan:
    """The plan for this machine: `auto` takes the fastest device, and bf16 where it computes faster than fp32.

    Precision is a guess from one small convolution; `choose_threads` and `choose_precision` time the training steps.
    """
    if device not in ("auto", "cpu", "cuda", "mps"):
        raise RequestError(f"{device!r} is not known", "choose auto, cpu, cuda or mps", field="device")
    if precision not in ("auto", *PRECISIONS):
        raise RequestError(f"{precision!r} is not known", "choose auto, fp32 or bf16", field="precision")
    if device not in ("auto", *devices()):
        raise RequestError(f"{device!r} is not available here", f"choose {' or '.join(devices())}", field="device")
    device = devices()[0] if device == "auto" else device
    if precision == "auto":
        precision = "bf16" if bf16_gain(device) > 1 else "fp32"
    # MPS gains nothing from channels-last and has had wrong gradients there.
    return Plan(device, precision, channels_last=device != "mps")


@contextmanager
def computing(plan: Plan) -> Iterator[None]:
    """Compute with the threads of the plan, where its device is the CPU."""
    before = torch.get_num_threads()
    if plan.device != "cpu" or plan.threads in (0, before):  # setting it costs some time, every step
        yield
        return
    torch.set_num_threads(plan.threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def requested_threads() -> int | None:
    """How many threads the user asks for with OMP_NUM_THREADS; None where the choice is ours."""
    return torch.get_num_threads() if "OMP_NUM_THREADS" in os.environ else None


def choose_threads(plan: Plan, steps: Callable[[Plan], Iterator[object]]) -> Steps[Plan]:
    """`plan` with the number of threads for training: all, half of them or one, the fewest that are not slower.

    `steps` starts training afresh under a plan. Small networks gain nothing from threads that wait for each other.
    """
    count = torch.get_num_threads()
    counts = [count] if plan.device != "cpu" or requested_threads() else sorted({count, max(1, count // 2), 1})
    chosen, quickest = replace(plan, threads=counts[-1]), math.inf
    for threads in reversed(counts if len(counts) > 1 else []):
        fewer = replace(plan, threads=threads)
        yield Progress("choosing threads")
        taken = step_seconds(fewer, steps)
        if taken > GAIN * quickest:
            break  # and still fewer would be slower yet
        chosen, quickest = fewer, min(taken, quickest)
    return chosen


def choose_precision(plan: Plan, steps: Callable[[Plan], Iterator[object]]) -> Steps[Plan]:
    """`plan` in the precision in which training steps are quicker: fp32, unless bf16 takes a tenth less time.

    `steps` starts training afresh under a plan. Small networks gain nothing where the overhead of each operation
    outweighs its arithmetic, whatever one large product gains.
    """
    full, half = replace(plan, precision="fp32"), replace(plan, precision="bf16")
    if bf16_gain(plan.device) < HOPELESS:  # emulated: a step could take minutes
        return full
    yield Progress("choosing precision")
    taken = step_seconds(full, steps)
    yield Progress("choosing precision")
    return half if GAIN * step_seconds(half, steps) < taken else full


def step_seconds(plan: Plan, steps: Callable[[Plan], Iterator[object]]) -> float:
    """The median time of a training step under a plan, measured for TRIAL seconds after a first step."""
    with computing(plan):
        trial = steps(plan)
        return median(timings(lambda: next(trial), plan.device, budget=TRIAL))


@cache
def bf16_gain(device: str) -> float:
    """How many times faster a strided convolution, forward and backward, runs in bf16 than in fp32."""
    if device == "mps":
        return 1.0  # autocast to bf16 depends on the macOS version there: fp32 unless asked for
    single, half = (min(timings(convolution(device, dtype), device)) for dtype in PRECISIONS.values())
    return single / half


def convolution(device: str, dtype: torch.dtype = torch.float32) -> Callable[[], None]:
    """A small convolution, forward and backward."""
    n, c = (16, 32) if device == "cpu" else (256, 256)  # on a GPU enough work to outweigh its launch
    x = torch.randn(n, c, 14, 14, device=device).to(dtype, memory_format=torch.channels_last)
    w = torch.randn(2 * c, c, 4, 4, device=device).to(dtype, memory_format=torch.channels_last).requires_grad_()
    return lambda: torch.nn.functional.conv2d(x, w, stride=2, padding=1).sum().backward()


def timings(work: Callable[[], object], device: str, budget: float = 0.05) -> list[float]:
    """The seconds that `work` takes, again and again: at least once after a warm-up, until `budget` is spent."""
    synchronize = {"cuda": torch.cuda.synchronize, "mps": torch.mps.synchronize}.get(device, lambda: None)
    found, spent = [], 0.0
    work()
    while spent < budget:
        synchronize()
        begin = time.perf_counter()
        work()
        synchronize()
        found.append(time.perf_counter() - begin)
        spent += found[-1]
    return found


def gemm_gflops(device: str, dtype: torch.dtype, n: int = 1024) -> float:
    """The rate of an n×n matrix product in GFLOP/s."""
    a, b = (torch.randn(n, n, device=device).to(dtype) for _ in range(2))
    return 2 * n**3 / min(timings(lambda: a @ b, device, budget=0.3)) / 1e9
