"""The process that mirrors one registry in the other."""

import asyncio
import time
from contextlib import AsyncExitStack
from functools import partial
from typing import Final

from actors.bootstrap.bus import connect
from actors.bootstrap.process import run_part
from actors.bootstrap.ready import say_ready
from actors.bootstrap.registry import redis_registry
from actors.settings import BridgeSettings
from adapters.registry.bridge import Bridge
from adapters.registry.nats_kv import NatsKvRegistry
from protocol.ids import UnixMicros

_PART: Final = "bridge"


def run(settings: BridgeSettings) -> None:
    """Mirror until SIGINT or SIGTERM.

    Raises:
        AntiphonError: what made it end.
    """
    run_part(_PART, partial(_serve, settings), log_level=settings.log_level)


async def _serve(settings: BridgeSettings, stop: asyncio.Event) -> None:
    async with AsyncExitStack() as stack:
        bus = await connect(settings.nats, name=_PART)
        stack.push_async_callback(bus.close)
        nats = NatsKvRegistry(bus)
        stack.push_async_callback(nats.close)
        redis = redis_registry(settings.redis)
        stack.push_async_callback(redis.close)
        bridge = Bridge({"nats": nats, "redis": redis}, now=_now)
        await bridge.start()
        stack.push_async_callback(bridge.close)
        say_ready(_PART, redis.where)
        await stop.wait()


def _now() -> UnixMicros:
    return UnixMicros(time.time_ns() // 1000)
