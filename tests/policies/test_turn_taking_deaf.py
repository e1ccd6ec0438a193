"""Nobody can transcribe for a while: what was said waits, nothing is held for ever, and giving up is told once."""

import pytest

from actors.policies.turn_taking import commands as c
from actors.policies.turn_taking import events as e
from actors.policies.turn_taking.settings import RECOGNIZER_RETURN_MS
from tests.policies.conversation import Talk, speaking

LIMIT_MS = 2_500
"""The longest that a reply waits for the meaning of what interrupted it."""


def lost(talk: Talk) -> Talk:
    return talk.on(e.RecognizerLost())


def returned(talk: Talk) -> Talk:
    return talk.on(e.RecognizerReturned())


def asks(talk: Talk) -> Talk:
    return talk.starts().wait(1_500).stops()


# --- a question ------------------------------------------------------------------------------------------------------
def test_a_question_waits_for_a_recognizer_and_is_asked_for_once() -> None:
    talk = asks(lost(Talk())).wait(5_000)
    assert talk.errors() == []
    talk = returned(talk).wait(1_000).understood("What time is it?").wait(100)
    assert talk.state == "THINKING"
    assert len(talk.all_of(c.AskTranscript)) == 1


@pytest.mark.parametrize("before_ms", [0, 1_000, 1_600])
def test_a_recognizer_lost_before_the_question_or_in_it_or_after_it_has_as_long_to_return(before_ms: int) -> None:
    talk = Talk()
    for at in range(0, 2_000, 100):
        if at == before_ms:
            lost(talk)
        if at == 0:
            talk.starts()
        if at == 1_500:
            talk.stops()
        talk.wait(100)
    since_loss = 2_000 - before_ms
    talk.wait(RECOGNIZER_RETURN_MS - since_loss - 1)
    assert talk.errors() == []
    talk.wait(1)
    assert talk.errors() == ["recognizer-lost"]


def test_what_is_given_up_is_told_once_and_the_floor_is_free() -> None:
    talk = asks(lost(Talk())).wait(60_000)
    assert talk.errors() == ["recognizer-lost"]
    assert talk.turns.is_idle
    assert len(talk.all_of(c.AskTranscript)) == 1, "asking again is of no use"


def test_a_recognizer_that_returns_has_the_time_of_any_other() -> None:
    talk = returned(asks(lost(Talk())).wait(7_000)).wait(2_900)
    assert talk.errors() == []
    talk.wait(200)
    assert len(talk.all_of(c.AskTranscript)) == 2
    talk.wait(3_000)
    assert talk.errors() == ["transcript-missing"]


def test_a_recognizer_long_gone_is_waited_for_no_longer_than_a_slow_one() -> None:
    talk = lost(Talk()).wait(60_000)
    asks(talk).wait(2_900)
    assert talk.errors() == []
    talk.wait(100)
    assert talk.errors() == ["recognizer-lost"]
    assert returned(talk).says("What time is it?").wait(1_000).state == "THINKING"


def test_losing_it_again_begins_the_wait_anew() -> None:
    talk = returned(asks(lost(Talk())).wait(RECOGNIZER_RETURN_MS - 2_000)).wait(1_000)
    lost(talk).wait(RECOGNIZER_RETURN_MS - 1)
    assert talk.errors() == []
    talk.wait(1)
    assert talk.errors() == ["recognizer-lost"]


def test_a_recognizer_that_returns_without_having_been_missed_changes_nothing() -> None:
    talk = returned(asks(Talk()).wait(2_000)).wait(1_000)
    assert len(talk.all_of(c.AskTranscript)) == 2, "3 s after it was asked"


def test_what_is_said_on_and_on_waits_as_one() -> None:
    talk = asks(lost(Talk())).wait(300)
    asks(talk).wait(2_000)
    returned(talk).understood("What time is it? In Rome, I mean.").wait(1_000)
    assert [x.text for x in talk.all_of(c.CommitUser)] == ["What time is it? In Rome, I mean."]


# --- over a reply ----------------------------------------------------------------------------------------------------
def test_a_short_sound_over_a_reply_holds_it_no_longer_than_ever() -> None:
    talk = lost(speaking()).starts().wait(400).stops().wait(LIMIT_MS - 400 - 1)
    assert talk.state == "BARGED_IN"
    assert talk.wait(1).kinds() == [c.ReleaseGate, c.ResumeVoice]
    assert talk.state == "SPEAKING"
    assert talk.errors() == []


def test_its_words_still_stop_the_reply_when_a_recognizer_has_heard_them() -> None:
    talk = lost(speaking()).starts().wait(400).stops().wait(LIMIT_MS).played(48_000)
    returned(talk).wait(500).understood("Stop.", quality=-0.1)
    assert c.StopVoice in talk.kinds()
    assert talk.errors() == []


def test_its_hum_does_not() -> None:
    talk = lost(speaking()).starts().wait(400).stops().wait(LIMIT_MS).played(48_000)
    returned(talk).wait(500).understood("Mm-hmm.", quality=-0.6)
    assert talk.kinds() == []
    assert talk.state == "SPEAKING"


def test_a_question_over_a_reply_stops_it_at_the_limit_and_is_answered_when_it_can_be() -> None:
    talk = lost(speaking()).starts().wait(1_800).stops().wait(LIMIT_MS - 1_800)
    assert talk.state == "LISTENING"
    assert c.StopVoice in talk.kinds()
    talk.wait(4_000)
    assert talk.errors() == []
    returned(talk).wait(500).understood("And tomorrow?").wait(1_000)
    assert talk.state == "THINKING"
    assert [x.text for x in talk.all_of(c.CommitUser)][-1] == "And tomorrow?"


@pytest.mark.parametrize("length_ms", [400, 1_800, 6_000])
def test_what_nobody_comes_to_hear_over_a_reply_is_told_once_and_blocks_nothing(length_ms: int) -> None:
    talk = lost(speaking()).starts().wait(length_ms).stops()
    for _ in range(60):
        talk.played(talk.now).wait(500)
    assert talk.errors() == ["recognizer-lost"]
    assert talk.state in ("SPEAKING", "LISTENING")
    assert talk.turns.deadline() is None or talk.state == "SPEAKING"
