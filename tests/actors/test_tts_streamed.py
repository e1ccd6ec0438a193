"""A voice that takes text while it speaks: the actor stepped by hand, and a worker over a bus."""

import numpy as np

from actors.tts_messages import Drop, Hold, Key, Release, Say
from actors.tts_rendition import PhraseBegun, PhraseDone
from protocol.ids import SessionId, TurnId
from protocol.ports import Pcm
from protocol.speaking import PhrasePlaced, SpeakingFailed, SpeechFinished
from tests.actors.tts_by_hand import Notes, an_actor, drain, say, step
from tests.actors.tts_stage import Client, Stage, a_stage
from tests.actors.tts_watching import begin, hear_out, idle
from tests.fakes.streamer import FakeStreamer
from tests.fakes.voices import UNSPEAKABLE

A: Key = (SessionId("a"), TurnId(1))
B: Key = (SessionId("b"), TurnId(1))
PIECES = ("One two", "three four.", "Five", "six.")
EMPTY = Say(A, 9, "", "en", 1.0, last=True)


def placed(notes: Notes) -> list[PhraseBegun | PhraseDone]:
    return [event for _, made in notes.made for event in made.events]


def sound_of(notes: Notes) -> bytes:
    return b"".join(frame for _, made in notes.made for frame in made.frames)


# --- the actor --------------------------------------------------------------------------------------------------------
def test_it_speaks_before_it_knows_the_rest_and_computes_nothing_where_that_is_lacking() -> None:
    voice = FakeStreamer()
    actor, notes = an_actor(voice)
    actor.on_receive(say(A, "one two three", last=False))
    drain(actor)
    assert notes.order == "aa"
    assert voice.steps == 2
    actor.on_receive(Release(A))
    drain(actor)
    assert voice.steps == 2
    actor.on_receive(say(A, "four", index=1))
    drain(actor)
    assert notes.order == "aaaa"
    assert notes.made[-1][1].finished


def test_a_turn_that_lacks_text_keeps_nobody_waiting() -> None:
    actor, notes = an_actor(FakeStreamer())
    actor.on_receive(say(A, "one two", last=False))
    actor.on_receive(say(B, "one two three"))
    drain(actor)
    assert notes.order.count("b") == 3
    assert notes.order.count("a") == 1


def test_two_turns_are_made_alternately() -> None:
    actor, notes = an_actor(FakeStreamer())
    actor.on_receive(say(A, "one two three"))
    actor.on_receive(say(B, "one two three"))
    drain(actor)
    assert notes.order == "ababab"


def test_a_pause_after_each_chunk_loses_nothing() -> None:
    whole, expected = an_actor(FakeStreamer())
    whole.on_receive(say(A, "one two three. four"))
    drain(whole)
    for pause_at in range(1, 4):
        voice = FakeStreamer()
        actor, notes = an_actor(voice)
        actor.on_receive(say(A, "one two three. four"))
        for _ in range(pause_at):
            step(actor)
        actor.on_receive(Hold(A))
        drain(actor)
        assert voice.steps == pause_at
        actor.on_receive(Release(A))
        drain(actor)
        assert sound_of(notes) == sound_of(expected)


def test_a_stop_frees_what_the_model_holds() -> None:
    voice = FakeStreamer()
    actor, notes = an_actor(voice)
    actor.on_receive(say(A, "one two three", last=False))
    step(actor)
    assert voice.open_streams == 1
    actor.on_receive(Drop(A))
    assert voice.open_streams == 0
    drain(actor)
    assert notes.order == "a"


def test_a_stop_frees_a_turn_that_waits_for_text() -> None:
    voice = FakeStreamer()
    actor, _ = an_actor(voice)
    actor.on_receive(say(A, "one", last=False))
    drain(actor)
    actor.on_receive(Drop(A))
    assert voice.open_streams == 0


