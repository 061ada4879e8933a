"""What a run that goes back leaves on the disk, and the samples that take it back."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path

import pytest

from ganvas.errors import WorkError
from ganvas.run import Run, checkpoint

SMALL = {"hidden": "8", "critic_hidden": "8", "batch": 8, "ema": 0, "sample_every": 4}


def made(path: Path, on_collapse: str, **options: int) -> Run:
    return Run.create(
        "mlp", "ring", out=path, steps=14, seed=3, on_collapse=on_collapse, options={**SMALL, "latent": 4, **options}
    )


def blow_up(run: Run) -> None:
    """Make the samples immense, and yet finite."""
    system, _ = run._open()
    *_, bias = system.modules["generator"].parameters()
    bias.data.fill_(1e16)


@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.parametrize(("every", "saves", "origin"), [(4, 2, 4), (8, 6, 0)])
def test_no_generator_of_what_was_given_up_stays(
    every: int, saves: int, origin: int, killed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = made(tmp_path / "run", "rollback", monitor_every=every, checkpoint_every=saves)
    generator = run.path / "generator.safetensors"
    for progress in run.advance():
        if progress.step == 7:
            break
    abandoned = generator.read_bytes()
    blow_up(run)
    if killed:  # after the rollback is recorded, before it is done
        with monkeypatch.context() as patch, pytest.raises(SystemExit):
            patch.setattr(Run, "_load", lambda *_: sys.exit())
            next(run.advance())
        assert generator.read_bytes() == abandoned
        run = Run(run.path)
    with closing(run.advance()) as training:  # which saves when it is left
        assert next(training).step == origin + 1
        assert [(entry["kind"], entry["step"], entry["to"]) for entry in run.rollbacks] == [("divergence", 8, origin)]
        if origin:
            best = run.path / "checkpoints" / checkpoint.BEST / "generator.safetensors"
            assert generator.read_bytes() == best.read_bytes() != abandoned
        else:
            assert not generator.exists()


def test_immense_samples_stop_a_run_that_names_what_survives(tmp_path: Path) -> None:
    run = made(tmp_path / "run", "stop", monitor_every=4, checkpoint_every=2)
    with pytest.raises(WorkError, match=r"monitor/distance at step 8 is not finite; the last good checkpoint is .*06"):
        for progress in run.advance():
            if progress.step == 7:
                blow_up(run)


def test_pictures_are_in_the_order_of_their_steps(tmp_path: Path) -> None:
    run = made(tmp_path / "run", "warn")
    (run.path / "samples").mkdir(exist_ok=True)
    for step in (1_000_000, 0, 999_999):
        (run.path / "samples" / f"step-{step:06d}.png").touch()
    assert [picture.stem for picture in run.pictures] == ["step-000000", "step-999999", "step-1000000"]
