"""A voice that a test can hold after each of its chunks, on a TtsActor that it can look into."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any, Final

import pykka

from actors.tts import TtsActor
from actors.tts_messages import Allow
from adapters.audio.mastering import calibrate
from protocol.ids import Samples, SessionId, TurnId
from protocol.ports import PcmChunk, Synthesizer
from tests.actors.tts_stage import ONE, Client, Stage, a_stage
from tests.adapters.synthesizers import Adapter, calibrated

_NOBODY: Final = (SessionId("nobody"), TurnId(1))
_WAIT_S: Final = 120.0
"""For one chunk of the slowest voice on a busy machine."""
_LONGEST_S: Final = 600


class WatchedVoice:
    """Another voice's chunks; while `held`, its thread waits after each until the test says `go`.

    Attributes:
        chunks: the text of each chunk that was computed, in order.
        open_phrases: how many generators hold something now.
    """

    def __init__(self, inner: Synthesizer) -> None:
        self._inner = inner
        self.model = inner.model
        self.sample_rate = inner.sample_rate
        self.chunks: list[str] = []
        self.open_phrases = 0
        self._loop = asyncio.get_running_loop()
        self._computed: asyncio.Queue[None] = asyncio.Queue()
        self._may_go = threading.Semaphore(0)
        self._held = False

    def synthesize(self, text: str, *, language: str, speed: float) -> Iterator[PcmChunk]:
        """On the model's thread."""
        inner = self._inner.synthesize(text, language=language, speed=speed)
        self.open_phrases += 1
        try:
            for chunk in inner:
                self.chunks.append(text)
                if self._held:
                    self._loop.call_soon_threadsafe(self._computed.put_nowait, None)
                    self._may_go.acquire(timeout=_WAIT_S)
                yield chunk
        finally:
            self.open_phrases -= 1
            inner.close()  # type: ignore[attr-defined]  # adapters give generators

    def close(self) -> None:
        """The voice is lent: nothing is given back."""

    def hold(self) -> None:
        """Wait after each chunk from now on."""
        self._held = True

    async def chunk(self) -> None:
        """Return once the next chunk was computed; its thread waits now."""
        await asyncio.wait_for(self._computed.get(), _WAIT_S)

    def go(self) -> None:
        """Give that chunk out and compute the next one."""
        self._may_go.release()

    def free(self) -> None:
        """Give it out, and wait no more."""
        self._held = False
        self._may_go.release()


@asynccontextmanager
async def watched(adapter: Adapter, **options: Any) -> AsyncIterator[tuple[Stage, WatchedVoice]]:
    """A worker with this voice only."""
    voice = WatchedVoice(adapter.make())
    known = calibrated(adapter) if adapter.is_model else calibrate(adapter.make())
    async with a_stage(voice, calibrate=lambda _: known, **options) as stage:
        yield stage, voice


def the_actor() -> pykka.ActorRef[TtsActor]:
    """The only one that runs."""
    (ref,) = pykka.ActorRegistry.get_by_class(TtsActor)
    return ref


def look_into(ref: pykka.ActorRef[TtsActor]) -> TtsActor:
    """What no message tells. Only while it is idle."""
    actor: TtsActor | None = ref._actor_weakref()
    assert actor is not None
    return actor


async def idle(stage: Stage) -> None:
    """Return once the model's thread has made all that it may make now, and the loop knows."""
    await stage.bus.settle()
    ref = the_actor()
    while True:
        steps = look_into(ref)._steps
        for _ in range(2):  # what had been put into its inbox before is done when the second one is answered
            await asyncio.to_thread(ref.ask, Allow(_NOBODY, Samples(0)), timeout=_WAIT_S)
        if not look_into(ref)._working and look_into(ref)._steps == steps:
            break  # `_working` alone is False while a chunk is made, too
    await stage.bus.settle()


def begin(stage: Stage, client: Client, *texts: str, turn: TurnId = ONE, last: bool = True) -> None:
    """Send a turn's pieces, and wait for nothing."""
    client.gate.expect(turn)
    client.report()
    for index, text in enumerate(texts):
        stage.send_text(client, text, turn=turn, index=index, last=last and index == len(texts) - 1)


async def hear_out(stage: Stage, client: Client) -> None:
    """Play until the turn has ended, each second of it when the model has made it: a slow model is waited for."""
    for _ in range(_LONGEST_S):
        await idle(stage)
        if client.gate.finished:
            return
        await stage.play(50)
    raise AssertionError("the turn does not end")
