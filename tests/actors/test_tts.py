"""The actor, stepped by hand: one chunk per inbox turn, whoever has the least in store first."""

import pytest

from actors.tts import TtsActor
from actors.tts_messages import Allow, Drop, Hold, Key, Leave, Release
from actors.tts_rendition import PhraseBegun, PhraseDone
from protocol.ids import Samples, SessionId, TurnId
from protocol.ports import Pcm
from tests.actors.tts_by_hand import DirectMailbox, Notes, WholeFrames, an_actor, drain, say, step
from tests.fakes.memory import FakeMemory
from tests.fakes.voices import UNSPEAKABLE, FakeSynthesizer

A: Key = (SessionId("a"), TurnId(1))
B: Key = (SessionId("b"), TurnId(1))
WORD = 9_600
"""Samples of one word at 48 kHz."""


def test_a_pause_cuts_in_between_two_chunks() -> None:
    actor, notes = an_actor()
    actor.on_receive(say(A, "one two three"))
    step(actor)
    actor.on_receive(Hold(A))
    drain(actor)
    assert notes.order == "a"
    actor.on_receive(Release(A))
    drain(actor)
    assert notes.order == "aaaaa"
    assert notes.made[-1][1].finished


def test_the_last_phrase_and_its_turn_end_in_one_step() -> None:
    actor, notes = an_actor()
    actor.on_receive(say(A, "one two three"))
    drain(actor)
    (*_, (_, last)) = notes.made
    assert last.finished
    assert [type(event) for event in last.events] == [PhraseDone]


def test_a_stop_frees_what_the_model_holds() -> None:
    voice = FakeSynthesizer()
    actor, notes = an_actor(voice)
    actor.on_receive(say(A, "one two three"))
    step(actor)
    assert voice.open_phrases == 1
    actor.on_receive(Drop(A))
    assert voice.open_phrases == 0
    drain(actor)
    assert notes.order == "a"


def test_when_a_session_has_left_and_nobody_else_speaks_the_heap_is_tidied() -> None:
    memory = FakeMemory()
    actor, _ = an_actor(meter=memory)
    actor.on_receive(say(A, "one two three"))
    actor.on_receive(say(B, "one two three"))
    step(actor)
    actor.on_receive(Drop(A))
    actor.on_receive(Leave(A[0]))
    assert memory.tidied == 0, "another one waits for its sound"
    drain(actor)
    actor.on_receive(Leave(B[0]))
    assert memory.tidied == 1


def test_two_turns_are_made_alternately() -> None:
    actor, notes = an_actor()
    actor.on_receive(say(A, "one two three"))
    actor.on_receive(say(B, "one two three"))
    drain(actor)
    assert notes.order.startswith("ababab")


def test_a_turn_that_begins_overtakes_one_that_has_much_in_store() -> None:
    actor, notes = an_actor()
    actor.on_receive(say(A, "one two three four five six seven eight"))
    for _ in range(5):
        step(actor)
    actor.on_receive(say(B, "one two three"))
    drain(actor)
    assert notes.order.startswith("aaaaabbb")


def test_nothing_is_made_beyond_what_is_allowed() -> None:
    actor, notes = an_actor(ahead_s=0.5)
    actor.on_receive(say(A, "one two three four five six"))
    drain(actor)
    assert notes.order == "aaa"
    actor.on_receive(Allow(A, Samples(4 * WORD)))
    drain(actor)
    assert notes.order == "aaaa"


def test_a_paused_turn_does_not_keep_the_others_waiting() -> None:
    actor, notes = an_actor()
    actor.on_receive(say(A, "one two three"))
    actor.on_receive(Hold(A))
    actor.on_receive(say(B, "one two"))
    drain(actor)
    assert set(notes.order) == {"b"}


def test_at_most_one_message_to_itself_waits_in_the_inbox() -> None:
    actor, notes = an_actor()
    for index in range(10):
        actor.on_receive(say(A, "one two", index=index, last=False))
        actor.on_receive(Release(A))
    step(actor)
    step(actor)
    assert len(notes.made) == 2
    actor.on_receive(Hold(A))
    assert step(actor)
    assert not step(actor)


def test_a_failing_phrase_ends_its_turn_and_no_other() -> None:
    voice = FakeSynthesizer()
    actor, notes = an_actor(voice)
    actor.on_receive(say(A, f"{UNSPEAKABLE} word"))
    actor.on_receive(say(B, "one two"))
    drain(actor)
    ((key, reason),) = notes.failed
    assert key == A
    assert UNSPEAKABLE in reason
    assert [key for key, made in notes.made if made.finished] == [B]
    assert voice.open_phrases == 0


def test_an_error_that_no_adapter_knows_ends_its_turn_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    voice = FakeSynthesizer()
    tone = voice._tone

    def broken(word: str, length: int) -> Pcm:
        if word == "bad":
            raise ZeroDivisionError
        return tone(word, length)

    monkeypatch.setattr(voice, "_tone", broken)
    actor, notes = an_actor(voice)
    actor.on_receive(say(A, "a bad word"))
    actor.on_receive(say(B, "one two"))
    drain(actor)
    assert notes.failed == [(A, "ZeroDivisionError")]
    assert [key for key, made in notes.made if made.finished] == [B]


def test_phrases_stand_end_to_end() -> None:
    actor, notes = an_actor()
    actor.on_receive(say(A, "one two", last=False))
    actor.on_receive(say(A, "three", index=1, last=False))
    actor.on_receive(say(A, "", index=2))
    drain(actor)
    events = [event for _, made in notes.made for event in made.events]
    begun = [event for event in events if isinstance(event, PhraseBegun)]
    done = [event for event in events if isinstance(event, PhraseDone)]
    assert [event.index for event in begun] == [event.index for event in done] == [0, 1]
    assert done[0].first == 0
    assert done[0].end == begun[1].first == done[1].first
    assert [word.text for word in done[0].words] == ["one", "two"]


def test_a_model_that_cannot_be_loaded_says_why_and_the_actor_ends() -> None:
    def missing() -> FakeSynthesizer:
        raise FileNotFoundError("no weights")

    notes = Notes()
    ref = TtsActor.start(
        load=missing, calibrate=lambda _: WholeFrames, mailbox=DirectMailbox(), listener=notes, ahead_s=1.0
    )
    ref.actor_stopped.wait(5.0)
    assert [str(error) for error in notes.load_failures] == ["no weights"]
    assert notes.loaded == []


def test_when_it_ends_the_model_is_closed() -> None:
    voice = FakeSynthesizer()
    notes = Notes()
    ref = TtsActor.start(
        load=lambda: voice, calibrate=lambda _: WholeFrames, mailbox=DirectMailbox(), listener=notes, ahead_s=1.0
    )
    ref.tell(say(A, "one two three", last=False))
    ref.stop()
    assert notes.ends == 1
    assert voice.closed
    assert voice.open_phrases == 0


def test_memory_that_cannot_be_measured_ends_a_load_as_any_other_fault_does() -> None:
    class Blind(FakeMemory):
        def give_back(self) -> None:
            raise OSError("no such process")

    notes = Notes()
    ref = TtsActor.start(
        load=FakeSynthesizer,
        calibrate=lambda _: WholeFrames,
        mailbox=DirectMailbox(),
        listener=notes,
        meter=Blind(),
    )
    ref.actor_stopped.wait(5.0)
    assert [str(error) for error in notes.load_failures] == ["no such process"]
    assert not notes.loaded
