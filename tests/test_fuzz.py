"""Whatever a file of ours or an option holds, the answer is a sentence: no internal error, no hang, no flood of memory.

Every case is a function of its number. It spoils one file of a small workshop or one option of a command, runs the
command in a child process, and looks at the answer, the time and the peak memory.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import io
import json
import os
import random
import re
import resource
import shutil
import signal
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ganvas import files
from ganvas.cli import main
from ganvas.data import open_data
from ganvas.run import checkpoint

OLD = Path(__file__).parent / "data" / "v0.1"
QUICK, WHOLE, SHARE = 60, 2400, 100  # cases of CI, of the slow test, and of one of its parts
SECONDS, MEMORY = 60, 2**30  # that a case may take, in addition to what the process has
INTERNAL = re.compile(r"^ganvas: .*--debug for the traceback|Traceback \(most recent", re.MULTILINE | re.DOTALL)

Random = random.Random
Spoil = Callable[[bytes, Random], bytes]


# -- what is spoiled ---------------------------------------------------------------------------------------------------


def spoil_bytes(data: bytes, r: Random) -> bytes:
    """Cut, flip, overwrite, repeat or insert."""
    a, b = sorted(r.randrange(len(data) + 1) for _ in range(2)) if data else (0, 0)
    near = min(b, a + r.choice([1, 4, 64, 1000]))
    pieces = [
        data[:a],
        data[a:],
        data[:a] + data[b:],
        data[:near] + data[a:],
        data[:a] + bytes(near - a) + data[near:],
        data[:a] + bytes(x ^ (1 << r.randrange(8)) for x in data[a:near]) + data[near:],
        data[:a] + r.choice([b"\0", b"\xff\xfe", b"\xc3", b'"', b"}", b"9" * 400, b"\n", b"[" * 5000]) + data[a:],
        b"",
    ]
    return r.choice(pieces)


ODD: list[Any] = [
    *(None, True, "", "x", "\0", "ü\ud800", "a/b" * 200, -1, 0, 1, 3, 1.5, 2**31, 2**53, 10**30, 1e308),
    *(float("nan"), float("inf"), [], {}, [1], ["x"], [[]], {"x": 1}, [0] * 50, "nan", "1e400"),
]


def spoil_json(data: bytes, r: Random) -> bytes:
    """Put something odd somewhere into a tree of JSON, or take something away."""
    tree = json.loads(data)
    for _ in range(r.choice([1, 1, 1, 3])):
        here = tree
        while True:
            keys = list(here) if isinstance(here, dict) else list(range(len(here)))
            if not keys:
                break
            key = r.choice(keys)
            if isinstance(here[key], dict | list) and here[key] and r.random() < 0.8:
                here = here[key]
            elif r.random() < 0.15:
                del here[key]
                break
            else:
                near = [str(here[key]), -here[key], 1000 * here[key]] if number(here[key]) else []
                here[key] = copy.deepcopy(r.choice([*ODD, *near]))
                break
    return json.dumps(tree).encode()


def number(value: object) -> bool:
    return isinstance(value, int | float)


def spoil_lines(data: bytes, r: Random) -> bytes:
    lines = data.splitlines(keepends=True)
    i = r.randrange(len(lines))
    lines[i] = spoil_json(lines[i], r) + b"\n"
    return b"".join(lines)


def spoil_state(data: bytes, r: Random) -> bytes:
    """A state that was spoiled before it was signed."""
    state = json.loads(spoil_json(data, r))
    if isinstance(state, dict) and isinstance(state.get("sha256"), dict):
        digests = state.pop("sha256")
        digests[checkpoint.STATE] = hashlib.sha256(checkpoint.plain(state)).hexdigest()
        state["sha256"] = digests
    return json.dumps(state).encode()


def spoil_header(data: bytes, r: Random) -> bytes:
    """The JSON of a safetensors file: that of the tensors, or ours within its metadata."""
    length = struct.unpack("<Q", data[:8])[0]
    header, rest = json.loads(data[8 : 8 + length]), data[8 + length :]
    if "__metadata__" in header and r.random() < 0.8:
        ours = header["__metadata__"]["ganvas"].encode()
        header["__metadata__"]["ganvas"] = spoil_json(ours, r).decode()
        changed = json.dumps(header).encode()
    else:
        changed = spoil_json(data[8 : 8 + length], r)
    return struct.pack("<Q", len(changed)) + changed + rest


def spoil_arrays(data: bytes, r: Random) -> bytes:
    """Other shapes and types of the arrays of an .npz; one missing, one more."""
    with np.load(io.BytesIO(data)) as content:
        arrays = {name: content[name] for name in content.files}
    name = r.choice(list(arrays))
    x = arrays[name]
    with np.errstate(all="ignore"):
        odd = [
            *(x[:0], x[None], x.reshape(-1), np.array(0.5), np.array("x"), np.array([None, {}], object)),
            *(np.array([b"a", b"b"]), np.zeros((2, 3, 4, 5)), np.zeros(0), np.zeros((0, 8)), x[..., None]),
            *(np.full(x.shape, value) for value in (np.nan, np.inf, -1e30, 1e300, 2**62)),
            *(np.zeros(x.shape, kind) for kind in ("bool", "i1", "c16", "U3", "M8[s]")),
            *(np.repeat(x, 3, axis=0) if x.ndim else x, np.zeros(x.shape, [("a", "f4")])),
        ]
    if r.random() < 0.15:
        del arrays[name]
    else:
        arrays[r.choice([name, name, name, "other"])] = r.choice(odd)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


SPOILS: dict[str, tuple[Spoil, ...]] = {
    ".json": (spoil_bytes, spoil_json, spoil_json, spoil_json),
    ".jsonl": (spoil_bytes, spoil_lines, spoil_lines),
    ".safetensors": (spoil_bytes, spoil_header, spoil_header),
    ".npz": (spoil_bytes, spoil_arrays, spoil_arrays),
    ".npy": (spoil_bytes,),
    ".png": (spoil_bytes,),
}

# A file of the workshop -> the commands that read it.
RESUME, REPORT = ["resume", "run", "--steps", "4"], ["report", "run"]
SAMPLE = ["sample", "run", "--seeds", "0-1", "--out", "grid.png"]
WALK = ["walk", "run", "--seconds", "0.2", "--fps", "5", "--out", "walk.gif"]
EDIT = ["edit", "run", "--seed", "1", "--direction", "directions.npz", "--strength=-1:1", "--out", "edit.png"]
BREED = ["breed", "run", "--parents", "litter/0,2", "--children", "2", "--out", "young"]
PAINT = [
    "paint",
    "a red circle",
    "--steps",
    "1",
    "--crops",
    "2",
    "--best-of",
    "1",
    "--generations",
    "0",
    "--out",
    "art",
]
COMPARE = ["compare", "--out", "compared", "--losses", "ns", "--seeds", "1", "--steps", "2", "--samples", "50"]
READ: dict[str, list[list[str]]] = {
    "run/recipe.json": [REPORT, REPORT, RESUME, ["evaluate", "run", "--samples", "20", "--metrics", "diversity"]],
    "run/log.jsonl": [REPORT, REPORT, RESUME],
    "run/metrics.json": [REPORT],
    "run/samples/step-000000.png": [REPORT],
    "run/generator.safetensors": [SAMPLE, WALK, EDIT, BREED],
    "run/checkpoints/step-000003/state.json": [RESUME],
    "run/checkpoints/step-000003/model.safetensors": [RESUME],
    "run/checkpoints/step-000003/optim.safetensors": [RESUME],
    "directions.npz": [EDIT, [*WALK, "--seeds", "1", "--through", "directions.npz"]],
    "litter/lineage.json": [BREED],
    "litter/latents.npz": [
        BREED,
        [*SAMPLE, "--latents", "litter/latents.npz"],
        [*WALK, "--latents", "litter/latents.npz"],
    ],
    "painting.npz": [[*PAINT, "--init", "painting.npz"]],
    "compared/compare.json": [COMPARE],
    "compared/ns-0/recipe.json": [COMPARE],
    "store/meta.json": [["data", "store"]],
    "store/images.npy": [["data", "store"]],
    "store/labels.npy": [["data", "store"]],
    "samples.npz": [["data", "samples.npz"], ["evaluate", "samples.npz", "--data", "store", "--metrics", "diversity"]],
    "cgan.safetensors": [["sample", "cgan.safetensors", "--label", "3", "--seeds", "0", "--out", "one.png"]],
    "prompt-gan.safetensors": [["sample", "prompt-gan.safetensors", "--prompt", "red circle", "--out", "red.png"]],
    "vae.safetensors": [["sample", "vae.safetensors", "--out", "vae.png"]],
    "vqgan.safetensors": [["sample", "vqgan.safetensors", "--out", "vqgan.png"]],
    "clip.safetensors": [["classify", "litter/child-00.png", "--labels", "a,b", "--clip", "clip.safetensors"]],
    "points.safetensors": [["sample", "points.safetensors", "--out", "points.npz"]],
}
# What is put in place of the value of an option; amounts of work are not made long on purpose.
WORDS = ["nan", "inf", "-inf", "-1", "0", "1e400", "", " ", "\0", "ü", "\udcff", "9" * 30, "x" * 5000, "=", ",", "::"]
WORDS += ["1,2", "../x", "[]", "1.5", "-0", "2147483648", "True", "3-1", "0-3", "none", "a=b", "run", "store", ".", "/"]
SETTINGS = [
    "",
    "=",
    "a=b",
    "lr=nan",
    "lr=-1",
    "width=0",
    "hidden=",
    "hidden=-1",
    "hidden=99999999999",
    "latent=99999999999999",
]
SETTINGS += ["size=100000", "size=-1", "net=x", "penalty=r1:nan", "penalty=\0", "ema=2", "held_out=0.99", "dropout=5"]
SETTINGS += [
    "decay=-5",
    "sampler=x",
    "augment=1",
    "activation=ü",
    "words=latent",
    "critic_steps=-1",
    "accumulate=0",
    "batch=99999999999",
]
LONG = [
    "seconds",
    "steps",
    "minutes",
    "samples",
    "children",
    "best-of",
    "generations",
    "crops",
    "polish",
    "starts",
    "jobs",
]
# Commands with options that go together, and further options of each, which are only given with odd values.
CHILD, LITTER = "litter/child-00.png", "litter/latents.npz"
TRAIN = [
    "train",
    "mlp",
    "store",
    "--steps",
    "1",
    "--batch",
    "2",
    "--device",
    "cpu",
    "--precision",
    "fp32",
    "--out",
    "new",
]
PCA = ["directions", "run", "--method", "pca", "--count", "2", "--layer", "1", "--samples", "16", "--out", "d.npz"]
EVALUATE = ["evaluate", "run", "--data", "store", "--samples", "20", "--metrics", "diversity", "--json", "m.json"]
PROJECT = ["project", "run", CHILD, "--steps", "1", "--starts", "1", "--keep", "1", "--polish", "1", "--out", "z.npz"]
PROJECT += ["--look", "none", "--compare", "0"]
POINTS = [*COMPARE, "--data", "ring", "--recipe", "points", "--jobs", "1"]
OPTIONS: list[tuple[list[str], str]] = [
    (TRAIN, "seed minutes set on-collapse set set"),
    (RESUME, "minutes on-collapse"),
    (["data", "store"], "out"),
    (SAMPLE, "label prompt truncation set latents device"),
    (["sample", "cgan.safetensors", "--label", "3", "--seeds", "0", "--out", "one.png"], "prompt truncation set"),
    (
        [*WALK, "--seeds", "1", "--through", "directions.npz:1", "--strength", "1"],
        "easing interpolation label truncation",
    ),
    ([*WALK, "--seeds", "1,2", "--grid", "1x1", "--easing", "smooth"], "latents set label"),
    ([*EDIT, "--steps", "3"], "image latents label truncation fps set"),
    ([*EDIT[:2], "--image", CHILD, *EDIT[4:]], "steps"),
    ([*BREED, "--mutation", "0.2", "--crossover", "mix", "--seed", "0"], "label set"),
    (PCA, "strength label seed set words labels data classifier held-out"),
    (PROJECT, "label set video"),
    (EVALUATE, "seed features"),
    (POINTS, "set device metrics"),
    (["reconstruct", "vae.safetensors", CHILD, "--out", "r.png"], "count split"),
    (["classify", CHILD, "--labels", "a,b", "--clip", "clip.safetensors"], "template"),
    (["search", "red circle", "litter", "--clip", "clip.safetensors"], "top out"),
    (
        PAINT,
        "exclude extras size seed whole lr weight-decay prior variation distance preview label set init clip generator",
    ),
    (REPORT, ""),
    (["recipes", "gan"], ""),
]
COMMANDS = [command for commands in READ.values() for command in commands] + [command for command, _ in OPTIONS]


def case(i: int) -> tuple[str | None, Spoil, list[str]]:
    """(the file that is spoiled, or None; how; the command) of a case."""
    r = Random(i)
    if i % 4 == 0:  # the value of an option, or what the command is about
        command, more = r.choice(OPTIONS)
        words = [*command, *(part for name in more.split() for part in (f"--{name}", ""))]
        k = r.choice([k for k, word in enumerate(words) if k and not word.startswith("--")])
        words[k] = odd = r.choice(SETTINGS if words[k - 1] == "--set" else WORDS)
        if words[k - 1].removeprefix("--") in LONG and odd in ("9" * 30, "2147483648"):
            words[k] = "-1"
        return None, spoil_bytes, words[: len(command)] if k < len(command) else [*command, *words[k - 1 : k + 1]]
    file = r.choice(list(READ))
    return file, r.choice(SPOILS[Path(file).suffix]), r.choice(READ[file])


# -- how it is run -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small one of every file that ganvas writes."""
    place = tmp_path_factory.mktemp("fuzz") / "whole"
    shutil.copytree(OLD, place)
    (place / "painting.npz").chmod(0o644)
    figure = {"value": 1.0, "low": 0.5, "high": 1.5, "floor": None, "better": "lower", "meaning": "far"}
    metrics = {
        "figures": {"fid": figure},
        "protocol": {"samples": 3},
        "warnings": ["few"],
        "findings": ["x"],
        "shares": {},
    }
    files.write_json(place / "run" / files.METRICS, metrics)
    digits = open_data("digits")
    digits.save(place / "store")
    with contextlib.chdir(place):
        assert main(["sample", "run", "--seeds", "0-23", "--out", "samples.npz"]) == 0
        assert main([*COMPARE, "--jobs", "1"]) == 0
    whole = Path(shutil.copytree(place, place.with_name("tried")))
    with contextlib.chdir(whole):  # what is loaded now is not loaded by each case, and each command is a good one
        for command in dict.fromkeys(map(tuple, COMMANDS)):
            assert main(command) == 0, command
            for folder in ("young", "art", "new"):
                shutil.rmtree(folder, ignore_errors=True)
    return place


