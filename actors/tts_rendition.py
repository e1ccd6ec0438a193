"""One turn's synthesis, a chunk at a time. Lives on a TtsActor's thread; knows nothing of threads or clocks."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from actors.tts_words import estimated_words, exact_words
from protocol.audio import SPEECH_RATE
from protocol.ids import Samples
from protocol.ports import PcmChunk, SpeechShaper, Synthesizer, WordSpan
from protocol.speaking import SpokenWord


@dataclass(frozen=True, slots=True)
class PhraseBegun:
    """The next samples belong to this piece of text."""

    index: int
    text: str
    first: Samples


@dataclass(frozen=True, slots=True)
class PhraseDone:
    """All of its samples are made."""

    index: int
    text: str
    first: Samples
    end: Samples
    words: tuple[SpokenWord, ...]
    exact: bool


@dataclass(frozen=True, slots=True)
class Made:
    """What one step made: frames in order, and what happened on the way."""

    frames: list[bytes] = field(default_factory=list)
    events: tuple[PhraseBegun | PhraseDone, ...] = ()
    finished: bool = False


@dataclass(slots=True)
class _Phrase:
    index: int
    text: str
    first: int
    chunks: Iterator[PcmChunk]
    words: tuple[WordSpan, ...] = ()


class Rendition:
    """Takes pieces of text, gives frames and where each piece stands among them."""

    def __init__(self, synthesizer: Synthesizer, shaper: SpeechShaper, *, language: str, speed: float) -> None:
        self._synthesizer = synthesizer
        self._shaper = shaper
        self._language = language
        self._speed = speed
        self._waiting: deque[tuple[int, str]] = deque()
        self._phrase: _Phrase | None = None
        self._complete = False
        self._made = 0
        self.finished = False

    def add(self, index: int, text: str) -> None:
        """One more piece."""
        self._waiting.append((index, text))

    def complete(self) -> None:
        """No more pieces come."""
        self._complete = True

    @property
    def has_work(self) -> bool:
        """Whether a step would make anything now."""
        return not self.finished and (self._phrase is not None or bool(self._waiting) or self._complete)

    @property
    def samples(self) -> Samples:
        """How much sound was made, at 48 kHz."""
        return self._at_speech_rate(self._made)

    def step(self) -> Made:
        """Make the next chunk.

        Raises:
            SynthesisFailed: with the model's reason.
        """
        begun = self._begin() if self._phrase is None else None
        events: tuple[PhraseBegun | PhraseDone, ...] = (begun,) if begun else ()
        if self._phrase is None:
            return self._finish()
        chunk = next(self._phrase.chunks, None)
        if chunk is None:
            done = (*events, self._end(self._phrase))
            return Made(events=done) if self._waiting or not self._complete else self._finish(done)
        self._made += len(chunk.pcm)
        self._phrase.words = chunk.words or self._phrase.words
        return Made(self._shaper.shape(chunk.pcm), events)

    def close(self) -> None:
        """Free what the model holds for this turn."""
        self._waiting.clear()
        self.finished = True
        if self._phrase is not None:
            close = getattr(self._phrase.chunks, "close", None)
            if close is not None:
                close()
            self._phrase = None

    def _finish(self, events: tuple[PhraseBegun | PhraseDone, ...] = ()) -> Made:
        """What the shaper still holds. With the last phrase's end, if that is known to be the last one."""
        self.finished = True
        return Made(self._shaper.finish(), events, finished=True)

    def _begin(self) -> PhraseBegun | None:
        if not self._waiting:
            return None
        index, text = self._waiting.popleft()
        chunks = self._synthesizer.synthesize(text, language=self._language, speed=self._speed)
        self._phrase = _Phrase(index, text, self._made, chunks)
        self._shaper.begin_phrase()
        return PhraseBegun(index, text, self.samples)

    def _end(self, phrase: _Phrase) -> PhraseDone:
        self._phrase = None
        first, end = self._at_speech_rate(phrase.first), self.samples
        rate = self._synthesizer.sample_rate
        words = exact_words(phrase.words, phrase.first, rate, SPEECH_RATE)
        exact = bool(words) or first == end
        words = words or estimated_words(phrase.text, first, end)
        return PhraseDone(phrase.index, phrase.text, first, end, words, exact)

    def _at_speech_rate(self, position: int) -> Samples:
        return Samples(position * SPEECH_RATE // self._synthesizer.sample_rate)
