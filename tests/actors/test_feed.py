"""What a recognizer gets of the microphone: everything, once and in order, when it can have it."""

import asyncio
import tracemalloc

import pytest

from actors.feed import PIECE, Feed
from actors.policies.kept_sound import KEPT
from protocol.audio import MIC_FRAME, Frame, Kind
from protocol.ids import Samples, SessionId, TurnId, UnixMicros
from protocol.subjects import Subject
from tests.fakes.bus import FakeBus

SESSION = SessionId("one")


class _Bus(FakeBus):
    """May be behind: connected, and not taking frames."""

    def __init__(self) -> None:
        super().__init__()
        self.behind = False
        self.took = asyncio.Event()

    def publish_frame(self, subject: Subject, frame: Frame) -> bool:
        if self.behind:
            return False
        self.took.set()
        return super().publish_frame(subject, frame)


class Stage:
    """A feed and the bus that it feeds."""

    def __init__(self) -> None:
        self.bus = _Bus()
        self.feed = Feed(session=SESSION, bus=self.bus)
        self.spoken = 0

    def speak(self, frames: int) -> None:
        for _ in range(frames):
            self.feed.send(a_frame(self.spoken))
            self.spoken += 1

    def sent(self) -> list[int]:
        return [frame.sequence for _, frame in self.bus.frames]

    async def until_sent(self, count: int) -> list[int]:
        async with asyncio.timeout(5):
            while len(self.bus.frames) < count:
                self.bus.took.clear()
                await self.bus.took.wait()
        return self.sent()


def a_frame(number: int) -> Frame:
    return Frame(
        kind=Kind.MICROPHONE,
        turn=TurnId(0),
        sequence=number,
        position=Samples(number * MIC_FRAME),
        captured_at=UnixMicros(1_790_000_000_000_000 + number),
        pcm=number.to_bytes(2, "little") * MIC_FRAME,
    )


@pytest.fixture
async def stage() -> Stage:
    return Stage()


async def test_what_is_said_goes_at_once(stage: Stage) -> None:
    stage.speak(3)
    assert stage.sent() == [0, 1, 2]


async def test_what_is_held_back_comes_before_what_follows(stage: Stage) -> None:
    stage.speak(2)
    stage.feed.hold()
    stage.speak(3)
    assert stage.sent() == [0, 1]
    stage.feed.resume()
    stage.speak(1)
    assert stage.sent() == [0, 1], "nothing overtakes"
    assert await stage.until_sent(6) == [0, 1, 2, 3, 4, 5]
    stage.speak(1)
    assert stage.sent()[-1] == 6, "and then at once again"


async def test_a_replay_begins_with_the_oldest_and_ends_with_what_is_said_meanwhile(stage: Stage) -> None:
    stage.speak(100)
    stage.feed.hold()
    stage.speak(100)
    stage.bus.frames.clear()
    replaying = asyncio.create_task(stage.feed.replay())
    await asyncio.sleep(0)
    stage.speak(10)
    assert not replaying.done()
    await asyncio.wait_for(replaying, 5)
    assert stage.sent() == list(range(210))


async def test_a_replay_leaves_the_loop_to_others(stage: Stage) -> None:
    stage.feed.hold()
    stage.speak(1_000)
    most = 0
    replaying = asyncio.create_task(stage.feed.replay())
    while not replaying.done():
        before = len(stage.bus.frames)
        await asyncio.sleep(0)
        most = max(most, len(stage.bus.frames) - before)
    assert most <= PIECE
    assert len(stage.bus.frames) == 1_000


async def test_a_replay_ends_when_the_recognizer_is_lost_again(stage: Stage) -> None:
    stage.feed.hold()
    stage.speak(500)
    replaying = asyncio.create_task(stage.feed.replay())
    await stage.bus.settle(3)
    stage.feed.hold()
    await asyncio.wait_for(replaying, 5)
    some = len(stage.sent())
    assert 0 < some < 500
    stage.speak(1)
    await stage.bus.settle()
    assert len(stage.sent()) == some
    stage.bus.frames.clear()
    await asyncio.wait_for(stage.feed.replay(), 5)
    assert stage.sent() == list(range(501))


async def test_a_replay_of_nothing_is_over(stage: Stage) -> None:
    stage.feed.hold()
    await asyncio.wait_for(stage.feed.replay(), 5)
    stage.speak(1)
    assert stage.sent() == [0]


async def test_a_bus_that_is_behind_gets_the_rest_later_and_in_order(stage: Stage) -> None:
    stage.speak(2)
    stage.bus.behind = True
    stage.speak(5)
    await asyncio.sleep(0.05)
    stage.bus.behind = False
    stage.speak(1)
    assert await stage.until_sent(8) == list(range(8))


async def test_after_an_outage_of_the_bus_all_is_sent_again_since_some_was_on_its_way(stage: Stage) -> None:
    stage.speak(5)
    stage.bus.disconnect()
    stage.speak(5)
    await asyncio.sleep(0.05)
    stage.bus.reconnect()
    assert await stage.until_sent(15) == [*range(5), *range(10)]


async def test_a_closed_feed_sends_nothing_and_leaves_no_task(stage: Stage) -> None:
    before = asyncio.all_tasks()
    stage.feed.hold()
    stage.speak(500)
    stage.feed.resume()
    await asyncio.sleep(0)
    some = len(stage.sent())
    stage.feed.close()
    await stage.bus.settle()
    assert len(stage.sent()) == some
    assert asyncio.all_tasks() == before


async def test_half_a_minute_of_speech_is_kept_in_little_more_than_its_samples(stage: Stage) -> None:
    """1,500 frames of 640 bytes are 0.96 MB."""
    stage.feed.hold()
    tracemalloc.start()
    try:
        stage.speak(5_000)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert stage.feed.frames_kept == KEPT // MIC_FRAME
    assert 0.96e6 < kept < 1.5e6


async def test_an_idle_session_keeps_next_to_nothing(stage: Stage) -> None:
    for second in range(300):
        stage.feed.send(a_frame(50 * second))
    assert stage.feed.frames_kept == 30
