"""Voices of one base wait for each other: how many is announced, listed and measured."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from prometheus_client import REGISTRY

from actors.announcing import TICK_S
from actors.voices import Lease, Voice
from protocol.ids import ModelId, SessionId
from protocol.subjects import worker
from protocol.workers import ListModels, Load, ModelsListed
from tests.actors.tts_stage import ONE, TEXT, WORKER, ManualTime, Stage, a_stage
from tests.fakes.memory import FakeMemory
from tests.fakes.shared_base import FakeBase

Tick = Callable[[], Awaitable[None]]
BASE, ADA, BEN = (ModelId(f"fake-{name}") for name in ("base", "ada", "ben"))


@asynccontextmanager
async def a_family() -> AsyncIterator[tuple[Stage, FakeBase, Tick]]:
    """A worker that serves a base and two adapters of it, and looks at itself when told."""
    base = FakeBase(FakeMemory(), 700.0)
    voices = [
        Voice(
            model=model,
            languages=("en",),
            load=lambda model=model: base.voice(model, 1.0),  # type: ignore[misc]  # a default binds it
            base=None if model == BASE else BASE,
        )
        for model in (BASE, ADA, BEN)
    ]
    time = ManualTime()
    async with a_stage(voices=voices, call_later=lambda s, call: time.call_at(time.now + s, call)) as stage:
        stop = asyncio.Event()
        serving = asyncio.create_task(stage.worker._serve(stop))

        async def tick() -> None:
            await stage.bus.settle()
            time.advance(TICK_S)
            await stage.bus.settle()

        try:
            yield stage, base, tick
        finally:
            base.gate.set()
            stop.set()
            await serving


async def until(happened: Callable[[], bool]) -> None:
    async with asyncio.timeout(10.0):
        while not happened():  # noqa: ASYNC110  # a number that threads change has no event to await
            await asyncio.sleep(0)


def announced(stage: Stage) -> Load:
    return stage.registry.snapshot()[0].metrics


async def listed(stage: Stage) -> dict[ModelId, int]:
    answer = await stage.bus.request(worker(WORKER), ListModels())
    assert isinstance(answer, ModelsListed)
    return {status.model: status.waiting for status in answer.models}


async def test_who_waits_for_the_base_is_announced_and_no_longer_when_nobody_does() -> None:
    async with a_family() as (stage, base, tick):
        clients = [await stage.client(f"s-{model}", model=model) for model in (BASE, ADA, BEN)]
        await tick()
        assert announced(stage) == Load(queue_depth=0, waiting=0)
        base.gate.clear()
        for client in clients:
            client.gate.expect(ONE)
            stage.send_text(client, TEXT)
        await until(lambda: base.turnstile.waiting == 2)
        assert announced(stage).waiting == 0, "nobody has looked since"
        await tick()
        assert (announced(stage).queue_depth, announced(stage).waiting) == (3, 2)
        assert await listed(stage) == {BASE: 2, ADA: 0, BEN: 0}, "told where the base's memory is"
        assert REGISTRY.get_sample_value("antiphon_tts_voices_waiting") == 2
        base.gate.set()
        for client in clients:
            await stage.play_out(client)
        await tick()
        assert (announced(stage).queue_depth, announced(stage).waiting) == (0, 0)
        assert await listed(stage) == {BASE: 0, ADA: 0, BEN: 0}


def is_kept(lease: Lease) -> bool:
    return lease.voice.shares is not None


async def test_a_voice_that_has_gone_waits_for_nobody_and_is_not_kept() -> None:
    async with a_family() as (stage, base, _):
        models = stage.worker._models
        lease = await models.acquire(ADA, SessionId("s1"))
        assert is_kept(lease)
        lease.release()
        await models.unload(ADA)
        assert not is_kept(lease)
        assert models.waiting() == {BASE: 0}
        assert base.loads == 1
