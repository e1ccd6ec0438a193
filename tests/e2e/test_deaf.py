"""A recognizer dies, or NATS, while somebody speaks or is about to: what they ask is answered whole."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass

import pytest
from nats.aio.msg import Msg

from protocol.conversation import Heard, SessionError
from protocol.ids import WorkerName
from protocol.subjects import Subject, asr_event, parse
from tests.bench.tap import Tap
from tests.clients.websocket import WebSocketClient
from tests.e2e.beside import Beside
from tests.e2e.ears import words_of
from tests.e2e.system import System
from tests.speech import spoken

pytestmark = [pytest.mark.system, pytest.mark.models, pytest.mark.realtime]

Note = Callable[[str], None]

FIRST, SECOND = WorkerName("asr-whisper-0"), WorkerName("asr-second-0")
GREETING = "Good morning, my friend."
QUESTION = "How many people live in this town?"
LONG = "I would like to know how many people live in this town, and where I can find a good place to eat tonight."
INTO_IT_S = 2.0
"""Of a sentence of six seconds."""
ANSWERED_S = 40.0
BACK_S = 30.0


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """One of our own: its recognizer is killed again and again."""
    system = System(tmp_path_factory.mktemp("up")).wait_until_complete()
    try:
        yield system
        system.stop()
    finally:
        system.kill()


class Hearing:
    """Who transcribes for a session."""

    def __init__(self, tap: Tap) -> None:
        self._tap = tap
        self.answers: list[WorkerName] = []

    async def watch(self, client: WebSocketClient) -> None:
        async def on_event(msg: Msg) -> None:
            worker = parse(Subject(msg.subject)).worker
            assert worker is not None
            self.answers.append(worker)

        await self._tap.client.subscribe(f"{asr_event(client.session)}", cb=on_event)
        await self._tap.client.flush()


@pytest.fixture
async def hearing(system: System) -> AsyncIterator[Hearing]:
    tap = await Tap.connect(system.nats_url)
    yield Hearing(tap)
    await tap.close()


@pytest.mark.parametrize("gap_s", [0.0, 0.5, 1.5])
async def test_what_is_asked_while_the_recognizer_is_gone_is_answered(system: System, gap_s: float, note: Note) -> None:
    async with await WebSocketClient.open(system.url) as client:
        await _answered(client, _asks(client, GREETING))
        killed_at = await asyncio.to_thread(_strike, system.parts()["asr"].pid, signal.SIGKILL)
        await asyncio.sleep(gap_s)
        note(await _answered(client, _asks(client, QUESTION), since=killed_at))
        assert client.events(SessionError) == []
    await asyncio.to_thread(_wait_until_back, system)


async def test_what_is_half_said_when_the_recognizer_dies_is_answered_whole(system: System, note: Note) -> None:
    async with await WebSocketClient.open(system.url) as client:
        await _answered(client, _asks(client, GREETING))
        asked = _asks(client, LONG)
        await asyncio.sleep(INTO_IT_S)
        killed_at = await asyncio.to_thread(_strike, system.parts()["asr"].pid, signal.SIGKILL)
        note(await _answered(client, asked, since=killed_at))
        assert client.events(SessionError) == []
    await asyncio.to_thread(_wait_until_back, system)


async def test_what_is_half_said_when_nats_restarts_is_answered_whole(system: System, note: Note) -> None:
    async with await WebSocketClient.open(system.url) as client:
        await _answered(client, _asks(client, GREETING))
        asked = _asks(client, LONG)
        await asyncio.sleep(INTO_IT_S)
        killed_at = await asyncio.to_thread(_strike, system.parts()["nats"].pid, signal.SIGKILL)
        note(await _answered(client, asked, since=killed_at))
        assert client.events(SessionError) == []
    await asyncio.to_thread(_wait_until_back, system)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
async def test_another_recognizer_takes_over_in_mid_utterance(
    system: System, hearing: Hearing, how: signal.Signals, note: Note
) -> None:
    second = Beside.asr(system.nats_url, name=SECOND)
    await asyncio.to_thread(second.wait_until_ready)
    pids = {SECOND: second.process.pid, FIRST: system.parts()["asr"].pid}
    with second:
        async with await WebSocketClient.open(system.url) as client:
            await hearing.watch(client)
            await _answered(client, _asks(client, GREETING))
            used, before = hearing.answers[-1], len(hearing.answers)
            asked = _asks(client, LONG)
            await asyncio.sleep(INTO_IT_S)
            struck_at = _strike(pids[used], how)
            note(f"{how.name}: {await _answered(client, asked, since=struck_at)}")
            assert set(hearing.answers[before:]) == set(pids) - {used}
            if how is signal.SIGSTOP:
                _strike(pids[used], signal.SIGCONT)
                await _answered(client, _asks(client, QUESTION))
            assert client.events(SessionError) == []
    await asyncio.to_thread(_wait_until_back, system)


def _strike(pid: int, how: signal.Signals) -> float:
    """Returns when."""
    os.kill(pid, how)
    return time.monotonic()


def _wait_until_back(system: System) -> None:
    """Until the next test may begin. Blocks."""
    limit = time.monotonic() + BACK_S
    while "asr" not in system.parts() or not system.is_ready():
        assert time.monotonic() < limit, system.output()
        time.sleep(0.1)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A question, the position of its last sample, and how many events had come before it."""

    text: str
    end: int
    mark: int


def _asks(client: WebSocketClient, text: str) -> _Asked:
    pcm = spoken(text)
    return _Asked(text, client.microphone.say(pcm) + len(pcm) - 1, client.mark())


async def _answered(client: WebSocketClient, asked: _Asked, *, since: float | None = None) -> str:
    """The reply echoes what was understood; when it began, in words."""
    heard = await client.event(Heard, lambda m: not m.interrupted, since=asked.mark, timeout_s=ANSWERED_S)
    assert not set(words_of(asked.text)) - set(words_of(heard.heard)), heard.heard
    began_at = client.frames_of(heard.turn)[0].at
    after_it = f"answered {began_at - client.microphone.left_at(asked.end):.1f} s after the question"
    return after_it if since is None else f"{after_it}, {began_at - since:.1f} s after the stroke"
