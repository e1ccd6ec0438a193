"""A base in a memory that the test can read, and voices that share it, one computing after the other."""

import threading
from collections.abc import Iterator
from typing import Final

from adapters.tts.turnstile import Turnstile
from protocol.ids import ModelId
from protocol.ports import PcmChunk, SharesBase, Synthesizer
from tests.fakes.memory import FakeMemory
from tests.fakes.voices import FakeSynthesizer

_WAIT_S: Final = 10.0


class FakeBase:
    """Is in memory as long as a voice uses it.

    Attributes:
        loads: how often it was.
        gate: closed (cleared), whoever computes next waits, and all others behind it.
    """

    def __init__(self, memory: FakeMemory, mb: float) -> None:
        self.memory = memory
        self.turnstile = Turnstile()
        self.gate = threading.Event()
        self.gate.set()
        self.loads = 0
        self._mb = mb
        self._users = 0
        self._guard = threading.Lock()

    def voice(self, model: ModelId, mb: float) -> "FakeSharing":
        """Load a voice, and the base if it is not there."""
        with self._guard:
            brought = not self._users
            self._users += 1
            self.loads += brought
            self.memory.process_mb += mb + (self._mb if brought else 0.0)
        return FakeSharing(model, self, mb, brought=brought)

    def give_back(self, mb: float) -> None:
        """One user less, and what it took."""
        with self._guard:
            self._users -= 1
            self.memory.process_mb -= mb + (0.0 if self._users else self._mb)

    def compute(self) -> None:
        """One chunk's worth, when nobody else does."""
        with self.turnstile:
            assert self.gate.wait(_WAIT_S)


class FakeSharing(FakeSynthesizer):
    """One voice of it."""

    def __init__(self, model: ModelId, base: FakeBase, mb: float, *, brought: bool) -> None:
        super().__init__(model)
        self._base = base
        self._mb = mb
        self._brought = brought

    @property
    def brought_base(self) -> bool:
        return self._brought

    @property
    def waiting(self) -> int:
        return 0 if self.closed else self._base.turnstile.waiting

    def synthesize(self, text: str, *, language: str, speed: float) -> Iterator[PcmChunk]:
        for chunk in super().synthesize(text, language=language, speed=speed):
            self._base.compute()
            yield chunk

    def close(self) -> None:
        if not self.closed:
            self._base.give_back(self._mb)
        super().close()


def _is_a_port(voice: FakeSharing) -> tuple[Synthesizer, SharesBase]:
    return voice, voice
