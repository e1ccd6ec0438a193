"""A model that can imitate: what it says in a recording's voice is made of the recording's own samples."""

import asyncio
import threading
from collections.abc import Iterator

import numpy as np

from protocol.errors import SynthesisFailed
from protocol.ids import ModelId
from protocol.ports import Pcm, PcmChunk, Reference, Synthesizer
from tests.fakes.voices import FakeSynthesizer

USELESS = "of no use"
"""A recording with this text cannot be imitated."""


class FakeCloner(FakeSynthesizer):
    """Attributes: `imitated` holds each recording that was learned."""

    def __init__(self, model: str = "fake-cloner", *, rate: int = 24_000) -> None:
        super().__init__(model, rate=rate)
        self.imitated: list[Reference] = []
        self._open = 0
        self._changed = threading.Condition()

    def imitate(self, reference: Reference) -> Synthesizer:
        if reference.text == USELESS:
            raise SynthesisFailed("nothing to be learned from that")
        if reference.sample_rate != self.sample_rate:
            raise SynthesisFailed("the fake resamples nothing")
        self.imitated.append(reference)
        self.count(1)
        return _Imitation(self, reference)

    def count(self, change: int) -> None:
        """Of imitations that are not closed."""
        with self._changed:
            self._open += change
            self._changed.notify_all()

    async def until_open(self, wanted: int) -> None:
        """Wait until so many imitations are not closed."""

        def wait() -> bool:
            with self._changed:
                return self._changed.wait_for(lambda: self._open == wanted, timeout=10)

        assert await asyncio.to_thread(wait)


class _Imitation:
    """Each word is the recording from its beginning, as long as a word is."""

    def __init__(self, cloner: FakeCloner, reference: Reference) -> None:
        self._cloner = cloner
        self._reference = reference
        self._is_closed = False

    @property
    def model(self) -> ModelId:
        return self._cloner.model

    @property
    def sample_rate(self) -> int:
        return self._cloner.sample_rate

    def synthesize(self, text: str, *, language: str, speed: float) -> Iterator[PcmChunk]:
        for chunk in self._cloner.synthesize(text, language=language, speed=speed):
            if self._is_closed:
                raise SynthesisFailed("this imitation was closed")
            yield PcmChunk(pcm=self._like(len(chunk.pcm)), words=chunk.words)

    def close(self) -> None:
        assert not self._is_closed
        self._is_closed = True
        self._cloner.count(-1)

    def _like(self, length: int) -> Pcm:
        return np.resize(self._reference.pcm, length)
