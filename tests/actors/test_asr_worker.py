"""The ASR worker on a bus in memory: who listens, who is answered, in which order."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Self

import numpy as np
import pytest

from actors.asr_worker import AsrWorker
from protocol import subjects
from protocol.audio import MIC_FRAME, Frame, Kind
from protocol.conversation import Accepted, CommandRefused
from protocol.errors import ModelUnavailable
from protocol.hearing import (
    EndListening,
    FinalTranscript,
    PartialTranscript,
    StartListening,
    Transcribe,
    TranscriptionFailed,
)
from protocol.ids import ModelId, Samples, SessionId, TurnId, UnixMicros, WorkerName
from protocol.message import Message
from protocol.ports import SpeechRecognizer
from protocol.workers import Announcement, Drain, GetCapabilities, ListModels, LoadModel, WorkerDescribed
from tests.fakes.bus import FakeBus
from tests.fakes.recognizer import FakeRecognizer
from tests.fakes.registry import FakeRegistry
from tests.speech import as_frames, joined, silence, spoken

NAME = WorkerName("asr-whisper-0")
ANNE, BERT = SessionId("anne"), SessionId("bert")
LOUD = (np.full(MIC_FRAME, 16_000, dtype="<i2")).tobytes()
EVENTS = (PartialTranscript, FinalTranscript, TranscriptionFailed)


class Office:
    """A running worker and those who speak with it."""

    def __init__(self, recognizer: SpeechRecognizer | None = None, **options: Any) -> None:
        self.fake = FakeRecognizer()
        used = recognizer or self.fake
        self.bus, self.registry, self.now = FakeBus(), FakeRegistry(), 1_000.0
        self.worker = AsrWorker(
            name=NAME, bus=self.bus, registry=self.registry, load=lambda: used, clock=lambda: self.now, **options
        )
        self.stop = asyncio.Event()
        self._ready = asyncio.Event()
        self._answers: asyncio.Queue[Message] = asyncio.Queue()
        self._positions: dict[SessionId, int] = {}

    async def __aenter__(self) -> Self:
        def on_change(_name: WorkerName, _announcement: Announcement | None) -> None:
            self._ready.set()

        await self.registry.watch(on_change)
        await self.bus.subscribe(
            subjects.asr_event(subjects.ANY_SESSION),
            lambda _subject, message, _respond: self._answers.put_nowait(message),
        )
        self.running = asyncio.create_task(self.worker.run(self.stop))
        await asyncio.wait_for(self._ready.wait(), 10)
        return self

    async def __aexit__(self, *_error: object) -> None:
        self.stop.set()
        await asyncio.wait_for(self.running, 5)

    async def start(self, session: SessionId) -> Message:
        answer: Message = await self.command(StartListening(session=session), session)
        return answer

    async def command(self, message: Message, session: SessionId) -> Any:
        return await self.bus.request(subjects.asr_command(session, NAME), message, timeout_s=5)

    async def operator(self, message: Message) -> Any:
        return await self.bus.request(subjects.worker(NAME), message, timeout_s=5)

    def ask(self, session: SessionId, request: int, end: int, *, first: int = 0, final: bool = True) -> None:
        message = Transcribe(session=session, request=request, first=Samples(first), end=Samples(end), final=final)
        self.bus.publish(subjects.asr_command(session, NAME), message)

    def sound(self, session: SessionId, *pieces: bytes, at: int | None = None) -> None:
        position = self._positions.get(session, 0) if at is None else at
        for pcm in pieces:
            frame = Frame(
                kind=Kind.MICROPHONE,
                turn=TurnId(0),
                sequence=position // MIC_FRAME,
                position=Samples(position),
                captured_at=UnixMicros(0),
                pcm=pcm,
            )
            self.bus.publish_frame(subjects.mic_frames(session), frame)
            position += MIC_FRAME
        self._positions[session] = position

    async def answer(self) -> Any:
        return await asyncio.wait_for(self._answers.get(), 10)


@pytest.fixture
async def office() -> AsyncIterator[Office]:
    async with Office() as made:
        yield made


async def test_it_announces_itself_when_its_model_is_warm(office: Office) -> None:
    (said,) = office.registry.snapshot()
    assert (said.name, said.kind, said.state, said.models) == (NAME, "asr", "ready", ("whisper-fake",))
    assert said.resident_models == said.models
    assert said.started_at > 0
    assert said.metrics.p50_first_audio_ms > 0
    assert len(office.fake.calls) == 2


async def test_what_was_said_is_transcribed_with_its_positions(office: Office) -> None:
    assert isinstance(await office.start(ANNE), Accepted)
    office.sound(ANNE, *[bytes(640)] * 5, *[LOUD] * 10)
    office.ask(ANNE, 1, 15 * 320, first=0)
    found = await office.answer()
    assert isinstance(found, FinalTranscript)
    assert (found.request, found.first, found.end, found.text) == (1, 0, 4_800, "word word")
    assert [(word.first, word.end) for word in found.words] == [(1_600, 3_200), (3_200, 4_800)]
    assert found.compute_ms >= 0.0


async def test_a_partial_request_is_answered_by_a_partial_transcript(office: Office) -> None:
    await office.start(ANNE)
    office.sound(ANNE, *[LOUD] * 10)
    office.ask(ANNE, 1, 3_200, final=False)
    assert isinstance(await office.answer(), PartialTranscript)
    assert office.fake.calls[-1] == (3_200, "en", False)


async def test_a_request_waits_for_the_sound_that_it_names(office: Office) -> None:
    await office.start(ANNE)
    office.sound(ANNE, *[LOUD] * 5)
    office.ask(ANNE, 1, 3_200)
    await office.bus.settle()
    assert len(office.fake.calls) == 2, "only the warm-up so far"
    office.sound(ANNE, *[LOUD] * 5)
    assert (await office.answer()).end == 3_200


async def test_sound_that_never_comes_is_not_waited_for_for_ever(office: Office) -> None:
    await office.start(ANNE)
    office.sound(ANNE, *[LOUD] * 5)
    office.ask(ANNE, 1, 32_000)
    await office.bus.settle()
    office.now += 0.6
    found = await office.answer()
    assert (found.type, found.first, found.end) == ("final", 0, 1_600)


async def test_a_range_of_which_nothing_is_held_fails(office: Office) -> None:
    await office.start(ANNE)
    office.ask(ANNE, 1, 3_200)
    await office.bus.settle()
    office.now += 0.6
    found = await office.answer()
    assert (found.type, found.code, found.request) == ("failed", "no-audio", 1)


@pytest.mark.parametrize("final", [True, False])
async def test_a_range_whose_beginning_is_not_held_is_no_transcript_of_the_rest(office: Office, final: bool) -> None:  # noqa: FBT001 - parametrized
    await office.start(ANNE)
    office.sound(ANNE, *[LOUD] * 20, at=20 * MIC_FRAME)
    office.ask(ANNE, 1, 40 * MIC_FRAME, first=10 * MIC_FRAME, final=final)
    found = await office.answer()
    assert (found.type, found.code, found.request) == ("failed", "no-audio", 1)
    assert str(20 * MIC_FRAME) in found.reason


async def test_a_beginning_that_lacks_less_than_a_word_is_transcribed(office: Office) -> None:
    await office.start(ANNE)
    office.sound(ANNE, *[LOUD] * 20, at=20 * MIC_FRAME)
    office.ask(ANNE, 1, 40 * MIC_FRAME, first=15 * MIC_FRAME)
    found = await office.answer()
    assert (found.type, found.first) == ("final", 20 * MIC_FRAME)


async def test_silence_of_which_only_a_frame_a_second_came_lacks_nothing(office: Office) -> None:
    await office.start(ANNE)
    office.sound(ANNE, bytes(640), at=0)
    office.sound(ANNE, bytes(640), at=50 * MIC_FRAME)
    office.sound(ANNE, *[LOUD] * 10, at=90 * MIC_FRAME)
    office.ask(ANNE, 1, 100 * MIC_FRAME, first=20 * MIC_FRAME)
    found = await office.answer()
    assert (found.type, found.first, found.text) == ("final", 20 * MIC_FRAME, "word word")


async def test_half_a_minute_that_comes_at_once_is_held_whole(office: Office) -> None:
    await office.start(ANNE)
    office.sound(ANNE, *[LOUD] * 1_500)
    office.ask(ANNE, 1, 1_500 * MIC_FRAME)
    found = await office.answer()
    assert (found.first, found.end) == (0, 1_500 * MIC_FRAME)
    assert found.text == " ".join(["word"] * 300)


async def test_a_lost_frame_is_silence_at_its_place(office: Office) -> None:
    await office.start(ANNE)
    office.sound(ANNE, *[LOUD] * 5, at=0)
    office.sound(ANNE, *[LOUD] * 5, at=10 * MIC_FRAME)
    office.ask(ANNE, 1, 15 * MIC_FRAME)
    found = await office.answer()
    assert [word.first for word in found.words] == [0, 3_200]


async def test_a_newer_request_takes_the_place_of_an_older_one_that_waits(office: Office) -> None:
    await office.start(ANNE)
    await office.start(BERT)
    office.sound(ANNE, *[LOUD] * 10)
    office.sound(BERT, *[LOUD] * 10)
    await office.bus.settle()
    office.fake.gate.clear()
    office.ask(BERT, 1, 3_200)
    office.ask(ANNE, 1, 1_600, final=False)
    office.ask(ANNE, 2, 3_200, final=False)
    found = await office.answer()
    assert (found.type, found.code, found.request) == ("failed", "stale", 1)
    office.fake.gate.set()
    assert [(m.session, m.request) for m in (await office.answer(), await office.answer())] == [(BERT, 1), (ANNE, 2)]


async def test_a_final_request_is_served_before_partial_ones(office: Office) -> None:
    sessions = [SessionId(f"s-{i}") for i in range(4)]
    for session in sessions:
        await office.start(session)
        office.sound(session, *[LOUD] * 10)
    await office.bus.settle()
    office.fake.gate.clear()
    for session in sessions:
        office.ask(session, 1, 3_200, final=session == sessions[3])
    await office.bus.settle()
    office.fake.gate.set()
    assert [(await office.answer()).session for _ in sessions] == [sessions[i] for i in (0, 3, 1, 2)]


async def test_a_failing_model_fails_one_request(office: Office) -> None:
    await office.start(ANNE)
    office.sound(ANNE, *[LOUD] * 10)
    office.fake.breaks = RuntimeError("out of memory")
    office.ask(ANNE, 1, 3_200)
    found = await office.answer()
    assert (found.code, found.reason) == ("recognition-failed", "RuntimeError: out of memory")
    office.ask(ANNE, 2, 3_200)
    assert (await office.answer()).type == "final"


async def test_who_was_not_started_is_told_so(office: Office) -> None:
    office.ask(ANNE, 1, 3_200)
    found = await office.answer()
    assert (found.code, "start first" in found.reason) == ("no-audio", True)


async def test_starting_twice_keeps_the_sound(office: Office) -> None:
    await office.start(ANNE)
    open_before = office.bus.subscriptions
    office.sound(ANNE, *[LOUD] * 10)
    await office.start(ANNE)
    office.ask(ANNE, 1, 3_200)
    assert (await office.answer()).text == "word word"
    assert office.bus.subscriptions == open_before


async def test_a_session_that_ends_leaves_nothing(office: Office) -> None:
    before = office.bus.subscriptions
    await office.start(ANNE)
    assert office.bus.subscriptions == before + 1
    office.sound(ANNE, *[LOUD] * 10)
    office.fake.gate.clear()
    office.ask(ANNE, 1, 3_200)
    await office.bus.settle()
    assert isinstance(await office.command(EndListening(session=ANNE), ANNE), Accepted)
    assert office.bus.subscriptions == before
    office.fake.gate.set()
    await office.start(BERT)
    office.sound(BERT, *[LOUD] * 10)
    office.ask(BERT, 1, 3_200)
    assert (await office.answer()).session == BERT, "nothing is said to a session that has ended"


async def test_more_sessions_than_it_takes_are_refused() -> None:
    async with Office(capacity=1) as office:
        await office.start(ANNE)
        refused = await office.start(BERT)
        assert isinstance(refused, CommandRefused)
        assert refused.code == "too-many-sessions"
        assert isinstance(await office.start(ANNE), Accepted), "who is there already stays"
        await office.command(EndListening(session=ANNE), ANNE)
        assert isinstance(await office.start(BERT), Accepted)


async def test_a_session_that_is_silent_for_minutes_is_forgotten(office: Office) -> None:
    before = office.bus.subscriptions
    await office.start(ANNE)
    office.now += 100
    await office.start(BERT)
    office.now += 100
    office.worker._forget_the_silent()
    assert office.bus.subscriptions == before + 1
    office.ask(ANNE, 1, 320)
    assert (await office.answer()).code == "no-audio"


async def test_it_says_what_it_is_and_what_it_cannot_do(office: Office) -> None:
    for question in (GetCapabilities(), ListModels()):
        described = await office.operator(question)
        assert isinstance(described, WorkerDescribed)
        assert described.worker.models == ("whisper-fake",)
    refused = await office.operator(LoadModel(model=ModelId("whisper-large")))
    assert refused.code == "not-supported"


async def test_draining_it_takes_no_new_sessions_and_ends_with_the_last(office: Office) -> None:
    await office.start(ANNE)
    described = await office.operator(Drain())
    assert described.worker.state == "draining"
    refused = await office.start(BERT)
    assert isinstance(refused, CommandRefused)
    assert refused.code == "draining"
    assert not office.running.done()
    await office.command(EndListening(session=ANNE), ANNE)
    await asyncio.wait_for(office.running, 5)
    assert office.registry.snapshot() == ()


async def test_stopped_it_withdraws_and_leaves_nothing() -> None:
    async with Office() as office:
        await office.start(ANNE)
    assert office.registry.snapshot() == ()
    assert office.bus.subscriptions == 1, "the test's own"
    assert office.fake.closed


async def test_without_its_model_it_does_not_run() -> None:
    def load() -> SpeechRecognizer:
        raise ModelUnavailable("install it")

    registry = FakeRegistry()
    worker = AsrWorker(name=NAME, bus=FakeBus(), registry=registry, load=load, clock=lambda: 0.0)
    with pytest.raises(ModelUnavailable, match="install it"):
        await worker.run(asyncio.Event())
    assert registry.snapshot() == ()


@pytest.mark.models
async def test_real_speech_in_a_real_model_while_the_loop_goes_on() -> None:
    from adapters.asr.whisper import WhisperRecognizer  # noqa: PLC0415  # only this test loads it

    async with Office(WhisperRecognizer(words=True)) as office:
        await office.start(ANNE)
        office.sound(
            ANNE, *as_frames(joined(silence(0.5), spoken("Turn off the lights in the kitchen."), silence(0.5)))
        )
        office.ask(ANNE, 1, 16_000 + len(spoken("Turn off the lights in the kitchen.")), first=4_000)
        waiting, turns = asyncio.create_task(office.answer()), 0
        while not waiting.done():
            await asyncio.sleep(0.001)
            turns += 1
        found = await waiting
        assert found.text == "Turn off the lights in the kitchen."
        assert [word.text for word in found.words] == found.text.split()
        assert 8_000 < found.words[0].end < 8_000 + 6_400, "where the first word ends, in the session's samples"
        assert found.words[-1].end <= found.end
        assert turns > 5, "the loop stood still while the model computed"
