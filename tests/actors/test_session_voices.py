"""A session's voice is lost, doubted, refused, drained and changed."""

import dataclasses

from protocol.conversation import Accepted, CommandRefused, Configure, Heard, Say, SessionConfig, SessionError
from protocol.ids import ModelId, TurnId, UnixMicros, WorkerName
from protocol.speaking import EndSpeaking, StartSpeaking, TextChunk
from protocol.subjects import parse
from protocol.workers import Announcement, WorkerState
from tests.actors.session_stage import OTHER_TTS, TTS, Stage, asr_worker, with_config
from tests.fakes.router import FakeRouter

HIBARI = ModelId("hibari-heart")
PIPER = ModelId("piper-joe")
SPARE = WorkerName("tts-hibari-1")
SENTENCES = "One two three four. Five six seven eight."


def voice(
    name: WorkerName = TTS,
    model: ModelId = HIBARI,
    *,
    resident: bool = True,
    state: WorkerState = "ready",
    started_at: int = 1,
) -> Announcement:
    return Announcement(
        name=name,
        addr="nats",
        models=(model,),
        resident_models=(model,) if resident else (),
        state=state,
        started_at=UnixMicros(started_at),
    )


SPARE_VOICE = voice(SPARE)
PIPER_VOICE = voice(OTHER_TTS, PIPER)


async def a_stage(
    *others: Announcement, scripts: tuple[str, ...] = (SENTENCES,), config: SessionConfig | None = None
) -> Stage:
    router = FakeRouter(voice(), *others, asr_worker())
    stage = Stage(*([text] for text in scripts), router=router, config=config or with_config())
    for other in others:
        await stage.serve_tts(other.name)
    return await stage.open()


async def speaking(stage: Stage, *, sent: int, played: int = 25) -> Stage:
    """Of two phrases of 20 frames each."""
    await stage.ask("Count.")
    await stage.advance(1_000)
    turn = int(stage.gate.turn)
    for index, text in enumerate(stage.texts(turn)):
        await stage.place(turn, index, text, index * 20, index * 20 + 20)
    stage.frames(turn, sent)
    await stage.play(played)
    return stage


def kill(stage: Stage, worker: WorkerName) -> None:
    """It is gone, and the registry does not know yet."""
    for subscription in stage.bus._subscriptions:
        if f".{worker}." in subscription.pattern:
            subscription.cancel()


def told(stage: Stage, kind: type[StartSpeaking | EndSpeaking | TextChunk]) -> list[WorkerName | None]:
    """The workers that were told this, in order."""
    return [parse(subject).worker for subject, message in stage.bus.published if isinstance(message, kind)]


# --- lost ------------------------------------------------------------------------------------------------------------
async def test_what_the_gate_holds_is_still_heard_and_the_new_voice_begins_with_the_next_word() -> None:
    stage = await speaking(await a_stage(SPARE_VOICE), sent=28)
    stage.router.withdraw(TTS)
    await stage.bus.settle()
    assert told(stage, StartSpeaking)[-1] == SPARE
    assert " ".join(stage.texts(2)) == "seven eight."
    assert [m.heard for m in stage.told(Heard)] == ["One two three four. Five six"]
    stage.frames(2, 2, last=True)
    assert await stage.play(8) == 3 + 2
    assert stage.session.speaker == SPARE
    await stage.ask("Go on.")
    assert [m.content for m in stage.replies.asked[-1]][-2] == SENTENCES


async def test_a_voice_that_stops_in_mid_turn_and_is_dead_is_replaced_before_the_gate_is_empty() -> None:
    stage = await speaking(await a_stage(SPARE_VOICE), sent=30)
    kill(stage, TTS)
    stage.session.on_stalled(TurnId(1))
    await stage.bus.settle()
    assert stage.session.speaker == SPARE
    assert stage.texts(2)


async def test_a_voice_that_stops_and_lives_is_left_to_itself() -> None:
    stage = await speaking(await a_stage(SPARE_VOICE), sent=30)
    stage.session.on_stalled(TurnId(1))
    await stage.bus.settle()
    assert stage.session.speaker == TTS
    assert stage.texts(2) == []


