"""The house's imports point one way; docs/architecture.md says why."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "ganvas"

# A module may import what stands below its own row. Members of the first four rows import none of their row.
LAYERS = (
    ("errors",),
    ("types", "files", "progress", "unpickle", "openmp", "sizes", "alpha"),
    ("records",),
    ("objectives", "nets", "data", "augment", "samplers", "latent", "metrics", "tokens"),
    ("loop", "plan", "machine", "monitor", "frozen", "features", "media", "film", "shown"),
    ("painting", "evaluation", "inversion", "attributes", "exporters"),
    ("recipes",),
    ("run", "reports"),
    ("comparison",),
    ("api",),
    ("__init__", "cli", "studio"),
    ("__main__",),
)
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
PLAIN = {"torch", "numpy"}  # all that the first four rows need
READERS = {
    "data": {"PIL", "filelock", "pillow_heif", "pooch", "huggingface_hub", "datasets", "pyarrow"},
    "types": {"PIL"},
    "progress": {"PIL"},
}
READERS |= {"files": {"pydantic"}, "records": {"pydantic", "annotated_types", "typing_extensions"}}
UNWANTED = {"torchvision", "pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
UNPICKLERS = {"unpickle.py"}  # what a data set is published as, read with every name refused but arrays
HEAVY = ("torch", "numpy", "PIL", "matplotlib", "sklearn", "tensorboard", "pooch", "safetensors")

FILES = sorted(SOURCE.rglob("*.py"))


def part(file: Path) -> str:
    """The member of the table that a file belongs to: nets/mlp.py is of nets."""
    return file.relative_to(SOURCE).parts[0].removesuffix(".py")


def imports(file: Path) -> Iterator[str]:
    """Every module that a file imports anywhere, dotted and absolute."""
    package = ["ganvas", *file.relative_to(SOURCE).parts[:-1]]
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else []
            module = ".".join([*base, *filter(None, [node.module])])
            # `from ganvas import loop` names a module, `from ganvas.loop import train` what is in it
            yield from (f"{module}.{alias.name}" if module == "ganvas" else module for alias in node.names)


def inner(file: Path) -> set[str]:
    """The members of the table that a file imports, its own aside."""
    found = {
        name.split(".")[1] if "." in name else "__init__" for name in imports(file) if name.split(".")[0] == "ganvas"
    }
    return {name if name in RANK else "__init__" for name in found} - {part(file)}


def test_every_member_has_its_place() -> None:
    assert {part(file) for file in FILES} <= set(RANK), "a new member must be given its row in LAYERS"


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(SOURCE)))
def test_imports_point_down(file: Path) -> None:
    rank = RANK[part(file)]
    apart = rank < RANK["loop"]
    wrong = {name for name in inner(file) if RANK[name] > rank or (apart and RANK[name] == rank)}
    assert not wrong, f"{part(file)} may not import {sorted(wrong)}"


def test_members_of_a_row_do_not_import_in_a_circle() -> None:
    graph = {name: set() for name in RANK}
    for file in FILES:
        graph[part(file)] |= {name for name in inner(file) if RANK[name] == RANK[part(file)]}
    while leaves := {name for name, needs in graph.items() if not needs & graph.keys()}:
        graph = {name: needs for name, needs in graph.items() if name not in leaves}
    assert not graph


def neighbours(file: Path) -> set[Path]:
    """The files that a file imports, also for type checking alone."""
    found: set[Path] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = file.parents[node.level - 1].joinpath(*(node.module or "").split("."))
            for target in (base / alias.name for alias in node.names):
                places = (
                    target.with_suffix(".py"),
                    target / "__init__.py",
                    base.with_suffix(".py"),
                    base / "__init__.py",
                )
                found |= {next(path for path in places if path in FILES)}
    return found - {file}


def test_files_do_not_import_in_a_circle() -> None:
    graph = {file: neighbours(file) for file in FILES}
    while ends := graph.keys() - {file for file in graph if graph[file] & graph.keys()}:
        graph = {file: needs for file, needs in graph.items() if file not in ends}
    while starts := graph.keys() - {file for needs in graph.values() for file in needs}:
        graph = {file: needs for file, needs in graph.items() if file not in starts}
    assert not {str(file.relative_to(SOURCE)) for file in graph}, "these import each other"


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(SOURCE)))
def test_packages_from_outside(file: Path) -> None:
    outside = {name.split(".")[0] for name in imports(file)} - {"ganvas"} - sys.stdlib_module_names
    unwanted = UNWANTED - {"pickle"} if str(file.relative_to(SOURCE)) in UNPICKLERS else UNWANTED
    assert not {name.split(".")[0] for name in imports(file)} & unwanted
    if RANK[part(file)] < RANK["loop"]:
        assert outside <= PLAIN | READERS.get(part(file), set())


def test_loading_never_runs_code() -> None:
    for file in FILES:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
                options = {word.arg: ast.unparse(word.value) for word in node.keywords}
                assert options.get("weights_only") == "True", f"{file.name}:{node.lineno}"


@pytest.mark.parametrize("name", sorted(UNPICKLERS))
def test_unpickling_chooses_what_it_builds(name: str) -> None:
    """The one use of pickle is as the base of a class that decides itself which names a pickle may call for."""
    nodes = list(ast.walk(ast.parse((SOURCE / name).read_text(encoding="utf-8"))))
    uses = [node for node in nodes if isinstance(node, ast.Name) and node.id == "pickle"]
    (guard,) = (n for n in nodes if isinstance(n, ast.ClassDef) and "pickle.Unpickler" in map(ast.unparse, n.bases))
    assert len(uses) == 1
    assert "find_class" in {part.name for part in guard.body if isinstance(part, ast.FunctionDef)}


@pytest.mark.parametrize("module", ["ganvas", "ganvas.cli"])
def test_the_command_line_starts_light(module: str) -> None:
    """`ganvas --help` has no time to import torch."""
    code = f"import sys, {module}; print(*(name for name in {HEAVY} if name in sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == []
