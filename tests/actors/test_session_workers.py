"""Workers come and go, voices are changed, and the conversation goes on."""

import pytest

from protocol.conversation import (
    Accepted,
    CommandRefused,
    Configure,
    Heard,
    Reply,
    Say,
    SessionConfig,
    SessionError,
    StateChanged,
)
from protocol.errors import Refused
from protocol.hearing import StartListening
from protocol.ids import Millis, TurnId, WorkerName
from protocol.speaking import EndSpeaking, Resume, SpeakingFailed, StartSpeaking
from protocol.subjects import parse
from tests.actors.session_stage import (
    ASR,
    OTHER_TTS,
    SID,
    TTS,
    Stage,
    asr_worker,
    tts_worker,
    with_config,
)
from tests.fakes.router import FakeRouter


def two_voices() -> FakeRouter:
    return FakeRouter(tts_worker(), tts_worker(OTHER_TTS, "piper-joe"), asr_worker())


async def open_stage(*scripts: list[str], router: FakeRouter | None = None) -> Stage:
    stage = Stage(*scripts, router=router or FakeRouter(tts_worker(), asr_worker()))
    await stage.serve_tts(OTHER_TTS)
    return await stage.open()


async def halfway(stage: Stage, *, sent: int = 40) -> Stage:
    """Of two phrases of 20 frames each, the first and a quarter of the second were heard."""
    await stage.ask("Count.")
    await stage.advance(1_000)
    turn = int(stage.gate.turn)
    pieces = stage.texts(turn)
    for index, text in enumerate(pieces):
        await stage.place(turn, index, text, index * 20, index * 20 + 20)
    stage.frames(turn, sent)
    await stage.play(25)
    return stage


def kill(stage: Stage, worker: WorkerName) -> None:
    """It is gone, and the registry does not know yet."""
    for subscription in stage.bus._subscriptions:
        if f".{worker}." in subscription.pattern:
            subscription.cancel()


def started_at(stage: Stage) -> list[tuple[str, str | None]]:
    return [
        (str(parse(subject).worker), message.model)
        for subject, message in stage.bus.published
        if isinstance(message, StartSpeaking)
    ]


async def test_a_session_starts_at_a_voice_and_at_ears() -> None:
    stage = await open_stage()
    assert started_at(stage) == [(TTS, "hibari-heart")]
    assert len(stage.bus.said(StartListening)) == 1


async def test_a_session_without_a_worker_is_refused() -> None:
    stage = Stage(router=FakeRouter(asr_worker()))
    with pytest.raises(Refused) as refused:
        await stage.open()
    assert refused.value.code == "no-voice"
    await stage.session.close("refused")
    assert stage.router.watchers == []


async def test_a_worker_that_refuses_refuses_the_session() -> None:
    stage = Stage()
    stage.refusing.add("hibari-heart")
    with pytest.raises(Refused, match="no files"):
        await stage.open()


async def test_a_voice_is_changed_between_turns() -> None:
    stage = await open_stage(["One."], ["Two."], router=two_voices())
    await stage.ask("Count.")
    await stage.advance(1_000)
    stage.frames(1, 3)
    await stage.play(1)
    answer = stage.session.command(Configure(config=SessionConfig(voice="piper-joe")))
    assert isinstance(answer, Accepted)
    await stage.bus.settle()
    assert started_at(stage)[1:] == [(OTHER_TTS, "piper-joe")]
    assert stage.bus.said(EndSpeaking) == []
    stage.frames(1, 1, last=True)
    await stage.play(4)
    ended = [parse(s).worker for s, m in stage.bus.published if isinstance(m, EndSpeaking)]
    assert ended == [TTS]
    stage.session.command(Say(text="Good morning."))
    subjects = [s for s, m in stage.bus.published if getattr(m, "text", "") == "Good morning."]
    assert [parse(s).worker for s in subjects if ".tts." in s] == [OTHER_TTS]


async def test_text_waits_while_a_voice_is_loaded() -> None:
    stage = await open_stage(router=two_voices())
    stage.session.command(Configure(config=SessionConfig(voice="piper-joe")))
    stage.session.command(Say(text="Good morning."))
    assert stage.texts(1) == []
    await stage.bus.settle()
    assert stage.texts(1) == ["Good morning."]


async def test_nobody_is_asked_to_go_on_with_text_that_waits() -> None:
    stage = await open_stage(router=two_voices())
    stage.silent_workers.add(OTHER_TTS)
    stage.session.command(Configure(config=SessionConfig(voice="piper-joe")))
    stage.session.command(Say(text="Good morning."))
    await stage.advance(3_000)
    assert stage.bus.said(Resume) == []


