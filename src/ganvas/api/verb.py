"""What all verbs are: a generator of `Progress` that returns a result, and arguments that describe themselves."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from functools import update_wrapper
from typing import Any, ClassVar, Generic, NamedTuple, ParamSpec, TypeVar

from ..progress import Steps, drain

P = ParamSpec("P")
R = TypeVar("R")

# Arguments that mean the same for every verb that has them.
SHARED = {
    "run": "A run directory, or its generator.safetensors.",
    "label": "Class, by name or number, where the generator knows classes.",
    "prompt": "Keywords, such as 'red circle', where the generator was trained with keywords.",
    "truncation": "Below 1: more typical, less varied.",
    "options": "Of the generator: for diffusion sampler, steps, guidance, …; words=latent: labels too.",
    "device": "Where to compute; auto: the fastest device.",
    "fps": "Frames a second, of a film.",
    "progress": "Show a progress bar.",
}


class Argument(NamedTuple):
    """One argument of a verb, as its signature declares it."""

    name: str
    type: str  # as text, such as "Seeds | None"
    default: Any  # inspect.Parameter.empty where there is none
    meaning: str
    positional: bool

    @property
    def nameless(self) -> bool:
        """Whether a command takes it by its place alone."""
        return self.positional and self.default is inspect.Parameter.empty


def arguments(function: Callable[..., object]) -> list[Argument]:
    """The arguments of a verb: `name: Annotated[type, "meaning"] = default`; those of SHARED give their type alone."""
    found = []
    for parameter in inspect.signature(function).parameters.values():
        tree = ast.parse(parameter.annotation, mode="eval").body
        kind, meaning = parameter.annotation, SHARED.get(parameter.name, "")
        if isinstance(tree, ast.Subscript) and ast.unparse(tree.value) == "Annotated":
            assert isinstance(tree.slice, ast.Tuple)
            kind, meaning = ast.unparse(tree.slice.elts[0]), ast.literal_eval(tree.slice.elts[1])
        positional = parameter.kind is not inspect.Parameter.KEYWORD_ONLY
        found.append(Argument(parameter.name, kind, parameter.default, meaning, positional))
    return found


class Verb(Generic[P, R]):
    """A verb of the toolkit. Calling it runs it to its end; `steps(...)` gives the generator of its progress.

    Closing that generator cancels the work; what is on the disk stays whole.
    """

    watch: ClassVar[Callable[[Steps[Any]], Any]] = staticmethod(drain)  # the faces put one here that shows a bar

    def __init__(self, steps: Callable[P, Steps[R]]) -> None:
        self.steps = steps
        update_wrapper(self, steps)
        self.arguments = arguments(steps)
        signature = inspect.signature(steps)
        kinds = {one.name: one.type for one in self.arguments}
        parameters = [p.replace(annotation=kinds[name]) for name, p in signature.parameters.items()]
        result = str(signature.return_annotation).removeprefix("Steps[").removesuffix("]")
        self.__signature__ = signature.replace(parameters=parameters, return_annotation=result)
        lines = [f"{one.name}: {one.meaning}" for one in self.arguments]
        wrapped = [
            "\n".join(textwrap.wrap(line, 110, initial_indent="    ", subsequent_indent=" " * 8)) for line in lines
        ]
        self.summary = inspect.cleandoc(steps.__doc__ or "")
        self.__doc__ = "\n".join([self.summary, "", "Args:", *wrapped])

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        run = drain if kwargs.get("progress") is False else type(self).watch
        return run(self.steps(*args, **kwargs))
