"""A reply sounds: the rows of SPEAKING in docs/turn-taking.md."""

from actors.policies.turn_taking import commands as c
from actors.policies.turn_taking import events as e
from protocol.ids import TurnId
from tests.policies.conversation import Talk, speaking, thinking


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
