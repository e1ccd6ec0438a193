"""A peer between its client, its session and observers: the microphone, commands and events."""

import pytest

from protocol.audio import Kind
from protocol.conversation import (
    Accepted,
    CloseSession,
    CommandRefused,
    Configure,
    Interrupt,
    Release,
    Say,
    SessionConfig,
    SessionError,
    StateChanged,
)
from protocol.errors import MalformedMessage
from protocol.hearing import SpeechStarted, SpeechStopped
from protocol.ids import Samples
from tests.actors.peer_stage import MIC, SESSION, STARTED, Stage, a_peer
from tests.fakes.speech import ONE


@pytest.fixture
async def stage() -> Stage:
    return await a_peer()


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
