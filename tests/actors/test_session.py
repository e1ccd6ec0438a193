"""A conversation's shell, from the question to what was heard of the answer."""

from actors.policies.turn_taking import TurnTakingSettings
from protocol.audio import SPEECH_FRAME
from protocol.conversation import (
    Accepted,
    ClientPlayout,
    CommandRefused,
    Flush,
    Heard,
    Hold,
    Interrupt,
    Release,
    Reply,
    Say,
    SessionClosed,
    SessionError,
    StateChanged,
    Transcript,
    TurnMeasured,
)
from protocol.errors import ReplyUnavailable
from protocol.ids import Samples, TurnId
from protocol.ports import ChatMessage
from protocol.speaking import Pause, Resume, SpeakingFailed, Stop
from tests.actors.session_stage import SID, Stage


def states(stage: Stage) -> list[str]:
    return [m.state for m in stage.told(StateChanged)]


async def speaking(stage: Stage, *, frames: int = 50) -> Stage:
    """A reply of one second, of which a tenth was heard."""
    await stage.ask("What time is it?")
    await stage.advance(1_000)
    turn = stage.gate.turn
    assert stage.frames(turn, frames) == frames
    await stage.play(5)
    assert states(stage)[-1] == "SPEAKING"
    return stage


async def test_a_question_is_answered() -> None:
    stage = await Stage(["It is noon."]).open()
    await stage.ask("What time is it?")
    await stage.advance(1_000)
    assert stage.frames(1, 3, last=True) == 3
    await stage.play(3)
    assert states(stage) == ["THINKING", "SPEAKING", "LISTENING"]
    assert stage.texts(1) == ["It is noon."]
    assert [(m.text, m.last) for m in stage.told(Reply)] == [("It is noon.", True)]
    assert [(m.text, m.final, m.utterance) for m in stage.told(Transcript)] == [
        ("What time is it?", False, 1),
        ("What time is it?", True, 1),
    ]
    heard = stage.told(Heard)[0]
    assert (heard.heard, heard.unheard, heard.interrupted, heard.exact) == ("It is noon.", "", False, True)


async def test_the_language_model_gets_the_whole_conversation() -> None:
    stage = await Stage(["It is noon."], ["No."]).open()
    await stage.ask("What time is it?")
    await stage.advance(1_000)
    stage.frames(1, 2, last=True)
    await stage.play(2)
    await stage.ask("Are you sure?")
    await stage.advance(1_000)
    assert stage.replies.asked[-1] == [
        ChatMessage(role="system", content="Be brief."),
        ChatMessage(role="user", content="What time is it?"),
        ChatMessage(role="assistant", content="It is noon."),
        ChatMessage(role="user", content="Are you sure?"),
    ]


async def test_a_prepared_reply_is_silent_and_untold_until_the_turn_is_over() -> None:
    stage = await Stage(["It is noon."]).open()
    await stage.ask("What time is it?")
    assert stage.texts(1) == ["It is noon."]
    stage.frames(1, 5)
    assert await stage.play(3) == 0
    assert stage.told(Reply, StateChanged) == []
    await stage.advance(600)
    assert await stage.play(3) == 3
    assert [m.text for m in stage.told(Reply)] == ["It is noon."]
    assert len(stage.replies.asked) == 1


async def test_a_pause_in_a_question_is_not_answered() -> None:
    stage = await Stage(["Wrong."], ["It is noon in Rome."]).open()
    await stage.ask("What time is it?")
    stage.frames(1, 5)
    await stage.advance(300)
    stage.start_speaking()
    assert await stage.play(20) == 0
    stage.stop_speaking()
    await stage.understand("What time is it in Rome?")
    await stage.advance(1_000)
    assert stage.frames(1, 1) == 0
    stage.frames(2, 2, last=True)
    assert await stage.play(3) == 2
    assert stage.replies.asked[-1][-1].content == "What time is it in Rome?"
    assert [m.content for m in stage.replies.asked[-1] if m.role == "assistant"] == []
    assert [m.text for m in stage.told(Reply)] == ["It is noon in Rome."]
    assert stage.bus.said(Stop)[0].turn == 1


async def test_the_whole_utterance_is_transcribed_again_after_a_pause() -> None:
    stage = await Stage().open()
    await stage.ask("What time is it?")
    stage.start_speaking()
    await stage.advance(800)
    stage.stop_speaking()
    first, second = stage.asked()[0], stage.asked()[1]
    assert second.first == first.first
    assert second.end > first.end


async def test_speech_before_the_first_frame_takes_the_question_back() -> None:
    stage = await Stage(["Wrong."], ["Right."]).open()
    await stage.ask("What time is it?")
    await stage.advance(1_000)
    assert states(stage) == ["THINKING"]
    stage.start_speaking()
    assert states(stage) == ["THINKING", "LISTENING"]
    await stage.advance(400)
    stage.stop_speaking()
    await stage.understand("What time is it in Rome?")
    await stage.advance(1_000)
    users = [m.content for m in stage.replies.asked[-1] if m.role == "user"]
    assert users == ["What time is it in Rome?"]
    assert {m.utterance for m in stage.told(Transcript)} == {1}


