"""A bridge between a real NATS and a real Redis server."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest
import structlog
from redis.asyncio import Redis

from adapters.bus.nats import NatsBus
from adapters.registry.bridge import Bridge, MirroringRegistry
from adapters.registry.bridge_rule import VIA
from adapters.registry.nats_kv import NatsKvRegistry
from adapters.registry.redis import RedisRegistry
from adapters.server.embedded_nats import EmbeddedNats
from protocol.ids import UnixMicros, WorkerName
from protocol.ports import WorkerRegistry
from protocol.workers import Announcement
from tests.adapters.registry_stage import (
    HEARTBEAT_S,
    LEASE_S,
    SOON_S,
    TTL_S,
    WORKER,
    Watcher,
    a_redis_registry,
    a_worker,
    eventually,
)
from tests.redis_server import RedisServer

pytestmark = pytest.mark.system

REFERENCE = {
    "name": "tts-cosyvoice2@0",
    "addr": "nats://tts-cosyvoice2-0",
    "models": ["cosyvoice2-en-base"],
    "metrics": {"rtf": 0.2},
    "state": "ready",
}
TOKEN = WorkerName("tts-cosyvoice2-0")


class Sides:
    """Both servers, those who announce and watch there, and bridges between them."""

    def __init__(self, nats: EmbeddedNats, redis: RedisServer, stack: AsyncExitStack) -> None:
        self.nats = nats
        self.redis = redis
        self._stack = stack

    async def in_nats(self) -> NatsKvRegistry:
        bus = await NatsBus.connect(self.nats.url, name="test")
        self._stack.push_async_callback(bus.close)
        registry = NatsKvRegistry(bus, heartbeat_s=HEARTBEAT_S, ttl_s=TTL_S, lease_s=LEASE_S)
        self._stack.push_async_callback(registry.close)
        return registry

    async def in_redis(self) -> RedisRegistry:
        registry = a_redis_registry(self.redis.url)
        self._stack.push_async_callback(registry.close)
        return registry

    async def a_bridge(self) -> Callable[[], Awaitable[None]]:
        """Started; returns what ends it in order."""
        registries: dict[str, MirroringRegistry] = {"nats": await self.in_nats(), "redis": await self.in_redis()}
        bridge = Bridge(registries, now=lambda: UnixMicros(time.time_ns() // 1_000))
        await bridge.start()

        async def end() -> None:
            await bridge.close()
            for registry in registries.values():
                await registry.close()

        self._stack.push_async_callback(bridge.close)
        return end


@pytest.fixture
async def sides(nats_server: EmbeddedNats, redis_server: RedisServer) -> AsyncIterator[Sides]:
    async with AsyncExitStack() as stack:
        yield Sides(nats_server, redis_server, stack)


@pytest.fixture
async def redis(redis_server: RedisServer) -> AsyncIterator[Redis]:
    """A foreign program."""
    client = redis_server.client()
    yield client
    await client.aclose()


async def announce_reference(redis: Redis, *, ex: int = 60) -> None:
    await redis.set(f"tts:workers:{REFERENCE['name']}", json.dumps(REFERENCE), ex=ex)
    await redis.sadd("tts:workers", str(REFERENCE["name"]))
    await redis.publish("tts:workers:events", json.dumps({"event": "announce", "name": REFERENCE["name"]}))


async def watched(registry: WorkerRegistry) -> Watcher:
    watcher = Watcher()
    await registry.watch(watcher)
    return watcher


def seen(registry: WorkerRegistry, name: WorkerName) -> Announcement | None:
    return next((worker for worker in registry.snapshot() if worker.name == name), None)


async def nothing_comes(watcher: Watcher, for_s: float) -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(watcher.next(), for_s)


async def until_quiet(watcher: Watcher, for_s: float) -> list[tuple[WorkerName, Announcement | None]]:
    """What comes, until nothing has come for so long."""
    came = []
    while True:
        try:
            came.append(await asyncio.wait_for(watcher.next(), for_s))
        except TimeoutError:
            return came


def silence(registry: NatsKvRegistry | RedisRegistry) -> None:
    """As if its process had been killed."""
    assert registry._heartbeat._task is not None
    registry._heartbeat._task.cancel()
    registry._heartbeat._said.clear()


async def test_a_worker_in_redis_is_seen_in_nats_until_it_goes(sides: Sides, redis: Redis) -> None:
    await sides.a_bridge()
    watcher = await watched(await sides.in_nats())
    await announce_reference(redis)
    name, worker = await watcher.next()
    assert (name, worker and worker.via, worker and worker.addr) == (TOKEN, VIA, REFERENCE["addr"])
    assert worker is not None
    assert abs(worker.started_at / 1e6 - time.time()) < 60
    await redis.delete(f"tts:workers:{REFERENCE['name']}")
    assert await watcher.next() == (TOKEN, None)


async def test_a_worker_in_nats_is_seen_in_redis_until_it_goes(sides: Sides, redis: Redis) -> None:
    await sides.a_bridge()
    ours = await sides.in_nats()
    watcher = await watched(await sides.in_redis())
    for kind in ("tts", "asr"):
        worker = a_worker(f"{kind}-ours", kind=kind, started_at=UnixMicros(3))
        await ours.announce(worker)
        assert await watcher.next() == (worker.name, replace(worker, via=VIA))
        document = json.loads(await redis.get(f"{kind}:workers:{worker.name}") or "null")
        assert (document["addr"], document["started_at"], document["via"]) == (worker.addr, 3, VIA)
        assert await redis.smembers(f"{kind}:workers") == {worker.name}
        await ours.withdraw(worker.name)
        assert await watcher.next() == (worker.name, None)


async def test_who_is_there_before_the_bridge_is_mirrored_and_kept_up_to_date(sides: Sides) -> None:
    ours = await sides.in_nats()
    await ours.announce(WORKER)
    watcher = await watched(await sides.in_redis())
    await sides.a_bridge()
    assert await watcher.next() == (WORKER.name, replace(WORKER, via=VIA))
    await ours.announce(replace(WORKER, sessions=2))
    assert await watcher.next() == (WORKER.name, replace(WORKER, sessions=2, via=VIA))


@pytest.mark.realtime
@pytest.mark.parametrize("side", ["nats", "redis"])
async def test_a_killed_worker_is_gone_on_both_sides(sides: Sides, side: str) -> None:
    await sides.a_bridge()
    here, there = await sides.in_nats(), await sides.in_redis()
    announcing = here if side == "nats" else there
    watchers = [await watched(await sides.in_nats()), await watched(await sides.in_redis())]
    await announcing.announce(WORKER)
    for watcher in watchers:
        assert (await watcher.next())[1] is not None
    silence(announcing)
    for watcher in watchers:
        assert await watcher.next() == (WORKER.name, None)


@pytest.mark.realtime
async def test_nothing_goes_round_in_circles(sides: Sides, redis: Redis) -> None:
    ends = [await sides.a_bridge() for _ in range(2)]
    ours, view = await sides.in_nats(), await sides.in_nats()
    nats, other = await watched(view), await watched(await sides.in_redis())
    await ours.announce(WORKER)
    await announce_reference(redis)
    mirrors = dict([await nats.next(), await nats.next()])
    originals = dict([await other.next(), await other.next()])
    assert [mirrors[WORKER.name], originals[WORKER.name]] == [WORKER, replace(WORKER, via=VIA)]
    agreeing = await until_quiet(nats, LEASE_S + 1)
    assert {name for name, _ in agreeing} <= {TOKEN}, "two bridges may have to agree when it was first seen"
    assert len(agreeing) <= 3 * len(ends), "and then say no more"
    assert seen(view, TOKEN) is not None
    await nothing_comes(other, 0.1)
    for end in ends:
        await end()


@pytest.mark.realtime
async def test_of_two_bridges_one_may_end_without_anybody_noticing_and_the_other_not(sides: Sides) -> None:
    first, second = await sides.a_bridge(), await sides.a_bridge()
    await (await sides.in_nats()).announce(WORKER)
    watcher = await watched(await sides.in_redis())
    await watcher.until(lambda worker: worker is not None)
    await first()
    await nothing_comes(watcher, LEASE_S + 1)
    await second()
    assert await watcher.next() == (WORKER.name, None)


@pytest.mark.realtime
async def test_a_bridge_that_comes_back_in_time_changes_nothing(sides: Sides, redis: Redis) -> None:
    await announce_reference(redis)
    view = await sides.in_nats()
    watcher = await watched(view)
    end = await sides.a_bridge()
    await watcher.next()
    before = seen(view, TOKEN)
    await end()
    await sides.a_bridge()
    await nothing_comes(watcher, LEASE_S + 1)
    assert seen(view, TOKEN) == before


async def test_who_speaks_for_himself_on_the_other_side_too_is_released(sides: Sides, redis: Redis) -> None:
    await announce_reference(redis)
    view = await sides.in_nats()
    watcher = await watched(view)
    with structlog.testing.capture_logs() as logs:
        await sides.a_bridge()
        await watcher.next()
        itself = a_worker(TOKEN)
        await (await sides.in_nats()).announce(itself)
        assert await watcher.next() == (TOKEN, itself)
        await eventually(lambda: _is_logged(logs, "speaks for itself now"))
    await redis.delete(f"tts:workers:{REFERENCE['name']}")
    await nothing_comes(watcher, 4 * HEARTBEAT_S)
    assert seen(view, TOKEN) == itself


async def _is_logged(logs: list[structlog.typing.EventDict], event: str) -> bool:
    return any(line["event"] == event for line in logs)


@pytest.mark.realtime
@pytest.mark.parametrize("which", ["nats", "redis"])
async def test_the_bridge_outlives_a_restart_of_either_server(sides: Sides, redis: Redis, which: str) -> None:
    await sides.a_bridge()
    ours, nats_view, redis_view = await sides.in_nats(), await sides.in_nats(), await sides.in_redis()
    nats, other = await watched(nats_view), await watched(redis_view)
    await ours.announce(WORKER)
    assert (await other.next())[0] == WORKER.name
    assert (await nats.next())[0] == WORKER.name
    if which == "nats":
        await sides.nats.stop()
        await sides.nats.start()
    else:
        await sides.redis.stop(forget=True)
        await sides.redis.start()
    await ours.announce(replace(WORKER, sessions=2))
    await other.until(lambda worker: worker is not None and worker.sessions == 2)
    await announce_reference(redis)
    await nats.until(lambda worker: worker is not None and worker.name == TOKEN)
    assert seen(redis_view, WORKER.name) == replace(WORKER, sessions=2, via=VIA)


async def test_what_cannot_be_mirrored_now_is_mirrored_later_and_told_of_once(sides: Sides) -> None:
    await sides.a_bridge()
    ours = await sides.in_nats()
    await sides.redis.stop(forget=True)
    with structlog.testing.capture_logs() as logs:
        for n in range(2):
            await ours.announce(a_worker(f"tts-{n}"))
        async with asyncio.timeout(2 * SOON_S):
            await eventually(lambda: _is_logged(logs, "not mirrored"))
        await sides.redis.start()
        watcher = await watched(await sides.in_redis())
        assert {(await watcher.next())[0] for _ in range(2)} == {"tts-0", "tts-1"}
    assert [line["event"] for line in logs].count("not mirrored") == 1


async def test_hundreds_of_workers_cross_the_bridge(sides: Sides) -> None:
    await sides.a_bridge()
    ours, watcher = await sides.in_nats(), await watched(await sides.in_redis())
    for n in range(200):
        await ours.announce(a_worker(f"tts-{n}"))
    assert {(await watcher.next())[0] for _ in range(200)} == {f"tts-{n}" for n in range(200)}
