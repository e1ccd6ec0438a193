"""A model that can converse, and imitate: how loud it says a word depends on what was said before."""

import zlib
from collections.abc import Iterator
from typing import Final

from protocol.errors import SynthesisFailed
from protocol.ids import ModelId
from protocol.ports import PcmChunk, Reference, Synthesizer
from tests.fakes.cloner import FakeCloner

TURNS: Final = 4
SECONDS: Final = 20


class FakeConversant(FakeCloner):
    """Attributes: `talks` holds each conversation that was begun, in order; `open_talks` those that are not closed."""

    def __init__(self, model: str = "fake-conversant", *, rate: int = 24_000) -> None:
        super().__init__(model, rate=rate)
        self.talks: list[FakeTalk] = []

    @property
    def open_talks(self) -> list["FakeTalk"]:
        return [talk for talk in self.talks if not talk.is_closed]

    def converse(self) -> "FakeTalk":
        return self.talk_of(self)

    def imitate(self, reference: Reference) -> "FakeConversingImitation":
        return FakeConversingImitation(self, super().imitate(reference))

    def talk_of(self, voice: Synthesizer) -> "FakeTalk":
        self.talks.append(FakeTalk(voice))
        return self.talks[-1]


class FakeConversingImitation:
    """It must not be closed before its conversations are."""

    def __init__(self, conversant: FakeConversant, imitation: Synthesizer) -> None:
        self._conversant = conversant
        self._imitation = imitation
        self._talks: list[FakeTalk] = []
        self.model = imitation.model
        self.sample_rate = imitation.sample_rate

    def synthesize(self, text: str, *, language: str, speed: float) -> Iterator[PcmChunk]:
        return self._imitation.synthesize(text, language=language, speed=speed)

    def converse(self) -> "FakeTalk":
        self._talks.append(self._conversant.talk_of(self))
        return self._talks[-1]

    def close(self) -> None:
        assert all(talk.is_closed for talk in self._talks)
        self._imitation.close()


class FakeTalk:
    """Attributes: `is_closed`; `context`, the texts that the next phrase will be spoken after."""

    def __init__(self, voice: Synthesizer) -> None:
        self._voice = voice
        self._former: list[tuple[tuple[str, float], ...]] = []
        self._present: tuple[tuple[str, float], ...] = ()
        self.is_closed = False

    @property
    def model(self) -> ModelId:
        return self._voice.model

    @property
    def sample_rate(self) -> int:
        return self._voice.sample_rate

    @property
    def context(self) -> tuple[str, ...]:
        turns = [turn for turn in (*self._former, self._present) if turn][-TURNS:]
        phrases = [phrase for turn in turns for phrase in turn]
        while sum(seconds for _, seconds in phrases) > SECONDS:
            phrases.pop(0)
        return tuple(text for text, _ in phrases)

    def synthesize(self, text: str, *, language: str, speed: float) -> Iterator[PcmChunk]:
        if self.is_closed:
            raise SynthesisFailed("this conversation is closed")
        samples, volume = 0, self._volume()
        for chunk in self._voice.synthesize(text, language=language, speed=speed):
            samples += len(chunk.pcm)
            yield PcmChunk(pcm=chunk.pcm * volume, words=chunk.words)
        if samples:
            self._present = (*self._present, (text, samples / self.sample_rate))

    def commit(self) -> None:
        if self._present:
            self._former = [*self._former, self._present][-TURNS:]
        self._present = ()

    def retract(self) -> None:
        self._present = ()

    def close(self) -> None:
        assert not self.is_closed
        self.is_closed = True
        self._former, self._present = [], ()

    def _volume(self) -> float:
        """As it is without a conversation, when nothing was said."""
        return 1.0 - zlib.crc32("\n".join(self.context).encode()) % 997 / 2_000
