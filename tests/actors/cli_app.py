"""The command line with single commands, their errors told as `antiphon` tells them."""

import sys
from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperGroup

from protocol.errors import AntiphonError, SettingsInvalid


class _TellsErrors(TyperGroup):
    """`actors.cli.app.main` does this around the app; a `CliRunner` goes around `main`."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except AntiphonError as error:
            typer.echo(f"antiphon: {error}", err=True)
            raise typer.Exit(2 if isinstance(error, SettingsInvalid) else 1) from error


def app_with(*commands: Callable[..., Any]) -> typer.Typer:
    """These commands."""
    app = typer.Typer(cls=_TellsErrors, pretty_exceptions_enable=False)
    app.callback()(_nothing)
    for command in commands:
        app.command()(command)
    return app


def _nothing() -> None:
    """Makes a group of a single command, too."""


if __name__ == "__main__":
    from actors.cli.doctor import doctor
    from actors.cli.say import say
    from actors.cli.talk import talk
    from actors.cli.tap import tap

    sys.exit(app_with(doctor, say, talk, tap)())
