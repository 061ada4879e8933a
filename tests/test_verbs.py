"""Verbs and commands are one thing: the same names, arguments and bytes. Results hand on, and closing cancels."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image

import ganvas
from ganvas import cli, comparison, files
from ganvas.api.verb import Declaration, Verb, declaration
from ganvas.cli.app import app
from ganvas.cli.show import SHOWS
from ganvas.comparison.work import train_and_measure
from ganvas.progress import Note

SOURCE = Path(__file__).parents[1] / "src" / "ganvas"
OLD = Path(__file__).parent / "data" / "v0.1"
FILES = sorted(SOURCE.rglob("*.py"))
COMMANDS: dict[str, Declaration] = {command: declaration(verb) for command, verb, *_ in SHOWS}
OTHER_NAMES = {"data": "inspect", "recipes": "describe"}  # commands whose functions cannot have their names
FEATURES = "features/convert.py"  # a command line of its own, `python -m ganvas.features.convert`

SMALL = {"hidden": "8", "critic_hidden": "8", "latent": "4", "batch": "8", "monitor_every": "0", "log_every": "2"}
TRAIN = {"steps": 3, "device": "cpu", "precision": "fp32", "options": SMALL}


# -- names and arguments -----------------------------------------------------------------------------------------------


def test_every_command_has_its_function_and_every_function_its_command() -> None:
    commands = {name for name in app if not name.startswith("-")}
    assert commands == set(COMMANDS)
    names = [OTHER_NAMES.get(command, command) for command in COMMANDS]
    verbs = {name for name in ganvas.__all__ if isinstance(getattr(ganvas, name), Verb)}
    assert set(names) == verbs
    for command, name in zip(COMMANDS, names, strict=True):
        assert getattr(ganvas, name) is COMMANDS[command].load()
        assert COMMANDS[command].name == name and name in dir(ganvas)
    assert not {path.stem for path in SOURCE.iterdir()} & set(names), "importing a submodule would replace its verb"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_argument_has_a_meaning_and_is_an_option_of_its_name(command: str) -> None:
    verb = COMMANDS[command]
    options = {name: option for option in app[command].assemble_argument_collection() for name in option.names}
    for argument in verb.arguments:
        assert argument.meaning and f"{argument.name}: " in (verb.load().__doc__ or "")
        if argument.name == "progress":  # for Python alone
            assert "--progress" not in options and argument.default is True
            continue
        name = argument.name.upper() if argument.nameless else f"--{argument.name.replace('_', '-')}"
        option = options.pop("--set" if argument.name == "options" else name)
        assert option.parameter.help
        options = {other: found for other, found in options.items() if found is not option}
    assert options == {}, "an option that Python lacks"


# -- what stands where -------------------------------------------------------------------------------------------------


def test_the_command_line_loads_without_torch() -> None:
    modules = [f"ganvas.cli.{file.stem}" for file in (SOURCE / "cli").glob("*.py") if file.stem != "__init__"]
    code = f"import sys, ganvas.cli, {', '.join(modules)}; print(*({{'torch', 'numpy'}} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == []


@pytest.mark.parametrize("file", sorted((SOURCE / "cli").glob("*.py")), ids=lambda file: file.name)
def test_the_command_line_computes_nothing(file: Path) -> None:
    assert not {module.split(".")[0] for module, _ in imported(file)} & {"torch", "numpy"}


def imported(file: Path) -> Iterator[tuple[str, int]]:
    """The absolute modules that a file imports, with their lines."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module or "", node.lineno


