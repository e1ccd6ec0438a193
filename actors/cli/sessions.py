"""`antiphon sessions`: which conversations are open, at which gateway, and who serves them."""

from typing import TYPE_CHECKING

import typer

from actors.cli.nats_options import Credentials, DataDir, Json, Nats, Watch, whereabouts

if TYPE_CHECKING:
    from protocol.directory import SessionEntry

app = typer.Typer(no_args_is_help=True, help="See the sessions of all gateways.")


@app.callback()
def group() -> None:
    """Keeps `list` a command of its own while it is the only one."""


@app.command("list")
def list_sessions(
    *,
    watch: Watch = False,
    as_json: Json = False,
    nats: Nats = None,
    data_dir: DataDir = None,
    credentials: Credentials = None,
) -> None:
    """Show all open sessions: who has the floor, the turn, the voice, and the workers that speak and listen.

    Example: antiphon sessions list --watch

    Example: antiphon sessions list --json | jq -r '.sessions[].session'

    Nothing that is said is shown: for that, antiphon tap. Sessions of a gateway that was killed are shown for a minute.
    """
    import time  # noqa: PLC0415  # `antiphon --help` waits for none of this

    from rich.console import Console  # noqa: PLC0415

    from actors.bootstrap import client, directory  # noqa: PLC0415
    from actors.cli.fleet_screen import JsonScreen, Screen  # noqa: PLC0415
    from actors.cli.session_rows import SESSION_COLUMNS, session_rows  # noqa: PLC0415

    settings = whereabouts(nats, data_dir, credentials)
    screen: JsonScreen[SessionEntry] | Screen[SessionEntry] = (
        JsonScreen(typer.echo, lambda entries: {"sessions": entries})
        if as_json
        else Screen(
            Console(),
            SESSION_COLUMNS,
            lambda entries: session_rows(entries, now_s=time.time()),
            watch=watch,
            nothing="no session is open; begin one: antiphon talk, or the page",
        )
    )
    with screen:
        client.run(directory.show_sessions(settings.nats, screen.show, watch=watch))
