"""A model manager whose voices can be held while they load, in a time that the test moves on."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from actors.mailbox import Mailbox
from actors.models import ModelManager
from actors.policies.resident import Limits
from actors.voice_threads import VoiceThreads
from actors.voices import Lease, Voice
from adapters.audio.mastering import calibrate
from protocol.errors import ModelUnavailable
from protocol.ids import ModelId, SessionId
from protocol.ports import Synthesizer
from protocol.workers import ModelStatus
from tests.actors.tts_stage import ManualTime
from tests.fakes.memory import FakeMemory
from tests.fakes.voices import FakeSynthesizer

ONE, TWO, THREE = ModelId("fake-one"), ModelId("fake-two"), ModelId("fake-three")
S1, S2 = SessionId("s1"), SessionId("s2")
SOON_S: Final = 10.0


class Shelf:
    """Voices that count how often they are loaded.

    Attributes:
        loads: which, in order.
        made: what was loaded, in order.
        faults: what loading a model raises.
        gate: closed (cleared): loading waits.
        grows, fills: by how many MB the process grows when a model is loaded, and what it takes on the GPU.
    """

    def __init__(self, limits: Limits, known: Sequence[ModelId], reread: Callable[[], Sequence[Voice]] | None) -> None:
        self.loads: list[ModelId] = []
        self.made: list[FakeSynthesizer] = []
        self.faults: dict[ModelId, Exception] = {}
        self.gate = threading.Event()
        self.gate.set()
        self.grows: dict[ModelId, float] = {}
        self.fills: dict[ModelId, float] = {}
        self.memory = FakeMemory()
        self.time = ManualTime()
        self.deaths: list[tuple[ModelId, str]] = []
        self.changes = 0
        self._changed = asyncio.Condition()
        self._notices: set[asyncio.Task[None]] = set()
        threads = VoiceThreads(
            calibrate=calibrate,
            mailbox=Mailbox(asyncio.get_running_loop()),
            on_made=lambda *_: None,
            on_failed=lambda *_: None,
            meter=self.memory,
        )
        self.models = ModelManager(
            [self.voice(model) for model in known],
            limits=limits,
            threads=threads,
            clock=self.time,
            call_later=lambda wait, call: self.time.call_at(self.time.now + wait, call),
            on_died=self._mourn,
            on_changed=self._notice,
            reread=reread,
        )

    def voice(self, model: ModelId, **about: Any) -> Voice:
        return Voice(model=model, languages=("en", "de-AT"), load=lambda: self._load(model), memory_mb=100, **about)

    async def acquire(self, model: ModelId, session: SessionId = S1) -> Lease:
        async with asyncio.timeout(SOON_S):
            return await self.models.acquire(model, session)

    async def until(self, happened: Callable[[], bool]) -> None:
        """Wait for the models' threads to bring something about."""
        async with asyncio.timeout(SOON_S), self._changed:
            await self._changed.wait_for(happened)

    def status(self, model: ModelId) -> ModelStatus:
        return next(status for status in self.models.statuses() if status.model == model)

    def resident(self) -> tuple[ModelId, ...]:
        return self.models.resident

    def closed(self, number: int) -> bool:
        """Whether what was loaded as the first, second … has given its memory back."""
        return self.made[number - 1].closed

    def _load(self, model: ModelId) -> Synthesizer:
        self.loads.append(model)
        assert self.gate.wait(SOON_S)
        if model in self.faults:
            raise self.faults[model]
        self.memory.process_mb += self.grows.get(model, 0.0)
        self.memory.device_mb += self.fills.get(model, 0.0)
        self.made.append(FakeSynthesizer(model))
        return self.made[-1]

    def _mourn(self, model: ModelId, reason: str) -> None:
        self.deaths.append((model, reason))
        self._notice()

    def _notice(self) -> None:
        self.changes += 1
        task = asyncio.get_running_loop().create_task(self._tell())
        self._notices.add(task)
        task.add_done_callback(self._notices.discard)

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()


@asynccontextmanager
async def a_shelf(
    *known: ModelId, reread: Callable[[], Sequence[Voice]] | None = None, **limits: Any
) -> AsyncIterator[Shelf]:
    """With these models, or else three."""
    shelf = Shelf(Limits(**limits), known or (ONE, TWO, THREE), reread)
    try:
        yield shelf
    finally:
        shelf.gate.set()
        await shelf.models.stop()


def missing() -> ModelUnavailable:
    return ModelUnavailable("the weights are missing: install antiphon[piper]", fault="missing")