def test_pieces_keep_the_numbers_that_they_came_with() -> None:
    """Of pieces without text the model never hears."""
    actor, notes = an_actor(FakeStreamer())
    for index, text in ((0, "One two"), (1, ""), (2, "..."), (3, "three.")):
        actor.on_receive(say(A, text, index=index, last=False))
    actor.on_receive(EMPTY)
    drain(actor)
    assert notes.made[-1][1].finished
    begun = [event for event in placed(notes) if isinstance(event, PhraseBegun)]
    done = [event for event in placed(notes) if isinstance(event, PhraseDone)]
    assert [event.index for event in begun] == [event.index for event in done] == [0, 2, 3]
    assert [event.text for event in done] == ["One two", "...", "three."]
    assert [event.first for event in done][1:] == [event.end for event in done][:-1]
    assert not any(event.exact for event in done)
    assert [word.text for event in done for word in event.words] == ["One", "two", "...", "three."]


def test_a_turn_without_any_text_is_one_last_frame() -> None:
    actor, notes = an_actor(FakeStreamer())
    actor.on_receive(EMPTY)
    drain(actor)
    ((_, made),) = notes.made
    assert made.finished
    assert len(made.frames) == 1


def test_a_failing_piece_ends_its_turn_and_no_other() -> None:
    voice = FakeStreamer()
    actor, notes = an_actor(voice)
    actor.on_receive(say(A, f"one {UNSPEAKABLE} word"))
    actor.on_receive(say(B, "one two"))
    drain(actor)
    ((key, reason),) = notes.failed
    assert key == A
    assert UNSPEAKABLE in reason
    assert [key for key, made in notes.made if made.finished] == [B]
    assert voice.open_streams == 0


# --- behind a worker --------------------------------------------------------------------------------------------------
async def spoken(stage: Stage, client: Client, *pieces: str) -> Pcm:
    begin(stage, client, *pieces)
    await hear_out(stage, client)
    return client.sound()


async def test_a_worker_speaks_the_first_pieces_before_the_last_one_comes() -> None:
    async with a_stage(FakeStreamer()) as stage:
        at_once, client = await stage.client("s1"), await stage.client("s2")
        expected = await spoken(stage, at_once, *PIECES)
        begin(stage, client, PIECES[0], last=False)
        await idle(stage)
        await stage.play(30)  # all of it was played, and text is awaited in silence
        assert client.heard
        for index, text in enumerate(PIECES[1:], 1):
            stage.send_text(client, text, index=index, last=False)
            await idle(stage)
            await stage.play(40)
        stage.send_text(client, "", index=len(PIECES))
        await hear_out(stage, client)
        assert np.array_equal(client.sound(), expected)
        assert not stage.events(client, SpeakingFailed)
        assert len(stage.events(client, SpeechFinished)) == 1


async def test_what_the_worker_tells_of_places_fills_the_sound() -> None:
    async with a_stage(FakeStreamer()) as stage:
        client = await stage.client()
        sound = await spoken(stage, client, *PIECES)
        done = [event for event in stage.events(client, PhrasePlaced) if event.end is not None]
        assert [event.text for event in done] == list(PIECES)
        assert [event.first for event in done][1:] == [event.end for event in done][:-1]
        assert done[0].first == 0
        assert done[-1].end is not None
        assert 0 <= len(sound) - done[-1].end < 960 + 960
        assert stage.worker.describe().metrics.queue_depth == 0


async def test_a_paused_turn_goes_on_at_the_next_sample() -> None:
    async with a_stage(FakeStreamer()) as stage:
        at_once, client = await stage.client("s1"), await stage.client("s2")
        expected = await spoken(stage, at_once, *PIECES)
        begin(stage, client, *PIECES[:2], last=False)
        await idle(stage)
        await stage.play(15)
        await stage.pause(client)
        for index, text in enumerate(PIECES[2:], 2):
            stage.send_text(client, text, index=index, last=text == PIECES[-1])
        await stage.play(25)
        await stage.resume(client)
        await hear_out(stage, client)
        assert np.array_equal(client.sound(), expected)
