"""The user spoke into a reply, which waits: the rows of BARGED_IN in docs/turn-taking.md."""

import pytest

from actors.policies.turn_taking import commands as c
from actors.policies.turn_taking import events as e
from protocol.conversation import BargeIn
from protocol.ids import TurnId
from tests.policies.conversation import barged_in


def test_a_partial_transcript_is_asked_for_as_soon_as_there_is_enough_speech() -> None:
    talk = barged_in().wait(349)
    assert talk.did == []
    talk.wait(1)
    assert not talk.asked().final
    assert talk.asked().end - talk.asked().first < (200 + 128 + 350 + 1) * 16


def test_the_next_partial_is_asked_for_when_the_last_one_is_back() -> None:
    talk = barged_in().wait(800)
    assert len(talk.all_of(c.AskTranscript)) == 2  # one for the question, one now
    talk.understood("Uh-huh.", final=False, quality=-0.7)
    assert len(talk.all_of(c.AskTranscript)) == 3


@pytest.mark.parametrize("final", [False, True])
def test_real_words_stop_the_reply_and_begin_the_users_turn(final: bool) -> None:  # noqa: FBT001 - a parameter
    talk = barged_in().wait(400).understood("Wait a second", final=final)
    assert talk.kinds() == [c.StopVoice, c.CutReply]
    assert talk.state == "LISTENING"
    talk.wait(600).stops().understood("Wait a second, what about Rome?").wait(500)
    assert talk.all_of(c.CommitUser)[-1] == c.CommitUser(2, "Wait a second, what about Rome?")


def test_words_that_are_understood_after_the_silence_are_answered_without_another_wait() -> None:
    talk = barged_in().wait(300).stops().wait(600).understood("Stop.")
    assert talk.kinds() == [c.StopVoice, c.CutReply, c.CommitUser, c.AskReply]


def test_an_overtaken_partial_with_real_words_stops_the_reply_too() -> None:
    talk = barged_in().wait(400)
    partial = talk.asked()
    talk.wait(300).stops()
    assert talk.asked().request > partial.request
    assert talk.understood("Stop it", final=False, asked=partial).kinds() == [c.StopVoice, c.CutReply]


@pytest.mark.parametrize("text", ["Yeah.", "Mm-hmm.", "Okay, right.", "I see.", ""])
def test_a_backchannel_resumes_after_the_delay(text: str) -> None:
    talk = barged_in().wait(300).stops().wait(100).understood(text)
    assert talk.state == "BARGED_IN"
    talk.wait(150)
    assert talk.did == [c.ReleaseGate(TurnId(1)), c.ResumeVoice(TurnId(1)), c.TellState("SPEAKING", TurnId(1))]
    assert talk.all_of(c.CommitUser) == [c.CommitUser(1, "What time is it?")]


def test_a_partial_that_lacks_almost_nothing_decides_without_another_transcript() -> None:
    talk = barged_in().wait(350)
    count = len(talk.all_of(c.AskTranscript))
    talk.wait(200).stops().wait(240).understood("Mm-hmm.", final=False)
    assert len(talk.all_of(c.AskTranscript)) == count
    assert talk.wait(100).state == "SPEAKING"


def test_a_second_sound_before_the_decision_is_listened_to_as_well() -> None:
    talk = barged_in().wait(300).stops().wait(100).understood("Mm-hmm.").wait(50).starts().wait(600)
    assert talk.state == "BARGED_IN"
    assert talk.understood("Mm-hmm, but wait.", final=False).state == "LISTENING"


def test_speech_beyond_the_limit_stops_the_reply_without_any_transcript() -> None:
    talk = barged_in().wait(2_499)
    assert talk.state == "BARGED_IN"
    assert talk.wait(1).kinds() == [c.StopVoice, c.CutReply]
    assert talk.state == "LISTENING"


def test_a_short_sound_that_nobody_can_transcribe_resumes_at_the_limit() -> None:
    talk = barged_in().wait(500).stops().wait(2_000)
    assert talk.state == "SPEAKING"


def test_a_long_speech_that_nobody_can_transcribe_stops_the_reply() -> None:
    talk = barged_in().wait(1_800).stops().wait(700)
    assert talk.state == "LISTENING"


def test_a_transcript_that_comes_after_the_resume_still_stops_the_reply() -> None:
    talk = barged_in().wait(500).stops().wait(2_200)
    assert talk.state == "SPEAKING"
    talk.understood("Stop.")
    assert talk.kinds() == [c.StopVoice, c.CutReply, c.CommitUser, c.AskReply]


def test_an_interrupt_while_barged_in_stops_the_reply_and_listens_on() -> None:
    talk = barged_in().wait(100).interrupt()
    assert talk.kinds() == [c.StopVoice, c.CutReply]
    talk.wait(800).stops().understood("Never mind.").wait(500)
    assert talk.all_of(c.CommitUser)[-1].text == "Never mind."


def test_any_speech_stops_at_once_in_that_mode() -> None:
    talk = barged_in(barge_in="any_speech")
    assert talk.kinds() == [c.HoldGate, c.StopVoice, c.CutReply]
    assert talk.state == "LISTENING"


def test_silence_always_resumes_in_that_mode() -> None:
    talk = barged_in(barge_in="resume_on_silence").wait(1_500).stops().wait(250)
    assert talk.state == "SPEAKING"
    assert len(talk.all_of(c.AskTranscript)) == 1


@pytest.mark.parametrize("barge_in", ["words", "resume_on_silence"])
def test_nobody_is_held_for_longer_than_the_limit(barge_in: BargeIn) -> None:
    talk = barged_in(barge_in=barge_in)
    for _ in range(30):
        talk.wait(40).stops().wait(40).starts()
    talk.wait(150)
    assert talk.state != "BARGED_IN"


def test_a_voice_that_comes_back_under_an_interruption_stays_silent() -> None:
    talk = barged_in().on(e.VoiceLost()).on(e.VoiceReturned())
    assert talk.did[0] == c.ContinueReply(TurnId(1), TurnId(2), held=True)
    talk.wait(300).stops().understood("Yeah.").wait(300)
    assert talk.did[:2] == [c.ReleaseGate(TurnId(2)), c.ResumeVoice(TurnId(2))]
