"""The user speaks, and the end of the turn is found: the rows of LISTENING in docs/turn-taking.md."""

import pytest

from actors.policies.turn_taking import commands as c
from actors.policies.turn_taking import events as e
from protocol.ids import TurnId
from tests.policies.conversation import Talk


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
