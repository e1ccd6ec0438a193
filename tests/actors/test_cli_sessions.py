"""`antiphon sessions`, in processes of its own, with gateways' entries on a real NATS server."""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.registry.nats_sessions import NatsSessions
from adapters.server.embedded_nats import EmbeddedNats
from protocol.ids import TurnId, UnixMicros
from tests.actors.test_cli_fleet import Command
from tests.adapters.directory_stage import NatsStage, an_entry

pytestmark = [pytest.mark.realtime, pytest.mark.system]

ONE = an_entry("s-1", state="SPEAKING", turn=TurnId(3), history=5, opened_at=UnixMicros(1_000_000_000))
TWO = an_entry("s-2", tts_worker=None, tts_model=None, opened_at=UnixMicros(2_000_000_000))


@pytest.fixture
async def directory(nats_server: EmbeddedNats, tmp_path: Path) -> AsyncIterator[NatsSessions]:
    """One in which both sessions can be read."""
    async with AsyncExitStack() as stack:
        stage = NatsStage(nats_server, tmp_path / "nats", stack)
        directory = await stage.directory(ttl_s=60, renew_s=20.0)
        directory.write(TWO)
        directory.write(ONE)
        await stage.until(lambda entries: list(entries) == [ONE, TWO])
        yield directory


@pytest.mark.usefixtures("directory")
async def test_sessions_are_listed_oldest_first(nats_server: EmbeddedNats) -> None:
    status, output = await Command("sessions", "list", nats=nats_server.url).end()
    assert status == 0, output
    head, first, second = output.splitlines()
    assert head.split()[:5] == ["session", "gateway", "state", "turn", "voice"]
    assert first.split()[:7] == [
        *("s-1", "gateway-0", "SPEAKING", "3", "hibari-heart", "tts-hibari-0", "asr-whisper-0")
    ]
    assert second.split()[:2] == ["s-2", "gateway-0"]


@pytest.mark.usefixtures("directory")
async def test_a_program_gets_json(nats_server: EmbeddedNats) -> None:
    status, output = await Command("sessions", "list", "--json", nats=nats_server.url).end()
    assert status == 0, output
    told = json.loads(output)["sessions"]
    assert [(e["session"], e["state"], e["tts_model"]) for e in told] == [
        ("s-1", "SPEAKING", "hibari-heart"),
        ("s-2", "LISTENING", None),
    ]


async def test_without_sessions_it_says_so(nats_server: EmbeddedNats) -> None:
    status, output = await Command("sessions", "list", nats=nats_server.url).end()
    assert status == 0
    assert "no session is open" in output


async def test_without_a_server_it_says_so() -> None:
    status, output = await Command("sessions", "list", nats="nats://127.0.0.1:1").end()
    assert (status, output) == (
        1,
        "antiphon: NATS is not available at nats://127.0.0.1:1: Connection refused\n",
    )


async def test_watching_prints_a_line_for_each_change_until_ctrl_c(
    nats_server: EmbeddedNats, directory: NatsSessions
) -> None:
    watching = Command("sessions", "list", "--watch", nats=nats_server.url)
    assert "SPEAKING" in await watching.line("s-1")
    await watching.line("s-2")
    directory.write(replace(ONE, state="LISTENING", history=6))
    assert "LISTENING" in await watching.line("s-1")
    directory.remove(TWO.session)
    await watching.line("s-2  gone")
    status, output = await watching.end(interrupt=True)
    assert (status, output) == (0, "")
