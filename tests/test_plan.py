"""The plan: what is asked for, what this machine has, and precision chosen by timing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
import torch

from ganvas import plan
from ganvas.errors import RequestError
from ganvas.plan import Plan
from ganvas.progress import drain


@pytest.mark.parametrize(("device", "precision", "word"), [("tpu", "auto", "tpu"), ("cpu", "fp8", "fp8")])
def test_unknown_choices_are_refused(device: str, precision: str, word: str) -> None:
    with pytest.raises(RequestError, match=f"'{word}' is not known"):
        plan.choose(device, precision)


def test_an_absent_device_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "devices", lambda: ["cpu"])
    with pytest.raises(RequestError, match="device: 'cuda' is not available here; choose cpu"):
        plan.choose("cuda")


@pytest.mark.parametrize(("gain", "precision"), [(0.02, "fp32"), (1.5, "bf16")])
def test_the_guess_follows_one_convolution(gain: float, precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "bf16_gain", lambda device: gain)
    assert plan.choose("cpu").precision == precision
    assert plan.choose("cpu", "fp32").precision == "fp32"


def timed(slow: str, tried: list[str], seconds: float = 0.5):
    """Steps that take `seconds` in the slow precision, and no time in the other."""

    def steps(under: Plan) -> Iterator[None]:
        tried.append(under.precision)
        while True:
            time.sleep(seconds if under.precision == slow else seconds / 10)
            yield

    return steps


@pytest.mark.parametrize(("slow", "quick"), [("fp32", "bf16"), ("bf16", "fp32")])
def test_the_quicker_precision_is_found_by_timing_steps(slow: str, quick: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "bf16_gain", lambda device: 1.0)
    tried: list[str] = []
    assert drain(plan.choose_precision(Plan(), timed(slow, tried))).precision == quick
    assert sorted(tried) == ["bf16", "fp32"]


def test_equal_speed_stays_in_fp32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "bf16_gain", lambda device: 1.0)
    assert drain(plan.choose_precision(Plan(precision="bf16"), timed("neither", [], seconds=0.1))).precision == "fp32"


def test_emulated_bf16_is_never_stepped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "bf16_gain", lambda device: 0.02)
    tried: list[str] = []
    assert drain(plan.choose_precision(Plan(precision="bf16"), timed("bf16", tried))).precision == "fp32"
    assert tried == []


def waiting(seconds: Callable[[int], float], tried: list[int]) -> Callable[[Plan], Iterator[None]]:
    """Steps that take so many seconds on a number of threads."""

    def steps(under: Plan) -> Iterator[None]:
        tried.append(torch.get_num_threads())
        while True:
            time.sleep(seconds(under.threads))
            yield

    return steps


@pytest.mark.parametrize(
    ("seconds", "chosen", "tries"),
    [
        (lambda threads: 0.4 / threads, 8, [8, 4]),  # arithmetic: even fewer are not tried
        (lambda threads: 0.1, 1, [8, 4, 1]),  # overhead: threads gain nothing
        (lambda threads: 0.1 + 0.1 * (threads == 1), 4, [8, 4, 1]),
    ],
)
def test_the_fewest_threads_that_are_not_slower(
    seconds: Callable[[int], float], chosen: int, tries: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    tried: list[int] = []
    with plan.computing(Plan(threads=8)):
        assert drain(plan.choose_threads(Plan(), waiting(seconds, tried))).threads == chosen
        assert torch.get_num_threads() == 8
    assert tried == tries


def test_the_users_threads_are_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    tried: list[int] = []
    with plan.computing(Plan(threads=2)):
        assert drain(plan.choose_threads(Plan(), waiting(lambda threads: 0.0, tried))).threads == 2
    assert tried == []