def answer(place: Path, arguments: list[str]) -> tuple[int, str, int]:
    """(exit status, negative for a signal; what was said on stderr; peak of memory) of a command in a child process."""
    torch.set_num_threads(1)
    said = place / "stderr"
    pid = os.fork()
    if pid == 0:
        status = 99
        try:
            os.chdir(place)
            os.environ["OMP_NUM_THREADS"] = "1"  # the threads of a process do not survive its fork
            torch.set_num_threads(1)
            out = os.open(os.devnull, os.O_WRONLY)
            err = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(out, 1)
            os.dup2(err, 2)
            sys.stdout, sys.stderr = io.TextIOWrapper(io.FileIO(1, "w")), io.TextIOWrapper(io.FileIO(2, "w"))
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(SECONDS)
            status = main(arguments)
            sys.stderr.flush()
        finally:
            os._exit(status)
    _, code, usage = os.wait4(pid, 0)
    text = said.read_text(errors="replace") if said.exists() else ""
    return os.waitstatus_to_exitcode(code), text, usage.ru_maxrss * 1024


def run_case(i: int, workshop: Path) -> str:
    """What is wrong with the answer to a case; "" where nothing is."""
    file, spoil, command = case(i)
    place = workshop.with_name(f"case-{i}")
    shutil.copytree(workshop, place)
    try:
        if file is not None:
            data = (place / file).read_bytes()
            (place / file).write_bytes(spoil(data, Random(-i)))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        status, said, peak = answer(place, command)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    wrong = f"case {i}: {spoil.__name__ if file else 'option'} of {file}, {command}: "
    if status not in (0, 1, 2):
        return f"{wrong}status {status}: {said[-300:]}"
    if INTERNAL.search(said):
        return f"{wrong}{said[-400:]}"
    if peak - before > MEMORY:
        return f"{wrong}{(peak - before) / 2**20:.0f} MB: {said[-200:]}"
    return ""


def test_a_spoiled_file_or_option_has_an_answer(workshop: Path) -> None:
    assert [wrong for i in range(QUICK) if (wrong := run_case(i, workshop))] == []


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("first", range(QUICK, WHOLE, SHARE))
def test_every_spoiled_file_or_option_has_an_answer(first: int, workshop: Path) -> None:
    assert [wrong for i in range(first, min(first + SHARE, WHOLE)) if (wrong := run_case(i, workshop))] == []
