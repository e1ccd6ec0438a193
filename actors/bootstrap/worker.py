"""What worker processes have in common: a bus, a registry, and a line when they are announced."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from actors.bootstrap.bus import connect
from actors.bootstrap.ready import say_ready
from actors.bootstrap.registry import open_registry
from actors.services import Offer, worker_service
from actors.settings import WorkerSettings
from adapters.bus.nats import NatsBus
from protocol.ids import WorkerName
from protocol.ports import WorkerRegistry
from protocol.workers import Announcement


class Worker(Protocol):
    """An ASR or a TTS worker."""

    async def run(self, stop: asyncio.Event) -> None:
        """Until told to stop."""


MakeWorker = Callable[[NatsBus, WorkerRegistry], Worker]


async def serve(part: str, family: str, settings: WorkerSettings, make: MakeWorker, stop: asyncio.Event) -> None:
    """Run a worker until told to stop. `family` says of which kind its models are.

    Raises:
        BusUnavailable: NATS is not there, or the registry takes no announcement.
        ModelUnavailable: its model cannot be loaded.
    """
    bus = await connect(settings.nats, name=part)
    try:
        registry = _Announcer(open_registry(settings.registry, bus, settings.redis), part, family, Offer(bus))
        try:
            await make(bus, registry).run(stop)
        finally:
            await registry.close()
    finally:
        await bus.close()


class _Announcer:
    """A registry that says on standard output when the worker has announced itself as ready, and shows it as a service.

    A worker announces itself as ready when it answers on its subjects.
    """

    def __init__(self, registry: WorkerRegistry, part: str, family: str, offer: Offer) -> None:
        self._registry = registry
        self._part = part
        self._family = family
        self._offer = offer
        self._has_said_so = False

    async def announce(self, announcement: Announcement) -> None:
        await self._registry.announce(announcement)
        if announcement.state == "ready" and not self._has_said_so:
            self._has_said_so = True
            await self._offer.show(worker_service(announcement, family=self._family))
            say_ready(self._part, ", ".join(announcement.models))

    async def withdraw(self, name: WorkerName) -> None:
        self._offer.end()
        await self._registry.withdraw(name)

    async def watch(self, on_change: Callable[[WorkerName, Announcement | None], None]) -> None:
        await self._registry.watch(on_change)

    def snapshot(self) -> Sequence[Announcement]:
        return self._registry.snapshot()

    async def close(self) -> None:
        await self._registry.close()
