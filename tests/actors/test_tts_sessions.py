"""What a TTS worker does for a session beside its turns: begin, change the voice, outlive its death, forget."""

import numpy as np

from protocol.ids import ModelId, SessionId
from protocol.speaking import SpeakingFailed, StartSpeaking
from protocol.subjects import tts_command
from tests.actors.tts_stage import MODEL, ONE, TEXT, TWO, WORKER, Stage, a_stage
from tests.actors.tts_turns import start, uninterrupted
from tests.fakes.voices import FakeSynthesizer


async def test_a_session_that_gives_no_sign_of_life_is_forgotten() -> None:
    async with a_stage() as stage:
        client = await stage.client()
        open_before = stage.bus.subscriptions
        stage.time.advance(601.0)
        stage.worker._sessions.forget_silent(stage.time.now, after_s=600.0, paused_s=120.0)
        assert stage.worker.describe().sessions == 0
        assert stage.bus.subscriptions == open_before - 1
        stage.send_text(client, "Hello?")
        await stage.play(1)
        (failed,) = stage.events(client, SpeakingFailed)
        assert (failed.turn, failed.code) == (ONE, "no-voice")


async def test_a_started_session_is_told_its_model_and_that_it_was_there() -> None:
    async with a_stage() as stage:
        session = SessionId("s1")
        ready = await stage.bus.request(tts_command(session, WORKER), StartSpeaking(session=session))
        assert (ready.type, ready.model, ready.sample_rate, ready.resident) == ("ready", MODEL, 24_000, True)


async def test_what_cannot_be_started_is_refused_with_a_code() -> None:
    async with a_stage(capacity=2) as stage:
        assert (await start(stage, "s1", model="no-such")).code == "no-such-model"
        assert (await start(stage, "s1", reference="me")).code == "no-such-capability"
        assert (await start(stage, "s1", language="de")).code == "no-such-language"
        await stage.client("s1")
        await stage.client("s2")
        assert (await start(stage, "s3")).code == "too-many-sessions"
        assert (await start(stage, "s2")).type == "ready"


async def test_a_new_voice_speaks_from_the_next_turn_on() -> None:
    low, high = FakeSynthesizer("fake-one"), FakeSynthesizer("fake-two", rate=16_000)
    async with a_stage(low, high) as stage:
        client = await stage.client()
        await stage.say(client, "One two.", last=False)
        ready = await start(stage, "s1", model="fake-two")
        assert not ready.resident
        before = high.steps
        await stage.say(client, "Three.", index=1)
        await stage.play_out(client)
        assert high.steps == before
        await stage.say(client, "Four.", turn=TWO)
        await stage.play_out(client)
        assert high.steps > before


def kill_voice(stage: Stage, model: ModelId) -> None:
    """End its actor by an error that nobody expects."""
    stage.worker._models._here.current[model].tell("nonsense")  # type: ignore[arg-type]  # that is the error


async def test_a_voice_that_dies_is_reported_to_whom_it_spoke_for_and_loaded_again() -> None:
    async with a_stage(ahead_s=1.0) as stage:
        speaking, silent = await stage.client("s1"), await stage.client("s2")
        speaking.gate.expect(ONE)
        stage.send_text(speaking, "word " * 50)
        await stage.until(lambda: bool(speaking.got))
        kill_voice(stage, MODEL)
        await stage.until(lambda: len(stage.bus.said(SpeakingFailed)) == 2)
        assert [(f.turn, f.code) for f in stage.events(speaking, SpeakingFailed)] == [(ONE, "voice-died")]
        assert [(f.turn, f.code) for f in stage.events(silent, SpeakingFailed)] == [(0, "voice-died")]
        assert (await start(stage, "s1")).type == "ready"
        await stage.say(speaking, "One.", turn=TWO)
        await stage.play_out(speaking)
        assert len(speaking.sound(TWO)) > 0


async def test_a_turn_in_another_voice_outlives_the_one_that_dies() -> None:
    expected = await uninterrupted(TEXT)
    async with a_stage(FakeSynthesizer("fake-one"), FakeSynthesizer("fake-two")) as stage:
        client = await stage.client()
        await stage.say(client, TEXT)
        await start(stage, "s1", model="fake-two")
        kill_voice(stage, ModelId("fake-two"))
        await stage.until(lambda: bool(stage.events(client, SpeakingFailed)))
        assert [f.turn for f in stage.events(client, SpeakingFailed)] == [0]
        await stage.play_out(client)
        assert np.array_equal(client.sound(), expected)
