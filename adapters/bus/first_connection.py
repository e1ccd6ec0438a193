"""The first connection to NATS: there at once, or an error that a person understands."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from nats.errors import Error as NatsError

from adapters.bus.nats_client import ResilientClient
from protocol.errors import BusUnavailable

_WITHIN_S: Final = 5.0

OnEvent = Callable[[], Awaitable[None]]
OnError = Callable[[Exception], Awaitable[None]]


async def connect_first(
    client: ResilientClient,
    urls: Sequence[str],
    *,
    name: str,
    credentials_file: str | None,
    nkey_seed: str | None,
    inbox_prefix: str,
    on_lost: OnEvent,
    on_back: OnEvent,
    on_error: OnError,
) -> None:
    """Connect, and from then on reconnect after every fault, for ever.

    Raises:
        BusUnavailable: no server answers at any of the URLs, or one of them refuses us.
    """
    seen: list[Exception] = []

    async def remember(error: Exception) -> None:
        seen.append(error)

    try:
        async with asyncio.timeout(_WITHIN_S):
            await client.connect(
                list(urls),
                name=name,
                allow_reconnect=False,
                max_reconnect_attempts=1,
                reconnect_time_wait=0.1,  # type: ignore[arg-type]  # nats-py sleeps that long: a float is fine
                connect_timeout=1,
                ping_interval=30,  # the watchdog asks far more often
                flusher_queue_size=4096,
                error_cb=remember,
                disconnected_cb=on_lost,
                reconnected_cb=on_back,
                inbox_prefix=inbox_prefix,
                user_credentials=credentials_file,
                nkeys_seed_str=nkey_seed,
            )
    except (OSError, NatsError, TimeoutError, ValueError) as error:
        client.abort()
        reason = _in_words(seen[-1] if seen else error)
        raise BusUnavailable(f"NATS is not available at {shown(urls)}: {reason}") from error
    client.reconnect_for_ever(list(urls), on_error)


def shown(urls: Sequence[str]) -> str:
    """For people: without user, password or token."""
    return ", ".join(map(redacted, urls))


def redacted(url: str) -> str:
    """One URL without user, password or token."""
    parts = urlsplit(url if "://" in url else f"nats://{url}")
    if "@" in parts.netloc:
        parts = parts._replace(netloc="***@" + parts.netloc.rpartition("@")[2])
    return urlunsplit(parts)


def _in_words(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    if isinstance(error, TimeoutError) and not error.args:
        return "no answer"
    return str(error).removeprefix("nats: ").strip("'") or type(error).__name__
