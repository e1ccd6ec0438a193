"""A voice without a model that takes text while it speaks: it says a word once it knows the next one."""

from collections import deque
from collections.abc import Iterator
from typing import Final

import numpy as np

from protocol.errors import SynthesisFailed
from protocol.ids import Samples
from protocol.ports import Pcm, PiecePlace, StreamedChunk
from tests.fakes.voices import PAUSE_S, TAG, UNSPEAKABLE, WORD_S, FakeSynthesizer

_ENDS: Final = (".", "!", "?")


class FakeStreamer(FakeSynthesizer):
    """Attributes: `open_streams` counts those that hold something now, `steps` what was asked for in all."""

    def __init__(self, model: str = "fake-streamer", *, rate: int = 24_000) -> None:
        super().__init__(model, rate=rate)
        self.open_streams = 0

    def stream(self, *, language: str, speed: float) -> "FakeStream":
        del language
        return FakeStream(self, speed)

    def word(self, text: str, speed: float) -> Pcm:
        """A word's tone."""
        if text.strip(".,!?").casefold() == UNSPEAKABLE:
            raise SynthesisFailed(f"no model can say {text!r}")
        return self._tone(text, int(self.sample_rate * WORD_S / speed))


class FakeStream:
    """A word a step, and after the last one of a sentence a pause; each piece's place is exact."""

    def __init__(self, voice: FakeStreamer, speed: float) -> None:
        self._voice = voice
        self._speed = speed
        self._words: deque[tuple[int, str, bool]] = deque()
        """Piece, word, and whether it is the piece's last one; the word is empty where there is nothing to say."""
        self._complete = self._begun = False
        self._pieces = self._told = self._made = self._first = 0
        self._anew = True
        self.finished = False

    def add(self, text: str) -> None:
        if not self._begun:
            self._begun = True
            self._voice.open_streams += 1
        plain = TAG.sub(" ", text)
        words = plain.split() if any(c.isalnum() for c in plain) else [""]
        self._words += [(self._pieces, word, i == len(words) - 1) for i, word in enumerate(words)]
        self._pieces += 1

    def complete(self) -> None:
        self._complete = True

    @property
    def has_work(self) -> bool:
        if self.finished:
            return False
        return self._complete or len(self._words) > 1 or any(self._is_sure(word) for _, word, _ in self._words)

    def step(self) -> StreamedChunk:
        self._voice.steps += 1
        places: list[PiecePlace] = []
        pcm, anew = np.zeros(0, np.float32), self._anew
        if self._words:
            piece, word, last = self._words.popleft()
            places += self._begin(piece)
            pcm = self._sound(word)
            self._made += len(pcm)
            if last:
                places += [PiecePlace(index=piece, first=Samples(self._first), end=Samples(self._made))]
                self._first = self._made
        if self._complete and not self._words:
            self.close()
        return StreamedChunk(pcm=pcm, anew=anew and len(pcm) > 0, places=tuple(places))

    def close(self) -> None:
        self.finished = True
        self._words.clear()
        if self._begun:
            self._begun = False
            self._voice.open_streams -= 1

    def _begin(self, piece: int) -> Iterator[PiecePlace]:
        if self._told == piece:
            self._told += 1
            yield PiecePlace(index=piece, first=Samples(self._first))

    def _sound(self, word: str) -> Pcm:
        if not word:
            return np.zeros(0, np.float32)
        tone = self._voice.word(word, self._speed)
        self._anew = word.endswith(_ENDS) or (self._complete and not self._words)
        if not self._anew:
            return tone
        return np.concatenate((tone, np.zeros(int(self._voice.sample_rate * PAUSE_S), np.float32)))

    @staticmethod
    def _is_sure(word: str) -> bool:
        """What ends a sentence, or says nothing, waits for nothing."""
        return not word or word.endswith(_ENDS)
