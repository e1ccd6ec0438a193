import asyncio

import numpy as np
import pytest

from actors.tapping import FrameSummary, Shown, Tap
from protocol.audio import MIC_FRAME, SPEECH_FRAME, Flags, Frame, Kind
from protocol.conversation import SessionClosed, StateChanged
from protocol.errors import BusUnavailable
from protocol.ids import Millis, Samples, SessionId, TurnId, UnixMicros, WorkerName
from protocol.measures import TtsMeasures
from protocol.ports import OnFrame, OnMessage, Subscription
from protocol.subjects import Subject, mic_frames, session_event, tts_frames, tts_meta
from tests.fakes.bus import FakeBus

SESSION, OTHER = SessionId("s-1"), SessionId("s-2")
WORKER = WorkerName("tts-hibari-0")
SPEAKING = StateChanged(session=SESSION, state="SPEAKING")
MEASURES = TtsMeasures(
    session=SESSION, over_ms=Millis(1000), turn=TurnId(1), sent=58, again=0, ahead_ms=Millis(160), underruns=0
)


class Seen:
    """What a tap showed."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, object]] = []
        self.summaries: list[FrameSummary] = []
        self.speech: list[tuple[SessionId, Frame]] = []
        self.listening = asyncio.Event()
        self.summed_up = asyncio.Event()
        self.kind = ""

    def shown(self) -> Shown:
        return Shown(
            message=lambda subject, message: self.messages.append((subject, message)),
            summary=self._summary,
            speech=lambda session, frame: self.speech.append((session, frame)),
            listening=self._listening,
        )

    def _summary(self, summary: FrameSummary) -> None:
        self.summaries.append(summary)
        self.summed_up.set()

    def _listening(self, kind: str) -> None:
        self.kind = kind
        self.listening.set()


def speech(number: int, *, turn: int = 1, level: int = 0, flags: Flags = Flags.NONE) -> Frame:
    return Frame(
        kind=Kind.SPEECH,
        turn=TurnId(turn),
        sequence=number,
        position=Samples(number * SPEECH_FRAME),
        captured_at=UnixMicros(0),
        pcm=np.full(SPEECH_FRAME, level, np.int16).tobytes(),
        flags=flags,
    )


async def tapped(bus: FakeBus, *, session: SessionId | None = SESSION) -> tuple[Seen, "asyncio.Task[None]"]:
    seen = Seen()
    task = asyncio.create_task(Tap(bus, session, seen.shown()).run())
    async with asyncio.timeout(5):
        await seen.listening.wait()
    return seen, task


async def settle() -> None:
    """Until what the bus carries has arrived: its fake delivers within a few turns of the loop."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_messages_of_the_session_are_shown_and_no_others() -> None:
    bus = FakeBus()
    seen, task = await tapped(bus)
    bus.publish(session_event(SESSION), SPEAKING)
    bus.publish(session_event(OTHER), StateChanged(session=OTHER, state="SPEAKING"))
    await settle()
    ((subject, message),) = seen.messages
    assert subject == "control.session.s-1.event.state"
    assert isinstance(message, StateChanged)
    assert message.session == SESSION
    task.cancel()


async def test_all_sessions_can_be_watched_at_once() -> None:
    bus = FakeBus()
    seen, task = await tapped(bus, session=None)
    for session in (SESSION, OTHER):
        bus.publish(session_event(session), StateChanged(session=session, state="SPEAKING"))
    await settle()
    assert len(seen.messages) == 2
    task.cancel()


async def test_it_only_listens() -> None:
    bus = FakeBus()
    seen, task = await tapped(bus)
    bus.publish_frame(tts_frames(SESSION, WORKER), speech(0, flags=Flags.LAST))
    await settle()
    assert bus.published == []
    assert len(bus.frames) == 1
    assert seen.kind == "messages and frames"
    task.cancel()


async def test_frames_are_summed_up_at_the_end_of_a_turn() -> None:
    bus = FakeBus()
    seen, task = await tapped(bus)
    for number in (0, 1, 4, 4):
        bus.publish_frame(tts_frames(SESSION, WORKER), speech(number, level=16_384))
    bus.publish_frame(tts_frames(SESSION, WORKER), speech(5, flags=Flags.LAST | Flags.COMFORT))
    await settle()
    (summary,) = seen.summaries
    assert (summary.session, summary.worker, summary.turn) == (SESSION, WORKER, 1)
    assert (summary.first, summary.end, summary.frames) == (0, 6 * SPEECH_FRAME, 5)
    assert (summary.missing, summary.repeated, summary.comfort, summary.last) == (2 * SPEECH_FRAME, 1, 1, True)
    assert summary.peak_dbfs == pytest.approx(-6.02, abs=0.01)
    assert [frame.position for _, frame in seen.speech] == [n * SPEECH_FRAME for n in (0, 1, 4, 4, 5)]
    task.cancel()


