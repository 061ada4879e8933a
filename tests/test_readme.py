"""The README is true: its commands and those of all pages exist with their options; its links lead somewhere."""

from __future__ import annotations

import re
import shlex
from itertools import pairwise
from pathlib import Path

import pytest

from ganvas import recipes
from ganvas.cli.app import app
from ganvas.cli.reading import parse_settings

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))]
BLOCK = re.compile(r"^```\n(.*?)^```", re.MULTILINE | re.DOTALL)


def commands(page: Path) -> list[str]:
    """The commands of a page's fences; a line that ends with a backslash continues."""
    text = "\n".join(BLOCK.findall(page.read_text(encoding="utf-8"))).replace("\\\n", " ")
    return [line for line in text.splitlines() if line.startswith("ganvas ")]


COMMANDS = sorted({line for page in PAGES for line in commands(page)})


@pytest.mark.parametrize("line", COMMANDS)
def test_its_commands_are_understood(line: str) -> None:
    arguments = shlex.split(line, comments=True)[1:]
    app.parse_args(arguments, exit_on_error=False, print_error=False)
    settings = [b for a, b in pairwise(arguments) if a == "--set"]
    if arguments[0] == "train" and len(arguments) > 1:
        recipes.override(recipes.recipe(arguments[1]), parse_settings(settings))


def test_it_names_every_recipe_objective_and_penalty() -> None:
    from ganvas.objectives import ADVERSARIAL, PENALTIES

    for name in (*recipes.RECIPES, *ADVERSARIAL, *PENALTIES):
        assert f"`{name}`" in README, name


def test_its_links_lead_somewhere() -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in link]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_it_has_one_command_to_run_and_one_to_test() -> None:
    for name, end in (("run", "ganvas train --minutes 0.75"), ("test", "pytest")):
        (part,) = re.findall(rf"<!-- {name} -->\n```\n(.*?)\n```\n<!-- /{name} -->", README, re.DOTALL)
        assert part.endswith(end) and "\n" not in part
