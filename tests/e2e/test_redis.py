"""Workers that know only Redis, and a gateway that does as well, or knows only NATS: then by a bridge."""

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
START_S = 60.0
SLACK_S = 5.0
"""The machine is shared with others."""


class Parts:
    """Two workers that announce themselves in Redis, a gateway, and what finds them for it; none is started yet."""

    def __init__(self, folder: Path, nats: EmbeddedNats, redis: RedisServer) -> None:
        self._folder = folder
        self._environment = {
            **plain_environment(),
            "ANTIPHON_NATS_URL": nats.url,
            "ANTIPHON_REDIS_URL": redis.url,
        }
        self.port = free_port()
        self.voice = self._part("serve", "tts", "--family", "hibari", registry="redis")
        self.ears = self._part("serve", "asr", registry="redis")
        self.bridge = self._part("bridge", "redis", registry="nats")

    def gateway(self, registry: str) -> AntiphonPart:
        return self._part("serve", "gateway", "--port", str(self.port), registry=registry)

    def _part(self, *arguments: str, registry: str) -> AntiphonPart:
        return AntiphonPart(
            arguments[1],
            arguments,
            ready_prefix="ready: ",
            log_file=self._folder / f"{arguments[1]}.log",
            environment={**self._environment, "ANTIPHON_REGISTRY": registry},
        )

    async def is_ready(self) -> bool:
        return (await asyncio.to_thread(get, self.port, "/readyz"))[0] == 200

    async def says(self, text: str) -> None:
        await eventually(self.is_ready, within_s=START_S)
        async with await WebSocketClient.open(f"http://127.0.0.1:{self.port}") as client:
            await client.say(text)
            assert await words_heard(samples_of(await client.whole_turn(1))) == words_of(text)


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


@pytest.fixture
def parts(tmp_path: Path, nats_server: EmbeddedNats, redis_server: RedisServer) -> Parts:
    return Parts(tmp_path, nats_server, redis_server)


async def start(stack: AsyncExitStack, *parts: AntiphonPart) -> None:
    """One after the other, and end them when the test does."""
    for part in parts:
        await part.start()
        stack.push_async_callback(part.stop)


@pytest.fixture
async def redis(redis_server: RedisServer) -> AsyncIterator[Redis]:
    client = redis_server.client()
    yield client
    await client.aclose()


async def test_a_voice_that_is_announced_in_redis_speaks_and_when_it_dies_it_is_gone_on_both_sides(
    parts: Parts, bus: NatsBus, redis: Redis, stack: AsyncExitStack, note: Callable[[str], None]
) -> None:
    await start(stack, parts.bridge, parts.voice, parts.ears, parts.gateway("nats"))
    registry = NatsKvRegistry(bus)
    stack.push_async_callback(registry.close)
    await registry.watch(lambda *_: None)
    await parts.says("Good morning.")
    assert {worker.via for worker in registry.snapshot()} == {"bridge"}
    assert await redis.smembers("tts:workers") == {VOICE}

    assert parts.voice._child is not None
    parts.voice._child.kill()
    killed = time.monotonic()

    async def is_gone() -> bool:
        in_redis = await redis.exists(f"tts:workers:{VOICE}")
        return not in_redis and VOICE not in {worker.name for worker in registry.snapshot()}

    await eventually(is_gone, within_s=LEASE_S + SLACK_S)
    note(f"gone on both sides {time.monotonic() - killed:.1f} s after the kill")

    await parts.voice.start()
    await parts.says("Good evening.")


async def test_a_gateway_may_read_redis_itself(parts: Parts, stack: AsyncExitStack) -> None:
    await start(stack, parts.voice, parts.ears, parts.gateway("redis"))
    await parts.says("Good morning.")
