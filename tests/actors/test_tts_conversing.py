"""Voices that know what they have said to a session: what counts as said."""

from collections.abc import Awaitable, Callable

import numpy as np
import pytest

from protocol.ids import Samples
from protocol.speaking import Resume, SpeakingFailed, SpeechFinished, Stop
from tests.actors.tts_conversing import ASKED, GOOD, LONG, THREE, after, context_of, heard
from tests.actors.tts_stage import ONE, TWO, Client, Stage, a_stage
from tests.actors.tts_turns import start
from tests.actors.tts_watching import idle
from tests.fakes.conversant import FakeConversant
from tests.fakes.voices import UNSPEAKABLE


async def test_a_second_turn_knows_the_first_and_two_sessions_know_nothing_of_each_other() -> None:
    async with a_stage(FakeConversant()) as stage:
        knowing = await after(stage, "s1", GOOD)
        assert np.array_equal(await after(stage, "s2", GOOD), knowing)
        ignorant = await after(stage, "s3")
        assert not np.array_equal(ignorant, knowing)
        assert not np.array_equal(await after(stage, "s4", LONG), knowing)
    async with a_stage(FakeConversant()) as stage:
        assert np.array_equal(await after(stage, "s1"), ignorant)


async def test_a_turns_phrases_know_each_other() -> None:
    voice = FakeConversant()
    async with a_stage(voice) as stage:
        client = await stage.client()
        await heard(stage, client, GOOD, LONG)
        assert await context_of(stage, voice) == (GOOD, LONG)


async def stopped_while_it_is_made(stage: Stage, client: Client) -> None:
    await stage.say(client, GOOD, turn=TWO, last=False)
    stage.send_text(client, LONG * 20, turn=TWO, index=1)
    await stage.play(10)
    await stage.stop(client, TWO)


async def stopped_while_it_sounds(stage: Stage, client: Client) -> None:
    await stage.say(client, LONG, turn=TWO)
    await stage.play(10)
    assert not stage.events(client, SpeechFinished)[1:]
    await stage.stop(client, TWO)


async def stopped_after_its_last_frame_has_left(stage: Stage, client: Client) -> None:
    await stage.say(client, LONG, turn=TWO)
    while not stage.events(client, SpeechFinished)[1:]:
        await stage.play(1)
    assert not client.gate.finished
    await stage.stop(client, TWO)


async def prepared_and_never_adopted(stage: Stage, client: Client) -> None:
    client.gate.expect(TWO, held=True)
    client.report()
    stage.send_text(client, LONG, turn=TWO)
    await idle(stage)
    await stage.play(20)
    assert client.gate.queued
    await stage.stop(client, TWO)


async def prepared_so_short_that_all_of_it_has_left(stage: Stage, client: Client) -> None:
    await start(stage, client.session, speed=2.0)
    client.gate.expect(TWO, held=True)
    client.report()
    stage.send_text(client, "No.", turn=TWO)
    await idle(stage)
    await stage.play(20)
    assert stage.events(client, SpeechFinished)[1:]
    await stage.stop(client, TWO)
    await start(stage, client.session)


async def stopped_while_it_is_paused(stage: Stage, client: Client) -> None:
    await stage.say(client, LONG, turn=TWO)
    await stage.play(10)
    await stage.pause(client, TWO)
    await idle(stage)
    await stage.stop(client, TWO)


async def failing(stage: Stage, client: Client) -> None:
    client.gate.expect(TWO)
    client.report()
    stage.send_text(client, GOOD, turn=TWO, last=False)
    stage.send_text(client, f"That is {UNSPEAKABLE}.", turn=TWO, index=1)
    await stage.until(lambda: bool(stage.events(client, SpeakingFailed)))


async def stopped_before_its_text_came(stage: Stage, client: Client) -> None:
    """A prepared reply of which the language model had said nothing yet. What was heard before it stays."""
    stage.command(Stop(session=client.session, turn=TWO))
    await stage.bus.settle()


@pytest.mark.parametrize(
    "ends",
    [
        stopped_while_it_is_made,
        stopped_while_it_sounds,
        stopped_after_its_last_frame_has_left,
        prepared_and_never_adopted,
        prepared_so_short_that_all_of_it_has_left,
        stopped_while_it_is_paused,
        failing,
        stopped_before_its_text_came,
    ],
)
async def test_a_turn_that_was_not_heard_leaves_no_trace(ends: Callable[[Stage, Client], Awaitable[None]]) -> None:
    voice = FakeConversant()
    async with a_stage(voice) as stage:
        client = await stage.client()
        await heard(stage, client, GOOD)
        await ends(stage, client)
        assert await context_of(stage, voice) == (GOOD,)
        sound = await heard(stage, client, ASKED, turn=THREE)
        assert await context_of(stage, voice) == (GOOD, ASKED)
        assert np.array_equal(sound, await after(stage, "other", GOOD))


async def test_a_late_stop_takes_nothing_back_that_was_followed_by_another_turn() -> None:
    voice = FakeConversant()
    async with a_stage(voice) as stage:
        client = await stage.client()
        await heard(stage, client, GOOD)
        await stage.say(client, LONG, turn=TWO)
        stage.command(Stop(session=client.session, turn=ONE))
        await stage.play_out(client)
        assert await context_of(stage, voice) == (GOOD, LONG)
        await stage.stop(client, TWO)
        assert await context_of(stage, voice) == (GOOD,)


async def test_a_turn_that_goes_on_from_a_word_as_another_one_knows_what_was_heard_before_it() -> None:
    """After a fault at the same worker: the turn is stopped, and the rest of its text comes as a turn of its own."""
    voice = FakeConversant()
    async with a_stage(voice) as stage:
        client = await stage.client()
        await heard(stage, client, GOOD)
        await stage.say(client, LONG, turn=TWO)
        await stage.play(40)
        stage.command(Resume(session=client.session, turn=TWO, from_sample=Samples(48_000 * 60)))
        await stage.until(lambda: bool(stage.events(client, SpeakingFailed)))
        client.gate.flush(TWO)
        stage.command(Stop(session=client.session, turn=TWO))
        rest = await heard(stage, client, "five six seven eight.", turn=THREE)
        assert len(rest) > 48_000 * 0.8
        assert await context_of(stage, voice) == (GOOD, "five six seven eight.")


async def test_pauses_lose_and_repeat_nothing_in_a_conversation() -> None:
    async with a_stage(FakeConversant()) as stage:
        calm, disturbed = await stage.client("calm"), await stage.client("disturbed")
        for client in (calm, disturbed):
            await heard(stage, client, GOOD)
        expected = await heard(stage, calm, LONG, ASKED, turn=TWO)
        await stage.say(disturbed, LONG, ASKED, turn=TWO)
        while not disturbed.gate.finished:
            await stage.play(7)
            if not disturbed.gate.finished:
                await stage.pause(disturbed, TWO)
                await stage.play(12)
                await stage.resume(disturbed, TWO)
        assert np.array_equal(disturbed.sound(TWO), expected)
