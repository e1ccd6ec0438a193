from dataclasses import replace

import pytest

from actors.router import Router
from protocol.errors import Refused
from protocol.ids import ModelId, WorkerName
from protocol.workers import Announcement
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
