import asyncio
from dataclasses import replace

import pytest
import structlog

from actors.policies.patience import PAUSES_S
from actors.router import Router
from actors.warming import Warmer
from protocol.ids import ModelId, WorkerName
from protocol.message import Message
from protocol.ports import Respond
from protocol.subjects import Subject, worker
from protocol.workers import Announcement, LoadModel, WorkerDescribed, WorkerRefused
from tests.fakes.bus import FakeBus
from tests.fakes.clock import FakeClock
from tests.fakes.registry import FakeRegistry

A, B = ModelId("model-a"), ModelId("model-b")
ONE, OTHER = WorkerName("tts-1"), WorkerName("tts-2")
REFUSED = WorkerRefused(code="out-of-memory", reason="2 GB are missing")


class Stage:
    """A warmer, and workers that answer when they are told to."""

    def __init__(self) -> None:
        self.bus = FakeBus()
        self.clock = FakeClock()
        self.warmer = Warmer(self.bus, clock=self.clock, timeout_s=5.0)
        self.asked: list[tuple[str, str]] = []
        self._responds: list[Respond] = []

    async def open(self) -> "Stage":
        for name in (ONE, OTHER):
            await self.bus.subscribe(worker(name), self._on_command)
        return self

    def _on_command(self, subject: Subject, message: LoadModel, respond: Respond | None) -> None:
        assert respond is not None
        self.asked.append((subject, message.model))
        self._responds.append(respond)

    async def warm(self, name: WorkerName, model: ModelId = A) -> None:
        self.warmer.warm(name, model)
        await self.bus.settle()

    async def answer(self, message: Message | None = None) -> None:
        described = WorkerDescribed(worker=Announcement(name=ONE, addr="", resident_models=(A,)))
        self._responds.pop(0)(message or described)
        await self.bus.settle()


@pytest.fixture
async def stage() -> Stage:
    return await Stage().open()


async def test_a_worker_is_asked_in_the_background(stage: Stage) -> None:
    await stage.warm(ONE)
    assert stage.asked == [("control.worker.tts-1.load_model", A)]


async def test_while_one_is_asked_for_a_model_nobody_else_is(stage: Stage) -> None:
    await stage.warm(ONE)
    await stage.warm(ONE)
    await stage.warm(OTHER)
    await stage.warm(OTHER, B)
    assert [model for _, model in stage.asked] == [A, B]


async def test_it_may_be_asked_for_again_once_it_was_there(stage: Stage) -> None:
    await stage.warm(ONE)
    await stage.answer()
    await stage.warm(OTHER)
    assert len(stage.asked) == 2


async def test_after_a_failure_a_worker_is_left_alone_for_longer_and_longer(stage: Stage) -> None:
    for pause_s in (*PAUSES_S, PAUSES_S[-1]):
        asked = len(stage.asked)
        await stage.warm(ONE)
        assert len(stage.asked) == asked + 1
        await stage.answer(REFUSED)
        stage.clock.advance(pause_s - 0.1)
        assert stage.warmer.unable(A) == {ONE}
        await stage.warm(ONE)
        assert len(stage.asked) == asked + 1
        stage.clock.advance(0.2)
        assert stage.warmer.unable(A) == frozenset()


async def test_a_worker_that_failed_keeps_no_other_from_being_asked(stage: Stage) -> None:
    await stage.warm(ONE)
    await stage.answer(REFUSED)
    await stage.warm(OTHER)
    assert [subject for subject, _ in stage.asked] == [
        "control.worker.tts-1.load_model",
        "control.worker.tts-2.load_model",
    ]
    assert stage.warmer.unable(B) == frozenset()


async def test_a_success_makes_the_next_pause_short_again(stage: Stage) -> None:
    for answer in (REFUSED, REFUSED, None, REFUSED):
        await stage.warm(ONE)
        await stage.answer(answer)
        stage.clock.advance(PAUSES_S[1])
    assert stage.warmer.unable(A) == frozenset()


async def test_the_reason_of_a_failure_is_logged(stage: Stage) -> None:
    with structlog.testing.capture_logs() as logs:
        await stage.warm(ONE)
        await stage.answer(REFUSED)
    assert logs[-1]["reason"] == "out-of-memory: 2 GB are missing"
    assert (logs[-1]["log_level"], logs[-1]["asked_again_in_s"]) == ("warning", PAUSES_S[0])


async def test_a_worker_that_is_not_there_counts_as_a_failure(stage: Stage) -> None:
    gone = WorkerName("tts-gone")
    await stage.warm(gone)
    assert stage.warmer.unable(A) == {gone}


async def test_failures_long_ago_are_forgotten(stage: Stage) -> None:
    for number in range(50):
        stage.clock.advance(1_000.0)
        await stage.warm(WorkerName(f"gone-{number}"))
    assert len(stage.warmer._patience._failures[A]) < 10


async def test_a_cold_voice_is_stood_in_for_until_its_worker_announces_it(stage: Stage) -> None:
    default = Announcement(name=OTHER, addr="", models=(B,), resident_models=(B,))
    cold = Announcement(name=ONE, addr="", models=(A,))
    registry = FakeRegistry(default, cold)
    router = Router(registry, default_voice=B, warmer=stage.warmer, clock=stage.clock)
    await router.start()
    changes: list[WorkerName] = []
    router.watch(lambda name, _: changes.append(name))
    for _ in range(3):
        meanwhile = router.choose_tts(voice=A, language="en", when_cold="fallback")
        assert (meanwhile.worker.name, meanwhile.model, meanwhile.instead_of) == (OTHER, B, A)
        await stage.bus.settle()
    assert stage.asked == [("control.worker.tts-1.load_model", A)]
    await stage.answer()
    await registry.announce(replace(cold, resident_models=(A,)))
    assert changes == [ONE]
    then = router.choose_tts(voice=A, language="en", when_cold="fallback")
    assert (then.worker.name, then.model, then.instead_of) == (ONE, A, None)


async def test_closing_waits_for_nobody(stage: Stage) -> None:
    await stage.warm(ONE)
    await asyncio.wait_for(stage.warmer.close(), 1.0)
    await stage.bus.settle()
    assert stage.warmer._loading == {}


async def test_why_a_model_is_not_there_is_known_until_it_is(stage: Stage) -> None:
    told: list[tuple[WorkerName, str]] = []
    stage.warmer.on_failed = lambda name: told.append((name, stage.warmer.why_not(A)))
    await stage.warm(ONE)
    assert stage.warmer.why_not(A) == ""
    await stage.answer(REFUSED)
    assert told == [(ONE, "out-of-memory: 2 GB are missing")]
    stage.clock.advance(PAUSES_S[0])
    await stage.warm(ONE)
    await stage.answer()
    assert stage.warmer.why_not(A) == ""
    assert len(told) == 1