async def test_an_unknown_voice_is_refused_at_once() -> None:
    stage = await open_stage()
    answer = stage.session.command(Configure(config=SessionConfig(voice="nobody")))
    assert isinstance(answer, CommandRefused)
    assert answer.code == "no-voice"
    assert len(started_at(stage)) == 1


async def test_a_voice_that_cannot_be_loaded_leaves_the_old_one() -> None:
    stage = await open_stage(router=two_voices())
    stage.refusing.add("piper-joe")
    stage.session.command(Configure(config=SessionConfig(voice="piper-joe")))
    await stage.bus.settle()
    assert [m.code for m in stage.told(SessionError)] == ["model-unavailable"]
    stage.session.command(Say(text="Good morning."))
    assert stage.texts(1) == ["Good morning."]


async def test_other_settings_change_at_once() -> None:
    stage = await open_stage(["One."])
    stage.session.command(Configure(config=SessionConfig(end_of_turn_ms=Millis(1_500))))
    await stage.ask("Count.")
    await stage.advance(1_000)
    assert stage.told(StateChanged) == []
    await stage.advance(600)
    assert [m.state for m in stage.told(StateChanged)] == ["THINKING"]


async def test_a_restarted_voice_goes_on_at_the_first_word_that_was_not_heard() -> None:
    stage = await halfway(await open_stage(["One two three four. Five six seven eight."]), sent=25)
    stage.router.announce(tts_worker(started_at=2))
    await stage.bus.settle()
    assert started_at(stage)[1:] == [(TTS, "hibari-heart")]
    old = stage.told(Heard)[0]
    assert old.turn == 1
    assert old.heard == "One two three four. Five"
    assert f"{old.heard}{old.unheard}" == "One two three four. Five six seven eight."
    assert stage.gate.turn == 2
    assert " ".join(stage.texts(2)) == "six seven eight."
    assert stage.frames(1, 1) == 0
    stage.frames(2, 2, last=True)
    await stage.play(3)
    assert [m.state for m in stage.told(StateChanged)][-1] == "LISTENING"
    await stage.ask("Go on.")
    assert [m.content for m in stage.replies.asked[-1]][-3:] == [
        "Count.",
        "One two three four. Five six seven eight.",
        "Go on.",
    ]


async def test_another_worker_takes_over_when_the_voice_is_gone() -> None:
    stage = await halfway(await open_stage(["One two three four. Five six."], router=two_voices()), sent=25)
    stage.router.withdraw(TTS)
    await stage.bus.settle()
    assert started_at(stage)[-1] == (OTHER_TTS, "piper-joe")
    assert stage.texts(2)


async def test_a_reply_waits_for_its_voice_and_gives_up_after_ten_seconds() -> None:
    stage = await halfway(await open_stage(["One two three four. Five six."]))
    stage.router.withdraw(TTS)
    await stage.advance(9_000)
    assert [m.state for m in stage.told(StateChanged)][-1] == "SPEAKING"
    await stage.advance(2_000)
    assert [m.code for m in stage.told(SessionError)] == ["voice-lost"]
    assert [m.state for m in stage.told(StateChanged)][-1] == "LISTENING"
    stage.router.announce(tts_worker(started_at=2))
    await stage.bus.settle()
    stage.session.command(Say(text="Back again."))
    assert stage.texts(int(stage.gate.turn)) == ["Back again."]


async def test_a_lost_voice_while_the_user_interrupts_resumes_silently_held() -> None:
    stage = await halfway(await open_stage(["One two three four. Five six seven eight."]))
    stage.start_speaking()
    stage.router.announce(tts_worker(started_at=2))
    await stage.bus.settle()
    assert stage.gate.turn == 2
    assert stage.gate.held
    stage.frames(2, 5)
    await stage.advance(300)
    stage.stop_speaking()
    await stage.understand("Mm-hmm.", quality=-0.6)
    await stage.advance(600)
    assert await stage.play(6) == 5


async def test_a_dead_worker_is_found_out_by_its_silence_long_before_the_registry_knows() -> None:
    stage = await open_stage(["One two three four. Five six seven eight."], router=two_voices())
    await halfway(stage, sent=25)
    kill(stage, TTS)
    await stage.advance(700)
    assert started_at(stage)[-1] == (OTHER_TTS, "piper-joe")
    assert stage.gate.turn == 2
    assert stage.texts(2)


