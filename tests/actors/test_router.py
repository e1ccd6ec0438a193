from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from prometheus_client import REGISTRY

from actors.policies.outstanding import FORGET_AFTER_S
from actors.policies.routing import Requirements
from actors.router import LATELY_S, Router
from protocol.errors import Refused
from protocol.ids import ModelId, WorkerName
from protocol.workers import Announcement
from tests.fakes.clock import FakeClock
from tests.fakes.registry import FakeRegistry

HIBARI, PIPER = ModelId("hibari-heart"), ModelId("piper-joe")


def a_voice(name: str, model: ModelId) -> Announcement:
    return Announcement(name=WorkerName(name), addr="", models=(model,), resident_models=(model,))


EAR = Announcement(name=WorkerName("asr-0"), kind="asr", addr="", models=(ModelId("whisper-tiny-en"),))


async def a_router(*workers: Announcement) -> tuple[Router, FakeRegistry]:
    registry = FakeRegistry(*workers)
    router = Router(registry, default_voice=HIBARI)
    await router.start()
    return router, registry


async def test_a_voice_by_name_is_spoken_by_who_has_it() -> None:
    router, _ = await a_router(a_voice("a", HIBARI), a_voice("b", PIPER))
    placement = router.choose_tts(voice="piper-joe", language="en")
    assert (placement.worker.name, placement.model) == ("b", PIPER)


async def test_no_wish_gets_the_default_voice() -> None:
    router, _ = await a_router(a_voice("a", PIPER), a_voice("b", HIBARI))
    assert router.choose_tts(voice=None, language="en").model == HIBARI


async def test_without_the_default_voice_another_one_speaks() -> None:
    router, _ = await a_router(a_voice("a", PIPER))
    assert router.choose_tts(voice=None, language="en").model == PIPER


async def test_a_wish_that_cannot_be_granted_is_refused_and_not_replaced() -> None:
    router, _ = await a_router(a_voice("a", PIPER))
    with pytest.raises(Refused, match="no-such-model"):
        router.choose_tts(voice="hibari-heart", language="en")


async def test_an_ear_is_found_by_its_language() -> None:
    router, _ = await a_router(EAR)
    assert router.choose_asr(language="en").name == EAR.name
    with pytest.raises(Refused):
        router.choose_asr(language="fr")


async def test_the_default_voice_is_named_first() -> None:
    router, _ = await a_router(a_voice("a", ModelId("csm-a")), a_voice("b", HIBARI), a_voice("c", PIPER), EAR)
    assert router.voices() == (HIBARI, "csm-a", PIPER)


async def test_changes_are_told_until_one_no_longer_listens() -> None:
    router, registry = await a_router()
    seen: list[tuple[str, bool]] = []
    end = router.watch(lambda name, announcement: seen.append((name, announcement is not None)))
    await registry.announce(a_voice("a", HIBARI))
    await registry.withdraw(WorkerName("a"))
    end()
    end()
    await registry.announce(replace(a_voice("a", HIBARI), sessions=1))
    assert seen == [("a", True), ("a", False)]


