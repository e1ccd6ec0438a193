"""What an operator sees of a conversation in the bucket `sessions`: real server, real models, real time."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import pytest

from adapters.bus.nats import NatsBus
from adapters.registry.bucket import make_bucket
from adapters.registry.nats_sessions import BUCKET, NatsSessions
from protocol.codec import decode_session
from protocol.conversation import Configure, Heard, SessionConfig, StateChanged
from protocol.directory import SessionEntry
from protocol.ids import ModelId, SessionId, WorkerName
from tests.actors.test_cli_fleet import Command
from tests.clients.websocket import WebSocketClient
from tests.e2e.system import System
from tests.e2e.test_conversation import QUESTION
from tests.speech import spoken

pytestmark = [pytest.mark.system, pytest.mark.models, pytest.mark.realtime]

_SOON_S = 20.0
Fits = Callable[[SessionEntry | None], bool]


@dataclass(frozen=True, slots=True)
class Operator:
    """Watches the bucket as `nats kv watch sessions` does."""

    bus: NatsBus

    async def sees(self, session: SessionId, fits: Fits) -> SessionEntry | None:
        """What is told of the session (None: nothing), as soon as it is like this."""
        js = self.bus.client.jetstream()
        await make_bucket(js, replicas=1, bucket=BUCKET)
        watcher = await (await js.key_value(BUCKET)).watch(session)
        try:
            async with asyncio.timeout(_SOON_S):
                async for update in watcher:
                    told = decode_session(update.value) if update is not None and update.value else None
                    if fits(told):
                        return told
        finally:
            await watcher.stop()  # type: ignore[no-untyped-call]  # nats-py
        raise AssertionError("the watcher ended")

    async def sees_some(self, session: SessionId, fits: Callable[[SessionEntry], bool]) -> SessionEntry:
        """The same of a session that is there."""
        told = await self.sees(session, lambda entry: entry is not None and fits(entry))
        assert told is not None
        return told


@pytest.fixture
async def operator(system: System) -> AsyncIterator[Operator]:
    bus = await NatsBus.connect(system.nats_url, name="operator")
    yield Operator(bus)
    await bus.close()


async def test_a_conversation_is_seen_from_its_opening_to_its_close(system: System, operator: Operator) -> None:
    began = time.time()
    async with await WebSocketClient.open(system.url, SessionConfig(voice="hibari-heart")) as client:
        opened = await operator.sees_some(client.session, lambda entry: entry.state == "LISTENING")
        assert (opened.tts_worker, opened.tts_model, opened.asr_worker) == (
            WorkerName("tts-hibari-0"),
            ModelId("hibari-heart"),
            WorkerName("asr-whisper-0"),
        )
        assert (opened.gateway, opened.language, opened.turn, opened.history) == ("gateway-0", "en", 0, 0)
        assert began - 1 < opened.opened_at / 1e6 < time.time() + 1

        client.microphone.say(spoken(QUESTION))
        turn = (await client.event(StateChanged, lambda m: m.state == "SPEAKING", timeout_s=20)).turn
        speaking = await operator.sees_some(client.session, lambda entry: entry.state == "SPEAKING")
        assert (speaking.turn, speaking.history, speaking.opened_at) == (turn, 1, opened.opened_at)
        await client.event(Heard, timeout_s=20)
        over = await operator.sees_some(client.session, lambda entry: entry.history == 2)
        assert (over.state, over.turn) == ("LISTENING", turn)
        assert over.updated_at > speaking.updated_at

        await client.tell(Configure(config=SessionConfig(voice="piper-joe")))
        changed = await operator.sees_some(client.session, lambda entry: entry.tts_model == "piper-joe")
        assert (changed.tts_worker, changed.turn) == ("tts-piper-0", turn)
        status, output = await Command("sessions", "list", "--json", nats=system.nats_url).end()
        assert status == 0, output
        assert [e["tts_model"] for e in json.loads(output)["sessions"] if e["session"] == client.session] == [
            "piper-joe"
        ]
        session = client.session
    await operator.sees(session, lambda entry: entry is None)
    directory = NatsSessions(operator.bus)
    assert session not in {entry.session for entry in await directory.entries()}
    await directory.close()


async def test_a_nats_server_that_was_killed_is_told_of_the_conversation_again(
    system: System, operator: Operator
) -> None:
    async with await WebSocketClient.open(system.url) as client:
        await operator.sees_some(client.session, lambda _: True)
        back = asyncio.Event()
        operator.bus.on_reconnect(back.set)
        await asyncio.to_thread(system.restart, "nats")
        await asyncio.wait_for(back.wait(), _SOON_S)
        since = client.mark()
        await client.say("Good morning.")
        await client.event(Heard, since=since, timeout_s=20)
        told = await operator.sees_some(client.session, lambda entry: entry.turn == 1 and entry.state == "LISTENING")
        assert told.history == 1
