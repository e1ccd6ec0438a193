import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from actors.fleet import Fleet
from protocol.errors import Refused
from protocol.ids import UnixMicros, WorkerName
from protocol.workers import Announcement, ReloadModel
from tests.fakes.bus import FakeBus
from tests.fakes.fleet import HEART, JOE, OperatedWorker, announcement
from tests.fakes.registry import FakeRegistry

W0, W1 = WorkerName("tts-0"), WorkerName("tts-1")


class Stage:
    """Workers, a bus and a fleet over them."""

    def __init__(self, **options: Any) -> None:
        self.bus = FakeBus()
        self.registry = FakeRegistry()
        quickly = {"answer_s": 0.05, "unload_s": 0.05, "ask_every_s": 0.01}
        self.fleet = Fleet(self.bus, self.registry, **{**quickly, **options})

    async def worker(self, announced: Announcement, **users: int) -> OperatedWorker:
        return await OperatedWorker(self.bus, self.registry, announced, **users).start()

    def states(self, name: WorkerName = W0) -> list[str]:
        return [status.state for status in self.fleet.worker(name).models]

    async def until(self, true: Callable[[], bool]) -> None:
        """Return at the change that makes this true."""
        changed = asyncio.Event()
        end = self.fleet.watch(changed.set)
        try:
            async with asyncio.timeout(5):
                while not true():
                    changed.clear()
                    await changed.wait()
        finally:
            end()


@asynccontextmanager
async def staged(**options: Any) -> AsyncIterator[Stage]:
    stage = Stage(**options)
    await stage.registry.watch(stage.fleet.on_worker)
    try:
        yield stage
    finally:
        await stage.fleet.close()


async def test_workers_are_listed_by_name_with_what_they_announce() -> None:
    async with staged() as stage:
        for name in ("tts-1", "tts-0"):
            await stage.worker(announcement(name))
        assert [view.worker.name for view in stage.fleet.workers()] == [W0, W1]
        assert stage.states() == ["resident", "known"]


async def test_what_a_worker_tells_of_its_models_goes_before_its_announcement() -> None:
    async with staged() as stage:
        await stage.worker(announcement(), heart=3)
        await stage.fleet.refresh()
        heart, joe = stage.fleet.worker(W0).models
        assert (heart.users, heart.memory_mb, heart.is_default) == (3, 60, True)
        assert (joe.users, joe.state) == (0, "known")


async def test_who_told_a_moment_ago_is_not_asked_again() -> None:
    now = [0.0]
    async with staged(clock=lambda: now[0]) as stage:
        worker = await stage.worker(announcement())
        await stage.fleet.refresh()
        now[0] = 0.9
        await stage.fleet.refresh(max_age_s=1.0)
        assert len(worker.asked) == 1
        now[0] = 1.0
        await stage.fleet.refresh(max_age_s=1.0)
        assert len(worker.asked) == 2


async def test_two_who_want_to_know_share_one_question() -> None:
    async with staged() as stage:
        worker = await stage.worker(announcement())
        await asyncio.gather(stage.fleet.refresh(), stage.fleet.refresh())
        assert len(worker.asked) == 1


async def test_a_worker_that_does_not_answer_says_so_and_keeps_nobody_waiting() -> None:
    async with staged() as stage:
        silent, lively = await stage.worker(announcement("tts-0")), await stage.worker(announcement("tts-1"), heart=1)
        silent.silent = True
        await stage.until(lambda: stage.fleet.worker(W1).models[0].users == 1)
        await stage.until(lambda: not stage.fleet.worker(W0).answers)
        assert stage.states(W0) == ["resident", "known"], "what it announced is all that is known"
        assert stage.fleet.worker(W1).answers
        lively.use(heart=2)
        await stage.until(lambda: stage.fleet.worker(W1).models[0].users == 2)


async def test_an_asr_worker_lists_the_model_that_it_announces() -> None:
    async with staged() as stage:
        await stage.worker(announcement("asr-0", kind="asr", models=("whisper",), resident_models=("whisper",)))
        await stage.fleet.refresh()
        (status,) = stage.fleet.worker(WorkerName("asr-0")).models
        assert (status.model, status.state) == ("whisper", "resident")


async def test_a_mirrored_worker_that_listens_here_is_steered_like_any_other() -> None:
    async with staged() as stage:
        await stage.worker(announcement(via="bridge"))
        await stage.fleet.load(W0, JOE)
        assert stage.states() == ["resident", "resident"]


async def test_a_mirrored_worker_that_does_not_listen_here_is_shown_and_not_steered() -> None:
    async with staged() as stage:
        await stage.registry.announce(announcement(via="bridge"))
        await stage.fleet.refresh()
        assert stage.states() == ["resident", "known"]
        assert not stage.fleet.worker(W0).answers
        with pytest.raises(Refused) as refused:
            await stage.fleet.drain(W0)
        assert refused.value.code == "no-answer"


