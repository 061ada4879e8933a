"""What all verbs are: a generator of `Progress` that returns a result, and arguments that describe themselves."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from functools import cache, update_wrapper
from importlib import import_module
from inspect import Parameter
from pathlib import Path
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
        return self.positional and self.default is Parameter.empty


class Declaration(NamedTuple):
    """What a verb's own file says of it, read without importing the file, which would load torch."""

    name: str
    summary: str  # the docstring
    arguments: list[Argument]

    def load(self) -> Verb[..., Any]:
        """The verb itself."""
        return getattr(import_module(f".{self.name}", __package__), self.name)


@cache
def declaration(name: str) -> Declaration:
    """The declaration of a verb: `argument: Annotated[type, "meaning"] = default`; those of SHARED give no meaning."""
    tree = ast.parse(Path(__file__).with_name(f"{name}.py").read_text(encoding="utf-8"))
    function = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name)
    places, keywords = function.args.args, function.args.kwonlyargs
    missing = [None] * (len(places) - len(function.args.defaults))
    defaults = [*missing, *function.args.defaults, *function.args.kw_defaults]
    each = zip([*places, *keywords], defaults, [True] * len(places) + [False] * len(keywords), strict=True)
    return Declaration(name, ast.get_docstring(function) or "", [argument(*one) for one in each])


def argument(declared: ast.arg, default: ast.expr | None, positional: bool) -> Argument:
    """One argument of a declaration."""
    kind, meaning = declared.annotation, SHARED.get(declared.arg, "")
    if isinstance(kind, ast.Subscript) and ast.unparse(kind.value) == "Annotated":
        assert isinstance(kind.slice, ast.Tuple)
        kind, meaning = kind.slice.elts[0], ast.literal_eval(kind.slice.elts[1])
    assert kind is not None, "every argument of a verb has a type"
    value = Parameter.empty if default is None else ast.literal_eval(default)
    return Argument(declared.arg, ast.unparse(kind), value, meaning, positional)


class Verb(Generic[P, R]):
    """A verb of the toolkit. Calling it runs it to its end; `steps(...)` gives the generator of its progress.

    Closing that generator cancels the work; what is on the disk stays whole.
    """

    watch: ClassVar[Callable[[Steps[Any]], Any]] = staticmethod(drain)  # the faces put one here that shows a bar

    def __init__(self, steps: Callable[P, Steps[R]]) -> None:
        self.steps = steps
        update_wrapper(self, steps)
        declared, signature = declaration(steps.__name__), inspect.signature(steps)
        kinds = {one.name: one.type for one in declared.arguments}
        parameters = [p.replace(annotation=kinds[name]) for name, p in signature.parameters.items()]
        result = str(signature.return_annotation).removeprefix("Steps[").removesuffix("]")
        self.__signature__ = signature.replace(parameters=parameters, return_annotation=result)
        wrap = textwrap.TextWrapper(110, initial_indent="    ", subsequent_indent=" " * 8)
        wrapped = [wrap.fill(f"{one.name}: {one.meaning}") for one in declared.arguments]
        self.__doc__ = "\n".join([declared.summary, "", "Args:", *wrapped])

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        run = drain if kwargs.get("progress") is False else type(self).watch
        return run(self.steps(*args, **kwargs))
