"""`antiphon up` gives each of its voices a port for metrics, counted from the one that is configured."""

import asyncio
import re
import socket
from pathlib import Path

import pytest

from tests.e2e.system import System, free_port, get

pytestmark = [pytest.mark.system, pytest.mark.models]

LOADED = re.compile(r'^antiphon_tts_loads_total\{model="([^"]+)"\} 1', flags=re.MULTILINE)
LIMIT_S = 30.0


async def said(system: System, pattern: str) -> str:
    """What `up` printed, as soon as it is this."""
    async with asyncio.timeout(LIMIT_S):
        while not (found := re.search(pattern, system.output())):  # noqa: ASYNC110  # a process's output has no event
            await asyncio.sleep(0.05)
    return found.group()


def two_free_ports() -> int:
    """The first of two that follow each other."""
    while True:
        port = free_port()
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port + 1))
            except (OSError, OverflowError):
                continue
        return port


def test_each_voice_serves_its_own_metrics(tmp_path: Path) -> None:
    port = two_free_ports()
    environment = {"ANTIPHON_TTS_METRICS_PORT": str(port)}
    with System(tmp_path, tts=("hibari", "piper"), environment=environment):
        pages = [get(at, "/metrics") for at in (port, port + 1)]
    assert [status for status, _ in pages] == [200, 200]
    assert [LOADED.findall(page) for _, page in pages] == [["hibari-heart"], ["piper-joe"]]


async def test_a_port_that_is_taken_keeps_one_voice_away_and_says_why(tmp_path: Path) -> None:
    port = two_free_ports()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port + 1))
        taken.listen()
        system = System(
            tmp_path, tts=("hibari", "piper"), environment={"ANTIPHON_TTS_METRICS_PORT": str(port)}
        ).wait_until_ready()
        try:
            line = await said(system, r"tts-piper.*starting it again")
            assert f"tts.metrics_port: cannot listen at 127.0.0.1:{port + 1}: Address already in use" in line
            assert "each worker on a machine needs a port of its own" in line
            assert "Traceback" not in system.output()
            system.stop()
        finally:
            system.kill()
