"""A worker's announcements follow what happens at once, and never in a flood: in a time that the test moves on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import pairwise

import pytest

from actors.announcing import REST_S, TICK_S, Announcing
from actors.asr_worker import AsrWorker
from protocol.hearing import EndListening, StartListening
from protocol.ids import SessionId, WorkerName
from protocol.speaking import EndSpeaking, StartSpeaking
from protocol.subjects import asr_command
from protocol.workers import Announcement
from tests.actors.tts_stage import ManualTime, a_stage
from tests.fakes.bus import FakeBus
from tests.fakes.recognizer import FakeRecognizer
from tests.fakes.registry import FakeRegistry

S1 = SessionId("s1")


class Post:
    """A worker of which the test says what it is, and what it has announced, with the time."""

    def __init__(self) -> None:
        self.time = ManualTime()
        self.registry = FakeRegistry()
        self.now = Announcement(name=WorkerName("tts-fake-0"), addr="nats://tts-fake-0")
        self.said: list[tuple[float, int]] = []
        self.is_over = False
        self.announcing = Announcing(
            self.registry,
            lambda: self.now,
            call_later=lambda wait, call: self.time.call_at(self.time.now + wait, call),
        )

    def open(self, sessions: int = 1) -> None:
        self.now = replace(self.now, sessions=self.now.sessions + sessions)
        self.announcing.wake()

    async def step(self, seconds: float = 0.0) -> None:
        self.time.advance(seconds)
        await settle()

    @property
    def sessions(self) -> list[int]:
        return [sessions for _, sessions in self.said]


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@asynccontextmanager
async def a_post() -> AsyncIterator[Post]:
    """That serves, and has just announced itself for the first time."""
    post = Post()

    def on_change(_name: WorkerName, announced: Announcement | None) -> None:
        assert announced is not None
        post.said.append((round(post.time.now, 3), announced.sessions))

    await post.registry.watch(on_change)
    stop = asyncio.Event()
    serving = asyncio.create_task(post.announcing.serve(stop, is_over=lambda: post.is_over))
    await settle()
    try:
        yield post
    finally:
        stop.set()
        async with asyncio.timeout(5.0):
            await serving
        assert post.time.waiting == 0


async def test_a_change_is_announced_at_once_when_the_last_announcement_is_some_time_ago() -> None:
    async with a_post() as post:
        await post.step(REST_S)
        post.open()
        await post.step()
        assert post.said == [(100.0, 0), (100.1, 1)]


async def test_many_changes_at_once_are_two_announcements_and_the_last_one_is_not_lost() -> None:
    async with a_post() as post:
        await post.step(REST_S)
        post.open()
        await post.step()
        for _ in range(99):
            post.open()
            await post.step(0.0005)
        assert post.sessions == [0, 1], "the others wait together"
        await post.step(REST_S - 99 * 0.0005)
        assert post.said == [(100.0, 0), (100.1, 1), (100.2, 100)]


async def test_announcements_are_never_closer_than_that() -> None:
    async with a_post() as post:
        for _ in range(1_000):
            post.open()
            await post.step(0.007)
        await post.step(REST_S)
        times = [time for time, _ in post.said]
        assert all(after - before >= REST_S - 1e-6 for before, after in pairwise(times))
        assert post.sessions[-1] == 1_000
        assert len(times) >= 7.0 / (REST_S + 0.007)


async def test_what_nobody_reports_is_seen_by_the_next_tick() -> None:
    async with a_post() as post:
        post.now = replace(post.now, sessions=7)
        await post.step(TICK_S - 0.001)
        assert post.sessions == [0]
        await post.step(0.001)
        assert post.sessions == [0, 7]


async def test_what_has_not_changed_is_not_announced_again() -> None:
    async with a_post() as post:
        for _ in range(5):
            post.announcing.wake()
            await post.step(TICK_S)
        assert post.sessions == [0]


async def test_a_change_while_an_announcement_is_under_way_is_announced_after_it() -> None:
    async with a_post() as post:
        await post.step(REST_S)
        slow, announce = asyncio.Event(), post.registry.announce

        async def slowly(announcement: Announcement) -> None:
            await slow.wait()
            await announce(announcement)

        post.registry.announce = slowly  # type: ignore[method-assign]  # for this test only
        post.open()
        await post.step()
        post.open()
        await post.step(REST_S)
        slow.set()
        await post.step()
        assert post.sessions == [0, 1, 2]


async def test_it_ends_at_the_first_wake_after_it_is_over() -> None:
    post = Post()
    serving = asyncio.create_task(post.announcing.serve(asyncio.Event(), is_over=lambda: post.is_over))
    await post.step()
    await post.step(REST_S)
    post.is_over = True
    await post.step()
    assert not serving.done()
    post.announcing.wake()
    async with asyncio.timeout(5.0):
        await serving
    assert post.time.waiting == 0


async def test_a_tts_worker_says_at_once_that_a_session_came_or_went() -> None:
    """Its timers stand still: nothing but the session makes it announce."""
    time, said, announced = ManualTime(), list[int](), asyncio.Event()

    def on_change(_name: WorkerName, announcement: Announcement | None) -> None:
        if announcement is not None:
            said.append(announcement.sessions)
            announced.set()

    async with a_stage(call_later=lambda wait, call: time.call_at(time.now + wait, call)) as stage:
        await stage.registry.watch(on_change)
        stop = asyncio.Event()
        serving = asyncio.create_task(stage.worker._serve(stop))
        async with asyncio.timeout(10.0):
            await announced.wait()
            for message in (StartSpeaking(session=S1), EndSpeaking(session=S1)):
                time.advance(REST_S)
                announced.clear()
                stage.command(message)
                await announced.wait()
            assert said == [0, 1, 0]
            stop.set()
            await serving


async def test_an_asr_worker_says_at_once_that_a_session_came_or_went(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.announcing.TICK_S", 1_000.0)  # so that it is the session that makes it announce
    bus, registry, said, announced = FakeBus(), FakeRegistry(), list[int](), asyncio.Event()

    def on_change(_name: WorkerName, announcement: Announcement | None) -> None:
        if announcement is not None:
            said.append(announcement.sessions)
            announced.set()

    await registry.watch(on_change)
    name, stop = WorkerName("asr-fake-0"), asyncio.Event()
    working = AsrWorker(name=name, bus=bus, registry=registry, load=FakeRecognizer, clock=lambda: 1_000.0)
    running = asyncio.create_task(working.run(stop))
    async with asyncio.timeout(10.0):
        await announced.wait()
        for message in (StartListening(session=S1), EndListening(session=S1)):
            announced.clear()
            await bus.request(asr_command(S1, name), message)
            await announced.wait()
        assert said == [0, 1, 0]
        stop.set()
        await running
