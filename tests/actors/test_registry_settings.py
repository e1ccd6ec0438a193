from pathlib import Path

import pytest
from pydantic import BaseModel

from actors.bootstrap.registry import open_registry
from actors.settings import BridgeSettings, GatewaySettings, RedisSettings, WorkerSettings
from actors.settings_sources import load
from adapters.bus.nats import NatsBus
from adapters.registry.nats_kv import NatsKvRegistry
from adapters.registry.redis import RedisRegistry
from protocol.errors import SettingsInvalid

ENVIRONMENT = {
    "ANTIPHON_REGISTRY": "redis",
    "ANTIPHON_REDIS_URL": "rediss://user:geheim@redis.example:6380/1",
    "ANTIPHON_REDIS_TTS_PREFIX": "blue:tts",
}


@pytest.mark.parametrize("kind", [GatewaySettings, WorkerSettings])
def test_a_gateway_or_a_worker_may_use_redis_for_its_registry(kind: type[GatewaySettings | WorkerSettings]) -> None:
    assert load(kind, environ={}).registry == "nats"
    settings = load(kind, environ=ENVIRONMENT)
    assert settings.registry == "redis"
    assert settings.redis.url.get_secret_value() == ENVIRONMENT["ANTIPHON_REDIS_URL"]
    assert (settings.redis.tts_prefix, settings.redis.asr_prefix) == ("blue:tts", "asr:workers")


@pytest.mark.parametrize("kind", [GatewaySettings, WorkerSettings, BridgeSettings])
def test_the_url_with_its_password_is_never_shown(kind: type[BaseModel], tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("redis: {url: 'redis://:geheim@h', tts_prefix: 'w', asr_prefix: 'w'}")
    with pytest.raises(
        SettingsInvalid, match=r"settings\.yaml: redis: tts_prefix and asr_prefix must differ"
    ) as raised:
        load(kind, file=file, environ={})
    assert "geheim" not in str(raised.value)
    environment = {k: v for k, v in ENVIRONMENT.items() if k != "ANTIPHON_REGISTRY"}
    assert "geheim" not in repr(load(kind, environ=environment))


@pytest.mark.parametrize("prefix", ["", "two words", "tts:workers*", "a" * 101])
def test_a_prefix_that_is_no_key_is_refused(prefix: str) -> None:
    with pytest.raises(SettingsInvalid, match=r"redis\.tts_prefix"):
        load(BridgeSettings, environ={}, flags={"redis.tts_prefix": prefix})


async def test_the_setting_chooses_the_registry(bus: NatsBus) -> None:
    for name, kind in (("nats", NatsKvRegistry), ("redis", RedisRegistry)):
        registry = open_registry("redis" if name == "redis" else "nats", bus, RedisSettings())
        assert isinstance(registry, kind)
        await registry.close()
