"""The command line: each command in a module of its own, its machinery imported when it runs."""

import os
import sys
from typing import Final

import typer

from actors.cli import bench, doctor, say, serve, talk, tap, up
from protocol.errors import AntiphonError, SettingsInvalid

_FAILURE: Final = 1
_WRONG_CONFIGURATION: Final = 2

app = typer.Typer(
    name="antiphon",
    help="Talk with a machine, interrupt it, and lose nothing.\n\nFirst: antiphon up",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("up")(up.up)
app.add_typer(serve.app, name="serve")
app.command("talk")(talk.talk)
app.command("say")(say.say)
app.command("tap")(tap.tap)
app.command("doctor")(doctor.doctor)
app.command("bench", context_settings=bench.CONTEXT_SETTINGS)(bench.bench)


@app.callback()
def options(
    debug: bool = typer.Option(False, "--debug", envvar="ANTIPHON_DEBUG", help="Show where an error came from."),
) -> None:
    """What all commands understand."""
    if debug:
        os.environ["ANTIPHON_DEBUG"] = "1"


@app.command()
def version() -> None:
    """Say which Antiphon this is.

    Example: antiphon version
    """
    from importlib import metadata  # noqa: PLC0415  # only this command needs it

    typer.echo(f"antiphon {metadata.version('antiphon')}")


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
