"""The voice changes under a live conversation, between two turns, over either transport."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from protocol.conversation import (
    Accepted,
    CloseSession,
    CommandRefused,
    Configure,
    Heard,
    SessionConfig,
    SessionError,
    TurnMeasured,
)
from protocol.ids import ModelId, WorkerName
from protocol.routing import Route, Routed, WhenCold
from protocol.subjects import router, worker
from protocol.workers import LoadModel, UnloadModel, WorkerDescribed
from tests.bench.caller import TRANSPORTS, Client, Transport, connect
from tests.bench.tap import Tap
from tests.clients.websocket import WebSocketClient
from tests.e2e.beside import Beside
from tests.e2e.system import System

pytestmark = [pytest.mark.system, pytest.mark.models, pytest.mark.realtime]

HIBARI, PIPER, KOKORO = ModelId("hibari-heart"), ModelId("piper-joe"), ModelId("kokoro-alpha")
PIPER_WORKER = WorkerName("tts-piper-0")
PATIENCE_S = 30.0


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """One of our own: its models are unloaded."""
    system = System(tmp_path_factory.mktemp("up")).wait_until_complete()
    try:
        yield system
        system.stop()
    finally:
        system.kill()


@pytest.fixture(scope="module")
def kokoro(system: System) -> Iterator[Beside]:
    """A slow voice, which `up` does not start by itself."""
    with Beside.tts(system.nats_url, "kokoro", name="tts-kokoro-0") as beside:
        yield beside


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.usefixtures("kokoro")
async def test_the_voice_changes_between_texts_there_and_back(system: System, transport: Transport) -> None:
    client = await connect(transport, system.url, SessionConfig(voice=HIBARI))
    try:
        assert await _voice_of(client, "One for the money.") == HIBARI
        for voice in (PIPER, KOKORO, PIPER, HIBARI, KOKORO, HIBARI):
            await _choose(client, voice)
            assert await _voice_of(client, f"This is {voice.partition('-')[0]}.") == voice
        assert client.events(SessionError) == []
    finally:
        await client.close()


async def test_a_change_in_mid_turn_waits_for_its_end(system: System) -> None:
    async with await WebSocketClient.open(system.url, SessionConfig(voice=HIBARI)) as client:
        await client.say("The boats come back one after another.")
        await client.say("And people wait for them.")
        await client.speech(turn=1, frames=10)
        await _choose(client, PIPER)
        await client.event(Heard, lambda m: m.turn == 2, timeout_s=PATIENCE_S)
        assert [m.voice for m in client.events(TurnMeasured)] == [HIBARI, PIPER]
        assert [m.interrupted for m in client.events(Heard)] == [False, False]
        assert client.events(SessionError) == []
        await client.tell(CloseSession())


async def test_the_old_voice_speaks_on_until_the_new_one_is_loaded(system: System, tap: Tap) -> None:
    async with await WebSocketClient.open(system.url, SessionConfig(voice=HIBARI)) as client:
        await _unload(tap)
        await _choose(client, PIPER)
        voices = [await _voice_of(client, "Is it you?")]
        async with asyncio.timeout(PATIENCE_S):
            while voices[-1] != PIPER:
                voices.append(await _voice_of(client, "Is it you?"))
        assert set(voices[:-1]) == {HIBARI}
        assert client.events(SessionError) == []
        await client.tell(CloseSession())


async def test_who_would_rather_hear_that_a_voice_is_not_loaded_hears_it(system: System, tap: Tap) -> None:
    async with await WebSocketClient.open(system.url, SessionConfig(voice=HIBARI)) as client:
        await _unload(tap)
        await client.tell(_configure(PIPER, "refuse"))
        refused = await client.event(CommandRefused)
        assert refused.code == "model-not-resident"
        assert await _voice_of(client, "Still me.") == HIBARI
        described = await tap.request(worker(PIPER_WORKER, "load_model"), LoadModel(model=PIPER), timeout_s=PATIENCE_S)
        assert isinstance(described, WorkerDescribed)


async def test_who_would_rather_wait_has_the_next_turn_in_the_new_voice(system: System, tap: Tap) -> None:
    async with await WebSocketClient.open(system.url, SessionConfig(voice=HIBARI)) as client:
        await _unload(tap)
        await client.tell(_configure(PIPER, "wait"))
        await client.event(Accepted)
        assert await _voice_of(client, "Here I am.") == PIPER
        await client.tell(CloseSession())


def _configure(voice: ModelId, when_cold: WhenCold = "fallback") -> Configure:
    return Configure(config=SessionConfig(voice=voice, when_cold=when_cold))


async def _choose(client: Client, voice: ModelId) -> None:
    since = client.mark()
    await client.tell(_configure(voice))
    answer: Any = await client.until(
        lambda: next(iter((*client.events(Accepted, since=since), *client.events(CommandRefused, since=since))), None)
    )
    assert isinstance(answer, Accepted), f"{answer.code}: {answer.reason}"


async def _voice_of(client: Client, text: str) -> str:
    """Have a text spoken to its end; in whose voice it was."""
    since = client.mark()
    await client.say(text)
    heard: Any = await client.event(Heard, since=since, timeout_s=PATIENCE_S)
    assert heard.heard == text
    measured = [m for m in client.events(TurnMeasured, since=since) if m.turn == heard.turn]
    return measured[0].voice


async def _unload(tap: Tap) -> None:
    """Piper's model is known and in nobody's memory, and the gateway has heard of that."""
    answer = await tap.request(worker(PIPER_WORKER, "unload_model"), UnloadModel(model=PIPER))
    assert isinstance(answer, WorkerDescribed)
    assert answer.worker.resident_models == ()
    question = Route(model=PIPER, when_cold="refuse", explain=True)
    async with asyncio.timeout(PATIENCE_S):
        while isinstance(await tap.request(router("route"), question), Routed):
            pass  # asked anew at once: the worker announces what it has unloaded after it has answered
