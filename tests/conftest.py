"""A real NATS or Redis server for each test that asks for one, and a bus."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from adapters.bus.nats import NatsBus
from adapters.server.embedded_nats import EmbeddedNats
from tests.redis_server import RedisServer


@pytest.fixture
async def nats_server(tmp_path: Path) -> AsyncIterator[EmbeddedNats]:
    """Its `url` is for clients; `stop` and `start` bring it back on the same port with the same data."""
    server = EmbeddedNats(tmp_path / "nats")
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def bus(nats_server: EmbeddedNats) -> AsyncIterator[NatsBus]:
    """Connected to `nats_server`."""
    connected = await NatsBus.connect(nats_server.url, name="test")
    yield connected
    await connected.close()


@pytest.fixture
async def redis_server(tmp_path: Path) -> AsyncIterator[RedisServer]:
    """Its `url` is for clients; `stop` and `start` bring it back on the same port."""
    server = RedisServer(tmp_path / "redis")
    await server.start()
    yield server
    await server.stop()
