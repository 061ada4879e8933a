"""The two ways a request can fail, each with a sentence that helps: what is wrong, the value, how to fix it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

Entry = TypeVar("Entry")


class RequestError(ValueError):
    """The request was wrong (exit status 2): an unknown name, an impossible option, missing data.

    field: the argument at fault, such as "steps", or "options.lr" for an option of a recipe; "" where no single one is.
    problem: what is wrong, with the value. hint: what to do. In both, a name in backticks (`steps`) is an argument.
    The command line shows these as its options (--steps, --set lr), Python as they are; a form marks its input.
    """

    def __init__(self, problem: str, hint: str = "", *, field: str = "") -> None:
        super().__init__(problem, hint, field)
        self.problem, self.hint, self.field = problem, hint, field

    def __str__(self) -> str:
        name = self.field.removeprefix("options.")
        return (f"{name}: " if name else "") + "; ".join(filter(None, (self.problem, self.hint)))

    def __reduce__(self) -> tuple[object, ...]:  # field is a keyword, which pickling would lose between processes
        return _rebuilt, (type(self), self.problem, self.hint, self.field)


def _rebuilt(kind: type[RequestError], problem: str, hint: str, field: str) -> RequestError:
    return kind(problem, hint, field=field)


class WorkError(RuntimeError):
    """The request was right but the work failed (exit status 1): a full disk, a diverged loss."""


def unknown(kind: str, name: str, known: Iterable[str], *, field: str = "") -> RequestError:
    """The error for a name that is not among `known`, with the nearest right ones."""
    choices = sorted(known)
    near = difflib.get_close_matches(name, choices, n=3, cutoff=0.4)
    hint = f"did you mean {' or '.join(near)}?" if near else f"choose from: {', '.join(choices)}"
    return RequestError(f"unknown {kind} {name!r}", hint, field=field)


def entry(kind: str, name: str, table: Mapping[str, Entry], *, field: str = "") -> Entry:
    """The entry of a table with that name; raises `unknown` where there is none."""
    if name not in table:
        raise unknown(kind, name, table, field=field)
    return table[name]


@contextmanager
def writing(out: object) -> Iterator[None]:
    """A WorkError that says what could not be written, and why; a RequestError for a name that no file can have."""
    try:
        yield
    except OSError as error:
        raise WorkError(f"cannot write {out}: {(error.strerror or str(error)).lower()}") from error
    except ValueError as error:
        if "null byte" not in str(error) and not isinstance(error, UnicodeEncodeError):
            raise
        raise RequestError(f"{str(out)!r} is not a path: {error}", "choose another name", field="out") from error
