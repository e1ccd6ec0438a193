"""Conversations of a voice with its sessions: when one is forgotten, and when one goes on."""

import numpy as np

from protocol.ids import SessionId
from protocol.ports import Reference
from protocol.speaking import EndSpeaking
from tests.actors.tts_conversing import ASKED, FOUR, GOOD, LONG, MODEL, THREE, after, context_of, heard
from tests.actors.tts_stage import TWO, a_stage
from tests.actors.tts_turns import start
from tests.actors.tts_watching import idle
from tests.fakes.conversant import FakeConversant
from tests.fakes.references import FakeReferenceStore
from tests.fakes.voices import FakeSynthesizer


async def test_with_the_session_its_conversation_is_gone() -> None:
    voice = FakeConversant()
    async with a_stage(voice) as stage:
        client = await stage.client()
        await heard(stage, client, GOOD)
        stage.command(EndSpeaking(session=client.session))
        await idle(stage)
        assert not voice.open_talks
        fresh = await stage.client()
        assert np.array_equal(await heard(stage, fresh, ASKED, turn=TWO), await after(stage, "other"))


async def test_a_session_that_ends_in_mid_turn_leaves_nothing() -> None:
    voice = FakeConversant()
    async with a_stage(voice) as stage:
        client = await stage.client()
        await stage.say(client, LONG, last=False)
        stage.command(EndSpeaking(session=client.session))
        await idle(stage)
        assert not voice.open_talks
        assert voice.open_phrases == 0


async def test_a_session_that_gives_no_sign_of_life_leaves_nothing() -> None:
    voice = FakeConversant()
    async with a_stage(voice) as stage:
        await heard(stage, await stage.client(), GOOD)
        stage.time.advance(601.0)
        stage.worker._sessions.forget_silent(stage.time.now, after_s=600.0, paused_s=120.0)
        await idle(stage)
        assert not voice.open_talks


async def test_a_turn_that_was_paused_for_too_long_leaves_no_trace() -> None:
    voice = FakeConversant()
    async with a_stage(voice) as stage:
        client = await stage.client()
        await stage.say(client, LONG)
        await stage.pause(client)
        stage.time.advance(121.0)
        stage.worker._sessions.forget_silent(stage.time.now, after_s=600.0, paused_s=120.0)
        assert await context_of(stage, voice) == ()


async def test_another_voice_ends_the_conversation_and_the_same_one_again_does_not() -> None:
    voice, other = FakeConversant(), FakeSynthesizer("fake-two")
    async with a_stage(voice, other) as stage:
        client = await stage.client()
        await heard(stage, client, GOOD)
        for speed in (1.5, 1.0):
            assert (await start(stage, "s1", speed=speed)).type == "ready"
        assert [talk.context for talk in voice.open_talks] == [(GOOD,)]
        await start(stage, "s1", model=other.model)
        await heard(stage, client, ASKED, turn=TWO)
        assert not voice.open_talks
        await start(stage, "s1", model=MODEL)
        again = await heard(stage, client, ASKED, turn=THREE)
        assert np.array_equal(again, await after(stage, "other"))


async def test_a_turn_in_the_former_voice_is_spoken_to_its_end_in_its_conversation() -> None:
    voice, other = FakeConversant(), FakeSynthesizer("fake-two")
    async with a_stage(voice, other) as stage:
        client, calm = await stage.client(), await stage.client("calm")
        for one in (client, calm):
            await heard(stage, one, GOOD)
        await stage.say(client, LONG, turn=TWO, last=False)
        await start(stage, "s1", model=other.model)
        await stage.say(client, ASKED, turn=TWO, index=1)
        await stage.play_out(client)
        assert np.array_equal(client.sound(TWO), await heard(stage, calm, LONG, ASKED, turn=TWO))
        assert len(voice.open_talks) == 1


async def test_an_imitation_converses_too_and_its_conversation_ends_before_it_is_forgotten() -> None:
    store, voice = FakeReferenceStore(), FakeConversant()
    pcm = 0.3 * np.sin(np.arange(48_000) / 20)
    name = await store.put(Reference(pcm=pcm.astype(np.float32), sample_rate=24_000, text="What is said."), kept=True)
    async with a_stage(voice, references=store) as stage:
        client, other = await stage.client(reference=name), await stage.client("other", reference=name)
        first = await heard(stage, client, ASKED)
        second = await heard(stage, client, ASKED, turn=TWO)
        assert not np.array_equal(first, second)
        assert np.array_equal(await heard(stage, other, ASKED), first)
        await start(stage, "s1")
        own = await heard(stage, client, ASKED, turn=THREE)
        assert np.array_equal(own, await after(stage, "own")), "what another voice has said is not its own"
        await start(stage, "s1", reference=name)
        assert np.array_equal(await heard(stage, client, ASKED, turn=FOUR), first)
        await start(stage, "s1")
        stage.command(EndSpeaking(session=SessionId("other")))
        await voice.until_open(0)
        assert [talk.model for talk in voice.open_talks] == [MODEL], "only that of `own`"