def microphone(number: int) -> Frame:
    return Frame(
        kind=Kind.MICROPHONE,
        turn=TurnId(0),
        sequence=number,
        position=Samples(number * MIC_FRAME),
        captured_at=UnixMicros(0),
        pcm=bytes(2 * MIC_FRAME),
    )


async def test_frames_are_summed_up_when_the_next_turn_begins() -> None:
    bus = FakeBus()
    seen, task = await tapped(bus)
    for turn in (1, 2):
        bus.publish_frame(tts_frames(SESSION, WORKER), speech(0, turn=turn))
    await settle()
    assert [summary.turn for summary in seen.summaries] == [1]
    task.cancel()


@pytest.mark.realtime
async def test_frames_are_summed_up_once_a_second_and_the_microphones_too() -> None:
    bus = FakeBus()
    seen, task = await tapped(bus)
    bus.publish_frame(mic_frames(SESSION), microphone(7))
    async with asyncio.timeout(5):
        await seen.summed_up.wait()
    (summary,) = seen.summaries
    assert (summary.worker, summary.first, summary.missing, summary.peak_dbfs) == (None, 7 * MIC_FRAME, 0, -120.0)
    task.cancel()


@pytest.mark.realtime
async def test_a_microphone_that_is_sent_again_to_a_new_recognizer_is_counted_and_not_recorded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("actors.tapping._SUMMARY_S", 0.2)
    bus = FakeBus()
    seen, task = await tapped(bus)
    for number in (7, 8, 7, 8, 9):
        bus.publish_frame(mic_frames(SESSION), microphone(number))
    async with asyncio.timeout(5):
        await seen.summed_up.wait()
    (summary,) = seen.summaries
    assert (summary.frames, summary.repeated, summary.missing) == (5, 2, 0)
    assert seen.speech == [], "a recording holds what the workers say"
    task.cancel()


@pytest.mark.realtime
async def test_it_ends_with_its_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.tapping._SUMMARY_S", 0.2)
    monkeypatch.setattr("actors.tapping._CLOSED_S", 0.1)
    bus = FakeBus()
    _, task = await tapped(bus)
    bus.publish(session_event(SESSION), SessionClosed(session=SESSION, reason="over"))
    async with asyncio.timeout(5):
        await task


class _Deaf(FakeBus):
    """Where frames may not be heard."""

    async def subscribe_frames(self, pattern: Subject, on_frame: OnFrame, *, depth: int = 64) -> Subscription:
        raise BusUnavailable(f"not allowed: {pattern}, {on_frame}, {depth}")


async def test_without_the_right_to_hear_it_shows_messages_alone() -> None:
    bus = _Deaf()
    seen, task = await tapped(bus)
    assert "may not hear" in seen.kind
    bus.publish(session_event(SESSION), SPEAKING)
    await settle()
    assert len(seen.messages) == 1
    task.cancel()


async def test_without_the_right_to_hear_it_still_shows_how_the_sound_flows() -> None:
    bus = _Deaf()
    seen, task = await tapped(bus)
    bus.publish(tts_meta(SESSION, WORKER), MEASURES)
    await settle()
    ((subject, message),) = seen.messages
    assert subject == "audio.meta.s-1.tts.tts-hibari-0"
    assert isinstance(message, TtsMeasures)
    assert message.sent == 58
    task.cancel()


class _Old(_Deaf):
    """Where an observer may read `control.>` alone."""

    async def subscribe(self, pattern: Subject, on_message: OnMessage, *, queue: str = "") -> Subscription:
        if not pattern.startswith("control."):
            raise BusUnavailable(f"not allowed: {pattern}")
        return await super().subscribe(pattern, on_message, queue=queue)


async def test_without_the_right_to_read_measures_it_says_so_and_shows_the_rest() -> None:
    bus = _Old()
    seen, task = await tapped(bus)
    assert seen.kind == "messages only: this user may not hear frames, nor read how sound flows"
    bus.publish(session_event(SESSION), SPEAKING)
    bus.publish(tts_meta(SESSION, WORKER), MEASURES)
    await settle()
    assert [type(message) for _, message in seen.messages] == [StateChanged]
    task.cancel()