async def test_the_wanted_voice_is_come_back_to_between_turns() -> None:
    stage = await open_stage(["One two three four. Five six seven eight."], router=two_voices())
    await halfway(stage, sent=25)
    kill(stage, TTS)
    await stage.advance(700)
    await stage.serve_tts(TTS)
    stage.router.announce(tts_worker(started_at=2))
    await stage.bus.settle()
    assert stage.session.speaker == OTHER_TTS
    stage.frames(2, 2, last=True)
    await stage.play(3)
    assert stage.session.speaker == TTS
    assert stage.told(SessionError) == []


async def test_a_worker_that_has_forgotten_the_session_is_started_again() -> None:
    stage = await halfway(await open_stage(["One two three four. Five six seven eight."]), sent=25)
    await stage.from_voice(SpeakingFailed(session=SID, turn=TurnId(1), code="no-voice", reason="start it first"))
    assert len(started_at(stage)) == 2
    assert " ".join(stage.texts(2)) == "six seven eight."


async def test_a_worker_that_never_got_the_text_is_sent_it_again() -> None:
    stage = await open_stage()
    stage.session.command(Say(text="Good morning."))
    await stage.bus.settle()
    await stage.advance(1_500)
    (resume,) = stage.bus.said(Resume)
    await stage.from_voice(SpeakingFailed(session=SID, turn=resume.turn, code="turn-unknown", reason="no text"))
    assert (resume.turn, stage.texts(1), stage.texts(2)) == (1, ["Good morning."], ["Good morning."])
    assert stage.told(SessionError) == []


async def test_a_voice_that_is_lost_again_and_again_is_given_up() -> None:
    stage = await halfway(await open_stage(["One two three four. Five six seven eight."]), sent=25)
    for turn in range(1, 5):
        await stage.from_voice(
            SpeakingFailed(session=SID, turn=TurnId(turn), code="text-lost", reason="piece 1 did not arrive")
        )
    assert [m.code for m in stage.told(SessionError)] == ["voice-unsteady"]
    assert [m.state for m in stage.told(StateChanged)][-1] == "LISTENING"


async def test_a_lost_voice_makes_a_prepared_reply_anew() -> None:
    stage = await open_stage(["One."], ["Two."])
    await stage.ask("Count.")
    assert stage.texts(1) == ["One."]
    stage.router.announce(tts_worker(started_at=2))
    await stage.advance(1_000)
    assert stage.texts(2) == ["Two."]
    assert [m.text for m in stage.told(Reply)] == ["Two."]


async def test_events_of_another_worker_are_ignored() -> None:
    stage = await halfway(await open_stage(["One two three four. Five six."]))
    failed = SpeakingFailed(session=SID, turn=TurnId(1), code="synthesis-failed", reason="broken")
    await stage.from_voice(failed, worker=WorkerName("tts-ghost-0"))
    assert stage.told(SessionError) == []


async def test_restarted_ears_listen_again() -> None:
    stage = await open_stage()
    stage.router.announce(asr_worker(started_at=2))
    await stage.bus.settle()
    assert len(stage.bus.said(StartListening)) == 2


async def test_a_transcript_that_does_not_come_is_asked_for_again_then_given_up() -> None:
    stage = await open_stage()
    stage.silent_workers.add(ASR)
    stage.start_speaking()
    await stage.advance(1_000)
    stage.stop_speaking()
    await stage.advance(3_100)
    first, second = stage.asked()
    assert (first.first, first.end) == (second.first, second.end)
    assert second.request > first.request
    await stage.advance(3_100)
    assert [m.code for m in stage.told(SessionError)] == ["transcript-missing"]
    assert stage.told(StateChanged) == []
    assert stage.replies.asked == []


async def test_a_request_waits_for_ears_that_come_back() -> None:
    stage = await open_stage(["One."])
    stage.router.withdraw(ASR)
    stage.start_speaking()
    await stage.advance(500)
    stage.stop_speaking()
    assert stage.asked() == []
    stage.router.announce(asr_worker(started_at=2))
    await stage.bus.settle()
    assert len(stage.asked()) == 1
    await stage.understand("Count.")
    await stage.advance(1_000)
    assert [m.state for m in stage.told(StateChanged)] == ["THINKING"]


async def test_a_session_may_open_in_any_voice() -> None:
    stage = Stage(config=with_config(voice=None), router=two_voices())
    await stage.open()
    assert started_at(stage) == [(TTS, "hibari-heart")]
