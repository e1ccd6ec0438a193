"""The registry in NATS when things go wrong."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.bus.nats import NatsBus
from adapters.registry.leases import Leases
from adapters.registry.nats_kv import NatsKvRegistry
from adapters.server.child_process import ChildProcess
from adapters.server.embedded_nats import EmbeddedNats, binary
from protocol.codec import encode_announcement
from protocol.errors import BusUnavailable
from protocol.ids import UnixMicros, WorkerName
from protocol.workers import Announcement
from tests.adapters.test_registry_contract import WORKER, Watcher

HEARTBEAT_S = 0.2
TTL_S = 2
LEASE_S = 3.0


def a_registry(bus: NatsBus) -> NatsKvRegistry:
    return NatsKvRegistry(bus, heartbeat_s=HEARTBEAT_S, ttl_s=TTL_S, lease_s=LEASE_S)


@pytest.fixture
async def here(nats_server: EmbeddedNats) -> AsyncIterator[NatsKvRegistry]:
    bus = await NatsBus.connect(nats_server.url, name="worker")
    registry = a_registry(bus)
    yield registry
    await registry.close()
    await bus.close()


@pytest.fixture
async def there(bus: NatsBus) -> AsyncIterator[NatsKvRegistry]:
    registry = a_registry(bus)
    yield registry
    await registry.close()


def silence(registry: NatsKvRegistry) -> None:
    """As if its process had been killed."""
    assert registry._heartbeat._task is not None
    registry._heartbeat._task.cancel()


@pytest.mark.realtime
async def test_who_falls_silent_is_gone_when_its_time_is_over(here: NatsKvRegistry, there: NatsKvRegistry) -> None:
    watcher = Watcher()
    await there.watch(watcher)
    await here.announce(WORKER)
    await watcher.next()
    silence(here)
    assert await watcher.next() == (WORKER.name, None)


@pytest.mark.realtime
async def test_heartbeats_keep_a_worker_alive_and_tell_nobody_anything_new(
    here: NatsKvRegistry, there: NatsKvRegistry
) -> None:
    watcher = Watcher()
    await there.watch(watcher)
    await here.announce(WORKER)
    await watcher.next()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(watcher.next(), LEASE_S + 1)
    assert there.snapshot() == (WORKER,)


async def test_a_registry_outlives_a_server_that_lost_its_storage(
    nats_server: EmbeddedNats, here: NatsKvRegistry, there: NatsKvRegistry, tmp_path: Path
) -> None:
    watcher = Watcher()
    await there.watch(watcher)
    await here.announce(WORKER)
    await watcher.next()
    await nats_server.stop()
    shutil.rmtree(tmp_path / "nats" / "jetstream")
    await nats_server.start()
    busy = replace(WORKER, sessions=2)
    await here.announce(busy)
    assert await watcher.next() == (WORKER.name, busy)


@pytest.mark.realtime
async def test_nobody_dies_of_a_server_that_was_away_for_longer_than_they_may_be_silent(
    nats_server: EmbeddedNats, here: NatsKvRegistry, there: NatsKvRegistry
) -> None:
    watcher = Watcher()
    await there.watch(watcher)
    await here.announce(WORKER)
    await watcher.next()
    await nats_server.stop()
    await asyncio.sleep(LEASE_S + 0.5)  # what is tested is that this time passes and nothing happens
    await nats_server.start()
    restarted = replace(WORKER, started_at=UnixMicros(99))
    await here.announce(restarted)
    assert await watcher.next() == (WORKER.name, restarted)


async def test_a_key_that_an_operator_deletes_is_gone(
    bus: NatsBus, here: NatsKvRegistry, there: NatsKvRegistry
) -> None:
    watcher = Watcher()
    await there.watch(watcher)
    await here.announce(WORKER)
    await watcher.next()
    silence(here)
    await (await bus.client.jetstream().key_value("workers")).delete(f"tts.{WORKER.name}")
    assert await watcher.next() == (WORKER.name, None)


@pytest.mark.parametrize(
    "nonsense", [b"{", b"[]", encode_announcement(replace(WORKER, name=WorkerName("somebody-else")))]
)
async def test_a_malformed_entry_is_passed_over(
    bus: NatsBus, here: NatsKvRegistry, there: NatsKvRegistry, nonsense: bytes
) -> None:
    watcher = Watcher()
    await there.watch(watcher)
    await bus.client.jetstream().publish("$KV.workers.tts.broken", nonsense)
    await here.announce(WORKER)
    assert await watcher.next() == (WORKER.name, WORKER)


async def test_without_jetstream_the_error_says_what_to_do(tmp_path: Path) -> None:
    spare = EmbeddedNats(tmp_path / "spare")
    await spare.start()
    await spare.stop()
    plain = ChildProcess([str(binary()), "-a", "127.0.0.1", "-p", str(spare.port)], log_file=tmp_path / "log")
    await plain.start()
    bus = await _connected(spare.url)
    with pytest.raises(BusUnavailable, match="cannot be read"):
        await a_registry(bus).watch(lambda *_: None)
    await bus.close()
    await plain.stop()


async def _connected(url: str) -> NatsBus:
    async with asyncio.timeout(5):
        while True:
            try:
                return await NatsBus.connect(url, name="test")
            except BusUnavailable:
                await asyncio.sleep(0.02)


def names(leases: Leases) -> list[str]:
    return [announcement.name for announcement in leases.snapshot()]


def test_a_lease_ends_after_its_time_and_is_renewed_by_each_word() -> None:
    leases = Leases(10.0)
    assert leases.put(WORKER, 0.0)
    assert not leases.put(WORKER, 5.0)
    assert leases.put(replace(WORKER, sessions=1), 5.0)
    assert leases.expire(15.0) == []
    assert leases.expire(15.1) == [WORKER.name]
    assert names(leases) == []


def test_after_an_outage_everybody_has_a_whole_lease_to_speak_again() -> None:
    leases = Leases(10.0)
    leases.put(WORKER, 0.0)
    leases.renew_all(100.0)
    assert leases.expire(110.0) == []
    assert names(leases) == [WORKER.name]


def test_silence_is_counted_from_the_last_word() -> None:
    leases = Leases(10.0)
    assert leases.silent_for_s(WORKER.name, 3.0) == float("inf")
    leases.put(Announcement(name=WORKER.name, addr=""), 1.0)
    assert leases.silent_for_s(WORKER.name, 3.0) == 2.0
