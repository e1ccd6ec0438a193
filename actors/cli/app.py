"""The command line: each command in a module of its own, imported when it is asked for."""

import os
import sys
from importlib import import_module
from typing import Any, Final

import typer
from typer.core import TyperGroup

from protocol.errors import AntiphonError, SettingsInvalid

_FAILURE: Final = 1
_WRONG_CONFIGURATION: Final = 2
_COMMANDS: Final = (
    "up",
    "talk",
    "say",
    "tap",
    "route",
    "workers",
    "models",
    "sessions",
    "voices",
    "doctor",
    "serve",
    "bridge",
    "bench",
    "version",
)
"""Each is a module of `actors.cli` with a function of the same name, or with a Typer application called `app`."""


class _CommandsOnDemand(TyperGroup):
    """What `antiphon up` runs does not wait for what `antiphon talk` needs."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Without importing them."""
        del ctx
        return list(_COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # typer keeps a click of its own, whose types are private
        """Imports that one."""
        del ctx
        return _command(cmd_name) if cmd_name in _COMMANDS else None


def _command(name: str) -> Any:
    module = import_module(f"actors.cli.{name}")
    group: typer.Typer | None = getattr(module, "app", None)
    if group is None:
        group = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        group.command(name, context_settings=getattr(module, "CONTEXT_SETTINGS", None))(getattr(module, name))
    command = typer.main.get_command(group)
    command.name = name
    return command


app = typer.Typer(
    name="antiphon",
    cls=_CommandsOnDemand,
    help="Talk with a machine, interrupt it, and lose nothing.\n\nFirst: antiphon up",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def options(
    debug: bool = typer.Option(False, "--debug", envvar="ANTIPHON_DEBUG", help="Show where an error came from."),
) -> None:
    """What all commands understand."""
    if debug:
        os.environ["ANTIPHON_DEBUG"] = "1"


def main() -> None:
    """Run a command. An error of ours is one line on standard error; the status is 2 for a wrong setting, else 1."""
    try:
        app()
    except AntiphonError as error:
        if os.environ.get("ANTIPHON_DEBUG"):
            raise
        sys.stderr.write(f"antiphon: {error}\n")
        sys.exit(_WRONG_CONFIGURATION if isinstance(error, SettingsInvalid) else _FAILURE)


if __name__ == "__main__":
    main()
