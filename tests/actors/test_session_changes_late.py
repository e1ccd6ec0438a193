"""A change of a session's voice while its workers are late, about to end or new, or while the user interrupts."""

import asyncio
import dataclasses

import pytest

from actors.sessions import places
from protocol.conversation import Accepted, CommandRefused, Heard, Interrupt, Say, SessionError, StateChanged
from protocol.errors import Refused
from protocol.hearing import EndListening
from protocol.speaking import SpeakingReady, StartSpeaking
from protocol.subjects import tts_command
from tests.actors.session_stage import ASR, OTHER_TTS, SID, TTS, Stage, asr_worker
from tests.actors.voice_changes import (
    ELSEWHERE,
    HERE,
    HIBARI,
    KOKORO,
    PIPER,
    SENTENCES,
    THERE,
    THIRD,
    a_stage,
    agreed,
    configure,
    finish,
    held_by,
    say,
    speaking,
)
from tests.fakes.router import StrictRouter


# --- who is late -----------------------------------------------------------------------------------------------------
async def test_a_voice_whose_worker_is_late_is_granted_and_comes_when_it_does() -> None:
    stage = await a_stage(HERE, THERE)
    stage.router.withdraw(OTHER_TTS)
    stage.router.late.append(THERE)
    assert isinstance(await configure(stage, voice=PIPER), Accepted)
    assert await say(stage, "One.") == TTS
    stage.router.late.clear()
    stage.router.announce(THERE)
    await finish(stage, 1)
    assert await say(stage, "Two.") == OTHER_TTS
    assert stage.told(SessionError) == []


async def test_who_waits_for_a_worker_that_does_not_come_back_is_told_so_once() -> None:
    stage = await a_stage(HERE, THERE)
    stage.router.withdraw(OTHER_TTS)
    stage.router.late.append(THERE)
    assert isinstance(await configure(stage, voice=PIPER), Accepted)
    await stage.advance(3_000)
    assert stage.told(SessionError) == []
    stage.router.late.clear()
    await stage.advance(3_000)
    assert [m.code for m in stage.told(SessionError)] == ["no-such-model"]
    assert await say(stage) == TTS
    await finish(stage, 1)
    await stage.advance(60_000)
    assert len(stage.told(SessionError)) == 1


@pytest.mark.parametrize("when_cold", ["refuse", "fallback"])
async def test_a_late_worker_excuses_nobody_else(when_cold: str) -> None:
    cold = dataclasses.replace(THERE, resident_models=())
    stage = await a_stage(HERE, cold if when_cold == "refuse" else dataclasses.replace(THERE, sessions=1, capacity=1))
    stage.router.late.append(dataclasses.replace(THERE, name=THIRD))
    answer = await configure(stage, voice=PIPER, when_cold=when_cold)
    assert isinstance(answer, CommandRefused)
    assert answer.code == ("model-not-resident" if when_cold == "refuse" else "no-capacity")


async def test_a_voice_that_is_nowhere_is_refused() -> None:
    stage = await a_stage(HERE)
    answer = await configure(stage, voice=PIPER)
    assert isinstance(answer, CommandRefused)
    assert answer.code == "no-such-model"


async def test_another_speed_is_granted_while_the_own_worker_is_late() -> None:
    stage = await a_stage(HERE)
    stage.router.withdraw(TTS)
    assert isinstance(await configure(stage, speed=1.5), Accepted)
    stage.router.announce(HERE)
    await stage.bus.settle()
    assert await say(stage) == TTS
    assert agreed(stage).speed == 1.5


async def test_another_speed_is_granted_while_the_own_worker_drains() -> None:
    stage = await a_stage(HERE)
    stage.router.announce(dataclasses.replace(HERE, state="draining"))
    assert isinstance(await configure(stage, speed=1.5), Accepted)
    stage.router.announce(THERE)
    await stage.serve_tts(OTHER_TTS)
    stage.router.announce(dataclasses.replace(THERE, sessions=1))
    await stage.bus.settle()
    assert await say(stage) == OTHER_TTS
    assert (agreed(stage).model, agreed(stage).speed) == (PIPER, 1.5)


