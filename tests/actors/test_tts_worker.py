"""The streaming interface of a TTS worker, as docs/protocol.md promises it."""

import numpy as np
import pytest

from protocol.audio import SPEECH_FRAME, Flags, Frame
from protocol.ids import ModelId, SessionId, TurnId
from protocol.ports import Pcm
from protocol.speaking import (
    EndSpeaking,
    PhrasePlaced,
    Resume,
    SpeakingFailed,
    SpeechBegan,
    SpeechFinished,
    SpeechPaused,
    StartSpeaking,
)
from protocol.subjects import tts_command
from tests.actors.tts_stage import MODEL, ONE, TEXT, TWO, WORKER, Stage, a_stage
from tests.fakes.voices import UNSPEAKABLE, FakeSynthesizer


async def uninterrupted(*texts: str) -> Pcm:
    """What a turn sounds like when nobody disturbs it."""
    async with a_stage() as stage:
        client = await stage.client()
        await stage.say(client, *texts)
        await stage.play_out(client)
        return client.sound()


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
        await stage.resume(client)
        await stage.resume(client)
        await stage.play_out(client)
        await stage.pause(client)
        assert np.array_equal(client.sound(), expected)
        assert stage.events(client, SpeechFinished)[-1].samples == len(expected)


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


async def test_too_much_text_is_refused() -> None:
    async with a_stage(ahead_s=0.5) as stage:
        client = await stage.client()
        for index in range(6):
            stage.send_text(client, "word " * 790, index=index, last=False)
        await stage.play(2)
        (failed,) = stage.events(client, SpeakingFailed)
        assert failed.code == "too-much-text"


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


async def test_a_turn_that_is_paused_for_ever_is_dropped_and_said_so() -> None:
    async with a_stage() as stage:
        client = await stage.client()
        await stage.say(client, TEXT)
        await stage.pause(client)
        stage.time.advance(200.0)
        stage.worker._sessions.forget_silent(stage.time.now, after_s=600.0, paused_s=120.0)
        (failed,) = stage.events(client, SpeakingFailed)
        assert failed.code == "paused-too-long"


async def test_a_session_that_gives_no_sign_of_life_is_forgotten() -> None:
    async with a_stage() as stage:
        client = await stage.client()
        open_before = stage.bus.subscriptions
        stage.time.advance(601.0)
        stage.worker._sessions.forget_silent(stage.time.now, after_s=600.0, paused_s=120.0)
        assert stage.worker.describe().sessions == 0
        assert stage.bus.subscriptions == open_before - 1
        stage.send_text(client, "Hello?")
        await stage.play(1)
        (failed,) = stage.events(client, SpeakingFailed)
        assert (failed.turn, failed.code) == (ONE, "no-voice")


async def test_text_for_a_session_that_was_never_started_fails_loudly() -> None:
    async with a_stage() as stage:
        client = await stage.client()
        stage.command(EndSpeaking(session=client.session))
        stage.send_text(client, "Hello?", turn=TurnId(7))
        await stage.play(1)
        (failed,) = stage.events(client, SpeakingFailed)
        assert (failed.turn, failed.code) == (7, "no-voice")


async def test_a_started_session_is_told_its_model_and_that_it_was_there() -> None:
    async with a_stage() as stage:
        session = SessionId("s1")
        ready = await stage.bus.request(tts_command(session, WORKER), StartSpeaking(session=session))
        assert (ready.type, ready.model, ready.sample_rate, ready.resident) == ("ready", MODEL, 24_000, True)


async def start(stage: Stage, name: str, **options: object) -> object:
    session = SessionId(name)
    message = StartSpeaking(session=session, **options)  # type: ignore[arg-type]  # the tests' own
    return await stage.bus.request(tts_command(session, WORKER), message)


async def test_what_cannot_be_started_is_refused_with_a_code() -> None:
    async with a_stage(capacity=2) as stage:
        assert (await start(stage, "s1", model="no-such")).code == "no-such-model"  # type: ignore[attr-defined]  # refused
        assert (await start(stage, "s1", reference="me")).code == "no-such-capability"  # type: ignore[attr-defined]  # as above
        assert (await start(stage, "s1", language="de")).code == "no-such-language"  # type: ignore[attr-defined]  # as above
        await stage.client("s1")
        await stage.client("s2")
        assert (await start(stage, "s3")).code == "too-many-sessions"  # type: ignore[attr-defined]  # as above
        assert (await start(stage, "s2")).type == "ready"  # type: ignore[attr-defined]  # a repeated start is no third session


async def test_a_new_voice_speaks_from_the_next_turn_on() -> None:
    low, high = FakeSynthesizer("fake-one"), FakeSynthesizer("fake-two", rate=16_000)
    async with a_stage(low, high) as stage:
        client = await stage.client()
        await stage.say(client, "One two.", last=False)
        ready = await start(stage, "s1", model="fake-two")
        assert not ready.resident  # type: ignore[attr-defined]  # it is ready
        before = high.steps
        await stage.say(client, "Three.", index=1)
        await stage.play_out(client)
        assert high.steps == before
        await stage.say(client, "Four.", turn=TWO)
        await stage.play_out(client)
        assert high.steps > before


def kill_voice(stage: Stage, model: ModelId) -> None:
    """End its actor by an error that nobody expects."""
    stage.worker._models._current[model].tell("nonsense")  # type: ignore[arg-type]  # that is the error


async def test_a_voice_that_dies_is_reported_to_whom_it_spoke_for_and_loaded_again() -> None:
    async with a_stage(ahead_s=1.0) as stage:
        speaking, silent = await stage.client("s1"), await stage.client("s2")
        speaking.gate.expect(ONE)
        stage.send_text(speaking, "word " * 50)
        await stage.until(lambda: bool(speaking.got))
        kill_voice(stage, MODEL)
        await stage.until(lambda: len(stage.bus.said(SpeakingFailed)) == 2)
        assert [(f.turn, f.code) for f in stage.events(speaking, SpeakingFailed)] == [(ONE, "voice-died")]
        assert [(f.turn, f.code) for f in stage.events(silent, SpeakingFailed)] == [(0, "voice-died")]
        assert (await start(stage, "s1")).type == "ready"  # type: ignore[attr-defined]  # not refused
        await stage.say(speaking, "One.", turn=TWO)
        await stage.play_out(speaking)
        assert len(speaking.sound(TWO)) > 0


async def test_a_turn_in_another_voice_outlives_the_one_that_dies() -> None:
    expected = await uninterrupted(TEXT)
    async with a_stage(FakeSynthesizer("fake-one"), FakeSynthesizer("fake-two")) as stage:
        client = await stage.client()
        await stage.say(client, TEXT)
        await start(stage, "s1", model="fake-two")
        kill_voice(stage, ModelId("fake-two"))
        await stage.until(lambda: bool(stage.events(client, SpeakingFailed)))
        assert [f.turn for f in stage.events(client, SpeakingFailed)] == [0]
        await stage.play_out(client)
        assert np.array_equal(client.sound(), expected)
