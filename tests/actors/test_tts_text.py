"""The text of a turn as it comes in: in pieces, empty, twice, too early, too much."""

import numpy as np

from protocol.audio import Flags
from protocol.ids import TurnId
from protocol.speaking import EndSpeaking, SpeakingFailed, SpeechFinished
from tests.actors.tts_stage import ONE, TEXT, TWO, a_stage
from tests.actors.tts_turns import uninterrupted


async def test_text_of_a_newer_turn_needs_the_older_one_to_be_over() -> None:
    async with a_stage() as stage:
        client = await stage.client()
        await stage.say(client, TEXT)
        stage.send_text(client, "Too soon.", turn=TWO)
        stage.send_text(client, "Still too soon.", turn=TWO, index=1)
        await stage.play_out(client)
        (failed,) = stage.events(client, SpeakingFailed)
        assert (failed.turn, failed.code) == (TWO, "turn-busy")
        assert len(client.heard) == 43


async def test_an_empty_last_piece_ends_the_turn() -> None:
    expected = await uninterrupted("One two.")
    async with a_stage() as stage:
        client = await stage.client()
        await stage.say(client, "One two.", last=False)
        await stage.play(5)
        assert stage.events(client, SpeechFinished) == []
        await stage.say(client, "", index=1)
        await stage.play_out(client)
        assert np.array_equal(client.sound(), expected)


async def test_a_turn_without_anything_to_speak_ends_with_one_silent_frame() -> None:
    async with a_stage() as stage:
        client = await stage.client()
        await stage.say(client, "...")
        await stage.until(lambda: bool(stage.events(client, SpeechFinished)))
        await stage.play(2)
        (frame,) = client.heard
        assert frame.flags == Flags.FIRST | Flags.LAST
        assert not any(frame.pcm)


async def test_text_that_comes_while_the_turn_sounds_joins_without_a_seam() -> None:
    expected = await uninterrupted("One two.", "Three four.")
    async with a_stage() as stage:
        client = await stage.client()
        await stage.say(client, "One two.", last=False)
        await stage.play(5)
        await stage.say(client, "Three four.", index=1)
        await stage.play_out(client)
        assert np.array_equal(client.sound(), expected)


async def test_a_piece_that_came_twice_is_spoken_once_and_a_missing_one_fails_the_turn() -> None:
    async with a_stage() as stage:
        client = await stage.client()
        await stage.say(client, "One.", last=False)
        stage.send_text(client, "One.", last=False)
        stage.send_text(client, "Three.", index=2)
        await stage.play(3)
        (failed,) = stage.events(client, SpeakingFailed)
        assert (failed.turn, failed.code) == (ONE, "text-lost")
        assert stage.time.waiting == 0


async def test_too_much_text_is_refused() -> None:
    async with a_stage(ahead_s=0.5) as stage:
        client = await stage.client()
        for index in range(6):
            stage.send_text(client, "word " * 790, index=index, last=False)
        await stage.play(2)
        (failed,) = stage.events(client, SpeakingFailed)
        assert failed.code == "too-much-text"


async def test_text_for_a_session_that_was_never_started_fails_loudly() -> None:
    async with a_stage() as stage:
        client = await stage.client()
        stage.command(EndSpeaking(session=client.session))
        stage.send_text(client, "Hello?", turn=TurnId(7))
        await stage.play(1)
        (failed,) = stage.events(client, SpeakingFailed)
        assert (failed.turn, failed.code) == (7, "no-voice")
