"""A voice without a model: each word is a tone of its own, the same text always the same samples."""

import re
import zlib
from collections.abc import Iterator
from typing import Final

import numpy as np

from protocol.errors import SynthesisFailed
from protocol.ids import ModelId, Samples
from protocol.ports import Pcm, PcmChunk, WordSpan

WORD_S: Final = 0.2
PAUSE_S: Final = 0.06
UNSPEAKABLE: Final = "unspeakable"
"""A phrase with this word fails after its first chunk."""
TAG: Final = re.compile(r"</?[A-Za-z][^<>]*>")


class FakeSynthesizer:
    """Speaks one word per chunk, of 0.2 s at speed 1, and a pause at the end; what is within a tag takes no time.

    Attributes:
        open_phrases: how many generators hold something now.
        steps: how many chunks were asked for in all.
        closed: whether the model's memory was given back.
    """

    def __init__(self, model: str = "fake-one", *, rate: int = 24_000, tells_words: bool = True) -> None:
        self._model = ModelId(model)
        self._rate = rate
        self._tells_words = tells_words
        self.open_phrases = 0
        self.steps = 0
        self.closed = False

    @property
    def model(self) -> ModelId:
        return self._model

    @property
    def sample_rate(self) -> int:
        return self._rate

    def synthesize(self, text: str, *, language: str, speed: float) -> Iterator[PcmChunk]:
        del language
        plain = TAG.sub(lambda tag: " " * len(tag.group()), text)
        if not any(c.isalnum() for c in plain):
            return
        words = [(word.group(), bool(plain[word.start() : word.end()].strip())) for word in re.finditer(r"\S+", text)]
        self.open_phrases += 1
        try:
            yield from self._chunks(words, speed)
        finally:
            self.open_phrases -= 1

    def close(self) -> None:
        self.closed = True

    def _chunks(self, words: list[tuple[str, bool]], speed: float) -> Iterator[PcmChunk]:
        length = int(self._rate * WORD_S / speed)
        spans: list[WordSpan] = []
        here = 0
        for word, is_spoken in words:
            end = here + length * is_spoken
            spans.append(WordSpan(text=word, first=Samples(here), end=Samples(end)))
            here = end
            if not is_spoken:
                continue
            self.steps += 1
            yield PcmChunk(pcm=self._tone(word, length))
            if word.strip(".,!?").casefold() == UNSPEAKABLE:
                raise SynthesisFailed(f"no model can say {word!r}")
        self.steps += 1
        pause = np.zeros(int(self._rate * PAUSE_S), np.float32)
        yield PcmChunk(pcm=pause, words=tuple(spans) if self._tells_words else ())

    def _tone(self, word: str, length: int) -> Pcm:
        """Of a pitch that its spelling decides, swelling and fading so that each sample differs."""
        if not any(c.isalnum() for c in word):
            return np.zeros(length, np.float32)
        pitch = 120.0 + zlib.crc32(word.encode()) % 400
        time = np.arange(length) / self._rate
        swell = np.sin(np.pi * np.arange(length) / length)
        return (0.2 * swell * np.sin(2 * np.pi * pitch * time)).astype(np.float32)
