"""A reply is asked for and nothing is heard of it yet: the rows of THINKING in docs/turn-taking.md."""

from actors.policies.turn_taking import commands as c
from actors.policies.turn_taking import events as e
from protocol.ids import TurnId
from tests.policies.conversation import Talk, thinking


def test_the_first_frame_makes_the_question_final() -> None:
    talk = thinking().first_frame()
    assert talk.did == [c.TellTranscript(1, "What time is it?", final=True), c.TellState("SPEAKING", TurnId(1))]


def test_speech_while_we_think_takes_the_question_back_and_joins_it() -> None:
    talk = thinking().starts()
    assert talk.kinds() == [c.WithdrawUser, c.StopVoice, c.CutReply]
    assert talk.state == "LISTENING"
    talk.wait(700).stops().understood("What time is it in Rome?").wait(500)
    assert [x.text for x in talk.all_of(c.CommitUser)] == ["What time is it?", "What time is it in Rome?"]
    assert {x.utterance for x in talk.all_of(c.TellTranscript)} == {1}


def test_a_cough_while_we_think_asks_the_same_again() -> None:
    talk = thinking().starts().wait(300).stops().understood("you", quality=-1.5, noise=0.86).wait(500)
    assert [x.text for x in talk.all_of(c.CommitUser)] == ["What time is it?"] * 2
    assert talk.turns.turn == 2


def test_a_cough_over_a_text_that_was_asked_for_does_not_drop_it() -> None:
    talk = Talk().say("Hello.").starts()
    assert talk.kinds() == [c.HoldGate, c.PauseVoice]
    talk.wait(300).stops().understood("", noise=0.9).wait(300)
    assert talk.kinds() == [c.ReleaseGate, c.ResumeVoice]
    assert talk.state == "THINKING"
    assert talk.first_frame().state == "SPEAKING"


def test_a_failed_reply_is_told_and_nothing_is_spoken() -> None:
    talk = thinking().on(e.ReplyFailed(TurnId(1), "reply-failed", "no such model"))
    assert talk.errors() == ["reply-failed"]
    assert talk.kinds() == [c.StopVoice, c.CutReply]
    assert talk.state == "LISTENING"


def test_a_failed_reply_is_apologised_for_if_configured_so() -> None:
    talk = thinking(apology="Sorry.").on(e.ReplyFailed(TurnId(1), "reply-failed", "no such model"))
    assert talk.all_of(c.SpeakText) == [c.SpeakText(TurnId(2), "Sorry.", last=True)]
    talk.on(e.VoiceFailed(TurnId(2), "synthesis-failed", "no voice either"))
    assert talk.state == "LISTENING"


def test_a_reply_that_does_not_come_times_out() -> None:
    talk = thinking().wait(20_500)
    assert talk.errors() == ["reply-timeout"]
    assert talk.state == "LISTENING"


def test_a_prepared_reply_that_fails_is_asked_for_again_at_the_end_of_the_turn() -> None:
    talk = Talk().says("What time is it?").on(e.ReplyFailed(TurnId(1), "reply-failed", "busy"))
    assert talk.kinds() == [c.DropReply]
    talk.wait(500)
    assert talk.all_of(c.AskReply) == [c.AskReply(TurnId(2))]
    assert talk.errors() == []


def test_an_interrupt_while_we_think_keeps_the_question() -> None:
    talk = thinking().interrupt()
    assert talk.kinds() == [c.StopVoice, c.CutReply]
    assert talk.all_of(c.WithdrawUser) == []
    assert talk.state == "LISTENING"
