"""The application: a command for each verb, made of the verb's own signature."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from io import TextIOWrapper
from typing import Any

from cyclopts import App, CycloptsError

from ..api.verb import Declaration, declaration
from ..errors import RequestError, WorkError
from ..openmp import shorten_spinning
from ..progress import Interrupted
from .reading import in_flags, parse_settings, refusal, signature
from .show import SHOWS, stopped


class Refused(Exception):
    """A request that was wrong, in the words of the command line."""


def installed_version() -> str:
    """Of the package, read only when it is asked for."""
    from importlib.metadata import version

    return version("ganvas")


app = App(
    name="ganvas",
    help="From a handful of pictures to a measured, steerable generative model, on the computer you have.",
    help_epilogue="Start with `ganvas train`. With --debug, any command that fails shows its traceback.",
    help_format="plaintext",  # markdown would cost a third of the time that --help takes
    version=installed_version,
    suppress_keyboard_interrupt=False,
    result_action="return_value",  # or it would end the process itself
)


def command(name: str, verb: Declaration, show: Callable[[Any, dict[str, Any]], None], required: tuple) -> None:
    """Register the command that runs a verb and shows its result; `show` also gets what was asked for."""
    accepted = signature(verb, required)

    def call(*args: Any, **kwargs: Any) -> None:
        from .bars import watch  # which `--help` does without

        asked = accepted.bind(*args, **kwargs).arguments
        try:
            if "options" in asked:
                asked["options"] = parse_settings(asked["options"])
            result = watch(verb.load().steps(**asked))
        except RequestError as error:
            raise Refused(refusal(error, verb)) from error
        show(result, asked)

    call.__signature__ = accepted  # type: ignore[attr-defined]
    call.__annotations__ = {one.name: one.annotation for one in accepted.parameters.values()}
    call.__doc__ = in_flags(verb.summary.split("\n\n")[0], verb)
    app.command(call, name=name)


for _name, _verb, _show, _required in SHOWS:
    command(_name, declaration(_verb), _show, _required)


def run(arguments: Sequence[str] | None) -> int:
    """See `ganvas.cli.main`."""
    shorten_spinning()
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a console without some character loses no outcome
    try:
        app([word for word in given if word != "--debug"], exit_on_error=False, print_error=False)
    except Interrupted as stop:
        print(f"\n{stopped(stop.last)}")
        return 0
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 1
    except CycloptsError as error:
        error.verbose = debug
        return fail(f"{error}", 2)
    except (Refused, RequestError, WorkError) as error:
        if debug:
            raise
        return fail(str(error), 1 if isinstance(error, WorkError) else 2)
    except Exception as error:
        if debug:
            raise
        return fail(unforeseen(error), 1)
    return 0


def unforeseen(error: Exception) -> str:
    """What is said of an error that no verb foresees: the machine's limits, and faults of ours."""
    if isinstance(error, MemoryError) or "allocate memory" in str(error) or "out of memory" in str(error):
        return "there is not enough memory; ask for less at a time, or for a smaller network"
    if isinstance(error, OSError) and error.strerror:
        return f"cannot use {str(error.filename)[:200]}: {error.strerror.lower()}"
    return f"{type(error).__name__}: {error}; run it again with --debug for the traceback"


def fail(message: str, status: int) -> int:
    """Say it in one line on stderr."""
    print(f"ganvas: {' '.join(message.split())}", file=sys.stderr)
    return status
