"""Every row of the table in docs/turn-taking.md, and what it leaves to be decided."""

import pytest

from actors.policies.turn_taking import commands as c
from actors.policies.turn_taking import events as e
from protocol.conversation import BargeIn, Say
from protocol.ids import Millis, Samples, TurnId
from tests.policies.conversation import Talk, barged_in, speaking, thinking


# --- LISTENING -------------------------------------------------------------------------------------------------------
def test_speech_alone_decides_nothing() -> None:
    talk = Talk().starts()
    assert talk.log == []
    assert talk.state == "LISTENING"


def test_the_first_silence_asks_for_a_final_transcript_of_all_that_was_said() -> None:
    talk = Talk().starts().wait(1_500).stops()
    asked = talk.asked()
    assert asked.final
    assert asked.first < 160_000 - 1_024 < asked.end - 1_500 * 16 + 3_200


def test_a_transcript_starts_a_prepared_reply() -> None:
    talk = Talk().says("What time is it?")
    assert talk.kinds() == [c.PrepareReply]
    assert talk.state == "LISTENING"
    assert talk.turns.prepared == 1


def test_the_end_of_the_turn_adopts_the_prepared_reply() -> None:
    talk = Talk().says("What time is it?").wait(399)
    assert talk.did == []
    talk.wait(1)
    assert talk.did == [
        c.CommitUser(1, "What time is it?"),
        c.AdoptReply(TurnId(1)),
        c.TellState("THINKING", TurnId(1)),
    ]


def test_without_preparing_the_reply_is_asked_for_at_the_end_of_the_turn() -> None:
    talk = Talk(prepare=False).says("What time is it?")
    assert talk.kinds() == []
    assert talk.wait(400).kinds() == [c.CommitUser, c.AskReply]


def test_a_late_transcript_ends_the_turn_at_once() -> None:
    talk = Talk().starts().wait(1_500).stops().wait(900)
    assert talk.state == "LISTENING"
    assert talk.understood("What time is it?").kinds() == [c.CommitUser, c.AskReply]


@pytest.mark.parametrize(("text", "quality", "noise"), [("", -0.2, 0.1), (".", -1.2, 0.9), ("Thank you.", -0.7, 0.86)])
def test_the_end_of_a_turn_without_words_is_forgotten(text: str, quality: float, noise: float) -> None:
    talk = Talk().starts().wait(400).stops().understood(text, quality=quality, noise=noise).wait(5_000)
    assert talk.all_of(c.CommitUser) == []
    assert talk.all_of(c.TellTranscript) == []
    assert talk.turns.deadline() is None
    assert talk.turns.is_idle


def test_a_hesitation_waits_longer_and_is_then_forgotten() -> None:
    talk = Talk().starts().wait(400).stops().understood("Um.").wait(1_900)
    assert not talk.turns.is_idle
    assert talk.wait(200).turns.is_idle


def test_a_pause_in_a_question_joins_its_halves() -> None:
    talk = Talk().says("What time is it?").wait(300).starts()
    assert talk.did == [c.DropReply(TurnId(1))]
    first = talk.asked()
    talk.wait(800).stops()
    assert talk.asked().first == first.first
    assert talk.asked().end > first.end
    talk.understood("What time is it in Rome?").wait(500)
    assert [x.text for x in talk.all_of(c.CommitUser)] == ["What time is it in Rome?"]
    assert talk.all_of(c.AdoptReply) == [c.AdoptReply(TurnId(2))]


def test_a_click_before_the_end_of_the_turn_delays_it_until_it_is_known_for_one() -> None:
    talk = Talk().says("What time is it?").wait(390).likely().wait(100)
    assert talk.state == "LISTENING"
    assert talk.unlikely().state == "THINKING"


def test_a_noise_after_the_words_does_not_take_them_back() -> None:
    talk = Talk().says("What time is it?").wait(200).starts().wait(300).stops().understood("", noise=0.9).wait(600)
    assert [x.text for x in talk.all_of(c.CommitUser)] == ["What time is it?"]


def test_a_text_that_dangles_waits_and_no_reply_is_prepared() -> None:
    talk = Talk().says("I want to go to Paris and").wait(1_000)
    assert talk.state == "LISTENING"
    assert talk.all_of(c.PrepareReply) == []
    assert talk.wait(500).state == "THINKING"


def test_a_turn_detector_shortens_the_wait() -> None:
    talk = Talk().says("What time is it?").on(e.CompletenessJudged(1.0)).wait(100)
    assert talk.state == "THINKING"


def test_a_turn_detector_lengthens_the_wait() -> None:
    talk = Talk().says("What time is it?").on(e.CompletenessJudged(0.1)).wait(2_000)
    assert talk.state == "LISTENING"
    assert talk.wait(1_000).state == "THINKING"


