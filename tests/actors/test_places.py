"""Places at real workers, over a bus and a registry in memory: the worker itself decides who gets one."""

import asyncio
import dataclasses

import pytest

from actors.router import Router
from actors.sessions.places import Places
from actors.sessions.wishes import Wanted
from protocol.errors import Refused
from protocol.ids import SessionId, WorkerName
from protocol.speaking import SpeakingReady, SpeakingRefused, StartSpeaking
from tests.actors.tts_stage import MODEL, WORKER, Stage, a_stage
from tests.fakes.registry import FakeRegistry

WANTED = Wanted(MODEL, "en", 1.0)
GHOST = WorkerName("tts-ghost-0")


async def a_gateway(stage: Stage, registry: FakeRegistry, session: str) -> Places:
    """One with a router of its own: it knows of the others only what the registry says."""
    router = Router(registry)
    await router.start()
    return Places(session=SessionId(session), bus=stage.bus, router=router)


async def test_two_gateways_that_see_the_same_free_place_get_one_between_them() -> None:
    async with a_stage(capacity=1) as stage:
        registry = FakeRegistry(stage.worker.describe())
        first, second = await a_gateway(stage, registry, "a"), await a_gateway(stage, registry, "b")
        outcomes = await asyncio.gather(first.take(WANTED), second.take(WANTED), return_exceptions=True)
        (refused,) = [outcome for outcome in outcomes if isinstance(outcome, Refused)]
        assert refused.code == "too-many-sessions"
        assert stage.worker.describe().sessions == 1


@pytest.mark.parametrize("requests", [2, 20])
async def test_a_place_that_is_given_back_is_somebody_else_s(requests: int) -> None:
    async with a_stage(capacity=1) as stage:
        registry = FakeRegistry(stage.worker.describe())
        for number in range(requests):
            places = await a_gateway(stage, registry, f"s{number}")
            assert (await places.take(WANTED)).name == WORKER
            places.leave(WORKER)
            await stage.bus.settle()
        assert stage.worker.describe().sessions == 0


async def test_who_is_announced_and_dead_is_passed_over() -> None:
    async with a_stage() as stage:
        ghost = dataclasses.replace(stage.worker.describe(), name=GHOST)
        places = await a_gateway(stage, FakeRegistry(ghost, stage.worker.describe()), "a")
        assert (await places.take(WANTED)).name == WORKER


async def test_who_is_doubted_is_asked_last_and_asked_all_the_same() -> None:
    async with a_stage() as stage:
        places = await a_gateway(stage, FakeRegistry(stage.worker.describe()), "a")
        assert (await places.take_any(WANTED, doubted={WORKER})).name == WORKER


async def test_a_draining_worker_refuses_and_keeps_whom_it_has() -> None:
    async with a_stage() as stage:
        registry = FakeRegistry(stage.worker.describe())
        places = await a_gateway(stage, registry, "a")
        await places.take(WANTED)
        stage.worker._sessions.drain()
        late = await a_gateway(stage, registry, "b")
        with pytest.raises(Refused, match="no new sessions"):
            await late.take(WANTED)
        assert [type(m) for m in stage.bus.said(StartSpeaking, SpeakingReady, SpeakingRefused)] == [StartSpeaking] * 2
        assert stage.worker.describe().sessions == 1
