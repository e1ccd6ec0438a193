import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from actors.cli import route as cli
from actors.router import Router
from actors.routing_service import RoutingService
from adapters.bus.nats import NatsBus
from adapters.server.embedded_nats import EmbeddedNats
from protocol import routing
from protocol.workers import Announcement
from tests.fakes.registry import FakeRegistry
from tests.policies.workforce import A, B, a_worker

ROOT = Path(__file__).resolve().parents[2]
_LIMIT_S = 60
WORKERS = (
    a_worker("tts-a"),
    a_worker("tts-busy", queue=3),
    a_worker("tts-cold", models=(A, B), resident_models=(A,), sessions=1, p50=180.0),
    a_worker("tts-full", sessions=4),
    a_worker("asr-0", kind="asr", models=(), resident_models=()),
)

pytestmark = [pytest.mark.realtime, pytest.mark.system]


class RouterThread:
    """A NATS server, and a gateway's router at it, on a loop of their own."""

    def __init__(self, folder: Path, workers: tuple[Announcement, ...]) -> None:
        self.url = ""
        self._folder = folder
        self._workers = workers
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))
        self._thread.start()
        assert self._ready.wait(_LIMIT_S)

    async def _serve(self) -> None:
        server = EmbeddedNats(self._folder)
        await server.start()
        bus = await NatsBus.connect(server.url, name="gateway")
        if self._workers:
            router = Router(FakeRegistry(*self._workers), default_voice=A)
            await router.start()
            await RoutingService(bus, router).start()
        self.url = server.url
        self._ready.set()
        await self._stop.wait()
        await bus.close()
        await server.stop()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(_LIMIT_S)
        self._loop.close()


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    served = RouterThread(tmp_path_factory.mktemp("nats"), WORKERS)
    yield served.url
    served.stop()


def antiphon_route(url: str, *arguments: str) -> tuple[int, str, str]:
    """Status, standard output, standard error."""
    command = [sys.executable, "-m", "actors.cli.app", "route", "--nats", url, *arguments]
    done = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=_LIMIT_S,
        env={"COLUMNS": "160", "PATH": ""},
    )
    return done.returncode, done.stdout, done.stderr


def test_it_says_who_would_serve(url: str) -> None:
    status, output, _ = antiphon_route(url)
    assert status == 0
    assert output.splitlines() == [
        "tts-a with model-a",
        "4 workers were looked at; --explain shows them",
    ]


def test_every_candidate_is_shown_with_the_rule_by_which_it_lost(url: str) -> None:
    status, output, _ = antiphon_route(url, "--explain")
    assert status == 0
    rows = {line.split()[0]: line for line in output.splitlines()[2:]}
    assert list(rows) == ["tts-a", "tts-cold", "tts-busy", "tts-full"]
    assert " chosen " in rows["tts-a"]
    assert "has model-a in memory" in rows["tts-a"]
    assert " slower " in rows["tts-cold"]
    assert "180 ms" in rows["tts-cold"]
    assert "3 waiting; 0 at tts-a" in rows["tts-busy"]
    assert "4 of 4 sessions" in rows["tts-full"]


def test_a_cold_voice_is_announced_as_one_that_has_to_be_loaded(url: str) -> None:
    assert "tts-cold with model-b, which it has to load first" in antiphon_route(url, "--voice", "model-b")[1]


def test_what_nobody_can_do_is_refused_with_status_1(url: str) -> None:
    status, output, _ = antiphon_route(url, "--needs", "zero_shot", "--needs", "lora", "--explain")
    assert status == 1
    assert output.startswith("refused no-such-capability")
    assert output.count("lacks lora, zero_shot") >= 4


def test_programs_get_the_router_s_answer(url: str) -> None:
    status, output, _ = antiphon_route(url, "--json", "--kind", "asr")
    answer = json.loads(output)
    assert status == 0
    assert (answer["type"], answer["worker"], answer["model"]) == ("routed", "asr-0", None)
    assert [it["verdict"] for it in answer["candidates"]] == ["chosen"]
    status, output, _ = antiphon_route(url, "--json", "--avoid", "tts-a", "--language", "xx")
    assert (status, json.loads(output)["code"]) == (1, "no-such-language")


@pytest.mark.parametrize(
    "wrong", [("--voice", "no.dots"), ("--language", "English!"), ("--needs", "magic"), ("--avoid", "A B")]
)
def test_what_cannot_be_meant_is_told_before_anybody_is_asked(url: str, wrong: tuple[str, str]) -> None:
    status, _, error = antiphon_route(url, *wrong)
    assert status == 2
    assert "Invalid value" in error


def test_every_capability_of_the_protocol_can_be_asked_for() -> None:
    assert {need.value for need in cli.Need} == set(get_args(routing.Need))


def test_without_a_router_it_says_where_routers_are(tmp_path: Path) -> None:
    served = RouterThread(tmp_path, ())
    try:
        status, _, error = antiphon_route(served.url)
    finally:
        served.stop()
    assert status == 1
    assert "routers are in gateways: is one running?" in error
