"""`antiphon tap`: watch live sessions."""

from pathlib import Path
from typing import Annotated

import typer

_MALFORMED_SESSION = "a session's id is one word of a-z, 0-9 and -"


def tap(
    session: Annotated[str, typer.Argument(help="Its id, as `talk` prints it.", show_default=False)] = "",
    *,
    every: Annotated[bool, typer.Option("--all", help="Watch all sessions.")] = False,
    nats: Annotated[
        str | None,
        typer.Option("--nats", envvar="ANTIPHON_NATS_URL", help="The server; the running system's if none."),
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(envvar="ANTIPHON_DATA_DIR", help="Of the running `antiphon up`.", metavar="DIR")
    ] = None,
    credentials: Annotated[
        Path | None, typer.Option(envvar="ANTIPHON_NATS_CREDENTIALS", help="An observer's are enough.", metavar="FILE")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, for programs.")] = False,
    wav: Annotated[
        Path | None,
        typer.Option("--wav", help="Keep the speech; with --all one file for each session.", metavar="FILE"),
    ] = None,
) -> None:
    """Show what is said in and about a live session: each message as it comes, frames and their flow once a second.

    Example: antiphon tap --all

    Example: antiphon tap 3f2a9c0d --wav reply.wav

    It only listens: nothing that it does reaches the session, and the rights of an observer are enough. Ctrl-C ends it.
    """
    from pydantic import TypeAdapter, ValidationError  # noqa: PLC0415  # `antiphon --help` waits for none of this

    from actors.bootstrap import client  # noqa: PLC0415
    from actors.bootstrap import tap as bootstrap  # noqa: PLC0415
    from actors.cli.tap_lines import JsonLines, TapLines  # noqa: PLC0415
    from actors.cli.whereabouts import nats_url, without_credentials  # noqa: PLC0415
    from actors.settings import NatsSettings  # noqa: PLC0415
    from protocol.ids import SessionField  # noqa: PLC0415

    if bool(session) == every:
        raise typer.BadParameter("name one session, or --all")
    try:
        watched = None if every else TypeAdapter(SessionField).validate_python(session)
    except ValidationError as error:
        raise typer.BadParameter(_MALFORMED_SESSION) from error
    settings = NatsSettings(url=nats_url(nats, data_dir), credentials=credentials)
    lines = JsonLines() if as_json else TapLines(session=watched)
    shown = lines.shown(f"{session or 'all sessions'} at {without_credentials(settings.url)}")
    client.run(bootstrap.tap(settings, watched, shown, wav=wav))
