"""A run that is killed, cut short or damaged goes on to the very bits of one that was left alone."""

from __future__ import annotations

import json
import logging
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest
import torch

import ganvas
from ganvas import files
from ganvas.errors import RequestError, WorkError
from ganvas.run import Run, checkpoint
from ganvas.run.session import deferred
from ganvas.types import Phase, System

# Everything that has a memory: dropout, BEGAN's k, a moving average, ADA's p.
ALL = {
    "objective": "began",
    "augment": "ada",
    "ada_images": 2000,
    "ema": 0.99,
    "dropout": 0.3,
    "hidden": "16,16",
    "critic_hidden": "16",
    "latent": 8,
    "batch": 8,
    "warmup": 30,
    "log_every": 4,
    "sample_every": 40,
    "checkpoint_every": 7,
}
STEPS = 120


def outcome(path: Path) -> dict[str, bytes | str]:
    """What training led to: every file that must not differ by a bit."""
    newest = checkpoint.steps(path / "checkpoints")[0]
    state = json.loads((newest / "state.json").read_bytes())
    found: dict[str, bytes | str] = {
        name: (newest / name).read_bytes() for name in (checkpoint.MODEL, checkpoint.OPTIMISERS)
    }
    found["generator"] = (path / "generator.safetensors").read_bytes()
    found["picture"] = (path / "samples" / f"{newest.name}.png").read_bytes()
    found["numbers"] = json.dumps([state["step"], state["optimisers"]])
    return found


def same(path: Path, other: dict[str, bytes | str]) -> None:
    ours = outcome(path)
    assert {name for name in other if ours[name] != other[name]} == set()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes | str]:
    """The outcome of ALL after STEPS without any disturbance."""
    path = tmp_path_factory.mktemp("undisturbed") / "run"
    ganvas.train("mlp", "digits", out=path, steps=STEPS, options=ALL, device="cpu", precision="fp32", progress=False)
    return outcome(path)


