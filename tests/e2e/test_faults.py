"""Parts are killed in mid-conversation, connections are lost, nonsense is sent: the session goes on."""

import asyncio
from collections.abc import Iterator

import pytest

from protocol.conversation import CommandRefused, Heard, SessionConfig
from protocol.errors import Refused
from tests.clients.websocket import WebSocketClient, samples_of
from tests.e2e.ears import words_heard, words_of
from tests.e2e.system import System
from tests.speech import spoken

pytestmark = [pytest.mark.system, pytest.mark.models, pytest.mark.realtime]

QUESTIONS = ("How many people live in this town?", "Is there a good place to eat near here?")
SENTENCE = "The boats come back one after another, and people stand on the pier and wait for the market to open."


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """One of our own: its parts are killed, and it takes three sessions."""
    system = System(tmp_path_factory.mktemp("up"), environment={"ANTIPHON_MAX_SESSIONS": "3"}).wait_until_complete()
    try:
        yield system
        system.stop()
    finally:
        system.kill()


@pytest.mark.parametrize("part", ["asr", "tts-hibari"])
async def test_a_killed_worker_comes_back_and_the_session_goes_on(system: System, part: str) -> None:
    async with await WebSocketClient.open(system.url) as client:
        await _asked_and_answered(client, QUESTIONS[0])
        await asyncio.to_thread(system.restart, part)
        await _asked_and_answered(client, QUESTIONS[1])


async def test_a_reply_goes_on_at_the_first_word_that_its_killed_voice_did_not_say(system: System) -> None:
    async with await WebSocketClient.open(system.url) as client:
        await client.say(SENTENCE)
        await client.speech(turn=1, frames=50)
        await asyncio.to_thread(system.restart, "tts-hibari")
        cut = await client.event(Heard, lambda m: m.turn == 1, timeout_s=15)
        rest = await client.event(Heard, lambda m: m.turn == 2, timeout_s=15)
        assert cut.heard
        assert words_of(cut.heard) + words_of(rest.heard) == words_of(SENTENCE)
        assert await words_heard(samples_of(await client.whole_turn(2))) == words_of(rest.heard)
        await _asked_and_answered(client, QUESTIONS[0])


async def test_a_restarted_nats_server_is_a_pause_and_no_more(system: System) -> None:
    async with await WebSocketClient.open(system.url) as client:
        await _asked_and_answered(client, QUESTIONS[0])
        await asyncio.to_thread(system.restart, "nats")
        await _asked_and_answered(client, QUESTIONS[1])


async def test_a_lost_connection_comes_back_to_its_session(system: System) -> None:
    lost = await WebSocketClient.open(system.url)
    await _asked_and_answered(lost, QUESTIONS[0])
    opened = lost.opened
    await lost.microphone.stop()
    assert lost.socket._response.connection is not None
    assert lost.socket._response.connection.transport is not None
    lost.socket._response.connection.transport.abort()
    async with await WebSocketClient.open(system.url, resume=opened) as client:
        assert client.opened.session == opened.session
        assert client.opened.resumed
        await _asked_and_answered(client, QUESTIONS[1])
    await lost.close()


async def test_a_wrong_token_does_not_open_another_s_session(system: System) -> None:
    async with await WebSocketClient.open(system.url) as client:
        stolen = type(client.opened)(session=client.session, token="x" * 32, config=SessionConfig())
        with pytest.raises(Refused):
            await WebSocketClient.open(system.url, resume=stolen)


async def test_one_session_too_many_is_refused_with_a_reason(system: System) -> None:
    clients = [await WebSocketClient.open(system.url) for _ in range(3)]
    try:
        with pytest.raises(Refused) as refused:
            await WebSocketClient.open(system.url)
        assert refused.value.code == "too-many-sessions"
        assert refused.value.reason
        await _asked_and_answered(clients[0], QUESTIONS[0])
    finally:
        for client in clients:
            await client.close()


@pytest.mark.parametrize(
    "nonsense",
    ["{", "[]", '{"type": "nothing"}', '{"type": "say"}', '{"type": "say", "text": 3}', "\u0000" * 100],
)
async def test_malformed_text_is_refused_and_harms_nobody(system: System, nonsense: str) -> None:
    async with await WebSocketClient.open(system.url) as other, await WebSocketClient.open(system.url) as client:
        await client.socket.send_str(nonsense)
        await client.event(CommandRefused)
        await _says(other, "Good morning.")
        await _says(client, "Good evening.")


@pytest.mark.parametrize("size", [0, 639, 641, 60_000])
async def test_a_malformed_frame_harms_nobody(system: System, size: int) -> None:
    async with await WebSocketClient.open(system.url) as other, await WebSocketClient.open(system.url) as client:
        await client.socket.send_bytes(bytes(size))
        await _says(other, "Good morning.")


async def _says(client: WebSocketClient, text: str) -> None:
    await client.say(text)
    assert await words_heard(samples_of(await client.whole_turn(1))) == words_of(text)


async def _asked_and_answered(client: WebSocketClient, question: str) -> None:
    since = client.mark()
    client.microphone.say(spoken(question))
    heard = await client.event(Heard, lambda m: not m.interrupted, since=since, timeout_s=20)
    assert set(words_of(question)) <= set(words_of(heard.heard))
    assert await words_heard(samples_of(client.frames_of(heard.turn))) == words_of(heard.heard)
