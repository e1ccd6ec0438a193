"""Workers that know only Redis, a gateway that knows only NATS, and the bridge between them."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from redis.asyncio import Redis

from adapters.bus.nats import NatsBus
from adapters.registry.nats_kv import NatsKvRegistry
from adapters.server.antiphon_part import AntiphonPart
from adapters.server.embedded_nats import EmbeddedNats
from protocol.ids import WorkerName
from tests.adapters.registry_stage import eventually
from tests.clients.websocket import WebSocketClient, samples_of
from tests.e2e.ears import words_heard, words_of
from tests.e2e.system import free_port, get, plain_environment
from tests.redis_server import RedisServer

pytestmark = [pytest.mark.system, pytest.mark.models, pytest.mark.realtime]

VOICE = WorkerName("tts-hibari-0")
LEASE_S = 20.0
SLACK_S = 5.0
"""The machine is shared with others."""


class Bridged:
    """NATS, Redis, two workers that announce themselves in Redis, the bridge, and a gateway that reads NATS."""

    def __init__(self, folder: Path, nats: EmbeddedNats, redis: RedisServer) -> None:
        self._folder = folder
        self._environment = {
            **plain_environment(),
            "ANTIPHON_NATS_URL": nats.url,
            "ANTIPHON_REDIS_URL": redis.url,
        }
        self.port = free_port()
        self.voice = self.part("tts", "serve", "tts", "--family", "hibari", ANTIPHON_REGISTRY="redis")
        self.ears = self.part("asr", "serve", "asr", ANTIPHON_REGISTRY="redis")
        self.bridge = self.part("bridge", "bridge", "redis")
        self.gateway = self.part("gateway", "serve", "gateway", "--port", str(self.port))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def part(self, name: str, *arguments: str, **environment: str) -> AntiphonPart:
        return AntiphonPart(
            name,
            arguments,
            ready_prefix="ready: ",
            log_file=self._folder / f"{name}.log",
            environment={**self._environment, **environment},
        )

    async def is_ready(self) -> bool:
        return (await asyncio.to_thread(get, self.port, "/readyz"))[0] == 200


@pytest.fixture
async def bridged(tmp_path: Path, nats_server: EmbeddedNats, redis_server: RedisServer) -> AsyncIterator[Bridged]:
    async with AsyncExitStack() as stack:
        system = Bridged(tmp_path, nats_server, redis_server)
        for part in (system.bridge, system.voice, system.ears, system.gateway):
            await part.start()
            stack.push_async_callback(part.stop)
        await eventually(system.is_ready)
        yield system


@pytest.fixture
async def redis(redis_server: RedisServer) -> AsyncIterator[Redis]:
    client = redis_server.client()
    yield client
    await client.aclose()


async def test_a_voice_that_is_announced_in_redis_speaks_and_when_it_dies_it_is_gone_on_both_sides(
    bridged: Bridged, bus: NatsBus, redis: Redis, note: Callable[[str], None]
) -> None:
    registry = NatsKvRegistry(bus)
    await registry.watch(lambda *_: None)
    await _says(bridged, "Good morning.")
    assert {worker.via for worker in registry.snapshot()} == {"bridge"}
    assert await redis.smembers("tts:workers") == {VOICE}

    assert bridged.voice._child is not None
    bridged.voice._child.kill()
    killed = time.monotonic()

    async def is_gone() -> bool:
        in_redis = await redis.exists(f"tts:workers:{VOICE}")
        return not in_redis and VOICE not in {worker.name for worker in registry.snapshot()}

    await eventually(is_gone, within_s=LEASE_S + SLACK_S)
    note(f"gone on both sides {time.monotonic() - killed:.1f} s after the kill")

    await bridged.voice.start()
    await eventually(bridged.is_ready)
    await _says(bridged, "Good evening.")
    await registry.close()


async def _says(bridged: Bridged, text: str) -> None:
    async with await WebSocketClient.open(bridged.url) as client:
        await client.say(text)
        assert await words_heard(samples_of(await client.whole_turn(1))) == words_of(text)