async def test_an_interruption_closes_the_gate_before_anything_is_said() -> None:
    stage = await speaking(await Stage(["It is noon, and the sun stands high."]).open())
    before = len(stage.emitted)
    stage.start_speaking()
    assert stage.gate.held
    assert stage.bus.said(Pause)[-1].turn == 1
    assert [type(m) for m in stage.emitted[before:]] == [Hold, StateChanged]
    assert await stage.play(3) == 0
    assert states(stage)[-1] == "BARGED_IN"


async def test_the_pause_is_published_before_the_observers_hear_of_it() -> None:
    stage = await speaking(await Stage(["It is noon."]).open())
    stage.order.clear()
    stage.start_speaking()
    assert stage.order == ["gate", "Pause", "Hold", "StateChanged"]


async def test_a_cough_resumes_at_the_next_sample() -> None:
    stage = await speaking(await Stage(["It is noon."]).open())
    stage.start_speaking()
    await stage.advance(300)
    stage.stop_speaking()
    await stage.understand("you", quality=-1.4)
    await stage.advance(600)
    assert stage.bus.said(Resume)[-1].from_sample == 50 * SPEECH_FRAME
    assert states(stage)[-1] == "SPEAKING"
    assert stage.told(Release)
    assert await stage.play(46) == 45
    assert stage.told(Heard) == []


async def test_real_words_stop_the_reply_and_become_the_next_question() -> None:
    stage = await speaking(await Stage(["It is noon, I believe."], ["Fine."]).open())
    await stage.place(1, 0, "It is noon, I believe.", 0, 50)
    stage.start_speaking()
    await stage.advance(400)
    assert not stage.asked()[-1].final
    await stage.understand("Stop, tell", final=False)
    assert states(stage)[-1] == "LISTENING"
    assert stage.bus.said(Stop)[-1].turn == 1
    assert stage.told(Flush)[-1].turn == 1
    heard = stage.told(Heard)[-1]
    assert heard.interrupted
    assert heard.heard + heard.unheard == "It is noon, I believe."
    assert heard.unheard
    await stage.advance(500)
    stage.stop_speaking()
    await stage.understand("Stop, tell me a story.")
    await stage.advance(1_000)
    assert [m.content for m in stage.replies.asked[-1]][1:] == [
        "What time is it?",
        *([heard.heard] if heard.heard else []),
        "Stop, tell me a story.",
    ]


async def test_history_holds_what_was_heard_to_the_word() -> None:
    stage = await Stage(["One two three four."], ["Yes."]).open()
    await stage.ask("Count.")
    await stage.advance(1_000)
    stage.frames(1, 40)
    await stage.place(1, 0, "One two three four.", 0, 40)
    await stage.play(18)
    assert isinstance(stage.session.command(Interrupt()), Accepted)
    heard = stage.told(Heard)[-1]
    assert (heard.heard, heard.unheard) == ("One two", " three four.")
    await stage.ask("Go on.")
    await stage.advance(1_000)
    assert [m.content for m in stage.replies.asked[-1]][1:] == ["Count.", "One two", "Go on."]


async def test_a_clients_own_playout_position_counts() -> None:
    stage = await Stage(["One two three four."]).open()
    await stage.ask("Count.")
    await stage.advance(1_000)
    stage.frames(1, 40)
    await stage.place(1, 0, "One two three four.", 0, 40)
    await stage.play(30)
    stage.session.command(ClientPlayout(turn=TurnId(1), played=Samples(10 * SPEECH_FRAME)))
    stage.session.command(Interrupt())
    assert stage.told(Heard)[-1].heard == "One"


async def test_a_tentative_hold_leaves_no_trace_when_the_next_window_disagrees() -> None:
    stage = await speaking(await Stage(["It is noon."]).open())
    stage.likely()
    held = stage.gate.held
    stage.unlikely()
    assert (held, stage.gate.held) == (True, False)
    assert states(stage)[-1] == "SPEAKING"
    assert stage.bus.said(Pause) == []


async def test_a_tentative_hold_opens_by_itself_when_the_detector_dies() -> None:
    stage = await speaking(await Stage(["It is noon."]).open())
    stage.likely()
    await stage.advance(300)
    assert not stage.gate.held


async def test_a_say_is_spoken_as_a_turn() -> None:
    stage = await Stage().open()
    assert isinstance(stage.session.command(Say(text="Good morning. How are you?")), Accepted)
    assert states(stage) == ["THINKING"]
    assert " ".join(stage.texts(1)) == "Good morning. How are you?"
    stage.frames(1, 2, last=True)
    await stage.play(2)
    assert stage.told(Heard)[-1].heard == "Good morning. How are you?"
    assert stage.replies.asked == []


async def test_a_text_in_pieces_is_one_turn() -> None:
    stage = await Stage().open()
    stage.session.command(Say(text="One.", last=False))
    stage.session.command(Say(text="Two.", last=True))
    assert stage.texts(1) == ["One.", "Two."]
    assert [m.last for m in stage.told(Reply)] == [False, True]


