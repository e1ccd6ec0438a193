"""A voice dies, hangs or is drained in mid-conversation while another worker could speak: the conversation goes on."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pytest

from protocol.audio import MIC_RATE
from protocol.conversation import CloseSession, Heard, SessionError
from protocol.ids import WorkerName
from protocol.subjects import parse, tts_frames, worker
from protocol.workers import Drain, GetCapabilities, WorkerDescribed
from tests.bench.caller import left_at
from tests.bench.tap import Tap
from tests.clients.websocket import WebSocketClient, samples_of
from tests.e2e.beside import Beside
from tests.e2e.ears import words_heard, words_of
from tests.e2e.system import System
from tests.e2e.voices import Voices
from tests.speech import spoken

pytestmark = [pytest.mark.system, pytest.mark.models, pytest.mark.realtime]

QUESTION = "How many people live in this town?"
SENTENCE = "The boats come back one after another, and people stand on the pier and wait for the market to open."
ONE, OTHER = WorkerName("tts-hibari-0"), WorkerName("tts-hibari-1")
OTHER_EAR = WorkerName("asr-whisper-1")
PATIENCE_S = 30.0


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """One of our own: its parts are killed."""
    system = System(tmp_path_factory.mktemp("up")).wait_until_complete()
    try:
        yield system
        system.stop()
    finally:
        system.kill()


@dataclass
class Scene:
    """Two workers with the same voice, and an observer."""

    system: System
    beside: Beside
    voices: Voices
    tap: Tap

    async def heard_from(self, name: WorkerName) -> None:
        """Return once it pulses."""
        subscription = await self.tap.client.subscribe(f"control.worker.{name}.event.pulse")
        await subscription.next_msg(timeout=PATIENCE_S)
        await subscription.unsubscribe()


@pytest.fixture
async def scene(system: System) -> AsyncIterator[Scene]:
    tap = await Tap.connect(system.nats_url)
    beside = Beside.tts(system.nats_url, "hibari", name=OTHER)
    try:
        await asyncio.to_thread(beside.wait_until_ready)
        scene = Scene(system, beside, Voices(system, beside), tap)
        await scene.heard_from(ONE)
        yield scene
    finally:
        await asyncio.to_thread(beside.__exit__, None, None, None)
        await tap.close()


async def speaker_of(scene: Scene, client: WebSocketClient) -> WorkerName:
    """Who sends the frames that come now."""
    subscription = await scene.tap.client.subscribe(tts_frames(client.session))
    message = await subscription.next_msg(timeout=PATIENCE_S)
    await subscription.unsubscribe()
    return WorkerName(parse(message.subject).worker or "")


@pytest.mark.parametrize("fault", ["kill", "hang"])
async def test_a_sentence_goes_on_at_another_worker_and_no_word_is_lost_or_said_twice(scene: Scene, fault: str) -> None:
    async with await WebSocketClient.open(scene.system.url) as client:
        await client.say(SENTENCE)
        await client.speech(turn=1, frames=60)
        speaker = await speaker_of(scene, client)
        (scene.voices.kill if fault == "kill" else scene.voices.hang)(speaker)
        cut = await client.event(Heard, lambda m: m.turn == 1, timeout_s=PATIENCE_S)
        rest = await client.event(Heard, lambda m: m.turn == 2, timeout_s=PATIENCE_S)
        assert cut.heard
        assert words_of(cut.heard) + words_of(rest.heard) == words_of(SENTENCE)
        assert not rest.interrupted
        assert await words_heard(samples_of(await client.whole_turn(2))) == words_of(rest.heard)
        assert client.events(SessionError) == []
        if fault == "hang":
            since = len(client.received)
            scene.voices.wake(speaker)
            await scene.heard_from(speaker)
            await _asked_and_answered(client)
            assert {one.frame.turn for one in client.received[since:]} == {3}
        else:
            await _asked_and_answered(client)
            if speaker == ONE:
                await scene.heard_from(ONE)


async def test_a_drained_worker_s_session_moves_between_two_turns_and_the_worker_ends_with_0(scene: Scene) -> None:
    client = await _speaking_at(scene, OTHER)
    described = await scene.tap.request(worker(OTHER, "drain"), Drain())
    assert isinstance(described, WorkerDescribed)
    assert described.worker.state == "draining"
    assert await words_heard(samples_of(await client.whole_turn(1))) == words_of(SENTENCE)
    assert await asyncio.to_thread(scene.beside.wait) == 0
    await _asked_and_answered(client)
    first = client.events(Heard)[0]
    assert (first.heard, first.interrupted) == (SENTENCE, False)
    assert client.events(SessionError) == []
    await client.close()


async def _speaking_at(scene: Scene, name: WorkerName) -> WebSocketClient:
    """A session that this one speaks for: they take turns."""
    for _ in range(6):
        client = await WebSocketClient.open(scene.system.url)
        await client.say(SENTENCE)
        await client.speech(turn=1, frames=30)
        if await speaker_of(scene, client) == name:
            return client
        await client.tell(CloseSession())
        await client.close()
    raise AssertionError(f"nobody is sent to {name}")


async def test_a_drained_recognizer_s_session_moves_in_mid_utterance_and_the_worker_ends_with_0(scene: Scene) -> None:
    beside = Beside.asr(scene.system.nats_url, name=OTHER_EAR)
    try:
        await asyncio.to_thread(beside.wait_until_ready)
        client = await _listened_to_by(scene, OTHER_EAR)
        first = client.microphone.say(spoken(QUESTION))
        await left_at(client, first + MIC_RATE)
        await scene.tap.request(worker(OTHER_EAR, "drain"), Drain())
        heard = await client.event(Heard, lambda m: not m.interrupted, timeout_s=PATIENCE_S)
        assert words_of(heard.heard) == ["you", "said", *words_of(QUESTION)]
        assert await asyncio.to_thread(beside.wait) == 0
        assert client.events(SessionError) == []
        await client.close()
    finally:
        await asyncio.to_thread(beside.__exit__, None, None, None)


async def _listened_to_by(scene: Scene, name: WorkerName) -> WebSocketClient:
    """A session that this one listens to: they take turns."""
    for _ in range(6):
        before = await _sessions(scene, name)
        client = await WebSocketClient.open(scene.system.url)
        if await _sessions(scene, name) > before:
            return client
        await client.tell(CloseSession())
        await client.close()
    raise AssertionError(f"nobody is sent to {name}")


async def _sessions(scene: Scene, name: WorkerName) -> int:
    described = await scene.tap.request(worker(name, "capabilities"), GetCapabilities())
    assert isinstance(described, WorkerDescribed)
    return described.worker.sessions


async def test_readiness_misses_the_only_recognizer_soon_and_sees_it_again(system: System) -> None:
    assert system.is_ready()
    process = system.parts()["asr"]
    process.suspend()
    try:
        since = time.monotonic()
        while system.is_ready():
            assert time.monotonic() - since < PATIENCE_S
            await asyncio.sleep(0.02)
        missing = system.readiness()["missing"]
        assert isinstance(missing, list)
        assert [what.partition(":")[0] for what in missing] == ["speech recognition"]
    finally:
        process.resume()
    while not system.is_ready():
        assert time.monotonic() - since < PATIENCE_S
        await asyncio.sleep(0.02)


async def _asked_and_answered(client: WebSocketClient) -> None:
    since = client.mark()
    client.microphone.say(spoken(QUESTION))
    heard = await client.event(Heard, lambda m: not m.interrupted, since=since, timeout_s=PATIENCE_S)
    assert set(words_of(QUESTION)) <= set(words_of(heard.heard))
