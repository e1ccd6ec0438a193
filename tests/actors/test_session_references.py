"""A session that names a recording: who is asked to imitate it, and who is not."""

import dataclasses

from protocol.conversation import Accepted, Configure, SessionConfig
from protocol.ids import SessionId
from protocol.speaking import StartSpeaking
from tests.actors.session_stage import CONFIG, OTHER_TTS, SID, TTS, Stage, asr_worker, tts_worker
from tests.fakes.router import FakeRouter


def asked(stage: Stage) -> list[tuple[str | None, str | None]]:
    """Each start, by model and recording."""
    return [(start.model, start.reference) for start in stage.bus.said(StartSpeaking)]


async def a_stage(reference: str | None = None) -> Stage:
    config = dataclasses.replace(CONFIG, reference=reference)
    router = FakeRouter(tts_worker(), tts_worker(OTHER_TTS, "piper-joe"), asr_worker())
    stage = Stage(config=config, router=router)
    await stage.serve_tts(OTHER_TTS)
    return await stage.open()


async def test_the_worker_of_the_wanted_voice_is_asked_to_imitate() -> None:
    stage = await a_stage("ref-1")
    assert asked(stage) == [("hibari-heart", "ref-1")]


async def test_a_recording_is_named_later_and_given_up_again() -> None:
    stage = await a_stage()
    for named, expected in (("ref-1", "ref-1"), ("ref-2", "ref-2"), ("", None)):
        answer = stage.session.command(Configure(config=SessionConfig(reference=named), session=SessionId(SID)))
        assert isinstance(answer, Accepted)
        await stage.advance(100)
        assert asked(stage)[-1] == ("hibari-heart", expected)
    assert len(asked(stage)) == 4


async def test_a_voice_that_stands_in_for_a_lost_one_is_asked_to_imitate_nobody() -> None:
    stage = await a_stage("ref-1")
    await stage.ask("Count.")
    await stage.advance(1_000)
    stage.router.withdraw(TTS)
    await stage.advance(100)
    assert asked(stage)[-1] == ("piper-joe", None)
