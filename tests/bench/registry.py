"""How long the bridge takes: a worker announced in one registry → its entry in the other one; and when no event tells.

Starts a NATS server, a Redis server and `antiphon bridge redis`; writes and reads as a foreign program would.
"""

import asyncio
import json
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import nats
from redis.asyncio import Redis

from adapters.server.antiphon_part import AntiphonPart
from adapters.server.embedded_nats import EmbeddedNats
from tests.bench.options import Options, Target
from tests.bench.results import Findings
from tests.e2e.system import plain_environment
from tests.redis_server import RedisServer

RUNS = 100
STARTS_ITSELF = True
_MISSED: Final = 20
_WITHIN_S: Final = 10.0
_GOLDEN: Final = 0.618
_PREFIX: Final = "tts:workers"


async def measure(_target: Target, options: Options, findings: Findings) -> None:
    """One worker after the other."""
    runs = options.runs or RUNS
    async with _bridged() as (bucket, redis):
        entries = await bucket.subscribe("$KV.workers.>")
        async with redis.pubsub() as events:
            await events.subscribe(f"{_PREFIX}:events")
            await events.get_message(timeout=_WITHIN_S)
            for n in range(runs):
                name = f"foreign-{n}"
                began = await _announce_in_redis(redis, name, tell=True)
                findings.add("redis_to_nats", await _in_nats(entries, name) - began)
                await events.get_message(timeout=_WITHIN_S)
            for n in range(runs):
                name = f"ours-{n}"
                began = time.monotonic() * 1000
                await bucket.publish(f"$KV.workers.tts.{name}", _document(name))
                findings.add("nats_to_redis", await _in_redis(events, name) - began)
        for n in range(min(runs, _MISSED)):
            name = f"untold-{n}"
            began = await _announce_in_redis(redis, name, tell=False)
            findings.add("redis_to_nats_without_an_event", await _in_nats(entries, name) - began)
            await asyncio.sleep(n * _GOLDEN % 1.0)  # at any moment of the bridge's own rhythm, not in step with it


async def _announce_in_redis(redis: Redis, name: str, *, tell: bool) -> float:
    began = time.monotonic() * 1000
    async with redis.pipeline(transaction=True) as pipe:
        pipe.set(f"{_PREFIX}:{name}", _document(name), ex=60)
        pipe.sadd(_PREFIX, name)
        if tell:
            pipe.publish(f"{_PREFIX}:events", json.dumps({"event": "announce", "name": name}))
        await pipe.execute()
    return began


async def _in_nats(entries: Any, name: str) -> float:
    while (await entries.next_msg(timeout=_WITHIN_S)).subject != f"$KV.workers.tts.{name}":
        pass
    return time.monotonic() * 1000


async def _in_redis(events: Any, name: str) -> float:
    async with asyncio.timeout(_WITHIN_S):
        while True:
            message = await events.get_message(ignore_subscribe_messages=True, timeout=_WITHIN_S)
            if message is not None and json.loads(message["data"])["name"] == name:
                return time.monotonic() * 1000


def _document(name: str) -> bytes:
    return json.dumps({"name": name, "addr": f"nats://{name}", "models": ["m"], "started_at": 1}).encode()


@asynccontextmanager
async def _bridged() -> AsyncIterator[tuple[Any, Redis]]:
    """JetStream of one server, a client of the other, a bridge between them."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server, redis_server = EmbeddedNats(folder / "nats"), RedisServer(folder / "redis")
        for each in (server, redis_server):
            await each.start()
            stack.push_async_callback(each.stop)
        bridge = AntiphonPart(
            "bridge",
            ["bridge", "redis", "--nats", server.url, "--redis", redis_server.url],
            ready_prefix="ready: ",
            log_file=folder / "bridge.log",
            environment=plain_environment(),
        )
        await bridge.start()
        stack.push_async_callback(bridge.stop)
        connection = await nats.connect(server.url)
        stack.push_async_callback(connection.close)
        redis = redis_server.client()
        stack.push_async_callback(redis.aclose)
        yield _Bucket(connection), redis


class _Bucket:
    """Reads without a consumer, writes by JetStream."""

    def __init__(self, connection: Any) -> None:
        self.subscribe = connection.subscribe
        self.publish = connection.jetstream().publish
