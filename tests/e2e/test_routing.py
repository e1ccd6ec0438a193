"""What an operator sees of the workers of a running system: services, and a router's reasons."""

import asyncio
import json
import subprocess
from typing import Any

import pytest
from nats.errors import TimeoutError as NatsTimeout

from adapters.bus.nats import NatsBus
from protocol.ids import ModelId, WorkerName
from protocol.routing import Route, Routed
from protocol.subjects import router, worker
from protocol.workers import GetCapabilities, WorkerDescribed
from tests.e2e.system import ROOT, System, antiphon, plain_environment

pytestmark = [pytest.mark.system, pytest.mark.models, pytest.mark.realtime]

SERVICES = {
    ("antiphon-tts", "tts-hibari-0", "hibari"),
    ("antiphon-tts", "tts-piper-0", "piper"),
    ("antiphon-asr", "asr-whisper-0", "whisper"),
    ("antiphon-router", None, None),
}
_QUIET_S = 2.0
_START_S = 60.0


async def asked_of_all(bus: NatsBus, verb: str) -> list[dict[str, Any]]:
    """The answers on `$SRV.<verb>` of as many instances as there have to be; asked again until all of them answer."""
    async with asyncio.timeout(_START_S):
        while True:
            found = await _answers(bus, f"$SRV.{verb}")
            if len(found) >= len(SERVICES):
                return found


async def _answers(bus: NatsBus, subject: str) -> list[dict[str, Any]]:
    inbox = bus.client.new_inbox()
    subscription = await bus.client.subscribe(inbox)
    await bus.client.publish(subject, b"", reply=inbox)
    found: list[dict[str, Any]] = []
    try:
        while len(found) < len(SERVICES):
            found.append(json.loads((await subscription.next_msg(timeout=_QUIET_S)).data))
    except NatsTimeout:
        pass  # nobody else answers
    await subscription.unsubscribe()
    return found


async def test_every_worker_and_the_router_are_services_and_say_what_they_were_asked(system: System) -> None:
    bus = await NatsBus.connect(system.nats_url, name="operator")
    try:
        pings = await asked_of_all(bus, "PING")
        assert {(p["name"], p["metadata"].get("worker"), p["metadata"].get("family")) for p in pings} == SERVICES
        infos = await asked_of_all(bus, "INFO")
        endpoints = {e["subject"] for info in infos for e in info["endpoints"] if e["name"] == "capabilities"}
        for subject in endpoints:
            answer = await bus.request(subject, GetCapabilities())
            assert isinstance(answer, WorkerDescribed)
        stats = await asked_of_all(bus, "STATS")
        asked = {e["subject"]: e["num_requests"] for stat in stats for e in stat["endpoints"]}
        assert endpoints == {worker(WorkerName(name), "capabilities") for _, name, _ in SERVICES if name}
        assert all(asked[subject] >= 1 for subject in endpoints)
    finally:
        await bus.close()


async def test_the_running_gateway_says_over_the_bus_who_would_serve(system: System) -> None:
    bus = await NatsBus.connect(system.nats_url, name="client")
    try:
        answer = await bus.request(router(), Route(model=ModelId("piper-joe"), explain=True))
    finally:
        await bus.close()
    assert isinstance(answer, Routed)
    assert (answer.worker, answer.model, answer.resident) == ("tts-piper-0", "piper-joe", True)
    verdicts = {it.worker: it.verdict for it in answer.candidates}
    assert verdicts == {"tts-piper-0": "chosen", "tts-hibari-0": "no-such-model"}


async def test_the_command_shows_why_each_worker_lost(system: System) -> None:
    command = antiphon("route", "--nats", system.nats_url, "--explain")
    done = await asyncio.to_thread(
        subprocess.run,
        command,
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**plain_environment(), "COLUMNS": "160"},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("tts-hibari-0 with hibari-heart")
    assert "tts-piper-0  no-such-model has piper-joe" in done.stdout


def test_workers_that_speak_give_memory_back_page_by_page(system: System) -> None:
    """See `actors.bootstrap.allocator`; the gateway and the recognizer, which unload nothing, keep CPython's own."""
    allocators = {part: process.environ().get("PYTHONMALLOC") for part, process in system.parts().items()}
    assert {part for part, allocator in allocators.items() if allocator == "malloc"} == {"tts-hibari", "tts-piper"}
