"""Words of a phrase as the session is told of them."""

from collections.abc import Sequence
from typing import Final

from protocol.ids import Samples
from protocol.ports import WordSpan
from protocol.speaking import SpokenWord

_LONGEST: Final = 200
_MOST: Final = 500
"""More words than this in one phrase would make a message larger than a bus carries: it then says nothing of them."""


def estimated_words(text: str, first: Samples, end: Samples) -> tuple[SpokenWord, ...]:
    """The words' times by their number of letters, for a model that cannot tell; a pause belongs to the word before."""
    words = text.split()
    if len(words) > _MOST:
        return ()
    weights = [len(word) + 1 for word in words]
    total, passed, placed = sum(weights), 0, []
    for word, weight in zip(words, weights, strict=True):
        begin = first + (end - first) * passed // total
        passed += weight
        placed.append(_word(word, begin, first + (end - first) * passed // total))
    return tuple(placed)


def exact_words(spans: Sequence[WordSpan], first: int, rate_from: int, rate_to: int) -> tuple[SpokenWord, ...]:
    """The model's own times; `first` is where the phrase begins, at the model's rate."""
    if len(spans) > _MOST:
        return ()
    return tuple(
        _word(span.text, (first + span.first) * rate_to // rate_from, (first + span.end) * rate_to // rate_from)
        for span in spans
    )


def _word(text: str, first: int, end: int) -> SpokenWord:
    return SpokenWord(text=text[:_LONGEST], first=Samples(first), end=Samples(end))
