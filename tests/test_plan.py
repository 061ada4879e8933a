"""The plan: what is asked for, what this machine has, and precision chosen by timing."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from ganvas import plan
from ganvas.errors import RequestError
from ganvas.plan import Plan


@pytest.mark.parametrize(("device", "precision", "word"), [("tpu", "auto", "tpu"), ("cpu", "fp8", "fp8")])
def test_unknown_choices_are_refused(device: str, precision: str, word: str) -> None:
    with pytest.raises(RequestError, match=f"'{word}' is not known"):
        plan.choose(device, precision)


def test_an_absent_device_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "devices", lambda: ["cpu"])
    with pytest.raises(RequestError, match="this torch can use cpu"):
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
    assert plan.choose_precision(Plan(), timed(slow, tried)).precision == quick
    assert sorted(tried) == ["bf16", "fp32"]


def test_equal_speed_stays_in_fp32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "bf16_gain", lambda device: 1.0)
    assert plan.choose_precision(Plan(precision="bf16"), timed("neither", [], seconds=0.1)).precision == "fp32"


def test_emulated_bf16_is_never_stepped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "bf16_gain", lambda device: 0.02)
    tried: list[str] = []
    assert plan.choose_precision(Plan(precision="bf16"), timed("bf16", tried)).precision == "fp32"
    assert tried == []
