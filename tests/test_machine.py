"""What `ganvas doctor` shows."""

from __future__ import annotations

import pytest
import torch

from ganvas import machine
from ganvas.plan import devices


def test_the_machine_is_examined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "find_spec", lambda name: None if name == "yaml" else object())
    found = machine.examine_machine()
    assert str(found["plan"]).startswith(f"{devices()[0]}, ")
    assert str(found["threads"]).startswith(f"{torch.get_num_threads()} ")
    assert found["extra [compvis]"] == "missing: pip install 'ganvas[compvis]'"
    assert {found[f"extra [{extra}]"] for extra in ("video", "onnx", "hub")} == {"installed"}
    assert "GiB free" in str(found["memory"]) or found["memory"] == "unknown"
    assert "GiB free" in str(found["disk"])
    assert "GFLOP/s" in str(found["fp32 matrix product"])
