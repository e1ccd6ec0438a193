"""A session that opens takes one place at a voice and one at ears, whatever workers say of themselves meanwhile."""

import asyncio
import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from protocol.conversation import Accepted
from protocol.hearing import EndListening, StartListening
from protocol.ids import WorkerName
from protocol.message import Message
from protocol.ports import Respond
from protocol.speaking import SpeakingReady, StartSpeaking
from protocol.subjects import ANY_SESSION, Subject, asr_command, parse, tts_command
from protocol.workers import Announcement, Load
from tests.actors.session_stage import ASR, OTHER_TTS, SID, TTS, Stage, asr_worker
from tests.actors.voice_changes import HERE, HIBARI, held_by, say, voice
from tests.fakes.router import StrictRouter

BUSY = Load(queue_depth=1)
"""So that it is known who is asked."""
TWIN = dataclasses.replace(voice(OTHER_TTS, HIBARI), metrics=BUSY)
OTHER_ASR = WorkerName("asr-whisper-1")


class _Slow:
    """A worker that answers when the test says so."""

    def __init__(self, answer: Message) -> None:
        self._answer = answer
        self._waiting: list[Respond] = []

    def on_command(self, _subject: Subject, message: Any, respond: Respond | None) -> None:
        if isinstance(message, StartSpeaking | StartListening) and respond is not None:
            self._waiting.append(respond)

    def answers(self) -> None:
        while self._waiting:
            self._waiting.pop(0)(self._answer)


async def opening(stage: Stage, news: Callable[[], None], *slow: _Slow) -> Stage:
    """`news` comes while the workers have not answered yet."""
    task = asyncio.create_task(stage.session.start())
    await stage.bus.settle()
    news()
    await stage.bus.settle()
    for worker in slow:
        worker.answers()
    await asyncio.wait_for(task, 1)
    for worker in slow:  # whatever else it was asked meanwhile
        worker.answers()
    await stage.bus.settle()
    return stage


@pytest.mark.parametrize("who", [TWIN, HERE], ids=["the other one", "who is asked"])
@pytest.mark.parametrize("sessions", [0, 1])
async def test_news_of_a_voice_make_no_second_one(who: Announcement, sessions: int) -> None:
    stage = Stage(router=StrictRouter(HERE, TWIN, asr_worker()))
    slow = _Slow(SpeakingReady(session=SID, model=HIBARI, sample_rate=48_000, resident=True))
    await stage.bus.subscribe(tts_command(ANY_SESSION, TTS), slow.on_command)
    await stage.serve_tts(OTHER_TTS)
    await stage.serve_asr(ASR)
    await opening(stage, lambda: stage.router.announce(dataclasses.replace(who, sessions=sessions)), slow)
    assert held_by(stage) == [TTS]
    assert await say(stage) == TTS
    assert len(stage.bus.said(StartSpeaking)) == 1


@pytest.mark.parametrize("who", [ASR, OTHER_ASR])
async def test_news_of_a_recognizer_make_no_second_one(who: WorkerName) -> None:
    other = dataclasses.replace(asr_worker(OTHER_ASR), metrics=BUSY)
    stage = Stage(router=StrictRouter(HERE, asr_worker(), other))
    slow = _Slow(Accepted(session=SID))
    await stage.bus.subscribe(asr_command(ANY_SESSION, ASR), slow.on_command)
    await stage.serve_asr(OTHER_ASR)
    await stage.serve_tts(TTS)
    news = dataclasses.replace(stage.router.workers[who], sessions=1)
    await opening(stage, lambda: stage.router.announce(news), slow)
    told = [
        (parse(subject).worker, type(message))
        for subject, message in stage.bus.published
        if isinstance(message, StartListening | EndListening)
    ]
    assert told == [(ASR, StartListening)]
    await stage.ask("Count.")
    assert stage.asked()
