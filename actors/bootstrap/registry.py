"""Which registry a process uses."""

from typing import TYPE_CHECKING

from actors.settings import RedisSettings, RegistryName
from adapters.bus.nats import NatsBus
from adapters.registry.nats_kv import NatsKvRegistry
from protocol.ports import WorkerRegistry

if TYPE_CHECKING:
    from adapters.registry.redis import RedisRegistry


def open_registry(which: RegistryName, bus: NatsBus, redis: RedisSettings) -> WorkerRegistry:
    """Who works here: in NATS itself, or in Redis.

    Raises:
        SettingsInvalid: the URL of Redis is none.
    """
    return redis_registry(redis) if which == "redis" else NatsKvRegistry(bus)


def redis_registry(redis: RedisSettings) -> "RedisRegistry":
    """The one in Redis.

    Raises:
        SettingsInvalid: the URL of Redis is none.
    """
    from adapters.registry.redis import RedisRegistry  # noqa: PLC0415  # redis-py takes long to import; NATS is usual

    return RedisRegistry(redis.url.get_secret_value(), tts_prefix=redis.tts_prefix, asr_prefix=redis.asr_prefix)
