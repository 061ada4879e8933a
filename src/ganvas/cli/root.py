"""The application that every module of commands registers on."""

from __future__ import annotations

from collections.abc import Sequence

from cyclopts import App

from ..errors import RequestError


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


def parse_settings(settings: Sequence[str]) -> dict[str, str]:
    """['lr=1e-4'] -> {'lr': '1e-4'}."""
    for setting in settings:
        if "=" not in setting:
            raise RequestError(f"--set {setting}: write KEY=VALUE, such as --set lr=1e-4")
    return {key.strip(): value.strip() for key, value in (setting.split("=", 1) for setting in settings)}
