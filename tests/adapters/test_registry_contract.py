"""What every registry promises (`protocol.ports.WorkerRegistry`): the one over NATS and the one in memory."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.bus.nats import NatsBus
from adapters.registry.nats_kv import NatsKvRegistry
from adapters.server.embedded_nats import EmbeddedNats
from protocol.ids import ModelId, UnixMicros, WorkerName
from protocol.ports import WorkerRegistry
from protocol.workers import Announcement
from tests.fakes.registry import FakeRegistry

SOON_S = 5.0
WORKER = Announcement(
    name=WorkerName("tts-test-0"), addr="nats://tts-test-0", models=(ModelId("a"),), started_at=UnixMicros(7)
)
Registries = tuple[WorkerRegistry, WorkerRegistry]


@pytest.fixture(params=["memory", "nats"])
async def registries(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Registries]:
    """One that announces and one that watches."""
    if request.param == "memory":
        registry = FakeRegistry()
        yield registry, registry
        return
    async with AsyncExitStack() as stack:
        server = EmbeddedNats(tmp_path)
        await server.start()
        stack.push_async_callback(server.stop)
        pair = []
        for name in ("worker", "watcher"):
            bus = await NatsBus.connect(server.url, name=name)
            stack.push_async_callback(bus.close)
            pair.append(NatsKvRegistry(bus))
            stack.push_async_callback(pair[-1].close)
        yield pair[0], pair[1]


class Watcher:
    """Waits for what a registry tells."""

    def __init__(self) -> None:
        self._told: asyncio.Queue[tuple[WorkerName, Announcement | None]] = asyncio.Queue()

    def __call__(self, name: WorkerName, announcement: Announcement | None) -> None:
        self._told.put_nowait((name, announcement))

    async def next(self) -> tuple[WorkerName, Announcement | None]:
        return await asyncio.wait_for(self._told.get(), SOON_S)

    async def until(self, fits: Callable[[Announcement | None], bool]) -> None:
        while not fits((await self.next())[1]):
            pass


async def test_an_announcement_is_seen_by_who_watches(registries: Registries) -> None:
    here, there = registries
    watcher = Watcher()
    await there.watch(watcher)
    await here.announce(WORKER)
    assert await watcher.next() == (WORKER.name, WORKER)
    assert there.snapshot() == (WORKER,)


async def test_who_watches_later_sees_who_is_there(registries: Registries) -> None:
    here, there = registries
    await here.announce(WORKER)
    watcher = Watcher()
    await there.watch(watcher)
    assert await watcher.next() == (WORKER.name, WORKER)


async def test_a_later_announcement_takes_the_place_of_the_first(registries: Registries) -> None:
    here, there = registries
    watcher = Watcher()
    await there.watch(watcher)
    await here.announce(WORKER)
    await watcher.next()
    busy = replace(WORKER, sessions=3)
    await here.announce(busy)
    assert await watcher.next() == (WORKER.name, busy)
    assert there.snapshot() == (busy,)


async def test_who_withdraws_is_gone_at_once_and_may_come_back(registries: Registries) -> None:
    here, there = registries
    watcher = Watcher()
    await there.watch(watcher)
    await here.announce(WORKER)
    await watcher.next()
    await here.withdraw(WORKER.name)
    assert await watcher.next() == (WORKER.name, None)
    assert there.snapshot() == ()
    again = replace(WORKER, started_at=UnixMicros(8))
    await here.announce(again)
    assert await watcher.next() == (WORKER.name, again)


async def test_closing_withdraws(registries: Registries) -> None:
    here, there = registries
    if here is there:
        return  # in memory all share one, and nobody is left to see it
    watcher = Watcher()
    await there.watch(watcher)
    await here.announce(WORKER)
    await watcher.until(lambda announcement: announcement is not None)
    await here.close()
    await watcher.until(lambda announcement: announcement is None)


async def test_withdrawing_somebody_unknown_is_harmless(registries: Registries) -> None:
    here, _ = registries
    await here.withdraw(WorkerName("nobody"))
