"""What only the registry in NATS does, and the leases that all of them share."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.bus.nats import NatsBus
from adapters.registry import heartbeat
from adapters.registry.leases import Leases
from adapters.registry.nats_kv import NatsKvRegistry
from adapters.server.child_process import ChildProcess
from adapters.server.embedded_nats import EmbeddedNats, binary
from protocol.errors import BusUnavailable
from protocol.workers import Announcement
from tests.adapters.registry_stage import SOON_S, WORKER, a_worker


async def test_without_jetstream_the_error_says_what_to_do(tmp_path: Path) -> None:
    spare = EmbeddedNats(tmp_path / "spare")
    await spare.start()
    await spare.stop()
    plain = ChildProcess([str(binary()), "-a", "127.0.0.1", "-p", str(spare.port)], log_file=tmp_path / "log")
    await plain.start()
    bus = await _connected(spare.url)
    with pytest.raises(BusUnavailable, match="cannot be read"):
        await NatsKvRegistry(bus).watch(lambda *_: None)
    await bus.close()
    await plain.stop()


async def test_a_change_says_only_what_has_changed(bus: NatsBus) -> None:
    registry = NatsKvRegistry(bus, heartbeat_s=60.0)
    other = a_worker("tts-other")
    for worker in (WORKER, other):
        await registry.announce(worker)
    written = []
    spy = await bus.client.subscribe("$KV.workers.>")
    await bus.client.flush()
    for sessions in (1, 2):
        await registry.announce(replace(WORKER, sessions=sessions))
        written.append((await spy.next_msg(timeout=SOON_S)).subject)
    await registry.announce(replace(other, sessions=1))
    written.append((await spy.next_msg(timeout=SOON_S)).subject)
    assert written == [f"$KV.workers.tts.{name}" for name in (WORKER.name, WORKER.name, other.name)]
    await registry.close()


async def test_an_observer_of_everything_does_not_keep_the_first_worker_from_being_announced(
    bus: NatsBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "_TAKEN_WITHIN_S", 0.3)
    await bus.client.subscribe(">")
    await bus.client.flush()
    registry, reader = NatsKvRegistry(bus), NatsKvRegistry(bus)
    await registry.announce(WORKER)
    seen: asyncio.Queue[str] = asyncio.Queue()
    await reader.watch(lambda name, _: seen.put_nowait(name))
    assert await asyncio.wait_for(seen.get(), SOON_S) == WORKER.name
    for one in (registry, reader):
        await one.close()


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