class Helper:
    """A warmer that notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.failed: frozenset[WorkerName] = frozenset()
        self.on_failed: Callable[[WorkerName], None] = lambda _: None

    def warm(self, worker: WorkerName, model: ModelId) -> None:
        self.asked.append((worker, model))

    def unable(self, model: ModelId) -> frozenset[WorkerName]:
        return self.failed if model == PIPER else frozenset()

    def why_not(self, model: ModelId) -> str:
        return "no memory" if self.unable(model) else ""


COLD_PIPER = replace(a_voice("b", PIPER), resident_models=())


async def a_router_with_a_helper(*workers: Announcement) -> tuple[Router, Helper]:
    helper = Helper()
    router = Router(FakeRegistry(*workers), default_voice=HIBARI, warmer=helper, clock=FakeClock())
    await router.start()
    return router, helper


async def test_a_cold_voice_is_asked_for_and_the_default_one_speaks_meanwhile() -> None:
    router, helper = await a_router_with_a_helper(a_voice("a", HIBARI), COLD_PIPER)
    placement = router.choose_tts(voice=PIPER, language="en", when_cold="fallback")
    assert (placement.worker.name, placement.model, placement.instead_of) == ("a", HIBARI, PIPER)
    assert helper.asked == [("b", PIPER)]


async def test_who_only_asks_changes_nothing() -> None:
    router, helper = await a_router_with_a_helper(a_voice("a", HIBARI), a_voice("c", HIBARI), COLD_PIPER)
    for _ in range(10):
        router.choose_tts(voice=PIPER, language="en", when_cold="fallback", tentative=True)
        router.choose_tts(voice=HIBARI, language="en", tentative=True)
        router.explain(Requirements(kind="tts", language="en", model=PIPER), when_cold="fallback")
    assert helper.asked == []
    assert [router._roster.placed_at(WorkerName(name)) for name in "abc"] == [0, 0, 0]


async def test_a_worker_that_could_not_load_is_not_asked_again() -> None:
    router, helper = await a_router_with_a_helper(a_voice("a", HIBARI), COLD_PIPER)
    helper.failed = frozenset({WorkerName("b")})
    assert router.choose_tts(voice=PIPER, language="en", when_cold="fallback").model == HIBARI
    assert helper.asked == []
    assert (router.why_cold(PIPER), router.why_cold(HIBARI)) == ("no memory", "")


async def test_who_watches_hears_of_a_worker_that_could_not_load() -> None:
    router, helper = await a_router_with_a_helper(a_voice("a", HIBARI), COLD_PIPER)
    seen: list[tuple[WorkerName, Announcement | None]] = []
    router.watch(lambda name, announcement: seen.append((name, announcement)))
    helper.on_failed(WorkerName("b"))
    helper.on_failed(WorkerName("gone"))
    assert seen == [("b", COLD_PIPER)]


async def test_a_router_that_cannot_have_models_loaded_waits_for_them() -> None:
    router, _ = await a_router(a_voice("a", HIBARI), COLD_PIPER)
    placement = router.choose_tts(voice=PIPER, language="en", when_cold="fallback")
    assert (placement.worker.name, placement.instead_of) == ("b", None)


async def test_sessions_between_two_announcements_are_spread() -> None:
    router, _ = await a_router(*(a_voice(name, HIBARI) for name in "abcd"))
    chosen = [router.choose_tts(voice=None, language="en").worker.name for _ in range(8)]
    assert sorted(chosen) == sorted("abcd" * 2)


async def test_the_spread_holds_when_every_session_asks_for_an_ear_too() -> None:
    ears = [replace(EAR, name=WorkerName(f"ear-{n}")) for n in range(2)]
    router, _ = await a_router(a_voice("a", HIBARI), a_voice("b", HIBARI), *ears)
    heard, spoken = set(), set()
    for _ in range(16):
        heard.add(router.choose_asr(language="en", tentative=True).name)
        spoken.add(router.choose_tts(voice=None, language="en", tentative=True).worker.name)
    assert (heard, spoken) == ({"ear-0", "ear-1"}, {"a", "b"})


async def test_a_guess_ends_though_the_worker_says_nothing_new() -> None:
    clock = FakeClock()
    router = Router(FakeRegistry(a_voice("a", HIBARI)), clock=clock)
    await router.start()
    router.choose_tts(voice=HIBARI, language="en")
    assert router._roster.placed_at(WorkerName("a")) == 1
    clock.advance(FORGET_AFTER_S)
    router.choose_tts(voice=HIBARI, language="en", tentative=True)
    assert router._roster.placed_at(WorkerName("a")) == 0


async def test_who_refused_one_session_is_not_sent_the_next_one() -> None:
    router, _ = await a_router(a_voice("a", HIBARI), replace(a_voice("b", HIBARI), sessions=2))
    refused = router.choose_tts(voice=HIBARI, language="en").worker.name
    assert refused == "a"
    router.choose_tts(voice=HIBARI, language="en", avoid=frozenset({refused}))
    assert router.choose_tts(voice=HIBARI, language="en").worker.name == "b"


async def test_a_worker_that_goes_is_no_longer_chosen_and_one_that_comes_is() -> None:
    router, registry = await a_router(a_voice("a", HIBARI))
    await registry.withdraw(WorkerName("a"))
    with pytest.raises(Refused, match="no-worker"):
        router.choose_tts(voice=HIBARI, language="en")
    await registry.announce(a_voice("b", HIBARI))
    assert router.choose_tts(voice=HIBARI, language="en").worker.name == "b"


async def test_who_promises_a_pulse_and_is_here_lives() -> None:
    pulsing = replace(a_voice("a", HIBARI), pulse_ms=250)
    router, registry = await a_router(
        pulsing, a_voice("b", PIPER), replace(pulsing, name=WorkerName("c"), via="bridge")
    )
    assert [router.lives(WorkerName(name)) for name in "abc"] == [True, False, False]
    await registry.withdraw(WorkerName("a"))
    assert not router.lives(WorkerName("a"))


async def test_who_was_here_a_moment_ago_may_return_but_not_who_said_that_it_would_end() -> None:
    clock = FakeClock()
    registry = FakeRegistry(a_voice("a", HIBARI), a_voice("b", PIPER), EAR)
    router = Router(registry, clock=clock)
    await router.start()
    assert not router.may_return(voice=HIBARI, language="en")
    await registry.announce(replace(a_voice("b", PIPER), state="draining"))
    for name in ("a", "b", "asr-0"):
        await registry.withdraw(WorkerName(name))
    assert router.may_return(voice=HIBARI, language="en")
    assert router.may_return(voice=None, language="en-GB")
    assert not router.may_return(voice=HIBARI, language="fr")
    assert not router.may_return(voice=PIPER, language="en")
    clock.advance(LATELY_S)
    assert not router.may_return(voice=HIBARI, language="en")


async def test_who_has_returned_is_not_expected() -> None:
    router, registry = await a_router(a_voice("a", HIBARI))
    await registry.withdraw(WorkerName("a"))
    await registry.announce(a_voice("a", PIPER))
    assert not router.may_return(voice=HIBARI, language="en")


async def test_who_was_announced_before_is_known_even_if_the_registry_tells_only_of_changes() -> None:
    class Silent(FakeRegistry):
        async def watch(self, on_change: Callable[[WorkerName, Announcement | None], None]) -> None:
            self._watchers.append(on_change)

    router = Router(Silent(a_voice("a", HIBARI)))
    await router.start()
    assert router.choose_tts(voice=HIBARI, language="en").worker.name == "a"


def counted(kind: str, outcome: str) -> float:
    return REGISTRY.get_sample_value("antiphon_routes_total", {"kind": kind, "outcome": outcome}) or 0.0


async def test_decisions_are_counted_by_their_outcome() -> None:
    router, _ = await a_router_with_a_helper(a_voice("a", HIBARI), COLD_PIPER, EAR)
    outcomes: Sequence[tuple[str, str]] = (
        ("tts", "placed"),
        ("tts", "cold"),
        ("tts", "fallback"),
        ("tts", "no-such-model"),
        ("asr", "placed"),
    )
    before = [counted(*outcome) for outcome in outcomes]
    router.choose_tts(voice=HIBARI, language="en")
    router.choose_tts(voice=PIPER, language="en")
    router.choose_tts(voice=PIPER, language="en", when_cold="fallback")
    with pytest.raises(Refused):
        router.choose_tts(voice="x", language="en")
    router.choose_asr(language="en")
    assert [counted(*outcome) for outcome in outcomes] == [count + 1 for count in before]
