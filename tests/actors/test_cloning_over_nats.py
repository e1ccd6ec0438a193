"""From an upload to a cloned voice, over a real server: the gateway and the worker share nothing but NATS."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

import aiohttp
import numpy as np
import pytest

from actors.gateway import call_later
from actors.references import References
from actors.tts_worker import TtsWorker
from actors.voices import Voice
from adapters.audio.mastering import calibrate
from adapters.bus.nats import NatsBus
from adapters.references.nats_objects import NatsReferences
from adapters.server.embedded_nats import EmbeddedNats
from protocol.audio import Flags, Frame
from protocol.conversation import Playout
from protocol.errors import Refused
from protocol.ids import Samples, SessionId, TurnId, WorkerName
from protocol.ports import Pcm
from protocol.refusals import Refusal
from protocol.speaking import SpeakingReady, StartSpeaking, TextChunk
from protocol.subjects import session_playout, tts_command, tts_frames
from tests.adapters.recordings import sound_file
from tests.adapters.serving import served
from tests.fakes.cloner import FakeCloner
from tests.fakes.host import FakeHost
from tests.fakes.registry import FakeRegistry

pytestmark = pytest.mark.realtime

WORKER = WorkerName("tts-cloner-0")
SESSION = SessionId("s-1")
HEADERS = {"Content-Type": "audio/wav", "Reference-Text": quote("What is said.")}


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[EmbeddedNats]:
    server = EmbeddedNats(tmp_path / "nats")
    await server.start()
    yield server
    await server.stop()


@asynccontextmanager
async def a_worker(server: EmbeddedNats, cloner: FakeCloner) -> AsyncIterator[None]:
    bus = await NatsBus.connect(server.url, name="worker")
    worker = TtsWorker(
        name=WORKER,
        bus=bus,
        registry=FakeRegistry(),
        voices=[Voice(model=cloner.model, languages=("en",), load=lambda: cloner, clones=True)],
        calibrate=calibrate,
        references=NatsReferences(bus),
    )
    await worker.open()
    try:
        yield
    finally:
        await worker.close()
        await bus.close()


async def spoken(bus: NatsBus, turn: TurnId) -> Pcm:
    """A turn's sound, for a client that plays at once."""
    frames: list[Frame] = []
    ended = asyncio.Event()

    def on_frame(_subject: object, frame: Frame) -> None:
        frames.append(frame)
        bus.publish(
            session_playout(SESSION),
            Playout(session=SESSION, turn=turn, played=frame.end, queued=Samples(0), held=False),
        )
        if Flags.LAST in frame.flags:
            ended.set()

    subscription = await bus.subscribe_frames(tts_frames(SESSION), on_frame, depth=1_000)
    bus.publish(
        tts_command(SESSION, WORKER), TextChunk(session=SESSION, turn=turn, index=0, text="One two three.", last=True)
    )
    await asyncio.wait_for(ended.wait(), 30)
    subscription.cancel()
    return np.frombuffer(b"".join(frame.pcm for frame in frames), "<i2").astype(np.float32)


def pitch_of(sound: Pcm) -> float:
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    return float(np.argmax(spectrum) * 48_000 / len(sound))


async def test_what_a_client_uploads_is_what_a_worker_elsewhere_imitates_until_the_session_ends(
    server: EmbeddedNats,
) -> None:
    cloner = FakeCloner()
    bus = await NatsBus.connect(server.url, name="gateway")
    references = References(NatsReferences(bus), call_later=call_later)
    try:
        async with (
            a_worker(server, cloner),
            served(FakeHost(), references=references) as url,
            aiohttp.ClientSession() as http,
        ):
            async with http.post(f"{url}/references", data=sound_file(), headers=HEADERS) as response:
                assert response.status == 201
                name = (await response.json())["reference"]
            await references.use(SESSION, name)
            start = StartSpeaking(session=SESSION, model=cloner.model, reference=name)
            assert isinstance(await bus.request(tts_command(SESSION, WORKER), start, timeout_s=20), SpeakingReady)
            assert abs(pitch_of(await spoken(bus, TurnId(1))) - 220.0) < 3.0

            stranger = StartSpeaking(session=SessionId("s-2"), model=cloner.model, reference=name)
            refused = await bus.request(tts_command(SessionId("s-2"), WORKER), stranger, timeout_s=20)
            assert isinstance(refused, Refusal)
            assert refused.code == "no-such-reference"

            references.forget(SESSION)
            await references.close()
            with pytest.raises(Refused, match="no-such-reference"):
                await NatsReferences(bus).get(name)
    finally:
        await bus.close()
