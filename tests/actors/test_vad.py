"""The detector's thread: many sessions, one inference, nothing lost and nobody harmed."""

import asyncio
import threading
from collections.abc import AsyncIterator

import numpy as np
import pytest

from actors.mailbox import Mailbox
from actors.policies.voice_activity import WINDOW
from actors.policies.windowing import MAX_WAITING
from actors.vad import Detector
from protocol.audio import MIC_FRAME
from protocol.hearing import VadEvent
from protocol.ids import Samples, SessionId
from protocol.ports import VoiceActivityModel
from tests.fakes.detector import POISON, LoudnessModel
from tests.speech import as_frames, as_s16, joined, noise, silence, spoken

ANNE, BERT = SessionId("anne"), SessionId("bert")
LOUD = as_s16(np.full(WINDOW, 0.5, dtype=np.float32))
QUIET = bytes(len(LOUD))
POISONED = as_s16(np.full(WINDOW, 1.0, dtype=np.float32))
assert POISON < 1.0


class Ears:
    """A detector, and what came of it."""

    def __init__(self, model: VoiceActivityModel) -> None:
        self.detector = Detector(model, Mailbox(asyncio.get_running_loop()))
        self.events: list[VadEvent] = []
        self.failures: list[tuple[SessionId, str]] = []
        self._changed = asyncio.Event()
        self._positions: dict[SessionId, int] = {}

    def open(self, session: SessionId) -> None:
        def on_failed(reason: str) -> None:
            self.failures.append((session, reason))
            self._changed.set()

        self.detector.open(session, on_event=self._on_event, on_failed=on_failed)
        self._positions[session] = 0

    def hear(self, session: SessionId, *pieces: bytes) -> None:
        for pcm in pieces:
            self.detector.hear(session, Samples(self._positions[session]), pcm)
            self._positions[session] += len(pcm) // 2

    async def until(self, *kinds: str) -> None:
        """Wait until these events came, in this order, and no others."""
        while [event.type for event in self.events] != list(kinds):
            self._changed.clear()
            await asyncio.wait_for(self._changed.wait(), 5)

    async def until_failed(self) -> None:
        while not self.failures:
            self._changed.clear()
            await asyncio.wait_for(self._changed.wait(), 5)

    def waiting(self, session: SessionId) -> int:
        return len(self.detector._lines[session].windows)

    def of(self, session: SessionId) -> list[tuple[str, int]]:
        return [(event.type, event.at) for event in self.events if event.session == session]

    def _on_event(self, event: VadEvent) -> None:
        self.events.append(event)
        self._changed.set()


@pytest.fixture
async def ears() -> AsyncIterator[Ears]:
    found = Ears(LoudnessModel())
    yield found
    found.detector.stop()


async def test_speech_starts_and_stops(ears: Ears) -> None:
    ears.open(ANNE)
    ears.hear(ANNE, QUIET, *[LOUD] * 4, *[QUIET] * 8)
    await ears.until("speech_likely", "speech_started", "speech_stopped")
    assert ears.of(ANNE) == [("speech_likely", WINDOW), ("speech_started", 0), ("speech_stopped", 5 * WINDOW)]


async def test_frames_of_20_ms_become_windows_of_32(ears: Ears) -> None:
    ears.open(ANNE)
    ears.hear(ANNE, *as_frames(joined(silence(0.32), noise(0.32, level=0.5)), MIC_FRAME))
    await ears.until("speech_likely", "speech_started")
    assert ears.of(ANNE)[0] == ("speech_likely", 10 * WINDOW)


async def test_call_backs_come_on_the_loop(ears: Ears) -> None:
    threads: list[int] = []
    done = asyncio.Event()

    def on_event(_event: VadEvent) -> None:
        threads.append(threading.get_ident())
        done.set()

    ears.detector.open(ANNE, on_event=on_event)
    ears.detector.hear(ANNE, Samples(0), LOUD)
    await asyncio.wait_for(done.wait(), 5)
    assert threads == [threading.get_ident()]


async def test_sessions_do_not_hear_each_other(ears: Ears) -> None:
    ears.open(ANNE)
    ears.open(BERT)
    for _ in range(4):
        ears.hear(ANNE, LOUD)
        ears.hear(BERT, QUIET)
    await ears.until("speech_likely", "speech_started")
    assert ears.of(BERT) == []


async def test_a_session_that_is_not_open_is_ignored(ears: Ears) -> None:
    ears.detector.hear(ANNE, Samples(0), LOUD * 4)
    ears.open(BERT)
    ears.hear(BERT, LOUD, LOUD)
    await ears.until("speech_likely", "speech_started")


