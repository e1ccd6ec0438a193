"""A real NATS or Redis server for each test that asks for one, and a bus; and logs as they were for the next test."""

import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, settings

from adapters.bus.nats import NatsBus
from adapters.server.embedded_nats import EmbeddedNats
from tests.redis_server import RedisServer

settings.register_profile("ours", suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ours")
"""The first text that Hypothesis makes in a new checkout takes it a second: that is no fault of the test."""


@pytest.fixture(autouse=True)
def logs_as_they_were() -> Iterator[None]:
    """A command sets up the logs of its process, and some tests run commands in this one: others look at the logs."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    if structlog.is_configured():
        structlog.reset_defaults()
        root.handlers[:] = handlers
        root.setLevel(level)


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
