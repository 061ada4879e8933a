"""From the arguments of a verb to the options of its command, and from an error about the ones to the others."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from ..api.verb import Argument, Declaration
from ..errors import RequestError

# What a person types for each type of ganvas.api.types.
TYPES: dict[str, Any] = {
    **dict.fromkeys(("RunLike", "RunPath", "ClipLike", "Picture", "Init"), Path),
    **dict.fromkeys(("Label", "Data", "Source", "DirectionLike", "Names", "Parents", "Seeds"), str),
    **dict.fromkeys(("Grid", "Out"), str),
    "Durations": str | float,  # cyclopts checks the default, a number
    **dict.fromkeys(("Pictures", "Latents"), list[Path]),
    **dict.fromkeys(("Texts", "Sources", "Options"), list[str]),
    "Strength": Annotated[str, Parameter(allow_leading_hyphen=True)],
    "Device": Literal["auto", "cpu", "cuda", "mps"],
    "Precision": Literal["auto", "fp32", "bf16"],
    "OnCollapse": Literal["warn", "stop", "rollback"],
    "Literal": Literal,
}
SETTING = "KEY=VALUE; "  # how an option of a recipe or a generator is written
PYTHON = ("progress",)  # arguments that only Python has


def parameter(argument: Argument, required: bool) -> inspect.Parameter:
    """What cyclopts reads the argument from."""
    name = argument.name
    kind = eval(argument.type, {"__builtins__": __builtins__}, TYPES)  # our own annotation, as the verb's file has it
    settings = name == "options"
    plain = argument.default is False or argument.type.split(" |")[0] in ("Texts", "Latents", "Options")
    read = Parameter(
        name="--set" if settings else name.upper() if argument.nameless else None,
        help=(SETTING if settings else "") + in_flags(argument.meaning),
        negative="" if plain else None,
    )
    place = inspect.Parameter.KEYWORD_ONLY
    if argument.positional:
        place = inspect.Parameter.POSITIONAL_ONLY if argument.nameless else inspect.Parameter.POSITIONAL_OR_KEYWORD
    default = inspect.Parameter.empty if required else argument.default
    return inspect.Parameter(name, place, default=default, annotation=Annotated[kind, read])


def signature(verb: Declaration, required: Sequence[str] = ()) -> inspect.Signature:
    """What a command of the verb accepts; `required`: what has to be said here, though Python can leave it out."""
    given = [one for one in verb.arguments if one.name not in PYTHON]
    return inspect.Signature([parameter(one, one.name in required) for one in given])


def parse_settings(settings: Sequence[str] | None) -> dict[str, str]:
    """['lr=1e-4'] -> {'lr': '1e-4'}."""
    for setting in settings or ():
        if "=" not in setting:
            raise RequestError(f"{setting!r} has no value", "write KEY=VALUE, such as lr=1e-4", field="options")
    return {key.strip(): value.strip() for key, value in (setting.split("=", 1) for setting in settings or ())}


def flag(name: str, verb: Declaration) -> str:
    """What an argument is called on the command line: --steps, DATA, --set lr. Unknown names stay."""
    name, _, option = name.partition(".")
    found = next((one for one in verb.arguments if one.name == name), None)
    if found is None:
        return name
    if name == "options":
        return f"--set {option}".strip()
    return name.upper() if found.nameless else f"--{name.replace('_', '-')}"


def in_flags(text: str, verb: Declaration | None = None) -> str:
    """A text in which names of arguments in backticks are those of the command line."""
    if verb is None:
        return re.sub(r"`(\w+)`", r"--\1", text)
    known = {one.name for one in verb.arguments}
    return re.sub(r"`(\w+)`", lambda found: flag(found[1], verb) if found[1] in known else found[0], text)


def refusal(error: RequestError, verb: Declaration) -> str:
    """What the command line says of a request that was wrong."""
    text = "; ".join(filter(None, (in_flags(error.problem, verb), in_flags(error.hint, verb))))
    return f"{flag(error.field, verb)}: {text}" if error.field else text