def start(*words: str, program: tuple[str, ...] = ("-m", "ganvas")) -> subprocess.Popen[str]:
    """ganvas in a process of its own, on one thread as these tests are."""
    return subprocess.Popen(
        [sys.executable, *program, *words],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for_lines(process: subprocess.Popen[str], log: Path, count: int) -> None:
    """Until the log has `count` lines."""
    while not log.exists() or log.read_bytes().count(b"\n") < count:
        if process.poll() is not None:
            pytest.fail(f"ended too early: {process.communicate()[0]}")
        time.sleep(0.002)


# Kills itself, as a power cut would, at the n-th flush to the disk: within a checkpoint, a picture, a log.
SELF_KILL = """
import os, signal, sys
from ganvas.cli import main
flush, left = os.fsync, int(sys.argv.pop(1))
def fsync(descriptor):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    flush(descriptor)
os.fsync = fsync
main()
"""


def test_kill_at_any_moment(tmp_path: Path, undisturbed: dict[str, bytes | str]) -> None:
    path, chance = tmp_path / "run", random.Random()
    log = path / "log.jsonl"
    settings = [word for key, value in ALL.items() for word in ("--set", f"{key}={value}")]
    request = ("train", "mlp", "digits", "--out", str(path), "--steps", str(STEPS), "--device", "cpu")

    # at a log line
    lines = chance.randint(1, 9)
    with start(*request, "--precision", "fp32", *settings) as process:
        wait_for_lines(process, log, lines)
        process.kill()
    assert process.returncode == -signal.SIGKILL

    # while something is being written
    flushes = chance.randint(3, 25)
    with start(str(flushes), "resume", str(path), program=("-c", SELF_KILL)) as process:
        process.wait()
    assert process.returncode == -signal.SIGKILL

    # at any time: `Run.log` leaves out a line that was cut short
    delay = chance.uniform(0, 0.3)
    with start("resume", str(path)) as process:
        wait_for_lines(process, log, len(Run(path).log) + 1)
        time.sleep(delay)
        process.kill()

    ganvas.resume(path, progress=False)
    print(f"killed at line {lines}, flush {flushes}, after {delay:.3f} s")  # shown where the test fails
    same(path, undisturbed)
    assert [line["step"] for line in Run(path).log] == list(range(4, STEPS + 1, 4))
    assert not [leftover for leftover in path.rglob(f"{files.TEMPORARY}*")]


# Other state: batch norm, spectral norm's vectors, RMSprop, several critic steps, lazy penalties, decay, accumulation.
SMALL = {"batch": 8, "latent": 4, "hidden": "8", "critic_hidden": "8", "width": 4, "max_width": 8}
OTHERS = {
    "sine": {"data": "sine"},
    "mlp-selu": {"dropout": 0.2, "decay": 20, "generator_steps": 2},
    "mlp-bn": {"objective": "wgan", "ema": 0.9, "optimizer": "rmsprop"},
    "dcgan": {"critic_norm": "spectral", "minibatch_stddev": True, "augment": "diffaugment"},
    "r3gan": {"penalty_every": 4, "accumulate": 2},
}


@pytest.mark.parametrize("recipe", OTHERS)
def test_leaving_the_loop_at_any_step(recipe: str, tmp_path: Path) -> None:
    options = {"data": "digits", **SMALL, **OTHERS[recipe], "log_every": 3, "checkpoint_every": 7}
    whole, parts = (tmp_path / name for name in ("whole", "parts"))
    ganvas.train(recipe, out=whole, steps=24, seed=5, options=options, progress=False)
    left = random.randint(1, 23)
    for progress in Run.create(recipe, out=parts, steps=24, seed=5, options=options).advance():
        if progress.step == left:
            break
    torch.manual_seed(random.randint(0, 99))
    assert checkpoint.steps(parts / "checkpoints")[0].name == f"step-{left:06d}"
    ganvas.resume(parts, progress=False)
    same(parts, outcome(whole))


def small(path: Path, steps: int = 12, **options: object) -> Run:
    """A run that has not trained yet, with a checkpoint every four steps."""
    settings = {**SMALL, "log_every": 2, "sample_every": 6, "checkpoint_every": 4, **options}
    return Run.create("mlp", "digits", out=path, steps=steps, options=settings)


def finish(run: Run) -> Run:
    for _ in run.advance():
        pass
    return run


def test_more_steps_than_first_asked_for(tmp_path: Path) -> None:
    finish(small(tmp_path / "whole", 12))
    run = finish(small(tmp_path / "parts", 5))
    for _ in run.advance(steps=8):  # in the process that trained it
        pass
    ganvas.resume(run.path, steps=12, progress=False)  # from the disk
    same(run.path, outcome(tmp_path / "whole"))
    assert Run(run.path).budget == (12, None)
    with pytest.raises(RequestError, match=r"steps: 3 is too few: .* has trained 12 steps"):
        Run(run.path).advance(steps=3)
    assert list(Run(run.path).advance()) == []  # it is done


@pytest.mark.parametrize("damage", ["flip", "cut", "lose"])
@pytest.mark.parametrize("name", [checkpoint.MODEL, checkpoint.OPTIMISERS, checkpoint.STATE])
def test_a_damaged_checkpoint_is_passed_over(
    name: str, damage: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = finish(small(tmp_path / "run"))
    expected = outcome(run.path)
    newest = checkpoint.steps(run.path / "checkpoints")[0]
    content = bytearray((newest / name).read_bytes())
    content[-40] ^= 1  # in state.json, a digit of a digest
    (newest / name).write_bytes(content[: len(content) // 2] if damage == "cut" else content)
    if damage == "lose":
        (newest / name).unlink()
    with caplog.at_level(logging.WARNING):
        resumed = Run(run.path)
        steps = [progress.step for progress in resumed.advance()]
    assert steps == [9, 10, 11, 12]
    assert "step-000012 is damaged" in caplog.text
    same(run.path, expected)


def test_every_number_of_the_state_is_guarded(tmp_path: Path) -> None:
    run = finish(small(tmp_path / "run"))
    newest = checkpoint.steps(run.path / "checkpoints")[0]
    text = (newest / checkpoint.STATE).read_text()
    assert text.count('"lr": 0.0001') == 2
    (newest / checkpoint.STATE).write_text(text.replace('"lr": 0.0001', '"lr": 0.0003', 1))
    with pytest.raises(ValueError, match=r"state\.json is not what was written"):
        checkpoint.read(newest)


def test_no_whole_checkpoint_is_an_error_that_destroys_nothing(tmp_path: Path) -> None:
    run = finish(small(tmp_path / "run"))
    paths = checkpoint.steps(run.path / "checkpoints")
    for path in paths:
        (path / checkpoint.MODEL).write_bytes(b"")
    with pytest.raises(WorkError, match=r"no checkpoint in .* is whole"):
        Run(run.path).advance()
    assert checkpoint.steps(run.path / "checkpoints") == paths


def test_a_checkpoint_that_cannot_be_read_now_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, through = finish(small(tmp_path / "run")), Path.read_bytes
    paths = checkpoint.steps(run.path / "checkpoints")

    def read_bytes(path: Path) -> bytes:
        if path == paths[0] / checkpoint.MODEL:
            raise PermissionError(13, "Permission denied", str(path))
        return through(path)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    with pytest.raises(WorkError, match=r"cannot read .*step-000012/model\.safetensors: permission denied; fix that"):
        Run(run.path).advance()
    assert checkpoint.steps(run.path / "checkpoints") == paths


def test_a_checkpoint_of_a_newer_layout_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = small(tmp_path / "run")
    with monkeypatch.context() as newer:
        newer.setattr(checkpoint, "VERSION", 2)
        finish(run)
    paths = checkpoint.steps(run.path / "checkpoints")
    with pytest.raises(WorkError, match=r"step-000012 is of a newer ganvas \(layout 2\); update ganvas"):
        Run(run.path).advance()
    assert checkpoint.steps(run.path / "checkpoints") == paths


def test_other_names_among_the_checkpoints_are_left_alone(tmp_path: Path) -> None:
    run = finish(small(tmp_path / "run"))
    stray = run.path / "checkpoints" / "step-000004.bak"
    stray.mkdir()
    assert ganvas.resume(run.path, steps=16, progress=False).step == 16
    assert stray.exists()


def test_a_checkpoint_of_other_networks_is_refused(tmp_path: Path) -> None:
    run = finish(small(tmp_path / "run"))
    record = json.loads((run.path / "recipe.json").read_bytes())
    record["resolved"]["critic_hidden"] = [8, 8]
    (run.path / "recipe.json").write_text(json.dumps(record))
    with pytest.raises(WorkError, match="does not fit the networks"):
        Run(run.path).advance()


def test_the_newest_two_are_kept_and_leftovers_removed(tmp_path: Path) -> None:
    run = finish(small(tmp_path / "run"))
    for leftover in ("checkpoints/.tmp-1-step-000099/model.safetensors", ".tmp-1-generator.safetensors"):
        (run.path / leftover).parent.mkdir(exist_ok=True)
        (run.path / leftover).write_bytes(b"half")
    Run(run.path).advance()
    assert sorted(path.name for path in (run.path / "checkpoints").iterdir()) == ["step-000008", "step-000012"]
    assert not list(run.path.glob(".*"))


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    finish(small(tmp_path / "whole"))
    run, through = small(tmp_path / "run"), files.sync

    def sync(path: Path) -> None:
        if "step-000008" in str(path) and path.name == checkpoint.OPTIMISERS:
            raise OSError(28, "No space left on device", str(path))
        through(path)

    monkeypatch.setattr(files, "sync", sync)
    with pytest.raises(WorkError, match=r"step 8: no space left .*step-000004; free some space, then `ganvas resume"):
        finish(run)
    assert [path.name for path in (run.path / "checkpoints").iterdir()] == ["step-000004"]
    monkeypatch.undo()
    finish(run)
    same(run.path, outcome(tmp_path / "whole"))


def test_a_loss_that_is_not_finite(tmp_path: Path) -> None:
    run = small(tmp_path / "run", steps=40)
    for progress in run.advance():
        if progress.step == 5:
            break
    system, _ = run._open()
    with torch.no_grad():
        next(system.modules["critic"].parameters()).fill_(float("nan"))
    with pytest.raises(WorkError, match=r"critic/\w+ at step 6 is not finite; the last good .*step-000005;.*`lr`"):
        finish(run)
    assert checkpoint.steps(run.path / "checkpoints")[0].name == "step-000005"
    assert finish(run).step == 40  # the checkpoint is sound


def test_weights_that_are_not_finite_are_not_saved(tmp_path: Path) -> None:
    run = small(tmp_path / "run", steps=40, checkpoint_every=1)
    steps = run.advance()
    next(steps)
    system, _ = run._open()
    generator = system.phases[-1]  # it moves last, so that no loss of the step shows the damage
    generator.after_step = lambda: generator.params[0].data.fill_(float("inf"))
    with pytest.raises(WorkError, match="a weight of the generator at step 2 is not finite"):
        next(steps)
    assert [path.name for path in checkpoint.steps(run.path / "checkpoints")] == ["step-000001"]


def interrupt_within(run: Run, step: int, times: int) -> None:
    """Ctrl-C while the step is computed."""
    system, _ = run._open()
    last = system.phases[-1]

    def after() -> None:
        if run.step + 1 == step:
            for _ in range(times):
                signal.raise_signal(signal.SIGINT)

    last.after_step = after


def test_ctrl_c_ends_after_the_step_and_saves(tmp_path: Path) -> None:
    finish(small(tmp_path / "whole"))
    run, seen = small(tmp_path / "run"), []
    interrupt_within(run, 6, times=1)
    with pytest.raises(KeyboardInterrupt):
        for progress in run.advance():
            seen.append(progress.step)
            assert signal.getsignal(signal.SIGINT) is signal.default_int_handler  # the loop's own code is its own
    assert seen == [1, 2, 3, 4, 5, 6]
    ganvas.resume(run.path, progress=False)
    same(run.path, outcome(tmp_path / "whole"))


def test_a_second_ctrl_c_stops_at_once(tmp_path: Path) -> None:
    run = small(tmp_path / "run")
    interrupt_within(run, 6, times=2)
    with pytest.raises(KeyboardInterrupt) as stop:
        finish(run)
    assert stop.value.args == ()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert checkpoint.steps(run.path / "checkpoints")[0].name == "step-000004"


def test_ctrl_c_for_a_caller_that_waits_for_it(tmp_path: Path) -> None:
    """Who shows the steps defers Ctrl-C for the whole of them, and closes the iterator, which saves."""
    run, asked = small(tmp_path / "run"), threading.Event()
    interrupt_within(run, 6, times=1)
    with deferred(asked), closing(run.advance()) as steps:
        for _ in steps:
            if asked.is_set():
                break
    assert checkpoint.steps(run.path / "checkpoints")[0].name == "step-000006"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_closing_saves_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = small(tmp_path / "run")
    with closing(run.advance()) as steps:
        for progress in steps:
            if progress.step == 5:
                break
        assert checkpoint.steps(run.path / "checkpoints")[0].name == "step-000004"
    assert checkpoint.steps(run.path / "checkpoints")[0].name == "step-000005"

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    steps = run.advance()
    next(steps)
    monkeypatch.setattr(checkpoint, "write", full)
    with pytest.raises(WorkError, match=r"step 6: no space left .*step-000005; free some space"):
        steps.close()


def test_ctrl_c_on_the_command_line(tmp_path: Path) -> None:
    path = tmp_path / "run"
    settings = [word for key, value in ALL.items() for word in ("--set", f"{key}={value}")]
    with start("train", "mlp", "digits", "--out", str(path), "--steps", "100000", *settings) as process:
        wait_for_lines(process, path / "log.jsonl", 1)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate()
    assert process.returncode == 0
    assert f"`ganvas resume {path}`" in output
    step = int(re.search(r"stopped and saved: .*?([\d,]+)", output)[1].replace(",", ""))
    assert checkpoint.steps(path / "checkpoints")[0].name == f"step-{step:06d}"


def test_any_optimiser_gets_back_its_state(tmp_path: Path) -> None:
    """Adafactor's moments have other shapes than its weights; a number may stand among the tensors."""

    def system() -> System:
        layer = torch.nn.Conv2d(2, 3, 2).to(memory_format=torch.channels_last)
        params = list(layer.parameters())
        return System(
            {"layer": layer}, [Phase("fit", params, torch.optim.Adafactor(params), lambda batch, step: (batch.x, {}))]
        )

    first, second = system(), system()
    optimizer, other = first.phases[0].optimizer, second.phases[0].optimizer
    for p in first.phases[0].params:
        p.grad = torch.randn_like(p)
    optimizer.step()
    weight, weight2 = first.phases[0].params[0], second.phases[0].params[0]
    optimizer.state[weight]["trust"] = 1.5
    optimizer.state[weight]["average"] = weight.detach().clone()
    optimizer.param_groups[0]["lr"] = 0.25
    checkpoint.write(tmp_path, first, checkpoint.Saved(7, 1.5))
    assert checkpoint.restore(tmp_path, second) == checkpoint.Saved(7, 1.5)
    assert torch.equal(weight, weight2)
    assert other.param_groups[0]["lr"] == 0.25
    assert set(other.state[weight2]) == set(optimizer.state[weight])
    for key, value in optimizer.state[weight].items():
        again = other.state[weight2][key]
        assert torch.equal(value, again) if isinstance(value, torch.Tensor) else value == again
    assert other.state[weight2]["average"].is_contiguous(memory_format=torch.channels_last)
