"""The ASR worker with everything real: NATS, the registry, frames on their subject, tiny.en."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from actors.asr_worker import AsrWorker
from adapters.asr.whisper import WhisperRecognizer
from adapters.bus.nats import NatsBus
from adapters.registry.nats_kv import NatsKvRegistry
from adapters.server.embedded_nats import EmbeddedNats
from protocol import subjects
from protocol.audio import MIC_FRAME, Frame, Kind
from protocol.conversation import Accepted
from protocol.hearing import FinalTranscript, StartListening, Transcribe, TranscriptionFailed
from protocol.ids import Samples, SessionId, TurnId, UnixMicros, WorkerName
from protocol.message import Message
from protocol.workers import Announcement
from tests.speech import as_frames, joined, silence, spoken

pytestmark = pytest.mark.models

NAME, SID = WorkerName("asr-whisper-0"), SessionId("s-1")
QUESTION = "What is the weather like in Paris today?"


@asynccontextmanager
async def working(server: EmbeddedNats) -> AsyncIterator[None]:
    """A worker with connections of its own, as in its process."""
    bus = await NatsBus.connect(server.url, name="asr")
    registry = NatsKvRegistry(bus)
    stop = asyncio.Event()
    worker = AsrWorker(name=NAME, bus=bus, registry=registry, load=WhisperRecognizer, clock=time.monotonic)
    running = asyncio.create_task(worker.run(stop))
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(running, 10)
        await registry.close()
        await bus.close()


class Caller:
    """A session, as the worker knows it."""

    def __init__(self, bus: NatsBus) -> None:
        self._bus = bus
        self._registry = NatsKvRegistry(bus)
        self._position = 0
        self.answers: asyncio.Queue[Message] = asyncio.Queue()
        self.seen: asyncio.Queue[Announcement | None] = asyncio.Queue()

    async def call(self) -> None:
        def on_event(_subject: object, message: Message, _respond: object) -> None:
            self.answers.put_nowait(message)

        await self._registry.watch(lambda _name, announcement: self.seen.put_nowait(announcement))
        await self._bus.subscribe(subjects.asr_event(SID, NAME), on_event)

    async def hang_up(self) -> None:
        await self._registry.close()

    async def until_it_is_ready(self) -> Announcement:
        while True:
            announcement = await asyncio.wait_for(self.seen.get(), 30)
            if announcement is not None and announcement.state == "ready":
                return announcement

    async def start(self) -> Message:
        answer: Message = await self._bus.request(subjects.asr_command(SID, NAME, "start"), StartListening(session=SID))
        return answer

    def say(self, text: str) -> Samples:
        """Returns the position of its end."""
        for pcm in as_frames(joined(silence(0.3), spoken(text), silence(0.3))):
            frame = Frame(
                kind=Kind.MICROPHONE,
                turn=TurnId(0),
                sequence=self._position // MIC_FRAME,
                position=Samples(self._position),
                captured_at=UnixMicros(0),
                pcm=pcm,
            )
            assert self._bus.publish_frame(subjects.mic_frames(SID), frame)
            self._position += MIC_FRAME
        return Samples(self._position)

    async def ask(self, request: int, first: int, end: int) -> Message:
        message = Transcribe(session=SID, request=request, first=Samples(first), end=Samples(end), final=True)
        self._bus.publish(subjects.asr_command(SID, NAME), message)
        return await asyncio.wait_for(self.answers.get(), 15)


@pytest.fixture
async def caller(bus: NatsBus) -> AsyncIterator[Caller]:
    made = Caller(bus)
    await made.call()
    yield made
    await made.hang_up()


async def test_what_is_said_on_the_frames_subject_comes_back_as_words(
    nats_server: EmbeddedNats, caller: Caller
) -> None:
    async with working(nats_server):
        announced = await caller.until_it_is_ready()
        assert (announced.kind, announced.models) == ("asr", ("whisper-tiny-en",))
        assert isinstance(await caller.start(), Accepted)
        end = caller.say(QUESTION)
        found = await caller.ask(1, 0, end)
        assert isinstance(found, FinalTranscript)
        assert (found.text, found.first, found.end) == (QUESTION, 0, end)


async def test_a_worker_that_comes_back_has_another_start_and_must_be_told_again(
    nats_server: EmbeddedNats, caller: Caller
) -> None:
    async with working(nats_server):
        first = await caller.until_it_is_ready()
        await caller.start()
    async with working(nats_server):
        second = await caller.until_it_is_ready()
        assert second.started_at > first.started_at
        lost = await caller.ask(1, 0, caller.say("Hello."))
        assert isinstance(lost, TranscriptionFailed)
        assert lost.code == "no-audio"
        await caller.start()
        begin = caller.say("Hello.")
        found = await caller.ask(2, begin, caller.say(QUESTION))
        assert isinstance(found, FinalTranscript)
        assert found.text == QUESTION
