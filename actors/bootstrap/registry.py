"""Which registry a process uses."""

from actors.settings import RedisSettings, RegistryName
from adapters.bus.nats import NatsBus
from adapters.registry.nats_kv import NatsKvRegistry
from adapters.registry.redis import RedisRegistry
from protocol.ports import WorkerRegistry


def open_registry(which: RegistryName, bus: NatsBus, redis: RedisSettings) -> WorkerRegistry:
    """Who works here: in NATS itself, or in Redis.

    Raises:
        SettingsInvalid: the URL of Redis is none.
    """
    return redis_registry(redis) if which == "redis" else NatsKvRegistry(bus)


def redis_registry(redis: RedisSettings) -> RedisRegistry:
    """The one in Redis.

    Raises:
        SettingsInvalid: the URL of Redis is none.
    """
    return RedisRegistry(redis.url.get_secret_value(), tts_prefix=redis.tts_prefix, asr_prefix=redis.asr_prefix)
