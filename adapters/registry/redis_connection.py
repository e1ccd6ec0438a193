"""A connection to Redis that fails fast, and says where it leads without saying who we are."""

from typing import Final
from urllib.parse import urlsplit

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from protocol.errors import SettingsInvalid

ERRORS: Final = (RedisError, OSError, TimeoutError)
"""All that a command may raise."""

CALL_S: Final = 1.0
"""For one answer; a server that needs longer is as good as away."""


def open_client(url: str) -> Redis:
    """Connects when it is first used; nothing is tried again behind our back.

    Args:
        url: `redis://`, `rediss://` (TLS) or `unix://`, with user and password where they are needed.

    Raises:
        SettingsInvalid: it is no such URL. The URL is not repeated: it may hold a password.
    """
    try:
        client = Redis.from_url(
            url,
            protocol=2,
            decode_responses=False,
            socket_timeout=CALL_S,
            socket_connect_timeout=CALL_S,
            retry=Retry(NoBackoff(), 0),
            max_connections=8,
        )
        client.connection_pool.make_connection()  # type: ignore[no-untyped-call]  # it knows the options that a URL may hold
    except (ValueError, TypeError) as error:
        raise SettingsInvalid(
            "redis.url: must be redis://HOST:PORT/DB, rediss:// for TLS, or unix://PATH, "
            "with whatever is special in a password percent-encoded"
        ) from error
    return client


def without_secrets(url: str) -> str:
    """To be shown: the user, the password and the options are left out."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def in_words(error: BaseException) -> str:
    """What Redis or the network says."""
    return str(error).rstrip(".") or type(error).__name__
