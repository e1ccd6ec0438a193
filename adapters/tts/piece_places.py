"""Where the pieces of a text stand in the sound of a model that does not tell.

A piece begins where its share of the text's length begins in the sentence's sound, but not before the model had read
it. So a place is wrong by less than the sentence that it lies in, and the ends of sentences are exact.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_WIDE: Final = 3
"""A Chinese character or a kana is a syllable: it takes as long to say as three letters."""
_PAUSE: Final = 3
"""So does a comma."""
_MARKS: Final = frozenset(",;:.!?…—–，、；：。！？")  # noqa: RUF001  # full-width punctuation is meant
_LETTERS_PER_S: Final = 15.0
"""Of an English reader, blanks among them."""
_PRIOR_LETTERS: Final = 30.0
"""What that counts for, against what a voice was heard to need."""


def letters_of(text: str) -> float:
    """How long it takes to say, in letters."""
    words = text.split()
    wide = sum(unicodedata.east_asian_width(char) in "WF" for char in text)
    return sum(len(word) + 1 + _PAUSE * (word[-1] in _MARKS) for word in words) + (_WIDE - 1) * wide


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a sentence's text: how long it takes to say, and the first sample at which it can have begun."""

    letters: float
    earliest: int = 0


def ends_of(shares: Sequence[Share], length: int) -> list[int]:
    """Where each part of a sentence of `length` samples ends; in order, the last one with the sentence."""
    total = sum(share.letters for share in shares) or 1.0
    ends, here, passed = [], 0, 0.0
    for share, following in zip(shares, [*shares[1:], Share(0.0, length)], strict=True):
        passed += share.letters
        here = min(length, max(here, following.earliest, round(length * passed / total)))
        ends.append(here)
    return ends


class Pace:
    """How fast a voice speaks, as far as it was heard."""

    def __init__(self, rate: int) -> None:
        self._letters = _PRIOR_LETTERS
        self._samples = _PRIOR_LETTERS * rate / _LETTERS_PER_S

    def heard(self, letters: float, samples: int) -> None:
        """A sentence of this length took so long."""
        self._letters += letters
        self._samples += samples

    def samples(self, letters: float) -> int:
        """How long so many letters may take."""
        return round(letters * self._samples / self._letters)
