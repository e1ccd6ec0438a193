"""What `nats service ls`, `info` and `stats` ask, asked by hand of a real server."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from adapters.bus.nats import NatsBus
from adapters.server.embedded_nats import EmbeddedNats
from protocol.ids import ModelId, WorkerName
from protocol.ports import Respond
from protocol.services import Endpoint, Service
from protocol.subjects import Subject, worker
from protocol.workers import Announcement, Drain, GetCapabilities, LoadModel, WorkerDescribed, WorkerRefused

WORKER = WorkerName("tts-test-0")
SEMANTIC_VERSION = r"\d+\.\d+\.\d+"
SOON_S = 5.0


def a_service(name: str = "antiphon-tts", *, of: WorkerName = WORKER) -> Service:
    verbs = ("capabilities", "load_model", "drain")
    return Service(
        name=name,
        version="0.1.0",
        description="Speaks",
        metadata={"worker": of, "family": "test"},
        endpoints=tuple(Endpoint(name=verb, subject=worker(of, verb)) for verb in verbs),
    )


@pytest.fixture
async def url(tmp_path: Path) -> AsyncIterator[str]:
    server = EmbeddedNats(tmp_path)
    await server.start()
    yield server.url
    await server.stop()


@pytest.fixture
async def bus(url: str) -> AsyncIterator[NatsBus]:
    connected = await NatsBus.connect(url, name="worker")
    yield connected
    await connected.close()


@pytest.fixture
async def client(url: str) -> AsyncIterator[NatsBus]:
    connected = await NatsBus.connect(url, name="operator")
    yield connected
    await connected.close()


async def answers(client: NatsBus, subject: str, number: int) -> list[dict[str, Any]]:
    """The first so many that come."""
    inbox = client.client.new_inbox()
    subscription = await client.client.subscribe(inbox)
    await client.client.publish(subject, b"", reply=inbox)
    found = [json.loads((await subscription.next_msg(timeout=SOON_S)).data) for _ in range(number)]
    await subscription.unsubscribe()
    return found


async def answer(client: NatsBus, subject: str) -> dict[str, Any]:
    return (await answers(client, subject, 1))[0]


async def nobody_answers(client: NatsBus, subject: str) -> bool:
    """Seen by an answer to a later question, which comes after any to this one."""
    inbox = client.client.new_inbox()
    subscription = await client.client.subscribe(inbox)
    await client.client.publish(subject, b"", reply=inbox)
    await client.client.publish("$SRV.PING", b"", reply=inbox)
    return str(json.loads((await subscription.next_msg(timeout=SOON_S)).data)["type"]).endswith("ping_response")


async def test_a_service_is_found_by_everybody_by_name_and_by_id(bus: NatsBus, client: NatsBus) -> None:
    await bus.offer(a_service())
    ping = await answer(client, "$SRV.PING")
    assert ping["type"] == "io.nats.micro.v1.ping_response"
    assert (ping["name"], ping["metadata"]) == ("antiphon-tts", {"worker": WORKER, "family": "test"})
    assert re.fullmatch(SEMANTIC_VERSION, ping["version"])
    assert await answer(client, "$SRV.PING.antiphon-tts") == ping
    assert await answer(client, f"$SRV.PING.antiphon-tts.{ping['id']}") == ping


async def test_each_instance_answers_for_itself(bus: NatsBus, client: NatsBus) -> None:
    await bus.offer(a_service())
    await bus.offer(a_service(of=WorkerName("tts-test-1")))
    found = await answers(client, "$SRV.PING.antiphon-tts", 2)
    assert {it["metadata"]["worker"] for it in found} == {WORKER, "tts-test-1"}
    assert len({it["id"] for it in found}) == 2


async def test_what_is_asked_of_others_is_left_to_them(bus: NatsBus, client: NatsBus) -> None:
    await bus.offer(a_service())
    assert await nobody_answers(client, "$SRV.INFO.antiphon-asr")
    assert await nobody_answers(client, "$SRV.INFO.antiphon-tts.another-id")
    assert await nobody_answers(client, "$SRV.NONSENSE")


async def test_info_names_the_endpoints_that_the_worker_really_answers_on(bus: NatsBus, client: NatsBus) -> None:
    await bus.offer(a_service())
    info = await answer(client, "$SRV.INFO.antiphon-tts")
    assert (info["type"], info["description"]) == ("io.nats.micro.v1.info_response", "Speaks")
    assert info["endpoints"][0] == {
        "name": "capabilities",
        "subject": "control.worker.tts-test-0.capabilities",
        "queue_group": "",
        "metadata": {},
    }
    assert [it["name"] for it in info["endpoints"]] == ["capabilities", "load_model", "drain"]


async def test_stats_count_requests_errors_and_time_of_the_subscription_that_answers(
    bus: NatsBus, client: NatsBus
) -> None:
    def answer_in_kind(_subject: Subject, message: Any, respond: Respond | None) -> None:
        match message:
            case GetCapabilities() if respond is not None:
                respond(WorkerDescribed(worker=Announcement(name=WORKER, addr="")))
            case LoadModel(model=model) if respond is not None:
                refused = WorkerRefused(code="no-such-model", reason=f"there is no {model}")
                asyncio.get_running_loop().call_later(0.05, respond, refused)
            case _:
                raise RuntimeError("broken")

    await bus.subscribe(worker(WORKER), answer_in_kind)
    await bus.offer(a_service())
    for _ in range(3):
        await client.request(worker(WORKER), GetCapabilities())
    await client.request(worker(WORKER), LoadModel(model=ModelId("x")))
    await client.client.publish(worker(WORKER, "capabilities"), b"not JSON")
    client.publish(worker(WORKER), Drain())
    stats = await answer(client, "$SRV.STATS.antiphon-tts")
    assert stats["type"] == "io.nats.micro.v1.stats_response"
    assert datetime.fromisoformat(stats["started"]).tzinfo is not None
    asked, loaded, drained = stats["endpoints"]
    assert (asked["num_requests"], asked["num_errors"]) == (4, 1)
    assert asked["last_error"].startswith("malformed: ")
    assert 0 < asked["average_processing_time"] <= asked["processing_time"] < 50_000_000
    assert (loaded["num_requests"], loaded["num_errors"]) == (1, 1)
    assert loaded["last_error"] == "no-such-model: there is no x"
    assert loaded["processing_time"] > 40_000_000
    assert (drained["num_requests"], drained["num_errors"]) == (1, 1)


async def test_a_service_that_is_no_longer_offered_is_silent(bus: NatsBus, client: NatsBus) -> None:
    offered = await bus.offer(a_service("antiphon-old"))
    await bus.offer(a_service())
    offered.cancel()
    assert await nobody_answers(client, "$SRV.PING.antiphon-old")


async def test_nonsense_on_the_service_subjects_disturbs_nobody(bus: NatsBus, client: NatsBus) -> None:
    await bus.offer(a_service())
    for subject in ("$SRV.PING.a.b.c.d", "$SRV.STATS", "$SRV.x"):
        await client.client.publish(subject, b"\xff" * 100)
    assert (await answer(client, "$SRV.PING"))["name"] == "antiphon-tts"


@pytest.mark.realtime
async def test_a_service_is_still_there_after_its_connection_was_lost(bus: NatsBus, client: NatsBus) -> None:
    await bus.offer(a_service())
    back = asyncio.Event()
    bus.on_reconnect(back.set)
    bus.client.abort()
    await asyncio.wait_for(back.wait(), SOON_S)
    assert (await answer(client, "$SRV.PING"))["name"] == "antiphon-tts"