async def test_the_rest_of_an_interrupted_text_is_refused() -> None:
    stage = await Stage().open()
    stage.session.command(Say(text="One.", last=False))
    stage.session.command(Interrupt())
    answer = stage.session.command(Say(text="Two.", last=True))
    assert isinstance(answer, CommandRefused)
    assert answer.code == "interrupted"
    assert isinstance(stage.session.command(Say(text="Something new.")), Accepted)


async def test_texts_wait_in_a_bounded_line() -> None:
    stage = await Stage().open()
    answers = [stage.session.command(Say(text=f"Number {i}.")) for i in range(40)]
    assert isinstance(answers[0], Accepted)
    assert isinstance(answers[-1], CommandRefused)
    stage.frames(1, 1, last=True)
    await stage.play(1)
    assert stage.texts(2) == ["Number 1."]


async def test_a_reply_without_sound_ends_its_turn() -> None:
    stage = await Stage(["Hm."]).open()
    await stage.ask("Well?")
    await stage.advance(1_000)
    await stage.finish(1, 0)
    assert states(stage)[-1] == "LISTENING"


async def test_a_prepared_reply_without_sound_ends_its_turn_too() -> None:
    stage = await Stage(["Hm."]).open()
    await stage.ask("Well?")
    await stage.finish(1, 0)
    await stage.advance(1_000)
    assert states(stage) == ["THINKING", "LISTENING"]


async def test_a_failed_reply_is_told_and_apologised_for() -> None:
    stage = Stage(
        ReplyUnavailable("no such model"),
        ReplyUnavailable("no such model"),
        settings=TurnTakingSettings(apology="I am sorry."),
    )
    await stage.open()
    await stage.ask("What time is it?")
    await stage.advance(1_000)
    assert [m.code for m in stage.told(SessionError)] == ["reply-failed"]
    assert stage.bus.said(Stop)
    spoken = stage.gate.turn
    assert stage.texts(spoken) == ["I am sorry."]
    assert stage.told(Transcript)[-1].final


async def test_a_reply_that_never_comes_times_out() -> None:
    stage = await Stage().open()
    stage.replies.gate.clear()
    await stage.ask("What time is it?")
    await stage.advance(22_000)
    assert [m.code for m in stage.told(SessionError)] == ["reply-timeout"]
    assert states(stage)[-1] == "LISTENING"
    assert stage.replies.open == 0


async def test_a_voice_that_fails_ends_the_turn_with_what_was_heard() -> None:
    stage = await speaking(await Stage(["It is noon."]).open())
    await stage.place(1, 0, "It is noon.", 0, 50)
    await stage.from_voice(SpeakingFailed(session=SID, turn=TurnId(1), code="synthesis-failed", reason="broken"))
    assert states(stage)[-1] == "LISTENING"
    assert [m.code for m in stage.told(SessionError)] == ["synthesis-failed"]
    assert stage.told(Heard)[-1].interrupted


async def test_a_voice_that_stalls_is_nudged_then_given_up() -> None:
    stage = await speaking(await Stage(["It is noon."]).open(), frames=10)
    await stage.play(5)
    await stage.advance(1_100)
    assert stage.bus.said(Resume)[-1].from_sample == 10 * SPEECH_FRAME
    await stage.advance(20_000)
    assert [m.code for m in stage.told(SessionError)] == ["voice-stalled"]
    assert states(stage)[-1] == "LISTENING"


async def test_a_client_that_is_away_for_ten_seconds_hears_the_rest() -> None:
    stage = await speaking(await Stage(["It is noon."]).open())
    await stage.advance(10_000)
    assert stage.bus.said(Resume) == []
    assert stage.told(SessionError) == []
    assert await stage.play(45) == 45


async def test_latencies_are_told_with_the_first_frame_and_after_an_interruption() -> None:
    stage = await speaking(await Stage(["It is noon."]).open())
    measured = stage.told(TurnMeasured)[0]
    assert measured.voice == "hibari-heart"
    assert set(measured.latencies_ms) == {
        "end_of_speech_to_transcript",
        "end_of_speech_to_first_frame",
        "reply_to_first_text",
        "text_to_first_frame",
        "asr_compute",
    }
    assert measured.latencies_ms["end_of_speech_to_transcript"] == 250.0
    assert measured.latencies_ms["asr_compute"] == 430.0
    stage.start_speaking()
    stage.session.command(Interrupt())
    assert "speech_started_to_hold" in stage.told(TurnMeasured)[-1].latencies_ms


async def test_nothing_is_left_after_the_end() -> None:
    stage = await speaking(await Stage(["It is noon."]).open())
    own = stage.bus.subscriptions
    await stage.session.close("bye")
    await stage.session.close("again")
    assert own - stage.bus.subscriptions == 2
    assert stage.router.watchers == []
    assert stage.timers == 0
    assert stage.replies.open == 0
    assert [m.reason for m in stage.told(SessionClosed)] == ["bye"]
    assert isinstance(stage.emitted[-1], SessionClosed)
    assert stage.frames(1, 1) == 0
    stage.start_speaking()
    assert isinstance(stage.emitted[-1], SessionClosed)
    refused = stage.session.command(Say(text="Hello."))
    assert isinstance(refused, CommandRefused)
