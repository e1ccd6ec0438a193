from dataclasses import dataclass, field

import pytest

from actors.peer import Peer
from actors.peer_ports import PeerLimits
from protocol.audio import SPEECH_FRAME, Flags, Frame, Kind
from protocol.conversation import (
    Accepted,
    ClientPlayout,
    CloseSession,
    CommandRefused,
    Configure,
    Hold,
    Interrupt,
    Playout,
    Release,
    Say,
    SessionClosed,
    SessionConfig,
    SessionError,
    StateChanged,
)
from protocol.errors import MalformedMessage
from protocol.hearing import SpeechStarted, SpeechStopped, VadEvent
from protocol.ids import Samples, SessionId, TurnId, WorkerName
from protocol.subjects import tts_frames
from tests.fakes.bus import FakeBus
from tests.fakes.clock import FakeClock
from tests.fakes.detector import FakeDetector
from tests.fakes.link import FakeLink
from tests.fakes.session import FakeSession, Sessions
from tests.fakes.speech import ONE, TWO, a_frame, frames

SESSION = SessionId("one")
WORKER = WorkerName("tts-fake-0")
MIC = bytes(640)
STARTED = SpeechStarted(session=SESSION, at=Samples(512), probability=0.9)


@dataclass
class Stage:
    """A peer and all that it meets."""

    bus: FakeBus = field(default_factory=FakeBus)
    ears: FakeDetector = field(default_factory=FakeDetector)
    link: FakeLink = field(default_factory=FakeLink)
    clock: FakeClock = field(default_factory=FakeClock)
    sessions: Sessions = field(default_factory=Sessions)
    detached: list[Peer] = field(default_factory=list)
    over: list[str] = field(default_factory=list)
    limits: PeerLimits = field(default_factory=PeerLimits)
    peer: Peer = field(init=False)

    def __post_init__(self) -> None:
        self.peer = Peer(
            session=SESSION,
            config=SessionConfig(),
            link=self.link,
            bus=self.bus,
            ears=self.ears,
            make_session=self.sessions,
            on_detached=self.detached.append,
            on_over=lambda _, reason: self.over.append(reason),
            limits=self.limits,
            clock=self.clock,
            wall_clock=lambda: 1.5,
        )

    @property
    def session(self) -> FakeSession:
        return self.sessions.only

    async def speak(self, *speech: Frame) -> None:
        for frame in speech:
            self.bus.publish_frame(tts_frames(SESSION, WORKER), frame)
        await self.bus.settle(3)

    def pull(self, count: int = 1) -> list[Frame | None]:
        pulled = []
        for _ in range(count):
            self.clock.advance(0.02)
            pulled.append(self.peer.pull())
        return pulled

    def playouts(self) -> list[Playout]:
        return list(self.bus.said(Playout))


@pytest.fixture
async def stage() -> Stage:
    stage = Stage()
    await stage.peer.start()
    return stage


@pytest.fixture
async def speaking(stage: Stage) -> Stage:
    """Ten frames of turn 1 are here, of many."""
    stage.peer.gate.expect(ONE)
    await stage.speak(*frames(10, of=100))
    return stage


# --- the microphone --------------------------------------------------------------------------------------------------
async def test_the_microphone_goes_to_the_detector_and_to_the_bus_with_its_position(stage: Stage) -> None:
    stage.ears.detect(STARTED)
    for _ in range(3):
        stage.peer.hear(MIC)
    assert [position for position, _ in stage.ears.heard[SESSION]] == [0, 320, 640]
    assert [(f.kind, f.position, f.sequence, f.captured_at) for _, f in stage.bus.frames] == [
        (Kind.MICROPHONE, 0, 0, 1_500_000),
        (Kind.MICROPHONE, 320, 1, 1_500_000),
        (Kind.MICROPHONE, 640, 2, 1_500_000),
    ]


async def test_silence_stays_here_but_for_a_sign_of_life_each_second(stage: Stage) -> None:
    for _ in range(150):
        stage.peer.hear(MIC)
    assert [f.sequence for _, f in stage.bus.frames] == [0, 1, 51], "the oldest, so that no position ever goes back"
    assert len(stage.ears.heard[SESSION]) == 150


