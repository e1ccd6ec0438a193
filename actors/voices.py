"""A TTS worker's voices: one that could be loaded, one that is, and somebody's claim to it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pykka
import structlog

from actors.tts import LoadSynthesizer, TtsActor, TtsMessage
from protocol.errors import Refused
from protocol.ids import ModelId

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """A model that could be loaded; `memory_mb` as its voice pack estimates it (0: unknown)."""

    model: ModelId
    languages: tuple[str, ...]
    load: LoadSynthesizer
    title: str = ""
    licence: str = ""
    memory_mb: int = 0


@dataclass(slots=True, eq=False)
class LoadedVoice:
    """A model that is loaded, being loaded or waiting for that.

    Attributes:
        ready: the model's sample rate in Hz, or `Refused`.
        ended: done when its memory is back.
    """

    model: ModelId
    ready: asyncio.Future[int]
    ended: asyncio.Future[None]
    actor: pykka.ActorRef[TtsActor] | None = None

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
