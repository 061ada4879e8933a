"""The recipes, and what their options mean."""

from __future__ import annotations

from dataclasses import dataclass
from inspect import cleandoc
from typing import Annotated

from ..progress import Steps
from ..recipes import RECIPES, grouped, recipe
from ..shown import table_html, text_html
from .verb import Verb


@dataclass(frozen=True)
class Description:
    """A recipe with every option, or all recipes."""

    text: str  # what the recipe is; "" of all recipes
    header: tuple[str, ...]
    table: list[tuple[str, ...]]

    def _repr_html_(self) -> str:
        return text_html(self.text.split("\n\n")) + table_html(self.header, self.table)


@Verb
def describe(
    name: Annotated[str | None, "The recipe to describe."] = None, *, progress: bool = True
) -> Steps[Description]:
    """List the recipes, or describe one with all its options."""
    if name is None:
        return Description(
            "", ("recipe", "what it is"), [(known, first_line(make.__doc__)) for known, make in RECIPES.items()]
        )
    rows: list[tuple[str, ...]] = []
    for group, options in grouped(recipe(name)).items():
        rows.append(("", f"{group}:"))
        rows += [(f"{key}={value}", f"{kind.replace('|', ' | ')}: {text}") for key, kind, value, text in options]
    return Description(cleandoc(RECIPES[name].__doc__ or ""), ("option", "meaning"), rows)
    yield  # a verb is a generator, also where there is nothing to report


def first_line(text: str | None) -> str:
    """What the first line of a docstring says."""
    return (text or "").strip().splitlines()[0]
