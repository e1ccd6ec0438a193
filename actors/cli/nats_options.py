"""What the commands that ask and list over NATS understand."""

import os
from pathlib import Path
from typing import Annotated, Any, Final

import typer

Nats = Annotated[
    str | None, typer.Option("--nats", envvar="ANTIPHON_NATS_URL", help="The server; the running system's if none.")
]
DataDir = Annotated[
    Path | None, typer.Option(envvar="ANTIPHON_DATA_DIR", help="Of the running `antiphon up`.", metavar="DIR")
]
Credentials = Annotated[
    Path | None, typer.Option(envvar="ANTIPHON_NATS_CREDENTIALS", help="An operator's.", metavar="FILE")
]
Watch = Annotated[bool, typer.Option("--watch", "-w", help="Refresh until Ctrl-C.")]
Json = Annotated[bool, typer.Option("--json", help="For programs; with --watch a line for each change.")]


_PLACES: Final = ("ANTIPHON_NATS_", "ANTIPHON_REGISTRY", "ANTIPHON_REDIS_")
"""Of all that a process may be told, what says where the workers are."""


def whereabouts(nats: str | None, data_dir: Path | None, credentials: Path | None) -> Any:
    """The settings, as a gateway's, of the bus and of the registry.

    Raises:
        SettingsInvalid: a variable is wrong.
    """
    from actors.cli.whereabouts import nats_url  # noqa: PLC0415  # `antiphon --help` waits for none of this
    from actors.settings import GatewaySettings  # noqa: PLC0415
    from actors.settings_sources import load  # noqa: PLC0415

    environ = {name: value for name, value in os.environ.items() if name.startswith(_PLACES)}
    flags = {"nats.url": nats_url(nats, data_dir), "nats.credentials": credentials}
    return load(GatewaySettings, environ=environ, flags=flags)


def token(value: str | None, what: str) -> Any:
    """A worker's name or a model's id.

    Raises:
        BadParameter: it can't be one.
    """
    import re  # noqa: PLC0415

    from protocol.ids import TOKEN_PATTERN  # noqa: PLC0415

    if value is not None and not re.fullmatch(TOKEN_PATTERN, value):
        raise typer.BadParameter(f"{what} is one word of a-z, 0-9 and -")
    return value
