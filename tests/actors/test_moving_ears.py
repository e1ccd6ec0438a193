"""Microphone, session and real workers on a bus in memory: whoever dies whenever, the words have their places."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import numpy as np
import pytest

from actors.asr_worker import AsrWorker
from actors.microphone import Microphone
from actors.policies.turn_taking.commands import AskTranscript
from actors.sessions.chores import Chores
from actors.sessions.ears import Ears
from protocol.audio import MIC_FRAME
from protocol.hearing import AsrEvent, FinalTranscript
from protocol.ids import Samples, SessionId, UnixMicros, WorkerName
from protocol.ports import Respond
from protocol.subjects import Subject, asr_event, parse
from protocol.workers import Announcement
from tests.fakes.bus import FakeBus
from tests.fakes.clock import FakeClock
from tests.fakes.detector import FakeDetector
from tests.fakes.recognizer import FakeRecognizer
from tests.fakes.registry import FakeRegistry
from tests.fakes.router import FakeRouter

SESSION = SessionId("one")
FIRST, SECOND = WorkerName("asr-0"), WorkerName("asr-1")
LOUD = np.full(MIC_FRAME, 16_000, dtype="<i2").tobytes()
QUIET = bytes(2 * MIC_FRAME)
TENTH = 5
"""Frames in a tenth of a second: one word, or none."""
SPEECH_FROM, SPEECH_TO = 60, 160
"""Frames; every third tenth of the speech is loud."""
NOTICED_AFTER = 10
LOUD_TENTHS = [at for at in range(SPEECH_FROM, SPEECH_TO, TENTH) if (at - SPEECH_FROM) // TENTH % 3 == 0]


class Stage:
    """A client's sound, the session's ears and two workers."""

    def __init__(self) -> None:
        self.bus, self.clock, self.detector = FakeBus(), FakeClock(), FakeDetector()
        self.router = FakeRouter(_announced(FIRST), _announced(SECOND))
        self.chores = Chores(lambda delay, call: asyncio.get_running_loop().call_later(delay, call).cancel)
        self.microphone = Microphone(
            session=SESSION,
            bus=self.bus,
            ears=self.detector,
            lead_frames=250.0,
            clock=self.clock,
            wall_clock=self.clock,
        )
        self.ears = Ears(
            session=SESSION,
            language="en",
            bus=self.bus,
            router=self.router,
            sound=self.microphone.feed,
            chores=self.chores,
            clock=self.clock,
            on_lost=lambda: None,
            on_returned=lambda: None,
        )
        self.router.watch(self.ears.on_worker)
        self.answers: asyncio.Queue[tuple[WorkerName | None, AsrEvent]] = asyncio.Queue()
        self._lives: dict[WorkerName, asyncio.Task[None]] = {}
        self._frames = 0

    async def begin(self) -> None:
        def on_event(subject: Subject, event: AsrEvent, _respond: Respond | None) -> None:
            worker = parse(subject).worker
            if self.ears.answered(worker, event):
                self.answers.put_nowait((worker, event))

        await self.bus.subscribe(asr_event(SESSION), on_event)
        for name in (FIRST, SECOND):
            await self.bring(name)
        await self.ears.start()

    async def bring(self, name: WorkerName, *, started_at: int = 1) -> None:
        """A worker begins, and is announced once it serves."""
        registry, ready = FakeRegistry(), asyncio.Event()
        await registry.watch(lambda _name, _announcement: ready.set())
        worker = AsrWorker(
            name=name, bus=self.bus, registry=registry, load=FakeRecognizer, clock=asyncio.get_running_loop().time
        )
        self._lives[name] = asyncio.create_task(worker.run(asyncio.Event()))
        await asyncio.wait_for(ready.wait(), 10)
        self.router.announce(_announced(name, started_at))

    async def kill(self, name: WorkerName) -> None:
        """Nobody knows yet."""
        life = self._lives.pop(name)
        life.cancel()
        with suppress(asyncio.CancelledError):
            await life

    async def hear(self, frames: int) -> None:
        for _ in range(frames):
            at = self._frames
            if at == SPEECH_FROM + NOTICED_AFTER:
                self.microphone.speech(under_way=True)
            if at == SPEECH_TO + NOTICED_AFTER:
                self.microphone.speech(under_way=False)
            self.microphone.hear(LOUD if at // TENTH * TENTH in LOUD_TENTHS else QUIET)
            self.clock.advance(0.02)
            self._frames += 1
            await asyncio.sleep(0)

    def ask(self) -> None:
        first, end = SPEECH_FROM - NOTICED_AFTER, SPEECH_TO + TENTH
        self.ears.ask(AskTranscript(1, Samples(first * MIC_FRAME), Samples(end * MIC_FRAME), final=True))

    async def end(self) -> None:
        self.microphone.close()
        await self.chores.close()
        for name in tuple(self._lives):
            await self.kill(name)


def _announced(name: WorkerName, started_at: int = 1) -> Announcement:
    return Announcement(name=name, kind="asr", addr="nats", started_at=UnixMicros(started_at))


@asynccontextmanager
async def begun() -> AsyncIterator[Stage]:
    stage = Stage()
    await stage.begin()
    try:
        yield stage
    finally:
        await stage.end()


async def heard_whole(stage: Stage) -> WorkerName | None:
    worker, answer = await asyncio.wait_for(stage.answers.get(), 10)
    assert isinstance(answer, FinalTranscript)
    assert [word.first // MIC_FRAME for word in answer.words] == LOUD_TENTHS
    assert stage.answers.empty()
    return worker


KILLED_AT = (0, 40, SPEECH_FROM, SPEECH_FROM + NOTICED_AFTER, 100, SPEECH_TO, SPEECH_TO + 20)


@pytest.mark.parametrize("killed_at", KILLED_AT)
@pytest.mark.parametrize("unnoticed_for", [0, 1, 38])
async def test_another_worker_hears_all_of_it(killed_at: int, unnoticed_for: int) -> None:
    async with begun() as stage:
        await stage.hear(killed_at)
        await stage.kill(FIRST)
        await stage.hear(unnoticed_for)
        stage.router.withdraw(FIRST)
        await stage.hear(SPEECH_TO + 30 - killed_at - unnoticed_for)
        stage.ask()
        assert await heard_whole(stage) == SECOND


@pytest.mark.parametrize("killed_at", KILLED_AT)
async def test_the_same_worker_hears_all_of_it_when_it_is_back(killed_at: int) -> None:
    async with begun() as stage:
        await stage.kill(SECOND)
        stage.router.withdraw(SECOND)
        await stage.hear(killed_at)
        await stage.kill(FIRST)
        await stage.hear(38)
        stage.router.withdraw(FIRST)
        await stage.hear(SPEECH_TO + 30 - killed_at)
        stage.ask()
        await stage.hear(60)
        await stage.bring(FIRST, started_at=2)
        assert await heard_whole(stage) == FIRST


async def test_a_worker_that_begins_anew_unnoticed_does_not_answer_with_the_rest() -> None:
    async with begun() as stage:
        await stage.hear(100)
        await stage.kill(FIRST)
        stage.router.watchers.clear()  # nobody is told
        await stage.bring(FIRST)
        await stage.ears._listener._start_at(FIRST, 1.0)  # as when it is asked whether it lives
        await stage.hear(SPEECH_TO + 30 - 100)
        stage.ask()
        assert await heard_whole(stage) == FIRST


async def test_a_worker_that_dies_before_it_answers_is_not_waited_for() -> None:
    async with begun() as stage:
        await stage.hear(SPEECH_TO + 30)
        await stage.kill(FIRST)
        stage.ask()
        await stage.bus.settle()
        stage.router.withdraw(FIRST)
        assert await heard_whole(stage) == SECOND