async def test_a_change_while_the_own_worker_drains_goes_to_the_new_voice() -> None:
    stage = await speaking(await a_stage(HERE, THERE, ELSEWHERE))
    stage.router.announce(dataclasses.replace(HERE, state="draining"))
    await stage.bus.settle()
    assert isinstance(await configure(stage, voice=KOKORO), Accepted)
    await finish(stage, 1)
    assert await say(stage) == THIRD
    assert held_by(stage) == [THIRD]


async def test_a_voice_that_was_just_announced_is_granted() -> None:
    stage = await a_stage(HERE)
    await stage.serve_tts(OTHER_TTS)
    stage.router.announce(THERE)
    assert isinstance(await configure(stage, voice=PIPER), Accepted)
    assert await say(stage) == OTHER_TTS


# --- who does not answer ---------------------------------------------------------------------------------------------
@pytest.fixture
def _short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "RESIDENT_TIMEOUT_S", 0.01)


async def asked(stage: Stage, times: int) -> None:
    """Return once workers were asked for a place so often."""
    async with asyncio.timeout(10):
        while len(stage.bus.said(StartSpeaking)) < times:
            await stage.bus.settle()


@pytest.mark.usefixtures("_short_patience")
async def test_a_worker_that_lives_and_has_just_unloaded_the_voice_is_waited_for() -> None:
    stage = await a_stage(HERE, dataclasses.replace(THERE, pulse_ms=250))
    stage.silent_workers.add(OTHER_TTS)
    await configure(stage, voice=PIPER)
    stage.session.command(Say(text="Good morning."))
    stage.silent_workers.clear()
    await asked(stage, 3)
    await stage.bus.settle()
    assert stage.session.speaker == OTHER_TTS
    assert stage.texts(1) == ["Good morning."]
    assert stage.told(SessionError) == []


@pytest.mark.usefixtures("_short_patience")
async def test_a_worker_of_which_nobody_knows_that_it_lives_is_not() -> None:
    stage = await a_stage(HERE, THERE)
    stage.silent_workers.add(OTHER_TTS)
    await configure(stage, voice=PIPER)
    async with asyncio.timeout(10):
        while not stage.told(SessionError):
            await stage.bus.settle()
    assert [m.code for m in stage.told(SessionError)] == ["voice-unreachable"]
    assert held_by(stage) == [TTS]


@pytest.mark.usefixtures("_short_patience")
async def test_the_own_worker_that_does_not_answer_a_change_keeps_what_it_had() -> None:
    stage = await a_stage(HERE)
    stage.silent_workers.add(TTS)
    await configure(stage, speed=1.5)
    async with asyncio.timeout(10):
        while not stage.told(SessionError):
            await stage.bus.settle()
    assert held_by(stage) == [TTS]
    assert (agreed(stage).model, agreed(stage).speed) == (HIBARI, 1.0)


# --- while the user interrupts ---------------------------------------------------------------------------------------
async def test_a_change_while_the_user_interrupts_is_for_the_turn_after() -> None:
    stage = await speaking(await a_stage(HERE, THERE))
    stage.start_speaking()
    assert stage.told(StateChanged)[-1].state == "BARGED_IN"
    assert isinstance(await configure(stage, voice=PIPER), Accepted)
    await stage.advance(300)
    stage.stop_speaking()
    await stage.advance(50)
    await stage.understand("Mm-hm.")
    await stage.advance(600)
    assert stage.told(StateChanged)[-1].state == "SPEAKING"
    assert stage.session.speaker == TTS
    await finish(stage, 1)
    assert stage.told(Heard)[-1].heard == SENTENCES
    assert await say(stage) == OTHER_TTS
    assert held_by(stage) == [OTHER_TTS]


