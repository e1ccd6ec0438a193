"""A valid change of a session's voice is granted: whoever is full, and however soon the next one follows."""

import dataclasses

import pytest

from protocol.conversation import Accepted, CommandRefused, Configure, SessionConfig, SessionError
from tests.actors.session_stage import OTHER_TTS, TTS, asr_worker
from tests.actors.voice_changes import (
    ELSEWHERE,
    HERE,
    HIBARI,
    KOKORO,
    LESSAC,
    PIPER,
    THERE,
    THIRD,
    a_stage,
    agreed,
    configure,
    finish,
    held_by,
    say,
    speaking,
    voice,
)


# --- who has no room but for us --------------------------------------------------------------------------------------
@pytest.mark.parametrize("changes", [{"speed": 1.5}, {"language": "en-GB"}, {"voice": PIPER}])
async def test_a_worker_that_is_full_with_us_changes_for_us(changes: dict[str, object]) -> None:
    full = voice(TTS, HIBARI, PIPER, sessions=1, capacity=1)
    stage = await a_stage(dataclasses.replace(full, sessions=0))
    stage.router.announce(full)
    assert isinstance(await configure(stage, **changes), Accepted)
    assert await say(stage) == TTS
    wanted = {"model": HIBARI, "language": "en", "speed": 1.0} | {
        {"voice": "model"}.get(key, key): value for key, value in changes.items()
    }
    assert {key: getattr(agreed(stage), key) for key in wanted} == wanted
    assert stage.told(SessionError) == []


async def test_a_worker_that_is_full_with_others_takes_nobody() -> None:
    stage = await a_stage(HERE, voice(OTHER_TTS, PIPER, sessions=1, capacity=1))
    answer = await configure(stage, voice=PIPER)
    assert isinstance(answer, CommandRefused)
    assert answer.code == "no-capacity"
    assert await say(stage) == TTS


async def test_full_ears_that_are_ours_hear_another_language() -> None:
    stage = await a_stage(HERE)
    stage.router.announce(dataclasses.replace(asr_worker(), sessions=1, capacity=1))
    assert isinstance(await configure(stage, language="en-GB"), Accepted)
    await stage.ask("Count.")
    assert stage.asked()[-1].language == "en-GB"


# --- one change after the other --------------------------------------------------------------------------------------
async def test_of_two_changes_in_a_row_the_second_one_counts() -> None:
    stage = await a_stage(HERE, THERE, ELSEWHERE)
    stage.session.command(Configure(config=SessionConfig(voice=PIPER)))
    stage.session.command(Configure(config=SessionConfig(voice=KOKORO)))
    await stage.bus.settle()
    assert await say(stage) == THIRD
    assert held_by(stage) == [THIRD]


async def test_of_two_changes_in_a_turn_the_first_one_s_place_is_given_back() -> None:
    stage = await speaking(await a_stage(HERE, THERE, ELSEWHERE))
    await configure(stage, voice=PIPER)
    assert held_by(stage) == [TTS, OTHER_TTS]
    await configure(stage, voice=KOKORO)
    assert held_by(stage) == [TTS, THIRD]
    await finish(stage, 1)
    assert await say(stage) == THIRD
    assert held_by(stage) == [THIRD]


async def test_a_change_that_is_taken_back_in_the_same_turn_is_none() -> None:
    stage = await speaking(await a_stage(HERE, THERE))
    await configure(stage, voice=PIPER)
    await configure(stage, voice=HIBARI)
    assert held_by(stage) == [TTS]
    await finish(stage, 1)
    assert await say(stage) == TTS


async def test_a_change_that_is_taken_back_while_it_is_granted_is_none() -> None:
    stage = await speaking(await a_stage(HERE, THERE))
    stage.session.command(Configure(config=SessionConfig(voice=PIPER)))
    stage.session.command(Configure(config=SessionConfig(voice=HIBARI)))
    await stage.bus.settle()
    assert held_by(stage) == [TTS]
    await finish(stage, 1)
    assert await say(stage) == TTS


async def test_another_model_of_the_worker_that_is_ready_is_its_last_word() -> None:
    stage = await speaking(await a_stage(HERE, THERE))
    await configure(stage, voice=PIPER)
    await configure(stage, voice=LESSAC)
    await finish(stage, 1)
    assert await say(stage) == OTHER_TTS
    assert agreed(stage).model == LESSAC
    assert held_by(stage) == [OTHER_TTS]


async def test_of_two_changes_at_the_same_worker_the_second_one_counts() -> None:
    stage = await a_stage(HERE)
    stage.session.command(Configure(config=SessionConfig(speed=1.5)))
    stage.session.command(Configure(config=SessionConfig(speed=0.8)))
    await stage.bus.settle()
    assert await say(stage) == TTS
    assert agreed(stage).speed == 0.8


async def test_there_and_back_and_there_again() -> None:
    stage = await a_stage(HERE, THERE)
    for voice_, worker in ((PIPER, OTHER_TTS), (HIBARI, TTS), (PIPER, OTHER_TTS)):
        assert isinstance(await configure(stage, voice=voice_), Accepted)
        assert await say(stage) == worker
        turn = int(stage.gate.turn)
        await finish(stage, turn)
        assert held_by(stage) == [worker]
    assert stage.told(SessionError) == []


async def test_news_of_other_workers_in_mid_turn_take_no_second_place() -> None:
    spare = dataclasses.replace(THERE, name=THIRD)
    stage = await speaking(await a_stage(HERE, THERE, spare))
    await configure(stage, voice=PIPER)
    held = held_by(stage)
    assert len(held) == 2
    for sessions in range(1, 6):
        stage.router.announce(dataclasses.replace(THERE, sessions=sessions))
        stage.router.announce(dataclasses.replace(spare, sessions=5 - sessions))
        await stage.bus.settle()
    assert held_by(stage) == held