def test_an_utterance_too_long_to_be_heard_again_is_joined_from_its_texts() -> None:
    talk = Talk()
    talk.says("One.", ms=15_000).wait(100)
    talk.starts().wait(8_000).stops()
    first, second = talk.all_of(c.AskTranscript)
    assert second.first > first.end - 3_200
    talk.understood("Two.").wait(1_000)
    assert [x.text for x in talk.all_of(c.CommitUser)] == ["One. Two."]


def test_a_speech_without_pauses_is_understood_in_bounded_pieces() -> None:
    talk = Talk().starts().wait(20_500)
    talk.understood("One.").wait(20_500)
    talk.understood("Two.").wait(3_000).stops().understood("Three.").wait(1_000)
    lengths = [x.end - x.first for x in talk.all_of(c.AskTranscript)]
    assert max(lengths) < 21_500 * 16
    assert [x.text for x in talk.all_of(c.CommitUser)] == ["One. Two. Three."]


def test_a_missing_transcript_is_asked_for_once_more_and_then_told_as_an_error() -> None:
    talk = Talk().starts().wait(1_000).stops().wait(3_000)
    assert [type(x) for x in talk.did] == [c.AskTranscript]
    talk.wait(3_000)
    assert talk.errors() == ["transcript-missing"]
    assert talk.turns.is_idle


def test_a_failed_transcript_is_asked_for_once_more() -> None:
    talk = Talk().starts().wait(1_000).stops().not_understood()
    assert talk.kinds() == [c.AskTranscript]
    talk.understood("What time is it?").wait(1_000)
    assert talk.state == "THINKING"


def test_an_overtaken_request_that_fails_is_of_no_interest() -> None:
    talk = Talk().starts().wait(500).stops()
    overtaken = talk.asked()
    talk.starts().wait(500).stops()
    assert talk.asked().request > overtaken.request
    talk.understood("Old.", asked=overtaken)
    assert talk.did == []


def test_say_is_spoken_as_a_turn() -> None:
    talk = Talk().say("Hello.")
    assert talk.did == [c.SpeakText(TurnId(1), "Hello.", last=True), c.TellState("THINKING", TurnId(1))]


def test_say_waits_while_the_user_speaks() -> None:
    talk = Talk().starts().say("Hello.")
    assert talk.did == []
    talk.wait(300).stops().understood("", noise=0.9).wait(1_000)
    assert talk.all_of(c.SpeakText)


def test_what_waits_to_be_said_comes_after_the_answer() -> None:
    talk = Talk().starts().say("By the way.").wait(500).stops().understood("Who are you?").wait(500)
    talk.text().first_frame().last_frame()
    assert talk.kinds() == [c.CommitReply, c.SpeakText]


# --- THINKING --------------------------------------------------------------------------------------------------------
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


# --- SPEAKING --------------------------------------------------------------------------------------------------------
def test_speech_over_the_reply_closes_the_gate_first() -> None:
    talk = speaking().starts()
    assert talk.did == [c.HoldGate(TurnId(1)), c.PauseVoice(TurnId(1)), c.TellState("BARGED_IN", TurnId(1))]


def test_the_last_frame_commits_the_whole_reply() -> None:
    talk = speaking().last_frame()
    assert talk.did == [c.CommitReply(TurnId(1)), c.TellState("LISTENING", TurnId(0))]
    assert talk.turns.deadline() is None


def test_an_interrupt_stops_the_reply_and_what_waits_behind_it() -> None:
    talk = speaking().say("And then.").interrupt()
    assert talk.kinds() == [c.StopVoice, c.CutReply]
    assert talk.errors() == ["say-dropped"]
    assert talk.state == "LISTENING"


def test_a_language_model_that_breaks_off_ends_the_text_that_there_is() -> None:
    talk = thinking().text(last=False).first_frame()
    talk.on(e.ReplyFailed(TurnId(1), "reply-failed", "broken pipe"))
    assert talk.kinds() == [c.EndText]
    assert talk.errors() == ["reply-failed"]
    assert talk.state == "SPEAKING"


def test_a_voice_that_fails_ends_the_reply() -> None:
    talk = speaking().on(e.VoiceFailed(TurnId(1), "synthesis-failed", "broken"))
    assert talk.kinds() == [c.StopVoice, c.CutReply]
    assert talk.errors() == ["synthesis-failed"]


def test_a_voice_that_stalls_is_nudged_again_and_again_and_given_up_after_twenty_seconds() -> None:
    talk = speaking().wait(19_900)
    assert talk.kinds() == [c.NudgeVoice] * 49
    talk.wait(200)
    assert talk.errors() == ["voice-stalled"]
    assert talk.state == "LISTENING"