async def test_a_change_and_an_interruption_leave_the_old_turn_with_the_old_voice() -> None:
    stage = await speaking(await a_stage(HERE, THERE))
    await configure(stage, voice=PIPER)
    stage.session.command(Interrupt())
    await stage.bus.settle()
    assert stage.session.speaker == OTHER_TTS
    assert held_by(stage) == [OTHER_TTS]
    assert await say(stage) == OTHER_TTS
    assert stage.texts(1) != stage.texts(2)


# --- all or nothing --------------------------------------------------------------------------------------------------
async def test_a_language_that_nobody_understands_changes_nothing_else() -> None:
    german = dataclasses.replace(
        THERE, capabilities=dataclasses.replace(THERE.capabilities, languages=("de",)), model_languages={}
    )
    stage = await a_stage(HERE, german)
    answer = await configure(stage, voice=PIPER, language="de")
    assert isinstance(answer, CommandRefused)
    assert await say(stage) == TTS
    assert held_by(stage) == [TTS]


# --- no place is forgotten -------------------------------------------------------------------------------------------
async def test_a_session_that_ends_while_a_place_is_granted_gives_it_back() -> None:
    stage = await speaking(await a_stage(HERE, THERE))
    stage.silent_workers.add(OTHER_TTS)
    await configure(stage, voice=PIPER)
    await stage.session.close("over")
    await stage.bus.settle()
    assert held_by(stage) == []


async def test_a_session_that_nobody_hears_keeps_no_voice() -> None:
    stage = Stage(router=StrictRouter(HERE))  # no ears
    answers = []
    await stage.bus.subscribe(tts_command(SID, TTS), lambda _subject, _message, respond: answers.append(respond))
    with pytest.raises(Refused, match="no asr worker is ready"):
        await stage.session.start()
    await stage.session.close("could not be opened")
    for respond in filter(None, answers):
        respond(SpeakingReady(session=SID, model=HIBARI, sample_rate=48_000, resident=True))
    await stage.bus.settle()
    assert held_by(stage) == []
    assert stage.session.speaker is None


async def test_a_session_that_nobody_speaks_for_keeps_no_ears() -> None:
    stage = Stage(router=StrictRouter(asr_worker()))
    stage.silent_workers.add(ASR)
    await stage.serve_asr(ASR)
    with pytest.raises(Refused, match="no tts worker is ready"):
        await stage.session.start()
    await stage.session.close("could not be opened")
    assert [type(m) for _, m in stage.bus.published if isinstance(m, EndListening)] == [EndListening]


# --- what cannot be loaded -------------------------------------------------------------------------------------------
async def test_who_is_spoken_to_in_another_voice_is_told_once_that_the_wanted_one_cannot_be_loaded() -> None:
    cold = dataclasses.replace(THERE, resident_models=())
    stage = await a_stage(HERE, cold)
    assert isinstance(await configure(stage, voice=PIPER, when_cold="fallback"), Accepted)
    assert stage.router.warming == [(OTHER_TTS, PIPER)]
    stage.router.announce(cold)
    assert stage.told(SessionError) == []
    stage.router.failed[PIPER] = "model-unavailable: wrong checksum"
    for _ in range(3):
        stage.router.announce(cold)  # as the router does when a load has failed
        await stage.advance(6_000)
    (told,) = stage.told(SessionError)
    assert told.code == "model-not-loaded"
    assert told.message == (
        "piper-joe could not be loaded (model-unavailable: wrong checksum); hibari-heart speaks meanwhile."
    )
    assert await say(stage) == TTS
    await configure(stage, voice=PIPER, when_cold="fallback", speed=1.5)
    assert [m.code for m in stage.told(SessionError)] == ["model-not-loaded"] * 2


async def test_a_voice_that_is_loaded_after_all_comes() -> None:
    cold = dataclasses.replace(THERE, resident_models=())
    stage = await a_stage(HERE, cold)
    await configure(stage, voice=PIPER, when_cold="fallback")
    stage.router.failed[PIPER] = "out of memory"
    stage.router.announce(cold)
    stage.router.failed.clear()
    stage.router.announce(THERE)
    await stage.bus.settle()
    assert await say(stage) == OTHER_TTS
