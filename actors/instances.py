"""The voices of a model manager that are in memory, or are coming or going. On the loop."""

import asyncio
import time

from actors.policies.residency import Residency
from actors.voices import LoadedVoice
from protocol.ids import ModelId


class Instances:
    """Of each model at most one that takes work, or will, and one that leaves.

    Attributes:
        current, leaving: those; to read only.
    """

    def __init__(self) -> None:
        self.current: dict[ModelId, LoadedVoice] = {}
        self.leaving: dict[ModelId, LoadedVoice] = {}
        self._overlapping: set[ModelId] = set()

    def of(self, model: ModelId) -> LoadedVoice:
        """The one that takes work, or will."""
        if model not in self.current:
            loop = asyncio.get_running_loop()
            self.current[model] = LoadedVoice(model, loop.create_future(), loop.create_future())
        return self.current[model]

    def is_current(self, voice: LoadedVoice) -> bool:
        """Not replaced by a later one, nor leaving."""
        return self.current.get(voice.model) is voice

    def drop(self, model: ModelId) -> LoadedVoice | None:
        """It takes no work any more; None: there is none."""
        self._overlapping.discard(model)
        return self.current.pop(model, None)

    def dismiss(self, model: ModelId) -> None:
        """It goes, after the chunk that it is making."""
        voice = self.leaving[model] = self.current.pop(model)
        voice.end()

    def has_left(self, voice: LoadedVoice) -> bool:
        """Its memory is back; False: nobody had dismissed it."""
        voice.shares = None
        if not voice.ended.done():
            voice.ended.set_result(None)
        if self.leaving.get(voice.model) is not voice:
            return False
        del self.leaving[voice.model]
        return True

    def load_together(self, models: list[ModelId]) -> None:
        """These are being loaded at the same time: which of them the process grows by, nobody can tell."""
        self._overlapping.update(models if len(models) > 1 else ())

    def measured(self, model: ModelId, memory_mb: float) -> int:
        """What loading it has taken, in MB; 0: unknown."""
        was_alone = model not in self._overlapping
        self._overlapping.discard(model)
        return round(memory_mb) if was_alone else 0

    def waiting(self, residency: Residency) -> dict[ModelId, int]:
        """At each base that voices share: how many of them wait now, while another one computes."""
        return {
            base: voice.shares.waiting
            for model, voice in self.current.items()
            if voice.shares is not None and (base := residency[model].base) is not None
        }

    async def stop(self, *, within_s: float) -> None:
        """End all, each after the chunk that it is making, and wait for them.

        A process that ends while a thread computes is aborted by the model's library.
        """
        voices = (*self.current.values(), *self.leaving.values())
        self.current.clear()
        for voice in voices:
            voice.end()
        deadline = time.monotonic() + within_s
        for voice in voices:
            if voice.actor is not None:
                await asyncio.to_thread(voice.actor.actor_stopped.wait, max(0.0, deadline - time.monotonic()))
