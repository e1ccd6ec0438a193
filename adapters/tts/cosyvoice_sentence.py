"""A sentence that is spoken while its text comes."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from adapters.tts.cosyvoice_files import LoadedCosyVoice
from adapters.tts.cosyvoice_interleaving import InterleavedTokens
from adapters.tts.cosyvoice_pieces import MOST_TOKENS, Part, joined, tokens_of
from adapters.tts.cosyvoice_speech import Chance, Sounding
from adapters.tts.cosyvoice_voice import CosyVoiceVoice
from adapters.tts.piece_places import Share, letters_of
from adapters.tts.silence import SilenceTrimmer
from adapters.tts.text import pause_after_s
from protocol.ports import Pcm

_TOKENS_PER_S: Final = 25


@dataclass(frozen=True, slots=True)
class _Read:
    """A part, and which of the sentence's text tokens is its first one."""

    part: Part
    letters: float
    token: int


class StreamedSentence:
    """From parts of its text to chunks of its sound.

    Attributes:
        made: samples so far.
        is_complete: whether all of its text is there.
        is_over: whether all of it was made.
    """

    def __init__(self, loaded: LoadedCosyVoice, voice: CosyVoiceVoice, *, seed: int, speed: float) -> None:
        chance = Chance(seed, loaded.device)
        self._frontend = loaded.frontend
        self._tokens = InterleavedTokens(loaded, voice, chance)
        self._sounding = Sounding(loaded, voice, chance, speed=speed)
        self._trimmer = SilenceTrimmer(loaded.rate)
        self._samples_per_token = loaded.rate / _TOKENS_PER_S / speed
        self._read: list[_Read] = []
        self._length = 0
        self._text = ""
        self.made = 0
        self.is_complete = False
        self.is_over = False

    def add(self, part: Part) -> bool:
        """More of it; False, and complete without it, if it would get too long."""
        text = joined(self._text, part.text)
        tokens = tokens_of(self._frontend, text) if text else []
        if self._length and self._length + len(tokens) > MOST_TOKENS:
            self.complete()
            return False
        self._read.append(_Read(part, letters_of(part.text), self._length))
        self._length += len(tokens)
        self._text += text
        self._tokens.add(tokens)
        if part.ends_sentence:
            self.complete()
        return True

    def complete(self) -> None:
        """No more of it comes."""
        self.is_complete = True
        self._tokens.complete()
        self._trimmer.pause_s = pause_after_s(self._text)

    @property
    def can_go_on(self) -> bool:
        """Whether a step would compute."""
        return self._tokens.can_go_on

    @property
    def parts(self) -> list[Part]:
        """What it is made of."""
        return [read.part for read in self._read]

    @property
    def shares(self) -> list[Share]:
        """Of its parts in its sound."""
        return [Share(read.letters, self._earliest(read.token)) for read in self._read]

    def step(self) -> Pcm:
        """Its next chunk; empty when that is silence, or text is lacking."""
        sound = self._next()
        kept = np.zeros(0, np.float32) if sound is None else self._trimmer.feed(sound)
        if self.is_over:
            kept = np.concatenate((kept, self._trimmer.finish()))
        self.made += kept.size
        return kept

    def _next(self) -> Pcm | None:
        while (token := self._tokens.next()) is not None:
            sound = self._sounding.feed(token)
            if sound is not None:
                return sound
        self.is_over = self.is_complete and not self._tokens.can_go_on
        return self._sounding.finish() if self.is_over else None

    def _earliest(self, token: int) -> int:
        said = self._tokens.said_before(token) * self._samples_per_token
        return max(0, round(said) - self._trimmer.dropped)