async def test_a_speech_travels_with_the_second_before_and_the_second_after_it(stage: Stage) -> None:
    for _ in range(120):
        stage.peer.hear(MIC)
    stage.ears.detect(STARTED)
    for _ in range(10):
        stage.peer.hear(MIC)
    stage.ears.detect(SpeechStopped(session=SESSION, at=Samples(40_000), probability=0.1))
    for _ in range(119):
        stage.peer.hear(MIC)
    sent = [f.sequence for _, f in stage.bus.frames]
    assert sent == [0, 1, 51, *range(70, 180), 180], "frames 0, 1, 51 and 180 are signs of life"


@pytest.mark.parametrize("size", [0, 1, 639, 641, 1280])
async def test_sound_of_another_size_is_malformed(stage: Stage, size: int) -> None:
    with pytest.raises(MalformedMessage):
        stage.peer.hear(bytes(size))
    assert not stage.bus.frames


async def test_sound_faster_than_time_is_dropped(stage: Stage) -> None:
    stage.ears.detect(STARTED)
    for _ in range(1_000):
        stage.peer.hear(MIC)
    assert len(stage.bus.frames) == 250
    stage.clock.advance(1.0)
    for _ in range(1_000):
        stage.peer.hear(MIC)
    assert 300 <= len(stage.bus.frames) <= 301
    assert [f.position for _, f in stage.bus.frames][-1] == (len(stage.bus.frames) - 1) * 320


async def test_the_session_decides_before_observers_are_told(stage: Stage) -> None:
    published: list[int] = []
    stage.session.on_event = lambda _: published.append(len(stage.bus.said(SpeechStarted)))
    stage.ears.detect(STARTED)
    assert published == [0]
    assert stage.bus.said(SpeechStarted) == [STARTED]


async def test_a_detector_that_fails_is_told_to_the_client(stage: Stage) -> None:
    stage.ears.fail(SESSION, "poisoned")
    assert [m.code for m in stage.link.told if isinstance(m, SessionError)] == ["voice-activity-failed"]


# --- the loudspeaker -------------------------------------------------------------------------------------------------
async def test_speech_is_pulled_as_it_came(speaking: Stage) -> None:
    assert speaking.pull(11) == [*frames(10, of=100), None]


async def test_the_session_hears_of_the_first_and_the_last_frame_once(stage: Stage) -> None:
    stage.peer.gate.expect(ONE)
    await stage.speak(*frames(3))
    stage.pull(5)
    assert [c for c in stage.session.calls if isinstance(c, tuple)] == [("first", ONE), ("last", ONE)]


