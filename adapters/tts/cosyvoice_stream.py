"""Text that CosyVoice speaks while it comes, a sentence at a time."""

from collections import deque
from collections.abc import Callable, Iterator
from typing import Final

import numpy as np

from adapters.tts.cosyvoice_files import LoadedCosyVoice
from adapters.tts.cosyvoice_pieces import Part, parts_of
from adapters.tts.cosyvoice_sentence import StreamedSentence
from adapters.tts.cosyvoice_voice import CosyVoiceVoice
from adapters.tts.faults import spoken_by
from adapters.tts.piece_places import Pace, ends_of
from adapters.tts.text import seed_of
from protocol.ids import Samples
from protocol.ports import Pcm, PiecePlace, StreamedChunk

_NOTHING: Final[Pcm] = np.zeros(0, np.float32)


class CosyVoiceStream:
    """See `SpokenStream`.

    Speech begins with the first tokens of a sentence, and goes on as far as its text goes. A piece that ends a sentence
    lets all of it be said, whatever comes later; the next sentence begins anew, with the recording. So what a stall in
    the text breaks is the pause between two sentences, unless it falls within one; what has to be remembered and
    computed is bounded; and where a sentence ends is known exactly.

    Where pieces lie within a sentence is estimated (see `piece_places`): the model reads ahead of what it says, five
    tokens of text for 0.6 s of speech, so that what it has read bounds what it can have said, but does not tell it. A
    place is wrong by less than its sentence, and one that is announced before the sentence's end may move.
    """

    def __init__(
        self, open_model: Callable[[], tuple[LoadedCosyVoice, CosyVoiceVoice]], *, rate: int, speed: float
    ) -> None:
        """`open_model` is called when there is something to say; it may raise `SynthesisFailed`."""
        self._open_model = open_model
        self._speed = speed
        self._coming: deque[str] = deque()
        self._parts: deque[Part] = deque()
        self._sentence: StreamedSentence | None = None
        self._pace = Pace(rate)
        self._is_complete = False
        self._pieces = self._begun = self._sentences = 0
        self._at = 0
        self._first = 0
        self.finished = False

    def add(self, text: str) -> None:
        """One more piece."""
        self._coming.append(text)

    def complete(self) -> None:
        """No more pieces come."""
        self._is_complete = True

    @property
    def has_work(self) -> bool:
        """Whether a step would do anything."""
        sentence = self._sentence
        if self.finished:
            return False
        if sentence is not None and (sentence.can_go_on or sentence.is_complete):
            return True
        return bool(self._parts or self._coming) or self._is_complete

    def step(self) -> StreamedChunk:
        """Go on by one chunk."""
        with spoken_by("CosyVoice"):
            return self._step()

    def close(self) -> None:
        """Free all that it holds."""
        self.finished = True
        self._sentence = None
        self._parts.clear()
        self._coming.clear()

    def _step(self) -> StreamedChunk:
        places = list(self._read())
        sentence, pcm, anew = self._sentence, _NOTHING, False
        if sentence is not None:
            was_silent = not sentence.made
            pcm = sentence.step()
            anew = was_silent and pcm.size > 0
            places += self._whole(sentence) if sentence.is_over else self._so_far(sentence)
        rest = self._sentence or self._parts or self._coming
        self.finished = self._is_complete and not rest
        return StreamedChunk(pcm=pcm, anew=anew, places=tuple(places))

    # --- text -------------------------------------------------------------------------------------------------------
    def _read(self) -> Iterator[PiecePlace]:
        """As much as belongs to the present sentence; pieces without anything to say in between have no length."""
        while (self._parts or self._coming) and not (self._sentence and self._sentence.is_complete):
            if not self._parts:
                loaded, _ = self._open_model()
                self._parts.extend(parts_of(loaded.frontend, self._pieces, self._coming.popleft()))
                self._pieces += 1
            part = self._parts[0]
            if self._sentence is None and not part.text:
                yield from self._placed(part, self._at, self._at)
                self._parts.popleft()
                continue
            self._sentence = self._sentence or self._begin(part.text)
            if self._sentence.add(part):
                self._parts.popleft()
        if self._is_complete and self._sentence is not None:
            self._sentence.complete()

    def _begin(self, text: str) -> StreamedSentence:
        loaded, voice = self._open_model()
        seed = seed_of(text.split(maxsplit=1)[0]) + self._sentences
        self._sentences += 1
        return StreamedSentence(loaded, voice, seed=seed, speed=self._speed)

    # --- places -----------------------------------------------------------------------------------------------------
    def _so_far(self, sentence: StreamedSentence) -> Iterator[PiecePlace]:
        """Pieces that have begun, if the voice speaks on as it did."""
        here, passed = 0, 0.0
        for part, share in zip(sentence.parts, sentence.shares, strict=True):
            if passed:
                here = max(here, share.earliest, self._pace.samples(passed))
            passed += share.letters
            if not sentence.made or here > sentence.made:
                return
            if part.piece >= self._begun:
                yield self._beginning(part, self._at + here)

    def _whole(self, sentence: StreamedSentence) -> Iterator[PiecePlace]:
        """All of its pieces, now that it is complete; the sentence is forgotten."""
        begin, shares = self._at, sentence.shares
        for part, end in zip(sentence.parts, ends_of(shares, sentence.made), strict=True):
            yield from self._placed(part, begin, self._at + end)
            begin = self._at + end
        if sentence.made:
            self._pace.heard(sum(share.letters for share in shares), sentence.made)
        self._at += sentence.made
        self._sentence = None

    def _placed(self, part: Part, first: int, end: int) -> Iterator[PiecePlace]:
        if part.is_first:
            self._first = first
        if part.piece >= self._begun:
            yield self._beginning(part, first)
        if part.is_last:
            yield PiecePlace(index=part.piece, first=Samples(self._first), end=Samples(end))

    def _beginning(self, part: Part, first: int) -> PiecePlace:
        self._begun = part.piece + 1
        return PiecePlace(index=part.piece, first=Samples(first))
