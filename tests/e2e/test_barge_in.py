"""The user speaks while we do: words end the reply, everything else leaves not a sample missing."""

import asyncio
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

from protocol.audio import Flags
from protocol.conversation import BargeIn, Heard, Hold, Interrupt, Reply, SessionConfig, StateChanged, Transcript
from protocol.ports import Pcm
from tests.bench.interruption import LONG_REPLY
from tests.bench.resume import rendered_by_worker
from tests.bench.tap import Tap
from tests.clients.websocket import WebSocketClient, samples_of
from tests.e2e.ears import words_of
from tests.e2e.system import System
from tests.speech import cough, mm_hm, noise, spoken

pytestmark = [pytest.mark.system, pytest.mark.models, pytest.mark.realtime]

REPLY = "The boats come back one after another, and people stand on the pier and wait for what the night has given."
WORDS = "Wait, stop please."
_FRAMES_BEFORE = 50
_QUIET_S = 0.5


async def test_words_stop_the_reply_at_once_and_for_good(system: System) -> None:
    async with await WebSocketClient.open(system.url) as client:
        since = await _speaking(client, LONG_REPLY)
        client.microphone.say(spoken(WORDS))
        await client.event(StateChanged, lambda m: m.state == "LISTENING", since=since)
        assert [m.state for m in client.events(StateChanged, since=since)][:2] == ["BARGED_IN", "LISTENING"]
        await asyncio.sleep(_QUIET_S)  # frames that should not come get time to come

        held = max(t.at for t in client.told[since:] if isinstance(t.message, Hold))
        late = [r.frame for r in client.received if r.at > held and r.frame.turn == 1]
        assert len(late) <= 1
        assert all(frame.flags & Flags.COMFORT for frame in late), "only the fade follows the hold"
        said = await client.event(Transcript, lambda m: m.final, since=since)
        assert "stop" in words_of(said.text)


async def test_the_history_is_cut_to_what_was_heard(system: System) -> None:
    async with await WebSocketClient.open(system.url) as client:
        since = await _speaking(client, LONG_REPLY)
        client.microphone.say(spoken(WORDS))
        settled = await client.event(Heard, lambda m: m.turn == 1, since=since)
        text = " ".join(m.text.strip() for m in client.events(Reply) if m.turn == 1)
        assert settled.interrupted
        assert settled.heard
        assert settled.unheard
        assert settled.heard + settled.unheard == LONG_REPLY
        assert LONG_REPLY.startswith(text.rstrip()), "what was handed to the voice is where the reply begins"
        seconds = len(samples_of(client.frames_of(1))) / 48_000
        words_heard = len(words_of(settled.heard))
        assert 1.5 * seconds < words_heard < 5 * seconds, f"{words_heard} words in {seconds:.1f} s"


async def test_the_interrupting_words_are_answered(system: System) -> None:
    async with await WebSocketClient.open(system.url) as client:
        since = await _speaking(client, LONG_REPLY)
        client.microphone.say(spoken("No, tell me something else."))
        answer = await client.event(Heard, lambda m: m.turn > 1, since=since, timeout_s=20)
        assert {"tell", "something", "else"} <= set(words_of(answer.heard))
        assert not answer.interrupted


async def test_a_hold_and_a_resume_lose_and_repeat_nothing(system: System, tap: Tap) -> None:
    resuming = SessionConfig(barge_in="resume_on_silence")
    async with await WebSocketClient.open(system.url, resuming) as client:
        await client.say(REPLY)
        uninterrupted = samples_of(await client.whole_turn(1))
    async with await WebSocketClient.open(system.url, resuming) as client:
        watched = await tap.watch(client.session)
        since = await _speaking(client, REPLY)
        client.microphone.say(spoken(WORDS))
        heard = samples_of(await client.whole_turn(1))
        states = [m.state for m in client.events(StateChanged, since=since)]
        assert states[:2] == ["BARGED_IN", "SPEAKING"], "it was interrupted, and went on"
        assert np.array_equal(heard, rendered_by_worker(watched, 1)), "what the worker rendered"
        assert np.array_equal(heard, uninterrupted), "what is heard without an interruption"
        await watched.stop()


@pytest.mark.parametrize(
    ("mode", "sound", "goes_on"),
    [
        pytest.param("words", mm_hm, True, id="words-hum"),
        pytest.param("words", partial(spoken, "Yeah, right."), True, id="words-filler"),
        pytest.param("words", partial(spoken, WORDS), False, id="words-words"),
        pytest.param("any_speech", partial(spoken, "Yeah, right."), False, id="any_speech-filler"),
        pytest.param("resume_on_silence", partial(spoken, WORDS), True, id="resume_on_silence-words"),
    ],
)
async def test_what_ends_a_reply_is_the_mode_s_choice(
    system: System, mode: BargeIn, sound: Callable[[], Pcm], *, goes_on: bool
) -> None:
    async with await WebSocketClient.open(system.url, SessionConfig(barge_in=mode)) as client:
        since = await _speaking(client, REPLY)
        client.microphone.say(sound())
        settled = await client.event(Heard, lambda m: m.turn == 1, since=since, timeout_s=20)
        assert client.events(Hold, since=since), "the sound was noticed"
        assert settled.interrupted is not goes_on
        if goes_on:
            assert settled.heard == REPLY
            positions = [r.frame.position for r in client.frames_of(1)]
            assert positions == sorted(set(positions))


@pytest.mark.parametrize("seed", [1, 3, 8])
async def test_a_cough_is_a_hold_and_the_reply_goes_on_whole(system: System, tap: Tap, seed: int) -> None:
    async with await WebSocketClient.open(system.url) as client:
        watched = await tap.watch(client.session)
        since = await _speaking(client, REPLY)
        client.microphone.say(cough(seed=seed))
        settled = await client.event(Heard, lambda m: m.turn == 1, since=since, timeout_s=20)
        states = [m.state for m in client.events(StateChanged, since=since)]
        assert states[:2] == ["BARGED_IN", "SPEAKING"], "it was taken for an interruption, and was none"
        assert not settled.interrupted
        assert settled.heard == REPLY
        heard = samples_of(await client.whole_turn(1))
        assert np.array_equal(heard, rendered_by_worker(watched, 1)), "not a sample is lost"
        await watched.stop()


async def test_white_noise_leaves_a_reply_whole(system: System) -> None:
    async with await WebSocketClient.open(system.url) as client:
        since = await _speaking(client, REPLY)
        client.microphone.say(noise(0.5, level=0.1))
        settled = await client.event(Heard, lambda m: m.turn == 1, since=since, timeout_s=20)
        assert not settled.interrupted
        assert settled.heard == REPLY


async def test_a_client_may_interrupt_by_a_command(system: System) -> None:
    async with await WebSocketClient.open(system.url) as client:
        since = await _speaking(client, LONG_REPLY)
        await client.tell(Interrupt())
        settled = await client.event(Heard, since=since)
        assert settled.interrupted
        await client.event(StateChanged, lambda m: m.state == "LISTENING", since=since)


async def _speaking(client: WebSocketClient, text: str) -> int:
    """Have `text` spoken as turn 1, and return the mark at which a second of it was heard."""
    await client.say(text)
    await client.speech(turn=1, frames=_FRAMES_BEFORE)
    return client.mark()
