"""A spoken question goes in, a spoken answer comes out: real server, real models, real time."""

from collections.abc import Callable

import numpy as np
import pytest

from protocol.audio import SPEECH_FRAME, SPEECH_RATE, Flags
from protocol.conversation import Heard, Reply, SessionConfig, StateChanged, Transcript, TurnMeasured
from tests.bench.jitter import deviations_ms
from tests.clients.sound import first_audible
from tests.clients.websocket import Received, WebSocketClient, samples_of
from tests.e2e.ears import words_heard, words_of
from tests.e2e.system import System
from tests.speech import joined, silence, spoken

pytestmark = [pytest.mark.system, pytest.mark.models, pytest.mark.realtime]

QUESTION = "What time does the train to the coast leave?"


@pytest.mark.smoke
async def test_a_spoken_question_is_answered_in_speech(system: System, note: Callable[[str], None]) -> None:
    async with await WebSocketClient.open(system.url) as client:
        first = client.microphone.say(spoken(QUESTION))
        heard = await client.event(Transcript, lambda m: m.final)
        assert words_of(heard.text) == words_of(QUESTION)
        turn = (await client.event(StateChanged, lambda m: m.state == "SPEAKING")).turn
        frames = await client.whole_turn(turn)
        await client.event(StateChanged, lambda m: m.state == "LISTENING" and len(client.events(StateChanged)) > 2)

        reply = " ".join(m.text.strip() for m in client.events(Reply))
        assert set(words_of(QUESTION)) <= set(words_of(reply)), "the echo says what was said"
        assert await words_heard(samples_of(frames)) == words_of(reply), "what is heard is what is written"
        assert _is_whole(frames)
        assert {r.frame.turn for r in client.received} == {turn}
        settled = await client.event(Heard)
        assert (settled.turn, words_of(settled.heard), settled.unheard) == (turn, words_of(reply), "")
        assert not settled.interrupted

        asked = client.microphone.left_at(first + len(spoken(QUESTION)) - 1)
        begins = next(r.at for r in frames if first_audible(samples_of([r]), SPEECH_RATE) is not None)
        note(f"voice to voice {(begins - asked) * 1000:.0f} ms; {_timing(frames)}; {_latencies(client)}")


async def test_the_states_follow_each_other_in_order(system: System) -> None:
    async with await WebSocketClient.open(system.url) as client:
        client.microphone.say(spoken(QUESTION))
        await client.event(Heard, timeout_s=20)
        await client.until(lambda: client.events(StateChanged)[-1].state == "LISTENING" or None)
        states = [m.state for m in client.events(StateChanged)]
        assert states[-3:] == ["THINKING", "SPEAKING", "LISTENING"]
        assert "BARGED_IN" not in states


async def test_a_pause_in_a_question_is_not_its_end(system: System) -> None:
    question = joined(spoken("Can you tell me"), silence(0.4), spoken("how many people live in this town?"))
    async with await WebSocketClient.open(system.url) as client:
        first = client.microphone.say(question)
        await client.event(Heard, timeout_s=20)
        over = client.microphone.left_at(first + len(question) - 1)
        assert min(r.at for r in client.received) > over, "the answer began before the question was over"
        said = " ".join(m.text for m in client.events(Transcript) if m.final)
        assert {"tell", "me", "many", "people", "town"} <= set(words_of(said))
        turns = {r.frame.turn for r in client.received}
        assert len(turns) == 1, "one question, one answer"


async def test_text_is_spoken_as_given_and_in_one_piece(system: System) -> None:
    text = "Good morning. The boats are back, and the market opens soon."
    async with await WebSocketClient.open(system.url) as client:
        await client.say(text)
        frames = await client.whole_turn(1)
        assert _is_whole(frames)
        assert await words_heard(samples_of(frames)) == words_of(text)


@pytest.mark.parametrize("voice", ["hibari-heart", "piper-joe"])
async def test_each_voice_speaks(system: System, voice: str, note: Callable[[str], None]) -> None:
    async with await WebSocketClient.open(system.url, SessionConfig(voice=voice)) as client:
        assert voice in client.opened.voices
        await client.say("The old bridge was built before the town had a name.")
        frames = await client.whole_turn(1)
        assert {"old", "bridge", "town", "name"} <= set(await words_heard(samples_of(frames)))
        measured = await client.event(TurnMeasured)
        assert measured.voice == voice
        note(f"{_latencies(client)}; {_timing(frames)}")


async def test_three_people_are_answered_at_once_and_apart(system: System) -> None:
    questions = ("How many people live in this town?", "Is there a good place to eat near here?", QUESTION)
    clients = [await WebSocketClient.open(system.url) for _ in questions]
    try:
        for client, question in zip(clients, questions, strict=True):
            client.microphone.say(spoken(question))
        for client, question in zip(clients, questions, strict=True):
            heard = await client.event(Heard, timeout_s=30)
            assert set(words_of(question)) <= set(words_of(heard.heard))
            assert _is_whole(await client.whole_turn(heard.turn))
    finally:
        for client in clients:
            await client.close()


def _is_whole(frames: list[Received]) -> bool:
    """Every frame at its place, the first and the last one marked, and only those."""
    positions = [r.frame.position for r in frames]
    firsts = [bool(r.frame.flags & Flags.FIRST) for r in frames]
    lasts = [bool(r.frame.flags & Flags.LAST) for r in frames]
    middle = len(frames) - 1
    return (
        positions == [i * SPEECH_FRAME for i in range(len(frames))]
        and firsts == [True] + [False] * middle
        and lasts == [False] * middle + [True]
    )


def _timing(frames: list[Received]) -> str:
    off = deviations_ms([r.at for r in frames])
    return f"{len(frames)} frames, p95 {np.percentile(off, 95):.1f} ms off their grid"


def _latencies(client: WebSocketClient) -> str:
    measured = client.events(TurnMeasured)
    return ", ".join(f"{name} {took:.0f} ms" for name, took in measured[-1].latencies_ms.items()) if measured else "-"