async def test_a_model_is_loaded_and_seen_loading_on_the_way() -> None:
    async with staged() as stage:
        worker = await stage.worker(announcement())
        worker.hold.clear()
        loading = asyncio.create_task(stage.fleet.load(W0, JOE))
        await stage.until(lambda: stage.states() == ["resident", "loading"])
        worker.hold.set()
        view = await loading
        assert [status.state for status in view.models] == ["resident", "resident"]
        assert stage.fleet.worker(W0).worker.resident_models == view.worker.resident_models


async def test_a_model_that_is_unloaded_gives_its_place_back() -> None:
    async with staged() as stage:
        await stage.worker(announcement())
        await stage.fleet.unload(W0, HEART)
        assert stage.states() == ["known", "known"]


async def test_a_model_in_use_stays_and_the_reason_says_by_how_many() -> None:
    async with staged() as stage:
        await stage.worker(announcement(), heart=2)
        with pytest.raises(Refused, match="2 sessions speak with hibari-heart") as refused:
            await stage.fleet.unload(W0, HEART)
        assert refused.value.code == "model-in-use"
        assert stage.states() == ["resident", "known"]


async def test_an_unknown_worker_is_refused_with_the_names_of_the_others() -> None:
    async with staged() as stage:
        await stage.worker(announcement("tts-1"))
        with pytest.raises(Refused, match="there are: tts-1") as refused:
            await stage.fleet.load(W0, JOE)
        assert refused.value.code == "no-such-worker"


async def test_a_command_that_nobody_answers_is_refused_in_time() -> None:
    async with staged() as stage:
        worker = await stage.worker(announcement())
        worker.silent = True
        for steer in (stage.fleet.unload(W0, HEART), stage.fleet.drain(W0)):
            with pytest.raises(Refused, match="tts-0 does not answer") as refused:
                await steer
            assert refused.value.code == "no-answer"


async def test_a_worker_that_ends_while_it_loads_is_waited_for_no_longer() -> None:
    async with staged() as stage:
        worker = await stage.worker(announcement())
        worker.hold.clear()
        loading = asyncio.create_task(stage.fleet.load(W0, JOE))
        await stage.until(lambda: "loading" in stage.states())
        await worker.end()
        with pytest.raises(Refused, match="ended before it answered"):
            await asyncio.wait_for(loading, 5)
        assert stage.fleet.workers() == []


async def test_a_restarted_worker_is_told_from_its_predecessor() -> None:
    async with staged() as stage:
        worker = await stage.worker(announcement(), heart=2)
        await stage.fleet.refresh()
        worker.silent = True
        await worker.change(started_at=UnixMicros(2), resident_models=())
        assert stage.states() == ["known", "known"]
        assert stage.fleet.worker(W0).models[0].users == 0


async def test_a_drained_worker_says_that_it_has_understood() -> None:
    async with staged() as stage:
        worker = await stage.worker(announcement())
        assert (await stage.fleet.drain(W0)).worker.state == "draining"
        worker.silent = True
        draining = asyncio.create_task(stage.fleet.drain(W0))
        await stage.bus.settle()
        await worker.end()
        assert (await asyncio.wait_for(draining, 5)).worker.state == "draining", "to be gone is what was wanted"


async def test_a_reload_names_the_model_or_none() -> None:
    async with staged() as stage:
        worker = await stage.worker(announcement())
        await stage.fleet.reload(W0)
        await stage.fleet.reload(W0, JOE)
        assert [m.model for m in worker.asked if isinstance(m, ReloadModel)] == [None, JOE]


async def test_nobody_is_asked_while_nobody_watches() -> None:
    async with staged() as stage:
        worker = await stage.worker(announcement())
        await stage.until(lambda: len(worker.asked) > 0 and stage.fleet.worker(W0).models[0].memory_mb > 0)
        await asyncio.wait_for(_polling_ends(stage.fleet), 5)
        asked = len(worker.asked)
        await worker.change(sessions=1)
        await stage.bus.settle()
        assert len(worker.asked) == asked


async def _polling_ends(fleet: Fleet) -> None:
    assert fleet._polling is not None
    await fleet._polling


async def test_closing_ends_what_waits() -> None:
    stage = Stage(answer_s=60.0, load_s=60.0)
    await stage.registry.watch(stage.fleet.on_worker)
    worker = await stage.worker(announcement())
    worker.silent = True
    stage.fleet.watch(lambda: None)
    loading = asyncio.create_task(stage.fleet.load(W0, JOE))
    await stage.bus.settle()
    await asyncio.wait_for(stage.fleet.close(), 5)
    with pytest.raises(Refused):
        await loading
