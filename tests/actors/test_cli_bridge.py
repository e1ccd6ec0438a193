"""`antiphon bridge redis` as a process."""

import asyncio
import signal
from asyncio.subprocess import PIPE, Process

import pytest

from adapters.server.embedded_nats import EmbeddedNats
from tests.e2e.system import ROOT, antiphon, free_port, plain_environment
from tests.redis_server import RedisServer

pytestmark = pytest.mark.system

SOON_S = 30.0


async def start(*arguments: str, **environment: str) -> Process:
    return await asyncio.create_subprocess_exec(
        *antiphon("bridge", "redis", *arguments),
        cwd=ROOT,
        env={**plain_environment(), **environment},
        stdout=PIPE,
        stderr=PIPE,
    )


async def end_of(process: Process) -> tuple[int | None, str]:
    """Its status and all it said."""
    output, errors = await asyncio.wait_for(process.communicate(), SOON_S)
    return process.returncode, (output + errors).decode()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_it_says_when_it_serves_and_ends_in_order(
    nats_server: EmbeddedNats, redis_server: RedisServer, number: signal.Signals
) -> None:
    with_password = redis_server.url.replace("redis://", "redis://default:geheim@")
    process = await start(ANTIPHON_NATS_URL=nats_server.url, ANTIPHON_REDIS_URL=with_password)
    assert process.stdout is not None
    ready = (await asyncio.wait_for(process.stdout.readline(), SOON_S)).decode()
    process.send_signal(number)
    status, said = await end_of(process)
    assert ready == f"ready: bridge {redis_server.url}\n"
    assert status == 0
    assert "geheim" not in ready + said
    assert "Traceback" not in said


async def test_without_a_server_it_ends_with_a_reason(nats_server: EmbeddedNats) -> None:
    port = free_port()
    status, said = await end_of(
        await start("--nats", nats_server.url, "--redis", f"redis://user:geheim@127.0.0.1:{port}")
    )
    assert status == 1
    assert said.startswith(f"antiphon: the registry at redis://127.0.0.1:{port} cannot be read: ")
    assert "geheim" not in said
    assert said.count("\n") == 1


async def test_a_wrong_setting_is_another_status(nats_server: EmbeddedNats) -> None:
    status, said = await end_of(await start("--nats", nats_server.url, "--redis", "http://user:geheim@h"))
    assert status == 2
    assert said.startswith("antiphon: redis.url: ")
    assert "geheim" not in said


async def test_help_shows_an_example() -> None:
    status, said = await end_of(await start("--help"))
    assert status == 0
    assert "Example: antiphon bridge redis --redis redis://" in said
