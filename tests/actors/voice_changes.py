"""A session between three workers with voices, chosen by the real rules, on the stage of `session_stage`."""

import dataclasses

from protocol.conversation import Accepted, Configure, Say, SessionConfig
from protocol.ids import ModelId, WorkerName
from protocol.message import Message
from protocol.speaking import EndSpeaking, StartSpeaking, TextChunk
from protocol.subjects import parse
from protocol.workers import Announcement
from tests.actors.session_stage import OTHER_TTS, TTS, Stage, asr_worker
from tests.fakes.router import StrictRouter

HIBARI, PIPER, LESSAC = ModelId("hibari-heart"), ModelId("piper-joe"), ModelId("piper-lessac")
THIRD = WorkerName("tts-kokoro-0")
KOKORO = ModelId("kokoro-alpha")
SENTENCES = "One two three four. Five six seven eight."


def voice(name: WorkerName, *models: ModelId, sessions: int = 0, capacity: int = 32) -> Announcement:
    return Announcement(
        name=name, addr="nats", models=models, resident_models=models, sessions=sessions, capacity=capacity
    )


HERE = voice(TTS, HIBARI)
THERE = voice(OTHER_TTS, PIPER, LESSAC)
ELSEWHERE = voice(THIRD, KOKORO)


async def a_stage(*workers: Announcement) -> Stage:
    """In the voice of hibari, at the first worker."""
    stage = Stage([SENTENCES], [SENTENCES], router=StrictRouter(*workers, asr_worker()))
    for worker in workers[1:]:
        await stage.serve_tts(worker.name)
    return await stage.open()


async def speaking(stage: Stage) -> Stage:
    """In mid-turn, with more to come."""
    stage.session.command(Say(text=SENTENCES))
    await stage.bus.settle()
    stage.frames(1, 10)
    await stage.play(5)
    return stage


async def finish(stage: Stage, turn: int) -> None:
    stage.frames(turn, 3, last=True)
    await stage.play(20)


async def configure(stage: Stage, **changes: object) -> Message:
    answer = stage.session.command(Configure(config=dataclasses.replace(SessionConfig(), **changes)))  # type: ignore[arg-type]  # by the tests' own hand
    await stage.bus.settle()
    return answer


async def say(stage: Stage, text: str = "Good morning.") -> WorkerName | None:
    """Who is given it."""
    assert isinstance(stage.session.command(Say(text=text)), Accepted)
    await stage.bus.settle()
    subject, _ = [one for one in stage.bus.published if isinstance(one[1], TextChunk)][-1]
    return parse(subject).worker


def held_by(stage: Stage) -> list[str]:
    """The workers that hold a place for the session, as they were told."""
    held: list[str] = []
    for subject, message in stage.bus.published:
        name = parse(subject).worker if isinstance(message, StartSpeaking | EndSpeaking) else None
        if name is not None:
            held = [other for other in held if other != name] + [name] * isinstance(message, StartSpeaking)
    return held


def agreed(stage: Stage) -> StartSpeaking:
    """What was asked of a worker last."""
    asked: list[StartSpeaking] = stage.bus.said(StartSpeaking)
    return asked[-1]
