"""Registries to be put through the same contract: in memory, in NATS, in Redis."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final, Protocol

from adapters.bus.nats import NatsBus
from adapters.registry.bridge import MirroringRegistry
from adapters.registry.nats_kv import NatsKvRegistry
from adapters.registry.redis import RedisRegistry
from adapters.server.embedded_nats import EmbeddedNats
from protocol.ids import ModelId, UnixMicros, WorkerName
from protocol.ports import WorkerRegistry
from protocol.workers import Announcement
from tests.fakes.registry import FakeRegistry
from tests.redis_server import RedisServer

SOON_S: Final = 10.0
HEARTBEAT_S: Final = 0.2
TTL_S: Final = 2
LEASE_S: Final = 3.0
RECONCILE_S: Final = 0.5


def a_worker(name: str, **said: Any) -> Announcement:
    """As ours announce themselves."""
    return Announcement(**{"name": WorkerName(name), "addr": f"nats://{name}", "models": (ModelId("a"),), **said})


WORKER: Final = a_worker("tts-test-0", started_at=UnixMicros(7))


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


async def eventually(holds: Callable[[], Awaitable[bool]], *, within_s: float = SOON_S) -> None:
    """For what nobody tells of: ask until it is so."""
    async with asyncio.timeout(within_s):
        while not await holds():  # noqa: ASYNC110  # nobody tells
            await asyncio.sleep(0.02)


class Stage(Protocol):
    """A place for registries, and what can happen to it."""

    async def registry(self) -> WorkerRegistry:
        """One more that sees the same workers."""


class ServerStage(Stage, Protocol):
    """A registry on a server."""

    async def registry(self) -> MirroringRegistry:
        """One more that sees the same workers, with times that are short."""

    async def stop(self) -> None:
        """The server goes."""

    async def start(self, *, forgetful: bool = False) -> None:
        """It comes back: with what it has stored, or without."""

    async def write(self, name: str, document: bytes) -> None:
        """As another program would."""

    async def delete(self, name: str) -> None:
        """As an operator would."""


def kill(registry: WorkerRegistry) -> None:
    """As if its process had been killed."""
    assert isinstance(registry, NatsKvRegistry | RedisRegistry)
    assert registry._heartbeat._task is not None
    registry._heartbeat._task.cancel()
    registry._heartbeat._said.clear()


class MemoryStage:
    """All share one."""

    def __init__(self) -> None:
        self._registry = FakeRegistry()

    async def registry(self) -> WorkerRegistry:
        return self._registry


class NatsStage:
    """A real NATS server."""

    def __init__(self, server: EmbeddedNats, data_dir: Path, stack: AsyncExitStack) -> None:
        self._server = server
        self._dir = data_dir
        self._stack = stack
        self._bus: NatsBus | None = None

    async def registry(self) -> NatsKvRegistry:
        bus = await self._connected("registry")
        registry = NatsKvRegistry(bus, heartbeat_s=HEARTBEAT_S, ttl_s=TTL_S, lease_s=LEASE_S)
        self._stack.push_async_callback(registry.close)
        return registry

    async def stop(self) -> None:
        await self._server.stop()

    async def start(self, *, forgetful: bool = False) -> None:
        if forgetful:
            shutil.rmtree(self._dir / "jetstream")
        await self._server.start()

    async def write(self, name: str, document: bytes) -> None:
        await self._kv().publish(f"$KV.workers.tts.{name}", document)

    async def delete(self, name: str) -> None:
        await (await self._kv().key_value("workers")).delete(f"tts.{name}")

    async def open(self) -> "NatsStage":
        self._bus = await self._connected("another")
        return self

    def _kv(self) -> Any:
        assert self._bus is not None
        return self._bus.client.jetstream()

    async def _connected(self, name: str) -> NatsBus:
        bus = await NatsBus.connect(self._server.url, name=name)
        self._stack.push_async_callback(bus.close)
        return bus


class RedisStage:
    """A real Redis server."""

    def __init__(self, server: RedisServer, stack: AsyncExitStack) -> None:
        self._server = server
        self._stack = stack
        self._client = server.client()
        stack.push_async_callback(self._client.aclose)

    async def registry(self) -> RedisRegistry:
        registry = a_redis_registry(self._server.url)
        self._stack.push_async_callback(registry.close)
        return registry

    async def stop(self) -> None:
        await self._server.stop()

    async def start(self, *, forgetful: bool = False) -> None:
        if forgetful:
            await self._server.stop(forget=True)
        await self._server.start()

    async def write(self, name: str, document: bytes) -> None:
        await self._client.set(f"tts:workers:{name}", document, ex=60)
        await self._client.sadd("tts:workers", name)

    async def delete(self, name: str) -> None:
        await self._client.delete(f"tts:workers:{name}")


def a_redis_registry(url: str, **options: Any) -> RedisRegistry:
    """With times that are short."""
    times = {"heartbeat_s": HEARTBEAT_S, "ttl_s": TTL_S, "lease_s": LEASE_S, "reconcile_s": RECONCILE_S}
    return RedisRegistry(url, **{**times, **options})
