"""A TTS worker's voices: one that could be loaded, one that is, and somebody's claim to it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pykka
import structlog

from actors.tts import TtsActor
from actors.tts_messages import Forget, Imitate, LoadSynthesizer, TtsMessage
from protocol.errors import Refused
from protocol.ids import ModelId
from protocol.ports import Calibrate, Reference, SharesBase
from protocol.speaking import ReferenceId

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """A model that could be loaded.

    Attributes:
        memory_mb: as its voice pack estimates it (0: unknown); of an adapter, without its base.
        base: the model that it is an adapter of, and with whose weights it speaks.
        clones: whether it can imitate a recording.
        calibrate: knows its level or measures it; None: it is measured as all are.
    """

    model: ModelId
    languages: tuple[str, ...]
    load: LoadSynthesizer
    title: str = ""
    licence: str = ""
    memory_mb: int = 0
    base: ModelId | None = None
    clones: bool = False
    calibrate: Calibrate | None = None


@dataclass(slots=True, eq=False)
class LoadedVoice:
    """A model that is loaded, being loaded or waiting for that.

    Attributes:
        ready: the model's sample rate in Hz, or `Refused`.
        ended: done when its memory is back.
        shares: itself, while it is loaded and if it shares a base: on its own thread, but for what works on any.
    """

    model: ModelId
    ready: asyncio.Future[int]
    ended: asyncio.Future[None]
    actor: pykka.ActorRef[TtsActor] | None = None
    shares: SharesBase | None = None
    _learning: dict[ReferenceId, asyncio.Future[None]] = field(default_factory=dict, init=False)
    _fault: str = field(default="", init=False)

    @property
    def sample_rate(self) -> int:
        """In Hz; only once it is ready."""
        return self.ready.result()

    def tell(self, message: TtsMessage) -> None:
        """Hand it on to the actor; lost when that has ended."""
        if self.actor is not None:
            try:
                self.actor.tell(message)
            except pykka.ActorDeadError:
                log.warning("a message came too late for a voice", model=self.model)

    async def imitate(self, name: ReferenceId, reference: Reference) -> None:
        """Learn the voice of a recording, once; later ones wait for the same, or find it done.

        Raises:
            Refused: `cannot-imitate`, with the model's reason.
        """
        if self._fault:
            raise Refused("cannot-imitate", self._fault)
        if name not in self._learning:
            self._learning[name] = asyncio.get_running_loop().create_future()
            self.tell(Imitate(name, reference))
        await asyncio.shield(self._learning[name])

    def imitated(self, name: ReferenceId, fault: str) -> None:
        """The model has learned it, or says why it cannot."""
        learning = self._learning.get(name)
        if learning is None or learning.done():
            return
        if fault:
            del self._learning[name]
            learning.set_exception(Refused("cannot-imitate", fault[:1000]))
            learning.exception()  # retrieved: nobody may wait for it any more
        else:
            learning.set_result(None)

    def forget(self, name: ReferenceId) -> None:
        """Nobody wants the recording's voice any more."""
        if self._learning.pop(name, None) is not None:
            self.tell(Forget(name))

    def unlearn(self, reason: str) -> None:
        """The model has died: whoever waits for a recording, or will, is told."""
        self._fault = f"the voice has died: {reason}"[:1000]
        for name in tuple(self._learning):
            self.imitated(name, self._fault)

    def end(self) -> None:
        """Unload it, after the chunk that it is making."""
        if self.actor is not None:
            self.actor.stop(block=False)

    def fail(self, error: Refused) -> None:
        """Tell all who wait for it."""
        if not self.ready.done():
            self.ready.set_exception(error)
            self.ready.exception()  # retrieved: a load that nobody waits for is not warned about


@dataclass(slots=True, eq=False)
class Lease:
    """Keeps a model in memory until it is released."""

    voice: LoadedVoice
    give_up: Callable[[], None]
    is_over: bool = field(default=False, init=False)

    def release(self) -> None:
        """The model may go. Harmless when repeated."""
        if not self.is_over:
            self.is_over = True
            self.give_up()
