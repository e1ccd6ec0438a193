"""From a model's sentences to a phrase's chunks: silence trimmed, words placed."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from adapters.tts.silence import SilenceTrimmer
from adapters.tts.text import pause_after_s
from adapters.tts.words import Spoken, place_words
from protocol.ports import Pcm, PcmChunk, WordSpan

Place = Callable[[Sequence[str], Sequence[Spoken]], tuple[WordSpan, ...]]


@dataclass(frozen=True, slots=True)
class Sentence:
    """What a model makes of one sentence.

    Attributes:
        text: as written; its last character decides about the pause after it.
        windows: the sound, in pieces; each one is computed when it is asked for.
        spoken: where its words stand in that sound; empty when the model cannot tell.
    """

    text: str
    windows: Iterator[Pcm]
    spoken: tuple[Spoken, ...] = ()


def phrase_chunks(
    text: str, sentences: Iterable[Sentence], *, rate: int, place: Place = place_words
) -> Iterator[PcmChunk]:
    """The phrase's chunks; the last one carries the words, if every sentence has told its own.

    `place` finds the written words among what was spoken.
    """
    spoken: list[Spoken] = []
    told = True
    length = 0
    tail: Pcm | None = None
    for sentence in sentences:
        if tail is not None and tail.size:
            yield PcmChunk(pcm=tail)
        trimmer = SilenceTrimmer(rate, pause_s=pause_after_s(sentence.text))
        begin = length
        for window in sentence.windows:
            kept = trimmer.feed(window)
            if kept.size:
                length += kept.size
                yield PcmChunk(pcm=kept)
        spoken += _moved(sentence.spoken, by=begin - trimmer.dropped, within=(begin, length))
        told = told and bool(sentence.spoken)
        tail = trimmer.finish()
        length += tail.size
    if tail is not None and length:
        yield PcmChunk(pcm=tail, words=place(text.split(), spoken) if told else ())


def _moved(spoken: Iterable[Spoken], *, by: int, within: tuple[int, int]) -> list[Spoken]:
    low, high = within
    return [Spoken(s.key, min(max(s.first + by, low), high), min(max(s.end + by, low), high)) for s in spoken]
