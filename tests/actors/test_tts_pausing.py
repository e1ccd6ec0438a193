"""A turn is paused and goes on, frames are lost, the bus is down: what is heard stays the same."""

import numpy as np
import pytest

from protocol.audio import SPEECH_FRAME, Frame
from protocol.speaking import EndSpeaking, Resume, SpeakingFailed, SpeechFinished, SpeechPaused
from tests.actors.tts_stage import ONE, TEXT, TWO, a_stage
from tests.actors.tts_turns import uninterrupted


@pytest.mark.parametrize("at", range(0, 43, 3))
async def test_a_pause_at_any_frame_loses_and_repeats_nothing(at: int) -> None:
    expected = await uninterrupted(TEXT)
    async with a_stage() as stage:
        client = await stage.client()
        await stage.say(client, TEXT)
        await stage.play(at)
        await stage.pause(client)
        before = len(client.got)
        await stage.play(30)
        assert len(client.got) == before
        await stage.resume(client)
        await stage.play_out(client)
        assert np.array_equal(client.sound(), expected)


@pytest.mark.parametrize("lost", [1, 4, 8])
async def test_frames_that_are_lost_around_a_pause_are_sent_again(lost: int) -> None:
    expected = await uninterrupted(TEXT)
    async with a_stage() as stage:
        client = await stage.client()
        await stage.say(client, TEXT)
        client.loses = lambda frame: frame.sequence >= 12 + 8 - lost
        await stage.play(12)
        await stage.pause(client)
        client.loses = lambda _: False
        await stage.resume(client)
        await stage.play_out(client)
        assert np.array_equal(client.sound(), expected)


async def test_no_frame_leaves_after_a_pause_was_delivered() -> None:
    async with a_stage() as stage:
        client = await stage.client()
        await stage.say(client, TEXT)
        await stage.play(5)
        await stage.pause(client)
        (paused,) = stage.events(client, SpeechPaused)
        assert paused.next_sample == len(client.got) * SPEECH_FRAME
        await stage.play(100)
        assert paused.next_sample == len(client.got) * SPEECH_FRAME
        assert stage.time.waiting == 0


async def test_a_pause_before_the_first_frame_holds_the_turn() -> None:
    async with a_stage() as stage:
        client = await stage.client()
        client.gate.expect(ONE)
        stage.send_text(client, TEXT)
        await stage.pause(client)
        await stage.play(10)
        assert client.got == []
        await stage.resume(client)
        await stage.until(lambda: bool(client.got))
        await stage.play_out(client)
        assert len(client.heard) == 43


async def test_pauses_and_resumes_that_are_late_repeated_or_for_another_turn_are_harmless() -> None:
    expected = await uninterrupted(TEXT)
    async with a_stage() as stage:
        client = await stage.client()
        await stage.say(client, TEXT)
        await stage.play(4)
        await stage.pause(client, TWO)
        await stage.pause(client)
        await stage.pause(client)
        stage.command(Resume(session=client.session, turn=TWO, from_sample=client.gate.wanted))
        await stage.play(3)
        assert len(stage.events(client, SpeechPaused)) == 2
        assert [(m.turn, m.code) for m in stage.events(client, SpeakingFailed)] == [(TWO, "turn-unknown")]
        await stage.resume(client)
        await stage.resume(client)
        await stage.play_out(client)
        await stage.pause(client)
        assert np.array_equal(client.sound(), expected)
        assert stage.events(client, SpeechFinished)[-1].samples == len(expected)


@pytest.mark.parametrize(("known", "code"), [(True, "turn-unknown"), (False, "no-voice")])
async def test_who_waits_for_a_turn_whose_text_never_came_is_told(*, known: bool, code: str) -> None:
    async with a_stage() as stage:
        client = await stage.client()
        if not known:
            stage.command(EndSpeaking(session=client.session))
        await stage.resume(client)
        assert [(m.turn, m.code) for m in stage.events(client, SpeakingFailed)] == [(ONE, code)]


async def test_the_text_of_a_turn_that_was_asked_for_too_early_is_spoken() -> None:
    async with a_stage() as stage:
        client = await stage.client()
        await stage.resume(client)
        await stage.say(client, "One.")
        await stage.play_out(client)
        assert np.array_equal(client.sound(), await uninterrupted("One."))


async def test_a_pause_after_the_last_frame_has_left_loses_nothing_either() -> None:
    expected = await uninterrupted("One.")
    async with a_stage() as stage:
        client = await stage.client()
        client.loses = lambda frame: frame.sequence >= 10
        await stage.say(client, "One.")
        for _ in range(12):
            await stage.play(1)
        await stage.pause(client)
        client.loses = lambda _: False
        await stage.resume(client)
        await stage.play_out(client)
        assert np.array_equal(client.sound(), expected)


async def test_a_position_that_is_not_kept_fails_loudly() -> None:
    async with a_stage() as stage:
        client = await stage.client()
        await stage.say(client, TEXT, TEXT, TEXT)
        await stage.play(100)
        stage.command(Resume(session=client.session, turn=ONE, from_sample=client.got[0].position))
        await stage.play(1)
        (failed,) = stage.events(client, SpeakingFailed)
        assert (failed.turn, failed.code) == (ONE, "position-not-kept")


async def test_frames_that_the_gateway_never_got_are_sent_again_without_being_asked_for() -> None:
    expected = await uninterrupted(TEXT)
    async with a_stage() as stage:
        client = await stage.client()
        await stage.say(client, TEXT)
        dropped: set[int] = set()

        def loses_six_once(frame: Frame) -> bool:
            lost = 20 <= frame.sequence < 26 and frame.sequence not in dropped
            dropped.update({frame.sequence} if lost else ())
            return lost

        client.loses = loses_six_once
        await stage.play_out(client)
        assert len(dropped) == 6
        assert np.array_equal(client.sound(), expected)


async def test_while_the_bus_is_down_nothing_leaves_and_nothing_is_lost() -> None:
    expected = await uninterrupted(TEXT)
    async with a_stage() as stage:
        client = await stage.client()
        await stage.say(client, TEXT)
        await stage.play(10)
        stage.bus.disconnect()
        await stage.play(20)
        stage.bus.reconnect()
        await stage.play_out(client)
        assert np.array_equal(client.sound(), expected)


async def test_a_turn_that_is_paused_for_ever_is_dropped_and_said_so() -> None:
    async with a_stage() as stage:
        client = await stage.client()
        await stage.say(client, TEXT)
        await stage.pause(client)
        stage.time.advance(200.0)
        stage.worker._sessions.forget_silent(stage.time.now, after_s=600.0, paused_s=120.0)
        (failed,) = stage.events(client, SpeakingFailed)
        assert failed.code == "paused-too-long"
