"""A process's connection to the others."""

from actors.settings import NatsSettings
from adapters.bus.nats import NatsBus


async def connect(settings: NatsSettings, *, name: str) -> NatsBus:
    """The bus.

    Raises:
        BusUnavailable: no server answers; the message names where.
    """
    credentials = None if settings.credentials is None else str(settings.credentials)
    return await NatsBus.connect(settings.urls, name=name, credentials_file=credentials)