async def test_nothing_comes_after_close() -> None:
    gate = threading.Event()
    ears = Ears(LoudnessModel(before=lambda: gate.wait(5)))
    ears.open(ANNE)
    ears.open(BERT)
    ears.hear(ANNE, LOUD, LOUD)
    ears.hear(BERT, LOUD, LOUD)
    ears.detector.close(ANNE)
    gate.set()
    await ears.until("speech_likely", "speech_started")
    assert ears.of(ANNE) == []
    ears.detector.stop()


async def test_a_session_opened_again_begins_anew(ears: Ears) -> None:
    ears.open(ANNE)
    ears.hear(ANNE, LOUD, LOUD)
    await ears.until("speech_likely", "speech_started")
    ears.open(ANNE)
    ears.hear(ANNE, LOUD, LOUD)
    await ears.until(*["speech_likely", "speech_started"] * 2)
    assert ears.of(ANNE)[2] == ("speech_likely", 0)


async def test_a_failing_stream_ends_alone() -> None:
    ears = Ears(LoudnessModel())
    ears.open(ANNE)
    ears.open(BERT)
    ears.hear(ANNE, POISONED)
    ears.hear(BERT, LOUD, LOUD)
    await ears.until_failed()
    await ears.until("speech_likely", "speech_started")
    ears.hear(ANNE, LOUD, LOUD)
    ears.hear(BERT, *[QUIET] * 6)
    await ears.until("speech_likely", "speech_started", "speech_stopped")
    assert ears.failures == [(ANNE, "RuntimeError: a window is poisoned")]
    assert ears.of(ANNE) == []
    ears.detector.stop()


async def test_a_model_that_opens_no_stream_says_so() -> None:
    ears = Ears(LoudnessModel(refuses=True))
    ears.open(ANNE)
    await ears.until_failed()
    assert ears.failures == [(ANNE, "RuntimeError: no more streams")]
    ears.detector.stop()


async def test_a_thread_that_is_behind_takes_what_waits_in_one_inference_and_drops_the_oldest() -> None:
    gate, entered = threading.Event(), threading.Event()

    def before() -> None:
        entered.set()
        gate.wait(5)

    model = LoudnessModel(before=before)
    ears = Ears(model)
    ears.open(ANNE)
    ears.open(BERT)
    ears.hear(ANNE, QUIET)
    await asyncio.to_thread(entered.wait, 5)
    ears.hear(ANNE, *[LOUD] * 10, *[QUIET] * (MAX_WAITING - 2))  # eight too many: the first eight of the loud ones
    ears.hear(BERT, LOUD, LOUD)
    gate.set()
    await ears.until("speech_likely", "speech_likely", "speech_started", "speech_started", "speech_stopped")
    assert ears.detector.dropped(ANNE) == 8
    assert ears.detector.dropped(BERT) == 0
    assert ears.of(ANNE)[0] == ("speech_likely", 9 * WINDOW)
    assert model.batches[:4] == [1, 2, 2, 1]
    ears.detector.stop()


async def test_more_sessions_than_fit_in_an_inference_take_turns() -> None:
    begun, gate = threading.Event(), threading.Event()

    def hold_up() -> None:
        begun.set()
        gate.wait(5)

    model = LoudnessModel(before=hold_up)
    ears = Ears(model)
    crowd = [SessionId(f"s-{i}") for i in range(40)]
    for session in crowd:
        ears.open(session)
    ears.hear(crowd[0], LOUD, LOUD)
    assert await asyncio.to_thread(begun.wait, 5)
    for session in crowd[1:]:
        ears.hear(session, LOUD, LOUD)
    gate.set()
    while len(ears.events) < 80:
        ears._changed.clear()
        await asyncio.wait_for(ears._changed.wait(), 5)
    assert all([kind for kind, _ in ears.of(s)] == ["speech_likely", "speech_started"] for s in crowd)
    assert max(model.batches) == 16
    first_served = [event.session for event in ears.events[:40]]
    assert len(set(first_served)) == 40, "somebody was served twice before others were served once"
    ears.detector.stop()


@pytest.mark.models
async def test_real_speech_through_the_whole_of_it() -> None:
    from adapters.vad.silero import SileroModel  # noqa: PLC0415  # only this test needs onnxruntime

    ears = Ears(SileroModel())
    ears.open(ANNE)
    ears.open(BERT)
    question = joined(silence(0.5), spoken("What is the weather like in Paris today?"), silence(0.6))
    for frame in as_frames(question):
        ears.hear(ANNE, frame)
        ears.hear(BERT, bytes(len(frame)))
        while ears.waiting(ANNE) > 4:  # noqa: ASYNC110  # the thread tells nobody that it has caught up
            await asyncio.sleep(0)  # faster than real time, but not faster than the thread
    await ears.until("speech_likely", "speech_started", "speech_stopped")
    assert ears.of(BERT) == []
    ears.detector.stop()
