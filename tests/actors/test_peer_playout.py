"""What a client hears: the frames that it pulls, and what its session is told of them."""

import pytest

from protocol.audio import SPEECH_FRAME, Flags
from protocol.conversation import Hold
from protocol.hearing import VadEvent
from protocol.ids import TurnId, WorkerName
from tests.actors.peer_stage import SESSION, STARTED, WORKER, Stage, a_peer, a_speaking_peer
from tests.fakes.speech import ONE, TWO, frames


@pytest.fixture
async def stage() -> Stage:
    return await a_peer()


@pytest.fixture
async def speaking() -> Stage:
    return await a_speaking_peer()


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
