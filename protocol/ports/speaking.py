"""Synthesis: from text to a model's chunks, and from those to frames."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from protocol.ids import ModelId, Samples
from protocol.ports.sound import Pcm


@dataclass(frozen=True, slots=True, kw_only=True)
class WordSpan:
    """A word within a phrase's audio, in samples at the model's rate.

    Words are the phrase's text split at white space, punctuation included, in order and without gaps in the list.
    """

    text: str
    first: Samples
    end: Samples


@dataclass(frozen=True, slots=True, kw_only=True)
class PcmChunk:
    """The next piece of a phrase.

    Attributes:
        pcm: mono, at the model's rate.
        words: of the whole phrase, once the model can tell (usually with the first chunk); empty when it cannot.
    """

    pcm: Pcm
    words: tuple[WordSpan, ...] = ()


class Synthesizer(Protocol):
    """A loaded TTS model. On a thread; one phrase at a time for each generator, several generators may alternate."""

    @property
    def model(self) -> ModelId:
        """Its id, as in its voice pack."""

    @property
    def sample_rate(self) -> int:
        """Of all its chunks, in Hz."""

    def synthesize(self, text: str, *, language: str, speed: float) -> Iterator[PcmChunk]:
        """Speak one phrase; not asking for the next chunk pauses it, `close()` on the iterator frees all it holds.

        Text without anything to speak gives no chunk. Lead-in and trailing silence of the model are trimmed to what a
        natural pause between phrases needs.

        Raises:
            SynthesisFailed: with the model's reason.
        """

    def close(self) -> None:
        """Give the memory back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A recording of a voice to imitate. Neither sound nor text is shown when it is printed or logged.

    Attributes:
        pcm: mono, 1 to 30 s.
        sample_rate: in Hz, 16 kHz or more.
        text: what is said in it, word for word.
    """

    pcm: Pcm = field(repr=False)
    sample_rate: int
    text: str = field(repr=False)

    @property
    def seconds(self) -> float:
        """Its length."""
        return len(self.pcm) / self.sample_rate


@runtime_checkable
class Cloner(Protocol):
    """A loaded TTS model that can speak with the voice of a recording. On a thread."""

    def imitate(self, reference: Reference) -> Synthesizer:
        """The same model with this voice; closing it gives back what the voice takes, and leaves the model.

        Raises:
            SynthesisFailed: the recording is of no use to the model.
        """


class ConversingVoice(Synthesizer, Protocol):
    """A model's voice in one conversation: what it says depends on what was said there, and on nothing else.

    A phrase that was spoken to its end is context for the next one; one that was broken off is not. The phrases since
    the last `commit` or `retract` are those of the present turn: not certain yet, because nobody may hear them. The
    same text in the same context gives the same samples. How much is remembered is bounded, in turns and in seconds.
    One phrase at a time; those of other conversations may alternate with it. `close` forgets all, and leaves the model.
    """

    def commit(self) -> None:
        """The present turn was heard: it stays. The next phrase begins another one. Harmless when repeated."""

    def retract(self) -> None:
        """The present turn was not heard, or not to its end: none of it was said. Harmless when repeated."""


@runtime_checkable
class Conversant(Protocol):
    """A loaded TTS model that speaks better when it knows what it has said before. On a thread."""

    def converse(self) -> ConversingVoice:
        """The same voice in a conversation of its own, in which nothing was said yet. Costs next to nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PiecePlace:
    """Where a piece of a stream's text stands in the stream's sound, in samples at the model's rate.

    Attributes:
        index: counts the pieces from 0, in the order in which they were added.
        first: as far as is known; it may move a little until `end` is known.
        end: None while more of it is to come.
    """

    index: int
    first: Samples
    end: Samples | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamedChunk:
    """What a step of a stream has made.

    Attributes:
        pcm: the next sound; empty where text is lacking for a whole chunk, or that is silence.
        anew: whether speech begins anew with it, after a pause, as a sentence does.
        places: of pieces that begin or are complete with it. Each piece begins once and is complete once, in order;
            complete ones stand end to end.
    """

    pcm: Pcm
    anew: bool = False
    places: tuple[PiecePlace, ...] = ()


class SpokenStream(Protocol):
    """Text that is spoken while it comes. On a thread; several may alternate from step to step, none waits for text.

    The same pieces give the same samples, whenever they come and however the steps alternate with those of others.
    """

    def add(self, text: str) -> None:
        """One more piece, of whole words, without the blank that separates it from the one before; computes nothing."""

    def complete(self) -> None:
        """No more pieces come. Harmless when repeated."""

    @property
    def has_work(self) -> bool:
        """Whether a step would do anything now; without that, text is lacking, or all is said."""

    @property
    def finished(self) -> bool:
        """Whether the text is complete and all of it was made."""

    def step(self) -> StreamedChunk:
        """Go on by one chunk, as far as the text goes; only while it has work. Not to ask for it is a pause.

        Raises:
            SynthesisFailed: with the model's reason.
        """

    def close(self) -> None:
        """Free all that it holds. Harmless when repeated."""


@runtime_checkable
class TextStreamer(Protocol):
    """A loaded TTS model that begins to speak before it knows the rest of the text. On a thread."""

    def stream(self, *, language: str, speed: float) -> SpokenStream:
        """Text to come, to be spoken as one turn; computes nothing and never fails."""


class SpeechShaper(Protocol):
    """One turn's way from a model's chunks to frames: loudness, 48 kHz, 20 ms. On a thread."""

    def begin_phrase(self) -> None:
        """The next chunk is the first of a phrase."""

    def shape(self, pcm: Pcm) -> list[bytes]:
        """The frames (960 samples, s16le) that are complete now; the last one is held back until more comes."""

    def finish(self) -> list[bytes]:
        """The rest, filled up with silence: at least one frame, so that there is one to carry the LAST flag."""


Calibrate = Callable[[Synthesizer], Callable[[], SpeechShaper]]
"""Speaks a little with a freshly loaded model (its warm-up too) and returns what makes a shaper for each of its turns.

On a thread. Raises `SynthesisFailed`.
"""