async def test_the_playout_is_reported_each_100_ms_and_at_each_change(speaking: Stage) -> None:
    speaking.pull(8)
    assert [p.played // SPEECH_FRAME for p in speaking.playouts()] == [1, 6]
    assert [p.queued // SPEECH_FRAME for p in speaking.playouts()] == [9, 4]
    speaking.peer.gate.hold(ONE)
    speaking.peer.emit(Hold(session=SESSION, turn=ONE))
    assert [(p.played // SPEECH_FRAME, p.held) for p in speaking.playouts()[2:]] == [(8, True)]


async def test_a_reply_that_starves_is_reported_again_and_again(speaking: Stage) -> None:
    speaking.pull(10)
    before = len(speaking.playouts())
    speaking.pull(15)
    assert len(speaking.playouts()) == before + 3
    assert speaking.playouts()[-1].queued == 0


async def test_nothing_is_reported_while_nothing_happens(stage: Stage) -> None:
    stage.pull(50)
    assert not stage.playouts()


async def test_a_hold_by_the_voice_detector_silences_the_very_next_frame(speaking: Stage) -> None:
    def hold(_: VadEvent) -> None:
        speaking.peer.gate.hold(ONE)

    speaking.session.on_event = hold
    speaking.pull(2)
    speaking.ears.detect(STARTED)
    fade, silence = speaking.pull(2)
    assert fade is not None
    assert fade.flags == Flags.COMFORT
    assert silence is None
    speaking.peer.gate.release(ONE)
    rest = [f for f in speaking.pull(9) if f is not None and Flags.COMFORT not in f.flags]
    assert rest == frames(10, of=100)[2:]


async def test_frames_of_an_old_turn_are_dropped(speaking: Stage) -> None:
    speaking.peer.gate.expect(TWO)
    await speaking.speak(*frames(3))
    assert speaking.pull(2) == [None, None]


# --- commands and events ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("command", [Say(text="hi"), Interrupt(), Configure(config=SessionConfig())])
async def test_commands_reach_the_session(stage: Stage, command: Say | Interrupt | Configure) -> None:
    assert stage.peer.command(command) == Accepted(session=SESSION)
    assert stage.session.calls[-1] == command


async def test_commands_that_come_too_fast_are_refused_and_taken_again_later(stage: Stage) -> None:
    answers = [stage.peer.command(Interrupt()) for _ in range(100)]
    refused = [a for a in answers if isinstance(a, CommandRefused)]
    assert {a.code for a in refused} == {"too-many-commands"}
    assert len(refused) == 70
    stage.clock.advance(1.0)
    assert isinstance(stage.peer.command(Interrupt()), Accepted)


async def test_what_is_no_command_is_refused(stage: Stage) -> None:
    answer = stage.peer.command(StateChanged(session=SESSION, state="LISTENING"))
    assert isinstance(answer, CommandRefused)
    assert answer.code == "unexpected"


async def test_events_go_to_the_client_and_to_observers(stage: Stage) -> None:
    event = StateChanged(session=SESSION, state="THINKING", turn=ONE)
    gate = Release(session=SESSION, turn=ONE)
    stage.session.emit(event)
    stage.session.emit(gate)
    assert stage.link.told == [event, gate]
    assert [str(subject) for subject, _ in stage.bus.published] == [
        "control.session.one.event.state",
        "control.gateway.one.release",
    ]


async def test_close_by_the_client_ends_the_session(stage: Stage) -> None:
    assert isinstance(stage.peer.command(CloseSession()), Accepted)
    assert stage.over == ["closed by the client"]


async def test_a_session_that_ends_by_itself_is_over(stage: Stage) -> None:
    await stage.session.close("no more workers")
    assert stage.over == ["no more workers"]


# --- connections -----------------------------------------------------------------------------------------------------
async def test_a_lost_client_ends_the_utterance_that_was_under_way(stage: Stage) -> None:
    stage.peer.hear(MIC)
    stage.peer.detach(stage.link)
    assert stage.detached == [stage.peer]
    silence = [pcm for _, pcm in stage.ears.heard[SESSION][1:]]
    assert len(silence) * 20 >= 300
    assert not any(map(any, silence))


async def test_a_microphone_that_stops_in_mid_speech_ends_the_utterance(stage: Stage) -> None:
    stage.peer.hear(MIC)
    stage.ears.detect(STARTED)
    stage.pull(20)
    assert len(stage.ears.heard[SESSION]) == 1, "a network may stall for so long"
    stage.pull(10)
    silence = [pcm for _, pcm in stage.ears.heard[SESSION][1:]]
    assert len(silence) * 20 >= 300
    stage.pull(100)
    assert len(stage.ears.heard[SESSION]) == 1 + len(silence), "once is enough"


async def test_a_microphone_that_sends_nothing_in_silence_is_left_alone(stage: Stage) -> None:
    stage.peer.hear(MIC)
    stage.pull(100)
    assert len(stage.ears.heard[SESSION]) == 1


async def test_a_connection_that_was_replaced_cannot_detach(stage: Stage) -> None:
    second = FakeLink()
    stage.peer.attach(second)
    assert stage.link.disconnected is not None
    stage.peer.detach(stage.link)
    assert stage.peer.attached
    assert not stage.detached


async def test_events_while_nobody_is_there_reach_observers_only(stage: Stage) -> None:
    stage.peer.detach(stage.link)
    stage.session.emit(StateChanged(session=SESSION, state="LISTENING"))
    assert not stage.link.told
    assert stage.bus.said(StateChanged)


async def test_a_client_that_comes_back_goes_on_where_it_says_it_was(speaking: Stage) -> None:
    speaking.pull(6)
    speaking.peer.detach(speaking.link)
    speaking.peer.attach(FakeLink())
    assert speaking.pull(3) == [None, None, None]
    speaking.peer.command(ClientPlayout(turn=ONE, played=Samples(3 * SPEECH_FRAME)))
    fade, *rest = speaking.pull(8)
    assert fade is not None
    assert fade.flags == Flags.COMFORT
    assert rest == frames(10, of=100)[3:]


async def test_a_client_that_comes_back_and_says_nothing_goes_on_after_its_last_word(speaking: Stage) -> None:
    speaking.pull(4)
    speaking.peer.command(ClientPlayout(turn=ONE, played=Samples(2 * SPEECH_FRAME)))
    speaking.pull(2)
    speaking.peer.detach(speaking.link)
    speaking.peer.attach(FakeLink())
    speaking.clock.advance(0.3)
    played = [f for f in speaking.pull(10) if f is not None and Flags.COMFORT not in f.flags]
    assert played == frames(10, of=100)[2:]


async def test_a_client_without_a_word_goes_on_at_the_next_sample(speaking: Stage) -> None:
    speaking.pull(6)
    speaking.peer.detach(speaking.link)
    speaking.peer.attach(FakeLink())
    speaking.clock.advance(0.3)
    played = [f for f in speaking.pull(10) if f is not None and Flags.COMFORT not in f.flags]
    assert played == frames(10, of=100)[6:]


async def test_a_position_in_the_middle_of_a_reply_does_not_move_it(speaking: Stage) -> None:
    speaking.pull(6)
    speaking.peer.command(ClientPlayout(turn=ONE, played=Samples(SPEECH_FRAME)))
    assert speaking.pull(1) == [a_frame(6)]


async def test_the_end_of_a_reply_that_is_played_again_can_be_interrupted(stage: Stage) -> None:
    stage.peer.gate.expect(ONE)
    await stage.speak(*frames(4))
    stage.pull(5)
    stage.peer.detach(stage.link)
    stage.peer.attach(FakeLink())
    stage.peer.command(ClientPlayout(turn=ONE, played=Samples(SPEECH_FRAME)))
    stage.pull(2)
    stage.ears.detect(STARTED)
    (fade, *silence) = stage.pull(4)
    assert fade is not None
    assert fade.flags == Flags.COMFORT
    assert silence == [None, None, None]
    assert [c for c in stage.session.calls if isinstance(c, tuple)] == [("first", ONE), ("last", ONE)]


async def test_after_the_end_nothing_is_left(speaking: Stage) -> None:
    await speaking.peer.close("enough")
    await speaking.peer.close("again")
    assert speaking.session.closed == "enough"
    assert speaking.link.told == [SessionClosed(session=SESSION, reason="enough")]
    assert speaking.link.disconnected == "enough"
    assert speaking.bus.subscriptions == 0
    assert not speaking.ears.opened
    assert speaking.pull(1) == [None]
    speaking.peer.hear(MIC)
    assert not [f for _, f in speaking.bus.frames if f.kind is Kind.MICROPHONE]
    answer = speaking.peer.command(Interrupt())
    assert isinstance(answer, CommandRefused)
    assert answer.code == "closed"


async def test_turn_numbers_are_those_of_the_gate(stage: Stage) -> None:
    stage.peer.gate.expect(TurnId(7))
    await stage.speak(*frames(1, turn=TurnId(7)))
    stage.pull(1)
    assert stage.playouts()[0].turn == 7


async def test_frames_of_a_worker_that_was_replaced_are_dropped(stage: Stage) -> None:
    stage.peer.gate.expect(ONE)
    stage.session.speaker = WorkerName("tts-other")
    await stage.speak(*frames(2))
    assert stage.peer.gate.queued == 0
    stage.session.speaker = WORKER
    await stage.speak(*frames(2))
    assert stage.peer.gate.queued == 2 * SPEECH_FRAME


async def test_a_voice_that_stops_in_mid_turn_is_told_once_before_the_gate_is_empty(stage: Stage) -> None:
    stage.peer.gate.expect(ONE)
    await stage.speak(*frames(9, of=20))
    stage.pull(6)
    assert ("stalled", ONE) in stage.session.calls
    assert stage.peer.gate.queued > 0
    stage.pull(20)
    assert stage.session.calls.count(("stalled", ONE)) == 1
