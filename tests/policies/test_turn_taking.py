"""Texts that are spoken as they are, the end of a session, and what comes too late (docs/turn-taking.md)."""

from actors.policies.turn_taking import commands as c
from actors.policies.turn_taking import events as e
from protocol.conversation import Say
from protocol.ids import Millis, Samples, TurnId
from tests.policies.conversation import Talk, barged_in, speaking


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