async def test_who_had_to_be_left_is_told_so_and_told_again_when_it_wakes() -> None:
    stage = await speaking(await a_stage(SPARE_VOICE), sent=30)
    stage.router.withdraw(TTS)
    await stage.bus.settle()
    assert told(stage, EndSpeaking) == [TTS]
    stage.router.announce(voice())
    await stage.bus.settle()
    assert told(stage, EndSpeaking) == [TTS, TTS]
    stage.router.announce(dataclasses.replace(voice(), sessions=1))
    await stage.bus.settle()
    assert told(stage, EndSpeaking) == [TTS, TTS]


async def test_a_reply_that_the_gate_holds_to_its_end_needs_no_voice_any_more() -> None:
    stage = await speaking(await a_stage(SPARE_VOICE), sent=0, played=0)
    stage.frames(1, 40, last=True)
    await stage.play(25)
    stage.router.withdraw(TTS)
    await stage.bus.settle()
    assert stage.gate.turn == 1
    assert await stage.play(20) == 15
    assert [(m.heard, m.interrupted) for m in stage.told(Heard)] == [(SENTENCES, False)]


# --- doubted ---------------------------------------------------------------------------------------------------------
async def test_a_false_alarm_between_two_turns_changes_nothing_and_is_heard_by_nobody() -> None:
    stage = await a_stage(SPARE_VOICE)
    stage.router.withdraw(TTS)
    await stage.advance(400)
    stage.router.announce(voice())
    await stage.bus.settle()
    stage.session.command(Say(text="Good morning."))
    await stage.bus.settle()
    assert told(stage, StartSpeaking) == [TTS]
    assert told(stage, TextChunk) == [TTS]
    assert stage.told(SessionError) == []


async def test_a_voice_that_is_silent_when_the_next_turn_begins_is_replaced_then() -> None:
    stage = await a_stage(SPARE_VOICE)
    stage.router.withdraw(TTS)
    await stage.advance(400)
    stage.session.command(Say(text="Good morning."))
    await stage.bus.settle()
    assert told(stage, TextChunk) == [SPARE]
    assert stage.texts(1) == ["Good morning."]
    assert stage.told(Heard) == []


async def test_a_voice_that_does_not_come_back_is_replaced_in_time_for_the_next_turn() -> None:
    stage = await a_stage(SPARE_VOICE)
    stage.router.withdraw(TTS)
    await stage.advance(5_100)
    assert stage.session.speaker == SPARE


# --- refused ---------------------------------------------------------------------------------------------------------
async def test_who_refuses_is_passed_over_and_the_next_one_is_asked_at_once() -> None:
    stage = Stage(router=FakeRouter(voice(), SPARE_VOICE, asr_worker()))
    stage.full.add(TTS)
    await stage.serve_tts(SPARE)
    await stage.open()
    assert told(stage, StartSpeaking) == [TTS, SPARE]
    assert stage.session.speaker == SPARE


async def test_in_the_middle_of_a_reply_another_voice_is_better_than_one_that_is_full() -> None:
    stage = await speaking(await a_stage(SPARE_VOICE, PIPER_VOICE), sent=30)
    stage.full.add(SPARE)
    stage.router.withdraw(TTS)
    await stage.bus.settle()
    assert told(stage, StartSpeaking)[1:3] == [SPARE, OTHER_TTS]
    assert stage.session.speaker == OTHER_TTS


# --- drained ---------------------------------------------------------------------------------------------------------
async def test_a_session_leaves_a_worker_that_is_about_to_end_when_its_turn_is_over() -> None:
    stage = await speaking(await a_stage(SPARE_VOICE), sent=0, played=0)
    stage.router.announce(voice(state="draining"))
    await stage.bus.settle()
    assert told(stage, StartSpeaking) == [TTS, SPARE]
    assert stage.session.speaker == TTS
    assert told(stage, EndSpeaking) == []
    stage.frames(1, 3, last=True)
    await stage.play(4)
    assert stage.session.speaker == SPARE
    assert told(stage, EndSpeaking) == [TTS]
    stage.session.command(Say(text="Good morning."))
    assert told(stage, TextChunk)[-1] == SPARE


async def test_a_session_that_says_nothing_leaves_it_at_once_in_another_voice_if_need_be() -> None:
    stage = await a_stage(PIPER_VOICE)
    stage.router.announce(voice(state="draining"))
    await stage.bus.settle()
    assert stage.session.speaker == OTHER_TTS
    assert told(stage, EndSpeaking) == [TTS]


