"""Imports that cost more than they are worth where they are optional."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without(module: str) -> Iterator[None]:
    """In this block `import module` fails, unless it was imported before: libraries then do without it."""
    if module in sys.modules:
        yield
        return
    sys.modules[module] = None  # type: ignore[assignment]  # how the import system says "there is none"
    try:
        yield
    finally:
        del sys.modules[module]


def import_plainly() -> None:
    """Have structlog without rich (prettier tracebacks) and nats-py without aiohttp (NATS over WebSocket).

    That is 0.2 s and 0.3 s of each start on a slow core. The gateway has its own use for aiohttp and imports it later.
    """
    with without("rich"):
        import structlog  # noqa: F401, PLC0415  # from now on it is there for everybody
    with without("aiohttp"):
        import nats.aio.client  # noqa: F401, PLC0415  # the same
