"""What observers read of a session's sound at the gateway, once a second."""

import pytest

from protocol.ids import WorkerName
from protocol.measures import GatewayMeasures, SpeechMeasures
from protocol.subjects import tts_frames
from tests.actors.peer_stage import MIC, SESSION, WORKER, Stage, a_peer, a_speaking_peer
from tests.fakes.speech import ONE, TWO, frames


@pytest.fixture
async def stage() -> Stage:
    return await a_peer()


@pytest.fixture
async def speaking() -> Stage:
    return await a_speaking_peer()


def told(stage: Stage) -> list[GatewayMeasures]:
    return list(stage.bus.said(GatewayMeasures))


def last_speech(stage: Stage) -> SpeechMeasures:
    speech = told(stage)[-1].speech
    assert speech is not None
    return speech


def talk(stage: Stage, count: int) -> None:
    """The client's microphone, and its loudspeaker beside it."""
    for _ in range(count):
        stage.clock.advance(0.02)
        stage.peer.hear(MIC)
        stage.peer.pull()


async def test_a_microphone_is_told_of_once_a_second(stage: Stage) -> None:
    talk(stage, 155)
    mics = [measures.microphone for measures in told(stage)]
    assert [mic.frames for mic in mics if mic] == [50, 50, 50]
    assert [(mic.dropped, mic.jitter_ms) for mic in mics if mic] == [(0, 0.0)] * 3
    assert all(measures.speech is None for measures in told(stage))
    subjects = {str(subject) for subject, said in stage.bus.published if isinstance(said, GatewayMeasures)}
    assert subjects == {"audio.meta.one.gateway"}


async def test_a_session_without_sound_says_nothing(stage: Stage) -> None:
    stage.pull(500)
    assert not told(stage)


async def test_a_reply_is_told_of_with_what_waits_in_the_gate(stage: Stage) -> None:
    stage.peer.gate.expect(ONE)
    await stage.speak(*frames(60, of=100))
    stage.pull(52)
    speech = last_speech(stage)
    assert (speech.turn, speech.arrived, speech.played, speech.queued_ms) == (ONE, 60, 49, 200)
    assert (speech.underruns, speech.silent, speech.dropped) == (0, 0, 0)
    assert told(stage)[-1].microphone is None


async def test_a_reply_that_falls_silent_has_one_underrun_and_every_pull_in_vain(speaking: Stage) -> None:
    speaking.pull(52)
    speech = last_speech(speaking)
    assert (speech.played, speech.underruns, speech.silent) == (10, 1, 39)
    speaking.pull(50)
    speech = last_speech(speaking)
    assert (speech.played, speech.underruns, speech.silent) == (0, 0, 50), "it starves on, and is told of"


async def test_the_rest_of_a_reply_is_told_of_after_its_end(stage: Stage) -> None:
    stage.peer.gate.expect(ONE)
    await stage.speak(*frames(10))
    stage.pull(200)
    (measures,) = told(stage)
    assert last_speech(stage).played == 10
    assert measures.over_ms == pytest.approx(1000, abs=20)


async def test_frames_that_nobody_wants_are_told_of(stage: Stage) -> None:
    stage.peer.gate.expect(TWO)
    await stage.speak(*frames(3))
    stage.session.speaker = WORKER
    stage.bus.publish_frame(tts_frames(SESSION, WorkerName("tts-other")), frames(1, turn=TWO)[0])
    await stage.bus.settle(3)
    stage.pull(51)
    assert (last_speech(stage).arrived, last_speech(stage).dropped) == (0, 4)


async def test_paced_frames_that_come_late_have_jitter_and_a_burst_has_none(stage: Stage) -> None:
    stage.peer.gate.expect(ONE)
    every = frames(40)
    await stage.speak(*every[:10])
    for frame in every[10:20]:
        stage.clock.advance(0.02)
        await stage.speak(frame)
    stage.clock.advance(0.07)
    await stage.speak(every[20])
    stage.pull(50)
    assert last_speech(stage).worst_ms == pytest.approx(50.0)
    assert 3.0 < last_speech(stage).jitter_ms < 3.2


async def test_the_silence_of_a_hold_is_no_jitter(stage: Stage) -> None:
    stage.peer.gate.expect(ONE)
    await stage.speak(*frames(10, of=60))
    stage.pull(1)
    stage.peer.gate.hold(ONE)
    stage.pull(20)
    stage.peer.gate.release(ONE)
    await stage.speak(*frames(20, of=60)[10:])
    stage.pull(40)
    assert last_speech(stage).worst_ms == pytest.approx(0.0)


async def test_a_client_that_was_away_does_not_stretch_the_second(stage: Stage) -> None:
    talk(stage, 20)
    stage.peer.detach(stage.link)
    stage.clock.advance(25.0)
    stage.peer.attach(stage.link)
    talk(stage, 60)
    assert [measures.over_ms for measures in told(stage)] == [380, 1000]
    assert [measures.microphone.frames for measures in told(stage) if measures.microphone] == [20, 50]


async def test_a_session_that_has_ended_says_nothing_more(speaking: Stage) -> None:
    talk(speaking, 60)
    before = len(told(speaking))
    await speaking.peer.close("over")
    talk(speaking, 120)
    await speaking.speak(*frames(5))
    assert len(told(speaking)) == before
    assert speaking.clock.waiting == 0
