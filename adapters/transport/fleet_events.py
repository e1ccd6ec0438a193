"""`GET /workers/events`: all workers and models as server-sent events, whole each time, as they change."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from adapters.transport.counters import CONNECTIONS, DISCONNECTED
from protocol.errors import Refused
from protocol.ports import WorkerFleet


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetLimits:
    """`least_pause_s` bounds how often a listener is told, `write_s` how long one may not read."""

    listeners: int = 32
    commands: int = 8
    least_pause_s: float = 0.25
    heartbeat_s: float = 5.0
    write_s: float = 5.0


class FleetEvents:
    """Each listener is told the newest state when it can take it; what lay between is skipped."""

    def __init__(self, fleet: WorkerFleet, document: Callable[[web.Request], bytes], limits: FleetLimits) -> None:
        self._fleet = fleet
        self._document = document
        self._limits = limits
        self._listeners: set[asyncio.Event] = set()
        self._closing = asyncio.Event()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """One listener, until it leaves or the gateway ends.

        Raises:
            Refused: there are too many already.
        """
        if len(self._listeners) >= self._limits.listeners or self._closing.is_set():
            raise Refused("too-many-connections", "Too many pages watch the workers of this gateway; try later.")
        response = web.StreamResponse(
            headers={
                "Content-Type": "text/event-stream; charset=utf-8",
                "Cache-Control": "no-store",
                "X-Accel-Buffering": "no",  # a proxy that collects would make it stale
            }
        )
        changed = asyncio.Event()
        self._count(lambda: self._listeners.add(changed))
        try:
            await response.prepare(request)
            await self._tell(request, response, changed)
        except TimeoutError:
            DISCONNECTED.labels("workers", "does-not-read").inc()
            if request.transport is not None:
                request.transport.abort()
        except ConnectionError:
            pass  # it has left
        finally:
            self._count(lambda: self._listeners.discard(changed))
        return response

    def close(self) -> None:
        """Let all go."""
        self._closing.set()
        for changed in self._listeners:
            changed.set()

    async def _tell(self, request: web.Request, response: web.StreamResponse, changed: asyncio.Event) -> None:
        unwatch = self._fleet.watch(changed.set)
        try:
            changed.set()
            while not self._closing.is_set():
                if changed.is_set():
                    changed.clear()
                    await self._write(response, b"event: workers\ndata: " + self._document(request) + b"\n\n")
                    await _happens(self._closing, within_s=self._limits.least_pause_s)
                else:
                    await self._write(response, b": still here\n\n")
                await _happens(changed, within_s=self._limits.heartbeat_s)
        finally:
            unwatch()

    async def _write(self, response: web.StreamResponse, data: bytes) -> None:
        async with asyncio.timeout(self._limits.write_s):
            await response.write(data)

    def _count(self, change: Callable[[], None]) -> None:
        change()
        CONNECTIONS.labels("workers").set(len(self._listeners))


async def _happens(event: asyncio.Event, *, within_s: float) -> None:
    """Return when it does, or else when the time is over."""
    try:
        async with asyncio.timeout(within_s):
            await event.wait()
    except TimeoutError:
        return
