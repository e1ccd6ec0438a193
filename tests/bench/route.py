"""Routing: how long a decision takes, and what an announcement costs, with 10, 100 and 1,000 workers.

No door of the product shows this alone, so it drives `actors.router.Router` itself, over a registry in memory. The
worst case: every worker has the wanted model in memory; loads and latencies differ, and all of them announce themselves
twice during a run. With a NATS server beside it, the same question asked over the bus.
"""

import random
import tempfile
import time
from pathlib import Path

from actors.policies.routing import Requirements
from actors.router import Router
from actors.routing_service import RoutingService
from adapters.bus.nats import NatsBus
from adapters.server.embedded_nats import EmbeddedNats
from protocol.ids import ModelId, WorkerName
from protocol.routing import Route
from protocol.subjects import router as router_subject
from protocol.workers import Announcement, Load
from tests.bench.options import Options, Target
from tests.bench.results import Findings
from tests.fakes.registry import FakeRegistry

RUNS = 1_000
STARTS_ITSELF = True
WORKERS = (10, 100, 1_000)
MODELS = tuple(ModelId(f"model-{number}") for number in range(4))
_WANTED = Requirements(kind="tts", language="en", model=MODELS[0])


async def measure(_target: Target, options: Options, findings: Findings) -> None:
    """So many decisions for each number of workers."""
    runs = options.runs or RUNS
    for number in WORKERS:
        await _decide(number, runs, findings)
    await _ask(100, runs, findings)


async def _decide(number: int, runs: int, findings: Findings) -> None:
    chance = random.Random(1)  # noqa: S311  # the same workers in each run
    registry = FakeRegistry(*(_worker(name, chance) for name in range(number)))
    router = Router(registry, default_voice=MODELS[0])
    await router.start()
    announcements = [_worker(name % number, chance) for name in range(2 * number)]
    router.choose_tts(voice=MODELS[0], language="en")  # the candidates are worked out once
    told = 0
    for run in range(runs):
        while told < (run + 1) * len(announcements) // runs:
            before = time.perf_counter_ns()
            await registry.announce(announcements[told])
            findings.add(f"{number}_workers_announcement", (time.perf_counter_ns() - before) / 1000, "us")
            told += 1
        before = time.perf_counter_ns()
        router.choose_tts(voice=MODELS[0], language="en")
        findings.add(f"{number}_workers_decision", (time.perf_counter_ns() - before) / 1000, "us")
    for _ in range(10):
        before = time.perf_counter_ns()
        router.explain(_WANTED, when_cold="fallback")
        findings.add(f"{number}_workers_explanation", (time.perf_counter_ns() - before) / 1000, "us")


async def _ask(number: int, runs: int, findings: Findings) -> None:
    """Client, server and router on one machine; the client and the router in one process."""
    chance = random.Random(1)  # noqa: S311  # the same workers in each run
    router = Router(FakeRegistry(*(_worker(name, chance) for name in range(number))), default_voice=MODELS[0])
    await router.start()
    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedNats(Path(folder))
        await server.start()
        bus = await NatsBus.connect(server.url, name="bench")
        service = RoutingService(bus, router)
        await service.start()
        for _ in range(runs):
            before = time.perf_counter_ns()
            await bus.request(router_subject(), Route(model=MODELS[0]))
            findings.add(f"{number}_workers_over_nats", (time.perf_counter_ns() - before) / 1000, "us")
        service.stop()
        await bus.close()
        await server.stop()


def _worker(number: int, chance: random.Random) -> Announcement:
    return Announcement(
        name=WorkerName(f"tts-{number:04}"),
        addr="",
        models=MODELS,
        resident_models=MODELS[:2],
        metrics=Load(queue_depth=chance.randrange(4), p50_first_audio_ms=chance.uniform(20.0, 300.0)),
        sessions=chance.randrange(32),
        capacity=64,
    )
