"""Notices a connection that looks alive and is not."""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from adapters.bus.nats_client import ResilientClient

_LOG = structlog.get_logger(__name__)
_INTERVAL_S: Final = 0.5
_STEPS: Final = 5
_STEP_S: Final = 0.2


class Watchdog:
    """Asks the server for a sign of life twice a second and drops the connection when none comes within a second.

    A half-open connection (a frozen host, a cut cable) with a full send buffer is never noticed by nats-py. The second
    is counted in steps during which our own loop ran: a process that was busy for long does not blame the server.
    """

    def __init__(self, client: ResilientClient, *, on_half_open: Callable[[], None]) -> None:
        self._client = client
        self._on_half_open = on_half_open
        self._task = asyncio.create_task(self._watch(), name="nats-watchdog")

    def stop(self) -> None:
        """On the loop; harmless when repeated."""
        self._task.cancel()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_INTERVAL_S)
            if not self._client.is_connected:
                continue
            if not await self._answers():
                _LOG.warning("bus half-open", waited_s=_STEPS * _STEP_S)
                self._on_half_open()
                self._client.abort()

    async def _answers(self) -> bool:
        asked = asyncio.create_task(self._client.flush())
        try:
            for _ in range(_STEPS):
                await asyncio.wait({asked}, timeout=_STEP_S)
                if asked.done() or not self._client.is_connected:
                    return True  # or it is known to be lost
            return False
        finally:
            asked.cancel()
            await asyncio.gather(asked, return_exceptions=True)  # what went wrong is for the reconnection to say