async def test_who_is_made_ready_and_dies_before_the_turn_is_over_is_not_waited_for() -> None:
    stage = await speaking(await a_stage(SPARE_VOICE, PIPER_VOICE), sent=0, played=0)
    stage.router.announce(voice(state="draining"))
    await stage.bus.settle()
    stage.router.withdraw(SPARE)
    stage.frames(1, 3, last=True)
    await stage.play(4)
    assert stage.session.speaker == OTHER_TTS


# --- changed ---------------------------------------------------------------------------------------------------------
async def test_texts_that_follow_each_other_change_the_voice_between_them() -> None:
    stage = await a_stage(PIPER_VOICE)
    stage.session.command(Say(text="One."))
    stage.session.command(Say(text="Two."))
    stage.session.command(Configure(config=SessionConfig(voice=PIPER)))
    await stage.bus.settle()
    assert told(stage, TextChunk) == [TTS]
    stage.frames(1, 3, last=True)
    await stage.play(4)
    assert told(stage, TextChunk) == [TTS, OTHER_TTS]


async def test_the_old_voice_speaks_on_until_the_new_one_is_in_memory() -> None:
    cold = voice(OTHER_TTS, PIPER, resident=False)
    stage = await a_stage(cold)
    answer = stage.session.command(Configure(config=SessionConfig(voice=PIPER)))
    assert isinstance(answer, Accepted)
    await stage.bus.settle()
    assert stage.router.warming == [(OTHER_TTS, PIPER)]
    stage.session.command(Say(text="One."))
    stage.frames(1, 1)
    await stage.play(1)
    stage.router.announce(PIPER_VOICE)
    await stage.bus.settle()
    assert told(stage, TextChunk) == [TTS]
    assert told(stage, StartSpeaking) == [TTS, OTHER_TTS]
    stage.frames(1, 1, last=True)
    await stage.play(2)
    stage.session.command(Say(text="Two."))
    assert told(stage, TextChunk) == [TTS, OTHER_TTS]
    assert stage.told(SessionError) == []


async def test_a_cold_voice_is_waited_for_by_whoever_wants_to() -> None:
    stage = await a_stage(voice(OTHER_TTS, PIPER, resident=False))
    stage.silent_workers.add(OTHER_TTS)
    stage.session.command(Configure(config=SessionConfig(voice=PIPER, when_cold="wait")))
    await stage.bus.settle()
    stage.session.command(Say(text="One."))
    await stage.bus.settle()
    assert told(stage, StartSpeaking) == [TTS, OTHER_TTS]
    assert told(stage, TextChunk) == []


async def test_a_cold_voice_is_refused_to_whoever_would_rather_hear_that() -> None:
    stage = await a_stage(voice(OTHER_TTS, PIPER, resident=False))
    answer = stage.session.command(Configure(config=SessionConfig(voice=PIPER, when_cold="refuse")))
    assert isinstance(answer, CommandRefused)
    assert answer.code == "model-not-resident"
    stage.session.command(Say(text="One."))
    await stage.bus.settle()
    assert told(stage, TextChunk) == [TTS]


async def test_a_session_that_opens_with_a_cold_voice_speaks_with_another_one_until_it_is_there() -> None:
    router = FakeRouter(voice(resident=False), PIPER_VOICE, asr_worker())
    stage = Stage(router=router)
    await stage.serve_tts(OTHER_TTS)
    await stage.open()
    assert stage.session.speaker == OTHER_TTS
    stage.router.announce(voice())
    await stage.bus.settle()
    assert stage.session.speaker == TTS


async def test_another_speed_is_agreed_on_with_the_same_worker_between_two_turns() -> None:
    stage = await speaking(await a_stage(), sent=0, played=0)
    stage.session.command(Configure(config=SessionConfig(speed=1.5)))
    await stage.bus.settle()
    assert told(stage, StartSpeaking) == [TTS]
    stage.frames(1, 3, last=True)
    await stage.play(4)
    assert [m.speed for m in stage.bus.said(StartSpeaking)] == [1.0, 1.5]
    stage.session.command(Say(text="Two."))
    await stage.bus.settle()
    assert stage.texts(2) == ["Two."]


async def test_a_closed_session_leaves_the_place_that_was_made_ready_too() -> None:
    stage = await speaking(await a_stage(SPARE_VOICE), sent=3, played=1)
    stage.router.announce(voice(state="draining"))
    await stage.bus.settle()
    await stage.session.close("test")
    assert set(told(stage, EndSpeaking)) == {TTS, SPARE}
