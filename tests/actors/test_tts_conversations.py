"""A model's conversations, stepped by hand: whose they are, which turn stays, how many there can be."""

from typing import Final

import numpy as np

from actors.tts_conversations import Conversations
from actors.tts_messages import Drop, Forget, Hold, Imitate, Key, Leave, Say
from protocol.ids import SessionId, TurnId
from protocol.ports import Reference, Synthesizer
from tests.actors.tts_by_hand import Notes, an_actor, drain, say, step
from tests.fakes.conversant import FakeConversant, FakeTalk
from tests.fakes.voices import FakeSynthesizer

A1, A2, A3 = ((SessionId("a"), TurnId(turn)) for turn in (1, 2, 3))
B1, C1 = ((SessionId(name), TurnId(1)) for name in "bc")
ME: Final = "me"
RECORDING: Final = Reference(pcm=np.ones(24_000, np.float32), sample_rate=24_000, text="What is said.")


class LearningNotes(Notes):
    def on_imitated(self, name: str, fault: str) -> None:
        assert (name, fault) == (ME, "")


def speak(talk: Synthesizer, text: str) -> None:
    assert list(talk.synthesize(text, language="en", speed=1.0))


def talk_of(talks: Conversations, voice: FakeConversant, key: Key, *busy: Key) -> FakeTalk:
    talk = talks.voice_for(key, voice, None, busy)
    assert isinstance(talk, FakeTalk)
    return talk


def test_a_model_that_cannot_converse_speaks_as_it_is() -> None:
    talks, voice = Conversations(), FakeSynthesizer()
    assert talks.voice_for(A1, voice, None, ()) is voice
    talks.settle(A1, heard=True)
    talks.end(A1[0])
    assert len(talks) == 0


def test_a_turn_of_which_nobody_has_said_what_became_of_it_was_not_heard() -> None:
    talks, voice = Conversations(), FakeConversant()
    speak(talk_of(talks, voice, A1), "One.")
    assert talk_of(talks, voice, A2).context == ()


def test_what_is_said_of_another_turn_changes_nothing() -> None:
    talks, voice = Conversations(), FakeConversant()
    talk = talk_of(talks, voice, A1)
    speak(talk, "One.")
    talks.settle(A1, heard=True)
    speak(talk_of(talks, voice, A2), "Two.")
    talks.settle(A1, heard=False)
    talks.settle(A3, heard=False)
    talks.settle(B1, heard=False)
    assert " ".join(talk.context) == "One. Two."
    talks.settle(A2, heard=False)
    talks.settle(A2, heard=True)
    assert " ".join(talk.context) == "One."


def test_beyond_the_bound_who_has_said_nothing_for_the_longest_time_is_forgotten() -> None:
    talks, voice = Conversations(most=2), FakeConversant()
    a, b = talk_of(talks, voice, A1), talk_of(talks, voice, B1)
    assert talk_of(talks, voice, A2) is a
    talk_of(talks, voice, C1)
    assert (a.is_closed, b.is_closed, len(talks)) == (False, True, 2)


def test_nobody_is_forgotten_in_mid_turn_and_who_finds_no_room_speaks_without_context() -> None:
    talks, voice = Conversations(most=2), FakeConversant()
    a, b = talk_of(talks, voice, A1), talk_of(talks, voice, B1)
    assert talks.voice_for(C1, voice, None, (A1, B1)) is voice
    talk_of(talks, voice, C1, A1)
    assert (a.is_closed, b.is_closed) == (False, True)


def test_a_turn_is_settled_when_it_is_dropped_and_a_session_that_leaves_is_forgotten() -> None:
    voice = FakeConversant()
    actor, _ = an_actor(voice)
    for key, text, heard in ((A1, "one two", True), (A2, "three", False), (A3, "four", True)):
        actor.on_receive(say(key, text))
        drain(actor)
        actor.on_receive(Drop(key, heard))
    (talk,) = voice.talks
    assert talk.context == ("one two", "four")
    actor.on_receive(Leave(A1[0]))
    assert talk.is_closed


def test_a_turn_that_is_stopped_while_it_is_made_is_closed_before_it_is_taken_back() -> None:
    voice = FakeConversant()
    actor, _ = an_actor(voice)
    actor.on_receive(say(A1, "one", last=False))
    actor.on_receive(say(A1, "two three four", index=1))
    for _ in range(5):
        step(actor)
    actor.on_receive(Drop(A1))
    assert voice.open_phrases == 0
    drain(actor)
    assert voice.talks[0].context == ()


def test_a_recording_is_forgotten_after_the_turn_that_speaks_with_it_and_its_conversation_with_it() -> None:
    voice = FakeConversant()
    actor, notes = an_actor(voice, notes=LearningNotes())
    actor.on_receive(Imitate(ME, RECORDING))
    actor.on_receive(Say(A1, 0, "one two three", "en", 1.0, last=True, imitates=ME))
    step(actor)
    actor.on_receive(Hold(A1))
    actor.on_receive(Forget(ME))
    (talk,) = voice.open_talks
    actor.on_receive(Drop(A1))
    assert talk.is_closed
    assert notes.failed == []


def test_when_the_model_is_unloaded_its_conversations_are_closed_first() -> None:
    voice = FakeConversant()
    actor, _ = an_actor(voice, notes=LearningNotes())
    actor.on_receive(Imitate(ME, RECORDING))
    actor.on_receive(Say(A1, 0, "one two three", "en", 1.0, last=True, imitates=ME))
    actor.on_receive(say(B1, "one two three"))
    step(actor)
    assert len(voice.open_talks) == 2
    actor.on_stop()
    assert not voice.open_talks
    assert voice.closed
