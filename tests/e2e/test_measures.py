"""How a conversation's sound flows, for an observer who may neither hear it nor say anything: a real server's rules."""

import asyncio
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from adapters.bus.nats import NatsBus
from adapters.server.embedded_nats import SETTINGS, binary
from protocol.conversation import Heard
from protocol.errors import BusUnavailable
from protocol.measures import GatewayMeasures, TtsMeasures
from protocol.ports import Respond
from protocol.subjects import Subject, mic_frames, parse, session_control, session_meta, tts_frames
from tests.clients.websocket import WebSocketClient
from tests.e2e.system import System, free_port
from tests.speech import spoken

pytestmark = [pytest.mark.system, pytest.mark.models, pytest.mark.realtime]

QUESTION = "What time does the train to the coast leave?"
_LIMIT_S = 30


@pytest.fixture
def guarded_server(tmp_path: Path) -> Iterator[str]:
    """Where `anybody:a` may do anything, and `flow:f` read how sound flows: nothing else, and say nothing."""
    address = f"127.0.0.1:{free_port()}"
    (tmp_path / "guarded.conf").write_text(
        f"""
        listen: "{address}"
        jetstream {{ store_dir: "{tmp_path / "jetstream"}" }}
        {SETTINGS}
        authorization {{ users: [
            {{ user: anybody, password: a }}
            {{ user: flow, password: f, permissions: {{ publish: {{ deny: ">" }}, subscribe: "audio.meta.>" }} }}
        ] }}
        """
    )
    server = subprocess.Popen([str(binary()), "-c", str(tmp_path / "guarded.conf")], stderr=subprocess.PIPE, text=True)
    assert server.stderr is not None
    assert any("Server is ready" in line for line in server.stderr)
    yield address
    server.terminate()
    server.communicate(timeout=10)


class Measured:
    """What an observer has read."""

    def __init__(self) -> None:
        self.subjects: set[str] = set()
        self.gateway: list[GatewayMeasures] = []
        self.voice: list[TtsMeasures] = []
        self._came = asyncio.Event()

    def on_message(self, subject: Subject, message: object, _respond: Respond | None) -> None:
        self.subjects.add(subject)
        match message:
            case GatewayMeasures():
                self.gateway.append(message)
            case TtsMeasures():
                self.voice.append(message)
        self._came.set()

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(_LIMIT_S):
            while not holds():
                self._came.clear()
                await self._came.wait()

    @property
    def played(self) -> int:
        return sum(measures.speech.played for measures in self.gateway if measures.speech)

    @property
    def sent(self) -> int:
        return sum(measures.sent - measures.again for measures in self.voice)


async def test_who_may_not_hear_a_conversation_reads_how_its_sound_flows(guarded_server: str, tmp_path: Path) -> None:
    with System(tmp_path / "up", nats_url=f"nats://anybody:a@{guarded_server}") as system:
        observer = await NatsBus.connect(f"nats://flow:f@{guarded_server}", name="flow")
        async with await WebSocketClient.open(system.url) as client:
            session = client.opened.session
            for frames in (mic_frames(session), tts_frames(session)):
                with pytest.raises(BusUnavailable):
                    await observer.subscribe_frames(frames, lambda *_: None)
            measured = Measured()
            with pytest.raises(BusUnavailable):
                await observer.subscribe(session_control(session), measured.on_message)
            await observer.subscribe(session_meta(session), measured.on_message)

            client.microphone.say(spoken(QUESTION))
            heard = await client.event(Heard, timeout_s=_LIMIT_S)
            frames_heard = len(await client.whole_turn(heard.turn))
            await measured.until(lambda: measured.played == frames_heard == measured.sent)

            assert any(m.microphone is not None and m.microphone.frames > 0 for m in measured.gateway)
            assert {m.speech.turn for m in measured.gateway if m.speech} == {heard.turn}
            assert {m.turn for m in measured.voice} == {heard.turn}
            assert {m.session for m in measured.gateway} == {m.session for m in measured.voice} == {session}
            spoke = {parse(subject).worker for subject in measured.subjects}
            assert len(measured.subjects) == len(spoke) == 2, "a gateway, which has no name, and one voice"
            assert f"audio.meta.{session}.gateway" in measured.subjects
        await observer.close()
