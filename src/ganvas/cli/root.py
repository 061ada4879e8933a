"""The application that every module of commands registers on."""

from __future__ import annotations

from cyclopts import App


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
