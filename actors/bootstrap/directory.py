"""What `antiphon sessions` is made of: the directory that gateways write, read as an operator."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from actors.bootstrap.bus import connect
from actors.logs import configure_logging
from actors.settings import NatsSettings
from adapters.registry.nats_sessions import NatsSessions
from protocol.directory import SessionEntry
from protocol.errors import BusUnavailable

_TICK_S: Final = 1.0
"""As often as a gateway tells of one session."""

Show = Callable[[Sequence[SessionEntry], bool], None]
"""Called with all sessions, and whether there is a connection to the bus."""


async def show_sessions(nats: NatsSettings, show: Show, *, watch: bool) -> None:
    """Show all sessions once, or each second until cancelled.

    Raises:
        BusUnavailable: no server answers, or it keeps no sessions.
    """
    configure_logging("critical")  # what an operator has to know is told by the command itself
    bus = await connect(nats, name="operator")
    directory = NatsSessions(bus)
    try:
        entries = await directory.entries()
        show(entries, bus.is_connected)
        while watch:
            await asyncio.sleep(_TICK_S)
            with suppress(BusUnavailable):  # what was known before, until the server is back
                entries = await directory.entries()
            show(entries, bus.is_connected)
    finally:
        await directory.close()
        await bus.close()
