import asyncio
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from actors.router import Router
from actors.routing_service import RoutingService
from adapters.bus.nats import NatsBus
from adapters.server.embedded_nats import EmbeddedNats
from protocol import subjects
from protocol.codec import MAX_MESSAGE_BYTES, encode
from protocol.errors import BusUnavailable
from protocol.ids import ModelId, WorkerName
from protocol.message import Message
from protocol.ports import Bus, OnMessage, Subscription
from protocol.routing import Route, Routed, RouteRefused
from protocol.subjects import Subject
from protocol.workers import Announcement, Capabilities
from tests.fakes.bus import FakeBus
from tests.fakes.clock import FakeClock
from tests.fakes.registry import FakeRegistry
from tests.policies.workforce import A, B, a_worker

if TYPE_CHECKING:
    from collections.abc import Callable


class Helper:
    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.on_failed: Callable[[WorkerName], None] = lambda _: None

    def warm(self, worker: WorkerName, model: ModelId) -> None:
        self.asked.append((worker, model))

    def unable(self, _model: ModelId) -> frozenset[WorkerName]:
        return frozenset()

    def why_not(self, _model: ModelId) -> str:
        return ""


async def serving(bus: Bus, *workers: Announcement, helper: Helper | None = None) -> RoutingService:
    router = Router(FakeRegistry(*workers), default_voice=B, warmer=helper or Helper(), clock=FakeClock())
    await router.start()
    service = RoutingService(bus, router)
    await service.start()
    return service


async def ask(bus: Bus, route: Route) -> Message:
    answer: Message = await bus.request(subjects.router(), route)
    return answer


async def test_whoever_asks_hears_of_a_worker_and_its_model() -> None:
    bus = FakeBus()
    await serving(bus, a_worker("a"), a_worker("b", models=(B,), resident_models=(B,)))
    answer = await ask(bus, Route(model=A))
    assert isinstance(answer, Routed)
    assert (answer.worker, answer.model, answer.resident, answer.candidates) == ("a", A, True, ())


async def test_every_requirement_counts() -> None:
    bus = FakeBus()
    cloning = Capabilities(zero_shot=True, sample_rates=(24_000,), languages=("de",))
    await serving(
        bus, a_worker("plain"), a_worker("cloning", capabilities=cloning), a_worker("avoided", capabilities=cloning)
    )
    route = Route(
        model=A,
        language="de",
        needs=("zero_shot",),
        sample_rate=24_000,
        avoid=(WorkerName("avoided"),),
        when_cold="wait",
    )
    answer = await ask(bus, route)
    assert isinstance(answer, Routed)
    assert answer.worker == "cloning"


async def test_an_ear_is_found_too() -> None:
    bus = FakeBus()
    await serving(bus, a_worker("voice"), a_worker("ear", kind="asr", models=(), resident_models=()))
    answer = await ask(bus, Route(kind="asr"))
    assert isinstance(answer, Routed)
    assert (answer.worker, answer.model) == ("ear", None)


async def test_a_refusal_has_a_code_and_a_reason() -> None:
    bus = FakeBus()
    await serving(bus, a_worker("a", sessions=4))
    answer = await ask(bus, Route(model=A))
    assert isinstance(answer, RouteRefused)
    assert answer.code == "no-capacity"
    assert "start another" in answer.reason


async def test_sessions_of_others_are_spread_as_our_own_are() -> None:
    bus = FakeBus()
    await serving(bus, *(a_worker(name) for name in "abcd"))
    answers = [await ask(bus, Route(model=A)) for _ in range(8)]
    assert sorted(it.worker for it in answers if isinstance(it, Routed)) == sorted("abcd" * 2)


async def test_a_cold_model_is_loaded_for_whoever_asked() -> None:
    bus, helper = FakeBus(), Helper()
    await serving(
        bus, a_worker("cold", resident_models=()), a_worker("b", models=(B,), resident_models=(B,)), helper=helper
    )
    answer = await ask(bus, Route(model=A))
    assert isinstance(answer, Routed)
    assert (answer.worker, answer.model, answer.instead_of) == ("b", B, A)
    assert helper.asked == [("cold", A)]


async def test_an_explanation_names_every_candidate_and_changes_nothing() -> None:
    bus, helper = FakeBus(), Helper()
    await serving(
        bus, a_worker("cold", resident_models=()), a_worker("b", models=(B,), resident_models=(B,)), helper=helper
    )
    answers = [await ask(bus, Route(model=A, explain=True)) for _ in range(3)]
    assert helper.asked == []
    for answer in answers:
        assert isinstance(answer, Routed)
        assert [(c.worker, c.verdict) for c in answer.candidates] == [("b", "chosen"), ("cold", "not-resident")]
        assert answer.candidates[1].capacity == 4


async def test_a_refusal_is_explained_as_well() -> None:
    bus = FakeBus()
    await serving(bus, a_worker("a", sessions=4), a_worker("b", state="draining"))
    answer = await ask(bus, Route(model=A, explain=True))
    assert isinstance(answer, RouteRefused)
    assert [(c.worker, c.verdict) for c in answer.candidates] == [("b", "draining"), ("a", "full")]


async def test_an_answer_about_a_thousand_workers_still_is_a_message() -> None:
    bus = FakeBus()
    many = [
        a_worker(f"{'w' * 59}-{n:04}", models=tuple(ModelId("m" * 60 + f"{k:03}") for k in range(9)))
        for n in range(1_000)
    ]
    await serving(bus, *many)
    answer = await ask(bus, Route(model=A, explain=True))
    assert isinstance(answer, RouteRefused)
    assert len(answer.candidates) + answer.left_off == 1_000
    assert len(encode(answer)) < MAX_MESSAGE_BYTES


async def test_who_no_longer_serves_leaves_the_requests_to_the_others() -> None:
    bus = FakeBus()
    one = await serving(bus, a_worker("one"))
    await serving(bus, a_worker("other"))
    one.stop()
    answers = [await ask(bus, Route(model=A)) for _ in range(4)]
    assert {it.worker for it in answers if isinstance(it, Routed)} == {"other"}


async def test_where_it_may_not_answer_a_process_serves_its_own_sessions_all_the_same() -> None:
    class Forbidding(FakeBus):
        async def subscribe(self, pattern: Subject, on_message: OnMessage, *, queue: str = "") -> Subscription:
            del on_message, queue
            raise BusUnavailable(f"not allowed to subscribe to {pattern}")

    service = await serving(Forbidding(), a_worker("a"))
    service.stop()


@pytest.mark.realtime
async def test_several_routers_share_the_requests_and_one_that_ends_is_not_missed(tmp_path: Path) -> None:
    server = EmbeddedNats(tmp_path)
    await server.start()
    client = await NatsBus.connect(server.url, name="client")
    routers = [await NatsBus.connect(server.url, name=f"router-{number}") for number in range(2)]
    try:
        services = [await serving(bus, a_worker(f"of-{number}", capacity=500)) for number, bus in enumerate(routers)]
        answered = await _answered_by(client, 100)
        assert set(answered) == {"of-0", "of-1"}
        assert min(answered.values()) >= 20
        services[0].stop()
        await routers[0].close()
        assert await _answered_by(client, 20) == {"of-1": 20}
    finally:
        for bus in (client, *routers):
            await bus.close()
        await server.stop()


async def _answered_by(client: NatsBus, times: int) -> Counter[str]:
    """Each router knows one worker of its own, by which it is known."""
    answers = await asyncio.gather(*(ask(client, Route(model=A)) for _ in range(times)))
    return Counter(it.worker for it in answers if isinstance(it, Routed))