def test_only_the_command_line_prints() -> None:
    for file in FILES:
        if file.parent.name == "cli" or file.relative_to(SOURCE).as_posix() == FEATURES:
            continue
        assert not [line for module, line in imported(file) if module.split(".")[0] == "rich"], file
        calls = [node for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
        assert not [call.lineno for call in calls if ast.unparse(call.func) in ("print", "sys.stdout.write")], file


def test_functions_and_the_command_line_are_short() -> None:
    for file in FILES:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                assert (node.end_lineno or 0) - node.lineno + 1 <= 60, f"{file}: {node.name}"
    assert sum(len(file.read_text(encoding="utf-8").splitlines()) for file in (SOURCE / "cli").glob("*.py")) <= 900


# -- the same bytes ----------------------------------------------------------------------------------------------------


class Case(NamedTuple):
    """A call of a verb, of which both the command and the function are made. RUN and the like stand for paths."""

    command: str
    given: tuple[Any, ...] = ()
    options: dict[str, Any] = {}  # noqa: RUF012 - never changed
    out: str | None = "out"  # the file or directory that `out` names


FEW = {"fps": 10, "seconds": "0.2"}
EVALUATED = {"metrics": "fid,copies", "samples": 60}
PAINTED = {"steps": 2, "crops": 3, "best_of": 4, "generations": 1, "preview": 1}
PROJECTED = {"starts": 8, "keep": 2, "steps": 2, "polish": 1, "compare": 1}
DIRECTION = {"direction": "DIRECTIONS:1", "seed": 3}
CASES = {
    "sheet": Case("sample", ("RUN",), {"seeds": "0-8,42", "truncation": 0.7}, "grid.png"),
    "archive": Case("sample", ("RUN",), {"seeds": "0-8"}, "samples.npz"),
    "pictures": Case("sample", ("RUN",), {"seeds": "5,7-8"}, "pictures/"),
    "points": Case("sample", ("POINTS",), {"seeds": "0-99"}, "points.png"),
    "label": Case("sample", ("LABELLED",), {"seeds": "0-3", "label": "1"}, "grid.png"),
    "walk": Case("walk", ("RUN",), {"seeds": "0,7", "easing": "smooth", **FEW}, "walk.webp"),
    "tour": Case("walk", ("RUN",), {"through": "DIRECTIONS:1", "loop": False, **FEW}, "walk.gif"),
    "strip": Case("edit", ("RUN",), {**DIRECTION, "strength": "-2:2"}, "strip.png"),
    "edited": Case("edit", ("RUN",), {**DIRECTION, "steps": 3, "fps": 10}, "edit.gif"),
    "breed": Case("breed", ("RUN",), {"parents": "3,17", "children": 3, "seed": 1}, "litter"),
    "project": Case("project", ("RUN", ["PICTURE"]), PROJECTED, "z.npz"),
    "sefa": Case("directions", ("RUN",), {"count": 2}, "d.npz"),
    "pca": Case("directions", ("RUN",), {"method": "pca", "count": 2, "samples": 20}, "d.npz"),
    "paint": Case("paint", (["a red circle", "a blue star"],), PAINTED, "painting"),
    "reconstruct": Case("reconstruct", ("VAE", ["digits"]), {"count": 5}, "sheet.png"),
    "reconstructed": Case("reconstruct", ("VAE", ["PICTURE"]), {}, "pictures/"),
    "classify": Case("classify", (["PICTURE"],), {"labels": "a circle, a star", "clip": "CLIP"}, None),
    "search": Case("search", ("a circle", "PICTURES"), {"clip": "CLIP", "top": 2}, "sheet.png"),
    "inspect": Case("data", ("digits",), {}, "store"),
    "describe": Case("recipes", ("mlp",), {}, None),
    "onnx": Case("export", ("RUN",), {}, "model.onnx"),
    "train": Case("train", ("mlp", "digits"), TRAIN, "run"),
}


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A tiny trained run, and what else the cases work on."""
    folder = tmp_path_factory.mktemp("verbs")
    run = ganvas.train("mlp", "digits", out=folder / "run", progress=False, **TRAIN)  # type: ignore[arg-type]
    ganvas.directions(run, count=2, out=folder / "directions.npz", progress=False)
    picture = folder / "pictures" / "one.png"
    picture.parent.mkdir()
    for i, name in enumerate(("one.png", "two.png")):
        image = np.random.default_rng(i).integers(0, 255, (8, 8), np.uint8)
        Image.fromarray(image).save(picture.with_name(name))
    found = {"RUN": folder / "run", "DIRECTIONS": folder / "directions.npz", "PICTURES": picture.parent}
    found |= {"PICTURE": picture, "VAE": OLD / "vae.safetensors", "POINTS": OLD / "points.safetensors"}
    found |= {"LABELLED": OLD / "cgan.safetensors", "CLIP": OLD / "clip.safetensors"}
    return {name: str(path) for name, path in found.items()}


def filled(value: Any, paths: dict[str, str]) -> Any:
    """A value with paths in the place of their names."""
    if isinstance(value, list):
        return [filled(one, paths) for one in value]
    name, colon, rest = value.partition(":") if isinstance(value, str) else ("", "", "")
    return f"{paths[name]}{colon}{rest}" if name in paths else value


def words_of(given: list[Any], options: dict[str, Any]) -> list[str]:
    """The words of a command that asks for the same."""
    words = [str(word) for value in given for word in (value if isinstance(value, list) else [value])]
    for name, value in options.items():
        option = f"--{name.replace('_', '-')}"
        if isinstance(value, dict):
            words += [word for key, one in value.items() for word in ("--set", f"{key}={one}")]
        elif isinstance(value, bool):
            words.append(option if value else option.replace("--", "--no-"))
        else:
            words += [option, str(value)]
    return words


def request(case: Case, paths: dict[str, str], folder: Path) -> tuple[list[Any], dict[str, Any]]:
    """The arguments of a case, of which `out` lies in the folder."""
    options = {name: filled(value, paths) for name, value in case.options.items()}
    return [filled(value, paths) for value in case.given], options | (
        {"out": f"{folder}/{case.out}"} if case.out else {}
    )


def contents(folder: Path) -> dict[str, bytes]:
    """What a directory holds; of a run the networks and the pictures, the rest of which says how long it took."""
    found = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    run = any(path.name == files.RECORD for path in found.values())
    return {n: p.read_bytes() for n, p in found.items() if not run or p.suffix in (".safetensors", ".png")}


@pytest.mark.parametrize("name", CASES)
def test_a_command_and_its_function_write_the_same_bytes(
    name: str, paths: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case = CASES[name]
    verb, show = next((declaration(verb), show) for command, verb, show, _ in SHOWS if command == case.command)
    given, options = request(case, paths, tmp_path / "command")
    assert cli.main([case.command, *words_of(given, options)]) == 0
    said = capsys.readouterr().out.replace(str(tmp_path / "command"), "OUT")
    given, options = request(case, paths, tmp_path / "function")
    result = verb.load()(*given, **options, progress=False)
    written = contents(tmp_path / "function")
    assert written == contents(tmp_path / "command")
    assert bool(written) == (case.out is not None)
    if case.command != "train":  # how long it took
        arguments = {one.name: value for one, value in zip(verb.arguments, given, strict=False)}
        show(result, arguments | options)
        assert said.endswith(capsys.readouterr().out.replace(str(tmp_path / "function"), "OUT"))


LATER = {name: case for name, case in CASES.items() if case.out and case.command not in ("train", "data", "export")}


@pytest.mark.parametrize(
    "name", sorted(LATER.keys() - {"edited"})
)  # a strip until it is saved, which does not come back
def test_a_result_writes_what_the_verb_would_have_written(name: str, paths: dict[str, str], tmp_path: Path) -> None:
    case = CASES[name]
    given, options = request(case, paths, tmp_path / "at once")
    COMMANDS[case.command].load()(*given, **options, progress=False)
    kept = COMMANDS[case.command].load()(*given, **{**options, "out": None}, progress=False)
    assert not (tmp_path / "later").exists()
    kept.save(f"{tmp_path / 'later'}/{case.out}")
    later, at_once = contents(tmp_path / "later"), contents(tmp_path / "at once")
    assert later == {name: data for name, data in at_once.items() if not name.endswith("preview.png")}


def test_training_is_resumed_alike(paths: dict[str, str], tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for run in (one, other):
        shutil.copytree(paths["RUN"], run)
    assert cli.main(["resume", str(one), "--steps", "5"]) == 0
    assert ganvas.resume(other, steps=5, progress=False).step == 5
    assert contents(one) == contents(other)
    assert contents(one)[files.GENERATOR] != (Path(paths["RUN"]) / files.GENERATOR).read_bytes()


def test_a_run_is_judged_and_reported_alike(paths: dict[str, str], tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(paths["RUN"], run)
    words = ["--metrics", "fid,copies", "--samples", "60", "--device", "cpu"]
    assert cli.main(["evaluate", str(run), *words, "--json", str(tmp_path / "one" / "figures.json")]) == 0
    kept = {name: (run / name).read_bytes() for name in (files.METRICS, files.NEIGHBOURS)}
    figures = tmp_path / "other" / "figures.json"
    ganvas.evaluate(run, metrics="fid,copies", samples=60, device="cpu", json=figures, progress=False)
    assert contents(tmp_path / "one") == contents(tmp_path / "other")
    assert kept == {name: (run / name).read_bytes() for name in kept}
    page = (run / files.REPORT).read_bytes()
    for write in (lambda: cli.main(["report", str(run)]), lambda: ganvas.report(run, progress=False)):
        (run / files.REPORT).unlink()
        write()
        assert (run / files.REPORT).read_bytes() == page


def test_objectives_are_compared_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = lambda jobs, workers: map(train_and_measure, jobs)  # noqa: E731
    monkeypatch.setattr(comparison.comparison, "work_through", here)
    options = {"data": "ring", "losses": "ns", "seeds": 1, "steps": 2, "samples": 100, "metrics": "modes", "jobs": 1}
    small = {"hidden": "8", "critic_hidden": "8", "monitor_every": "0"}
    words = words_of([], {**options, "out": tmp_path / "one", "options": small})
    assert cli.main(["compare", *words]) == 0
    other = ganvas.compare(**options, out=tmp_path / "other", options=small, progress=False)  # type: ignore[arg-type]
    one, two = (json.loads((tmp_path / name / "compare.json").read_bytes()) for name in ("one", "other"))
    assert len(other.outcomes) == 1
    assert one | {"runs": [run | {"seconds": 0} for run in one["runs"]]} == two | {
        "runs": [run | {"seconds": 0} for run in two["runs"]]
    }
    assert (tmp_path / "one" / "compare.md").read_bytes() == (tmp_path / "other" / "compare.md").read_bytes()
    assert other._repr_markdown_() == (tmp_path / "other" / "compare.md").read_text(encoding="utf-8")


def test_the_machine_is_examined_alike(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("ganvas.api.doctor.examine_machine", lambda: {"cores": 2, "plan": "cpu, fp32"})
    assert cli.main(["doctor"]) == 0
    said = capsys.readouterr().out.split()
    assert said == [word for row in ganvas.doctor(progress=False).facts.items() for word in " ".join(row).split()]


# -- closing and handing on --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.out])
def test_closing_leaves_nothing_half_written(name: str, paths: dict[str, str], tmp_path: Path) -> None:
    case, stops = CASES[name], range(1, 5)
    for stop in stops:
        folder = tmp_path / str(stop)
        given, options = request(case, paths, folder)
        steps = COMMANDS[case.command].load().steps(*given, **options)
        reports = list(islice(steps, stop))
        steps.close()
        assert not list(folder.rglob(f"{files.TEMPORARY}*"))
        if len(reports) < stop:
            break  # it was done before
        for path in folder.rglob("*.png"):
            with Image.open(path) as picture:
                picture.load()
        if Path(str(case.out)).suffix and not isinstance(reports[-1], Note) and reports[-1].done != reports[-1].total:
            assert not (folder / str(case.out)).exists()


def test_results_hand_on(paths: dict[str, str]) -> None:
    run, quick = ganvas.load(paths["RUN"]), {"fps": 5, "seconds": 0.4, "progress": False}
    litter = ganvas.breed(run, parents="3,17", children=2, progress=False)
    again = ganvas.breed(run, parents=litter[0], children=2, mutation=1.0, progress=False)
    assert [parent.name for parent in again.parents] == [litter.children[0].name]
    assert set(litter.lineage["children"]) & set(again.lineage["individuals"])
    assert len(ganvas.breed(run, parents=litter, children=1, progress=False).parents) == 2
    film = ganvas.walk(run, latents=litter, **quick)  # type: ignore[arg-type]
    assert len(film) == 4 and torch.allclose(film.latents[[0, 2]], litter.latents, atol=1e-6)
    found = ganvas.directions(run, count=2, progress=False)
    edited = ganvas.edit(run, direction=found, latents=litter, steps=3, progress=False)
    assert edited.name == "sefa-0" and torch.allclose(edited.latents[1], litter.latents[0])
    samples = ganvas.sample(run, seeds=range(60), progress=False)
    judged = ganvas.evaluate(samples, "digits", metrics=["fid"], device="cpu", progress=False)
    assert judged.figures["fid"].value > 0 and judged.protocol["samples"] == 60
    projected = ganvas.project(run, samples.images[:2], starts=8, keep=1, steps=1, polish=0, compare=0, progress=False)
    assert len(ganvas.sample(run, latents=projected, progress=False)) == 2
    for result in (litter, edited, found, samples, projected, again):
        assert result._repr_png_().startswith(b"\x89PNG") and len(repr(result)) < 100  # not its tensors
    assert "sefa-0" in found._repr_html_() and "a pixel is off by" in projected._repr_html_()
    assert "Fréchet" in judged._repr_html_() and "Warning: " in judged._repr_html_()
    shown = film._repr_mimebundle_()["text/html"]
    assert shown.startswith(('<video src="data:video/mp4', '<img src="data:image/webp'))


def test_a_painting_hands_on() -> None:
    brief = {"crops": 3, "best_of": 2, "generations": 0, "hold": False, "progress": False}
    whole = ganvas.paint("a red circle", steps=4, **brief)  # type: ignore[arg-type]
    half = ganvas.paint("a red circle", steps=2, **brief)  # type: ignore[arg-type]
    assert torch.equal(ganvas.paint("a red circle", steps=4, init=half, **brief).latents, whole.latents)  # type: ignore[arg-type]
    assert half._repr_png_().startswith(b"\x89PNG")