def test_progress_keeps_the_watchdog_quiet() -> None:
    talk = speaking()
    for second in range(2, 30):
        talk.wait(300).played(960 * second)
    assert talk.errors() == []
    assert talk.all_of(c.NudgeVoice) == []


def test_a_language_model_that_thinks_in_mid_reply_has_its_time() -> None:
    talk = thinking().text(last=False).first_frame().wait(15_000)
    assert talk.state == "SPEAKING"


def test_a_client_that_takes_nothing_is_waited_for_longer_than_a_voice() -> None:
    talk = speaking()
    for _ in range(59):
        talk.wait(1_000).on(e.ListenerAway(TurnId(1)))
    assert talk.state == "SPEAKING"
    assert talk.played(1_920).wait(500).state == "SPEAKING"
    for _ in range(62):
        talk.wait(1_000).on(e.ListenerAway(TurnId(1)))
    assert talk.errors() == ["listener-gone"]


def test_a_lost_voice_goes_on_under_a_new_number() -> None:
    talk = speaking().on(e.VoiceLost()).wait(9_000).on(e.VoiceReturned())
    assert talk.did == [c.ContinueReply(TurnId(1), TurnId(2), held=False), c.TellState("SPEAKING", TurnId(2))]
    assert talk.on(e.FirstFrameLeft(TurnId(1))).did == []


def test_a_lost_voice_is_given_up_after_ten_seconds() -> None:
    talk = speaking().on(e.VoiceLost()).wait(10_000)
    assert talk.errors() == ["voice-lost"]
    assert talk.state == "LISTENING"


def test_a_lost_voice_drops_a_prepared_reply() -> None:
    talk = Talk().says("What time is it?").on(e.VoiceLost())
    assert talk.kinds() == [c.DropReply]
    assert talk.wait(500).kinds() == [c.CommitUser, c.AskReply]


def test_a_tentative_hold_closes_the_gate_without_a_transition() -> None:
    talk = speaking().likely()
    assert talk.did == [c.HoldGate(TurnId(1))]
    talk.wait(32).unlikely()
    assert talk.did == [c.ReleaseGate(TurnId(1))]
    assert talk.state == "SPEAKING"


def test_a_tentative_hold_can_be_turned_off() -> None:
    assert speaking(tentative_hold=False).likely().did == []


def test_a_tentative_hold_opens_by_itself() -> None:
    assert speaking().likely().wait(250).did == [c.ReleaseGate(TurnId(1))]


# --- BARGED_IN -------------------------------------------------------------------------------------------------------
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


# --- say, and the end ------------------------------------------------------------------------------------------------
def test_more_text_of_the_same_turn_is_added() -> None:
    talk = Talk().say("One.", last=False).say("Two.", last=True)
    assert talk.did == [c.AddText(TurnId(1), "Two.", last=True)]


def test_a_text_whose_rest_does_not_come_ends() -> None:
    talk = Talk().say("One.", last=False).first_frame().played(960).wait(10_000)
    assert [x for x in talk.log if isinstance(x, c.EndText)] == [c.EndText(TurnId(1))]
    assert talk.state == "SPEAKING"


def test_the_rest_of_an_interrupted_text_is_not_spoken() -> None:
    talk = Talk().say("One.", last=False).interrupt()
    more = Say(text="Two.", last=False)
    assert talk.turns.why_not_say(more, Millis(talk.now)) is not None
    talk.wait(10_001)
    assert talk.turns.why_not_say(more, Millis(talk.now)) is None


def test_a_blank_text_is_refused() -> None:
    refusal = Talk().turns.why_not_say(Say(text="  "), Millis(0))
    assert refusal is not None
    assert refusal[0] == "empty-text"


def test_the_end_stops_everything() -> None:
    talk = barged_in().on(e.SessionEnding())
    assert talk.kinds() == [c.StopVoice, c.CutReply, c.ReleaseAll]
    assert talk.turns.deadline() is None
    assert talk.starts().did == []
    assert talk.wait(10_000).did == []


def test_the_end_drops_a_prepared_reply() -> None:
    talk = Talk().says("What time is it?").on(e.SessionEnding())
    assert talk.kinds() == [c.DropReply, c.ReleaseAll]


def test_whatever_belongs_to_an_old_turn_is_ignored() -> None:
    talk = speaking().interrupt().says("And now?").wait(500)
    assert talk.turns.turn == 2
    for event in (
        e.FirstFrameLeft(TurnId(1)),
        e.LastFrameLeft(TurnId(1)),
        e.PlayoutMoved(TurnId(1), Samples(9_600)),
        e.TextHandedOver(TurnId(1), last=True),
        e.ReplyFailed(TurnId(1), "reply-failed", "late"),
        e.VoiceFailed(TurnId(1), "synthesis-failed", "late"),
    ):
        assert talk.on(event).did == []
    assert talk.state == "THINKING"
