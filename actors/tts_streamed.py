"""One turn's synthesis by a model that takes text while it speaks. On a TtsActor's thread, as `Rendition`."""

from collections.abc import Iterator, Sequence

from actors.tts_rendition import Made, PhraseBegun, PhraseDone, Rendition
from actors.tts_words import estimated_words
from protocol.audio import SPEECH_RATE
from protocol.ids import Samples
from protocol.ports import PiecePlace, SpeechShaper, SpokenStream, Synthesizer, TextStreamer


class StreamedRendition:
    """Takes pieces of text, gives frames and where each piece stands among them, as far as the model knows."""

    def __init__(self, stream: SpokenStream, shaper: SpeechShaper, *, rate: int) -> None:
        """`rate` is the model's."""
        self._stream = stream
        self._shaper = shaper
        self._rate = rate
        self._pieces: list[tuple[int, str]] = []
        self._made = 0
        self.finished = False

    def add(self, index: int, text: str) -> None:
        """One more piece."""
        self._pieces.append((index, text))
        self._stream.add(text)

    def complete(self) -> None:
        """No more pieces come."""
        self._stream.complete()

    @property
    def has_work(self) -> bool:
        """Whether a step would make anything now; not while text is lacking."""
        return not self.finished and self._stream.has_work

    @property
    def samples(self) -> Samples:
        """How much sound was made, at 48 kHz."""
        return self._at_speech_rate(self._made)

    def step(self) -> Made:
        """Make the next chunk.

        Raises:
            SynthesisFailed: with the model's reason.
        """
        chunk = self._stream.step()
        self._made += len(chunk.pcm)
        if chunk.anew:
            self._shaper.begin_phrase()
        frames = self._shaper.shape(chunk.pcm) if len(chunk.pcm) else []
        self.finished = self._stream.finished
        if self.finished:
            frames += self._shaper.finish()
        return Made(frames, tuple(self._events(chunk.places)), self.finished)

    def close(self) -> None:
        """Free what the model holds for this turn."""
        self.finished = True
        self._stream.close()

    def _events(self, places: Sequence[PiecePlace]) -> Iterator[PhraseBegun | PhraseDone]:
        """The model never tells words: they are estimated within their piece."""
        for place in places:
            index, text = self._pieces[place.index]
            first = self._at_speech_rate(place.first)
            if place.end is None:
                yield PhraseBegun(index, text, first)
            else:
                end = self._at_speech_rate(place.end)
                yield PhraseDone(index, text, first, end, estimated_words(text, first, end), exact=False)

    def _at_speech_rate(self, position: int) -> Samples:
        return Samples(position * SPEECH_RATE // self._rate)


def rendition_of(
    synthesizer: Synthesizer, shaper: SpeechShaper, *, language: str, speed: float
) -> Rendition | StreamedRendition:
    """Of the kind that the model is for: text while it speaks, or phrase by phrase."""
    if isinstance(synthesizer, TextStreamer):
        stream = synthesizer.stream(language=language, speed=speed)
        return StreamedRendition(stream, shaper, rate=synthesizer.sample_rate)
    return Rendition(synthesizer, shaper, language=language, speed=speed)
