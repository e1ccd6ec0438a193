"""What every registry promises (`protocol.ports.WorkerRegistry`): in memory, in NATS and in Redis."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.server.embedded_nats import EmbeddedNats
from protocol.codec import encode_announcement
from protocol.ids import UnixMicros, WorkerName
from protocol.ports import WorkerRegistry
from protocol.workers import Announcement
from tests.adapters import registry_stage
from tests.adapters.registry_stage import (
    LEASE_S,
    SOON_S,
    WORKER,
    MemoryStage,
    NatsStage,
    RedisStage,
    ServerStage,
    Stage,
    Watcher,
    a_worker,
    eventually,
    kill,
)
from tests.redis_server import RedisServer

HUNDREDS = 300


@pytest.fixture(params=["memory", "nats", "redis"])
async def stage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stage]:
    async with AsyncExitStack() as stack:
        yield MemoryStage() if request.param == "memory" else await a_server_stage(request.param, tmp_path, stack)


@pytest.fixture(params=[pytest.param(kind, marks=pytest.mark.system) for kind in ("nats", "redis")])
async def server_stage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ServerStage]:
    async with AsyncExitStack() as stack:
        yield await a_server_stage(request.param, tmp_path, stack)


async def a_server_stage(kind: str, data_dir: Path, stack: AsyncExitStack) -> ServerStage:
    if kind == "nats":
        nats = EmbeddedNats(data_dir)
        await nats.start()
        stack.push_async_callback(nats.stop)
        return await NatsStage(nats, data_dir, stack).open()
    redis = RedisServer(data_dir / "redis")
    await redis.start()
    stack.push_async_callback(redis.stop)
    return RedisStage(redis, stack)


async def seen_by(registry: WorkerRegistry, worker: Announcement = WORKER) -> Watcher:
    """A watcher that has seen it."""
    watcher = Watcher()
    await registry.watch(watcher)
    assert await watcher.next() == (worker.name, worker)
    return watcher


# --- what all of them do ---------------------------------------------------------------------------------------------
async def test_an_announcement_is_seen_by_who_watches(stage: Stage) -> None:
    here, there = await stage.registry(), await stage.registry()
    watcher = Watcher()
    await there.watch(watcher)
    await here.announce(WORKER)
    assert await watcher.next() == (WORKER.name, WORKER)
    assert there.snapshot() == (WORKER,)


async def test_who_watches_later_sees_who_is_there(stage: Stage) -> None:
    here, there = await stage.registry(), await stage.registry()
    await here.announce(WORKER)
    await seen_by(there)


async def test_a_later_announcement_takes_the_place_of_the_first(stage: Stage) -> None:
    here, there = await stage.registry(), await stage.registry()
    await here.announce(WORKER)
    watcher = await seen_by(there)
    busy = replace(WORKER, sessions=3)
    await here.announce(busy)
    assert await watcher.next() == (WORKER.name, busy)
    assert there.snapshot() == (busy,)


async def test_who_withdraws_is_gone_at_once_and_may_come_back(stage: Stage) -> None:
    here, there = await stage.registry(), await stage.registry()
    await here.announce(WORKER)
    watcher = await seen_by(there)
    await here.withdraw(WORKER.name)
    assert await watcher.next() == (WORKER.name, None)
    assert there.snapshot() == ()
    again = replace(WORKER, started_at=UnixMicros(8))
    await here.announce(again)
    assert await watcher.next() == (WORKER.name, again)


async def test_closing_withdraws(stage: Stage) -> None:
    here, there = await stage.registry(), await stage.registry()
    if here is there:
        return  # in memory all share one, and nobody is left to see it
    await here.announce(WORKER)
    watcher = await seen_by(there)
    await here.close()
    assert await watcher.next() == (WORKER.name, None)


async def test_withdrawing_somebody_unknown_is_harmless(stage: Stage) -> None:
    await (await stage.registry()).withdraw(WorkerName("nobody"))


async def test_everybody_who_watches_sees_everybody_who_announces(stage: Stage) -> None:
    announcers = [await stage.registry() for _ in range(2)]
    watchers = [await stage.registry() for _ in range(2)]
    told = [Watcher() for _ in watchers]
    for registry, watcher in zip(watchers, told, strict=True):
        await registry.watch(watcher)
    one, two = a_worker("tts-one"), a_worker("asr-two", kind="asr")
    for registry, worker in zip(announcers, (one, two), strict=True):
        await registry.announce(worker)
    for registry, watcher in zip(watchers, told, strict=True):
        assert dict([await watcher.next(), await watcher.next()]) == {one.name: one, two.name: two}
        assert {worker.name for worker in registry.snapshot()} == {one.name, two.name}
    await announcers[0].withdraw(one.name)
    for watcher in told:
        assert await watcher.next() == (one.name, None)


async def test_hundreds_of_workers_come_change_and_go(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (("HEARTBEAT_S", 1.0), ("TTL_S", 30), ("LEASE_S", 30.0)):
        monkeypatch.setattr(registry_stage, name, seconds)  # to beat for all of them takes a busy machine its time
    here, there, late = await stage.registry(), await stage.registry(), await stage.registry()
    watcher = Watcher()
    await there.watch(watcher)
    workers = {name: a_worker(name) for name in (f"tts-{n}" for n in range(HUNDREDS))}
    for worker in workers.values():
        await here.announce(worker)
    assert {(await watcher.next())[0] for _ in workers} == set(workers)
    for worker in workers.values():
        await here.announce(replace(worker, sessions=1))
    seen: dict[WorkerName, Announcement] = {}
    while len(seen) < HUNDREDS:
        name, announcement = await watcher.next()
        if announcement is not None and announcement.sessions == 1:
            seen[name] = announcement
    late_watcher = Watcher()
    await late.watch(late_watcher)
    assert {(await late_watcher.next())[0] for _ in workers} == set(workers)
    for name in seen:
        await here.withdraw(name)
    assert {await watcher.next() for _ in workers} == {(name, None) for name in workers}
    assert there.snapshot() == ()


# --- what those on a server survive ----------------------------------------------------------------------------------
@pytest.mark.realtime
async def test_who_falls_silent_is_gone_when_its_time_is_over(server_stage: ServerStage) -> None:
    here, there = await server_stage.registry(), await server_stage.registry()
    await here.announce(WORKER)
    watcher = await seen_by(there)
    kill(here)
    assert await watcher.next() == (WORKER.name, None)


@pytest.mark.realtime
async def test_heartbeats_keep_a_worker_alive_and_tell_nobody_anything_new(server_stage: ServerStage) -> None:
    here, there = await server_stage.registry(), await server_stage.registry()
    await here.announce(WORKER)
    watcher = await seen_by(there)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(watcher.next(), LEASE_S + 1)
    assert there.snapshot() == (WORKER,)


@pytest.mark.realtime
async def test_who_releases_an_entry_lets_it_expire_or_live_on_by_somebody_else(server_stage: ServerStage) -> None:
    here, other, there = [await server_stage.registry() for _ in range(3)]
    await here.announce(WORKER)
    await other.announce(WORKER)
    watcher = await seen_by(there)
    await here.release(WORKER.name)
    await here.close()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(watcher.next(), LEASE_S + 1)
    await other.release(WORKER.name)
    await other.close()
    assert await watcher.next() == (WORKER.name, None)


@pytest.mark.parametrize("forgetful", [False, True])
async def test_a_registry_outlives_its_server(server_stage: ServerStage, *, forgetful: bool) -> None:
    here, there = await server_stage.registry(), await server_stage.registry()
    await here.announce(WORKER)
    watcher = await seen_by(there)
    await server_stage.stop()
    await server_stage.start(forgetful=forgetful)
    busy = replace(WORKER, sessions=2)
    await here.announce(busy)
    assert await watcher.next() == (WORKER.name, busy)
    assert there.snapshot() == (busy,)


@pytest.mark.realtime
async def test_nobody_dies_of_a_server_that_was_away_for_longer_than_they_may_be_silent(
    server_stage: ServerStage,
) -> None:
    here, there = await server_stage.registry(), await server_stage.registry()
    await here.announce(WORKER)
    watcher = await seen_by(there)
    await server_stage.stop()
    await asyncio.sleep(LEASE_S + 0.5)  # what is tested is that this time passes and nothing happens
    await server_stage.start()
    restarted = replace(WORKER, started_at=UnixMicros(99))
    await here.announce(restarted)
    assert await watcher.next() == (WORKER.name, restarted)


@pytest.mark.realtime
async def test_who_died_while_the_server_was_away_is_gone_after_a_lease(server_stage: ServerStage) -> None:
    here, there = await server_stage.registry(), await server_stage.registry()
    await here.announce(WORKER)
    watcher = await seen_by(there)
    await server_stage.stop()
    kill(here)
    await server_stage.start(forgetful=True)
    assert await watcher.next() == (WORKER.name, None)


async def test_a_key_that_an_operator_deletes_is_gone(server_stage: ServerStage) -> None:
    here, there = await server_stage.registry(), await server_stage.registry()
    await here.announce(WORKER)
    watcher = await seen_by(there)
    kill(here)
    await server_stage.delete(WORKER.name)
    assert await watcher.next() == (WORKER.name, None)


NONSENSE = [
    b"{",
    b"[]",
    b"\xff\xfe",
    b"[" * 5_000,
    b'{"name": "broken"}',
    b'{"name": "broken", "addr": 3}',
    b'{"name": "broken", "addr": "nats://broken", "sessions": "many"}',
    b'{"name": "broken", "addr": "nats://broken", "capacity": -1}',
    b'{"name": "broken", "addr": "' + b"x" * 61_000 + b'"}',
    encode_announcement(replace(WORKER, name=WorkerName("somebody-else"))),
]


async def test_malformed_entries_are_passed_over(server_stage: ServerStage) -> None:
    here, there = await server_stage.registry(), await server_stage.registry()
    await here.announce(a_worker("asr-first", kind="asr"))
    for number, document in enumerate(NONSENSE):
        await server_stage.write("broken" if number % 2 else f"broken-{number}", document)
    watcher = Watcher()
    await there.watch(watcher)
    assert (await watcher.next())[0] == "asr-first"
    for document in NONSENSE:
        await server_stage.write("broken", document)
    await here.announce(WORKER)
    assert await watcher.next() == (WORKER.name, WORKER)
    assert len(there.snapshot()) == 2


async def test_a_malformed_entry_may_be_a_better_one_next_time(server_stage: ServerStage) -> None:
    here, there = await server_stage.registry(), await server_stage.registry()
    watcher = Watcher()
    await there.watch(watcher)
    await here.announce(a_worker("asr-first", kind="asr"))
    await watcher.next()
    await server_stage.write(WORKER.name, b"{")
    await server_stage.write(WORKER.name, encode_announcement(WORKER))
    assert await watcher.next() == (WORKER.name, WORKER)


async def test_a_watcher_sees_the_same_after_its_own_connection_was_lost(server_stage: ServerStage) -> None:
    here, there = await server_stage.registry(), await server_stage.registry()
    await here.announce(WORKER)
    await seen_by(there)
    await server_stage.stop()
    await server_stage.start()
    assert there.snapshot() == (WORKER,)
    await here.withdraw(WORKER.name)

    async def is_gone() -> bool:
        return there.snapshot() == ()

    await asyncio.wait_for(eventually(is_gone), SOON_S)
