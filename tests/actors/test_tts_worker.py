"""The streaming interface of a TTS worker, as docs/protocol.md promises it."""

import numpy as np

from protocol.audio import SPEECH_FRAME, Flags
from protocol.speaking import EndSpeaking, PhrasePlaced, SpeakingFailed, SpeechBegan, SpeechFinished
from tests.actors.tts_stage import ONE, TEXT, TWO, a_stage
from tests.actors.tts_turns import uninterrupted
from tests.fakes.voices import UNSPEAKABLE, FakeSynthesizer


async def test_a_turn_is_heard_whole_in_order_and_on_time() -> None:
    async with a_stage() as stage:
        client = await stage.client()
        await stage.say(client, TEXT)
        await stage.play_out(client)
        frames = client.got
        assert [frame.sequence for frame in frames] == list(range(len(frames)))
        assert [frame.position for frame in frames] == [i * SPEECH_FRAME for i in range(len(frames))]
        assert frames[0].flags == Flags.FIRST
        assert frames[-1].flags == Flags.LAST
        assert all(frame.flags == Flags.NONE for frame in frames[1:-1])
        # four words of 0.2 s and a pause of 60 ms, filled up to whole frames
        assert len(frames) == 43


async def test_the_session_hears_of_the_beginning_each_phrase_and_the_end() -> None:
    async with a_stage() as stage:
        client = await stage.client()
        await stage.say(client, "One two.", "Three four.")
        await stage.play_out(client)
        (began,) = stage.events(client, SpeechBegan)
        assert began.turn == ONE
        (finished,) = stage.events(client, SpeechFinished)
        assert finished.samples == len(client.got) * SPEECH_FRAME
        first_begun, first_done, second_begun, second_done = stage.events(client, PhrasePlaced)
        assert (first_begun.first, first_begun.end) == (0, None)
        assert first_done.end == second_begun.first == second_done.first == 22_080
        assert second_done.end == 2 * 22_080
        assert [(w.text, w.first, w.end) for w in second_done.words] == [
            ("Three", 22_080, 31_680),
            ("four.", 31_680, 41_280),
        ]
        assert second_done.exact


async def test_a_model_that_cannot_tell_its_words_has_them_estimated() -> None:
    async with a_stage(FakeSynthesizer(tells_words=False)) as stage:
        client = await stage.client()
        await stage.say(client, "A longer word.")
        done = stage.events(client, PhrasePlaced)[-1]
        assert not done.exact
        assert [word.text for word in done.words] == ["A", "longer", "word."]
        assert done.words[0].first == 0
        assert done.words[-1].end == done.end


async def test_after_a_stop_there_is_silence_and_everything_is_freed() -> None:
    voice = FakeSynthesizer()
    async with a_stage(voice) as stage:
        client = await stage.client()
        await stage.say(client, TEXT)
        await stage.play(8)
        await stage.stop(client)
        before = len(client.got)
        await stage.play(30)
        assert len(client.got) == before
        assert stage.events(client, SpeechFinished) == []
        assert stage.time.waiting == 0
        stage.send_text(client, "Late text of the turn that was stopped.", index=1)
        await stage.play(5)
        assert len(client.got) == before
        assert stage.events(client, SpeakingFailed) == []
        assert not stage.worker._sessions.get(client.session).is_speaking  # type: ignore[union-attr]  # it exists


async def test_a_stop_in_the_middle_of_a_phrase_closes_the_models_generator() -> None:
    voice = FakeSynthesizer()
    async with a_stage(voice, ahead_s=1.0) as stage:
        client = await stage.client()
        client.gate.expect(ONE)
        stage.send_text(client, "word " * 60)
        await stage.until(lambda: bool(stage.events(client, SpeechBegan)))
        assert voice.open_phrases == 1
        await stage.stop(client)
        stage.command(EndSpeaking(session=client.session))
        await stage.say(await stage.client("s2"), "Hello.")
        assert voice.open_phrases == 0


async def test_the_next_turn_after_a_stop_is_heard_and_nothing_of_the_old_one() -> None:
    async with a_stage() as stage:
        client = await stage.client()
        await stage.say(client, TEXT)
        await stage.play(8)
        await stage.stop(client)
        await stage.say(client, "Two two.", turn=TWO)
        await stage.play_out(client)
        assert {frame.turn for frame in client.got[client.got.index(client.heard[-1]) - 5 :]} == {TWO}
        async with a_stage() as other:
            fresh = await other.client()
            await other.say(fresh, "Two two.")
            await other.play_out(fresh)
            assert np.array_equal(client.sound(TWO), fresh.sound(ONE))


async def test_the_lead_over_the_playout_is_never_exceeded() -> None:
    async with a_stage(lead_ms=200) as stage:
        client = await stage.client()
        await stage.say(client, TEXT, TEXT)
        await stage.play_out(client)
        assert client.lead <= 200 * 48


async def test_a_gateway_that_says_nothing_is_sent_the_lead_and_no_more() -> None:
    async with a_stage(lead_ms=200) as stage:
        client = await stage.client()
        client.report = lambda: None  # type: ignore[method-assign]  # a gateway that has died
        await stage.say(client, TEXT)
        await stage.play(200)
        assert len(client.got) == 10


async def test_frames_leave_on_the_grid_once_the_burst_is_over() -> None:
    async with a_stage() as stage:
        client = await stage.client()
        await stage.say(client, TEXT)
        burst = len(client.got)
        assert burst == 8
        for played in range(1, 30):
            await stage.play(1)
            assert len(client.got) == burst + played


async def test_two_sessions_speak_at_the_same_time_without_disturbing_each_other() -> None:
    expected = await uninterrupted(TEXT)
    async with a_stage() as stage:
        clients = [await stage.client(f"s{i}") for i in range(3)]
        for client in clients:
            client.gate.expect(ONE)
            stage.send_text(client, TEXT)
        await stage.until(lambda: len(stage.bus.said(SpeechBegan)) == 3)
        await stage.play(10)
        await stage.pause(clients[1])
        await stage.play(20)
        await stage.resume(clients[1])
        for client in clients:
            await stage.play_out(client)
            assert np.array_equal(client.sound(), expected)


async def test_a_failing_model_is_reported_with_its_reason_and_the_others_speak_on() -> None:
    expected = await uninterrupted(TEXT)
    async with a_stage() as stage:
        client, other = await stage.client("s1"), await stage.client("s2")
        client.gate.expect(ONE)
        stage.send_text(client, f"This is {UNSPEAKABLE}.")
        await stage.until(lambda: bool(stage.events(client, SpeakingFailed)))
        (failed,) = stage.events(client, SpeakingFailed)
        assert (failed.turn, failed.code) == (ONE, "synthesis-failed")
        assert UNSPEAKABLE in failed.reason
        await stage.say(other, TEXT)
        await stage.play_out(other)
        assert np.array_equal(other.sound(), expected)
        await stage.say(client, TEXT, turn=TWO)
        await stage.play_out(client)
        assert np.array_equal(client.sound(TWO), expected)


async def test_what_is_made_ahead_is_bounded() -> None:
    voice = FakeSynthesizer()
    async with a_stage(voice, ahead_s=2.0) as stage:
        client = await stage.client()
        client.gate.expect(ONE)
        client.report()
        before = voice.steps
        stage.send_text(client, "word " * 100)
        await stage.until(lambda: bool(client.got))
        while not client.gate.finished:
            await stage.play(1)
            made, left = (voice.steps - before) * 9_600, len(client.got) * SPEECH_FRAME
            assert made <= left + 2.0 * 48_000 + 2 * 9_600
        assert voice.steps == before + 101
