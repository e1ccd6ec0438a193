"""What of a reply was heard: its phrases' places in the audio, and how far the audio was played."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from protocol.ids import Samples
from protocol.speaking import SpokenWord

_WORD: Final = re.compile(r"\S+")
HEARD_SHARE: Final = 0.5
"""A word of which at least half was played is counted as heard."""
_PAUSE_WEIGHT: Final = 3
"""A comma takes about as long as three letters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Phrase:
    """A piece of a reply and its place in the turn's audio, at 48 kHz; None for what is not known (yet)."""

    text: str
    first: Samples | None = None
    end: Samples | None = None
    words: tuple[SpokenWord, ...] = ()
    exact: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HeardText:
    """`heard` + `unheard` is the whole text; `exact` is False where the cut rests on estimated times."""

    heard: str
    unheard: str
    exact: bool


def heard_text(phrases: Sequence[Phrase], played: Samples) -> HeardText:
    """Split the reply after the last word of which at least half was played."""
    heard, unheard = "", ""
    exact = True
    for place, phrase in enumerate(phrases):
        text = _spaced(phrase.text, following=place > 0)
        if unheard or phrase.first is None or phrase.first >= played:
            unheard += text
        elif phrase.end is not None and phrase.end <= played:
            heard += text
        else:
            cut = len(text) - len(phrase.text) + _cut_within(phrase, played)
            cut = 0 if not text[:cut].strip() else cut
            heard, unheard = heard + text[:cut], unheard + text[cut:]
            exact = phrase.exact and phrase.end is not None
    return HeardText(heard=heard, unheard=unheard, exact=exact)


def _spaced(text: str, *, following: bool) -> str:
    """Phrases come without the blanks between them."""
    return f" {text}" if following and text and not text[0].isspace() else text


def _cut_within(phrase: Phrase, played: Samples) -> int:
    """The place in the phrase's text after its last heard word."""
    spans = list(_WORD.finditer(phrase.text))
    if phrase.words and len(phrase.words) == len(spans):
        times = [(word.first, word.end) for word in phrase.words]
    else:
        times = _estimated(phrase, [span.group() for span in spans])
    heard = sum(played >= first + HEARD_SHARE * (end - first) for first, end in times)
    return spans[heard - 1].end() if heard else 0


def _estimated(phrase: Phrase, words: Sequence[str]) -> list[tuple[Samples, Samples]]:
    """Times by the words' length, over the phrase's length or, before that is known, over an ordinary speed."""
    first = phrase.first or Samples(0)
    weights = [len(word) + 1 + _PAUSE_WEIGHT * (word[-1] in ",;:.!?") for word in words]
    end = phrase.end if phrase.end is not None else _ordinary_end(first, sum(weights))
    times, at = [], float(first)
    for weight in weights:
        begin, at = at, at + (end - first) * weight / sum(weights)
        times.append((Samples(round(begin)), Samples(round(at))))
    return times


SAMPLES_PER_LETTER: Final = 48_000 // 15
"""An English reader says about 15 letters, blanks among them, in a second."""


def _ordinary_end(first: Samples, letters: int) -> Samples:
    return Samples(first + letters * SAMPLES_PER_LETTER)
