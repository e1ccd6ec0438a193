"""Which written word each phoneme of eSpeak belongs to."""

import bisect
import unicodedata
from collections.abc import Callable, Sequence
from difflib import SequenceMatcher

from adapters.tts.words import Spoken
from protocol.ids import Samples
from protocol.ports import WordSpan

Phonemize = Callable[[str], str]
"""A word's phonemes, spoken alone."""


def place_phonemes(words: Sequence[str], phonemes: Sequence[Spoken], alone: Phonemize) -> tuple[WordSpan, ...]:
    """One span for each written word; `phonemes` are single phonemes with their times, blanks among them.

    eSpeak leaves blanks between words but joins some ("of the") and writes numbers out. Where the counts differ, the
    phonemes of each word spoken alone are laid beside those of the sentence.
    """
    groups = _groups(phonemes)
    if len(groups) == len(words):
        return tuple(_span(w, g[0].first, g[-1].end) for w, g in zip(words, groups, strict=True))
    sounds = [s for group in groups for s in group]
    owned: list[list[Spoken]] = [[] for _ in words]
    for sound, owner in zip(sounds, _owners(words, sounds, alone), strict=True):
        owned[owner].append(sound)
    spans: list[WordSpan] = []
    here = sounds[0].first if sounds else 0
    for word, own in zip(words, owned, strict=True):
        spans.append(_span(word, own[0].first, own[-1].end) if own else _span(word, here, here))
        here = spans[-1].end
    return tuple(spans)


def _groups(phonemes: Sequence[Spoken]) -> list[list[Spoken]]:
    """Between blanks, without punctuation and stress marks."""
    groups: list[list[Spoken]] = [[]]
    for one in phonemes:
        if one.key == " ":
            groups.append([])
        elif _sounds(one.key):
            groups[-1].append(one)
    return [group for group in groups if group]


def _sounds(phoneme: str) -> bool:
    return unicodedata.category(phoneme[0])[0] == "L"


def _owners(words: Sequence[str], sounds: Sequence[Spoken], alone: Phonemize) -> list[int]:
    """For each phoneme the index of its word, never falling."""
    spelled = ["".join(c for c in alone(word) if _sounds(c)) for word in words]
    starts = [0]
    for one in spelled:
        starts.append(starts[-1] + len(one))
    matcher = SequenceMatcher(None, "".join(spelled), [s.key for s in sounds], autojunk=False)
    blocks = matcher.get_matching_blocks()
    owners: list[int] = []
    i_end = 0
    for i, j, size in blocks:
        gap = j - len(owners)  # phonemes that match nothing share what was spelled there
        owners += [_word_at(starts, i_end + (i - i_end) * k // gap) for k in range(gap)]
        owners += [_word_at(starts, i + k) for k in range(size)]
        i_end = i + size
    return owners


def _word_at(starts: list[int], place: int) -> int:
    """The word whose spelling covers a place; places past the end belong to the last one that is spoken."""
    place = min(place, starts[-1] - 1)
    return max(0, bisect.bisect_right(starts, place) - 1)


def _span(text: str, first: int, end: int) -> WordSpan:
    return WordSpan(text=text, first=Samples(first), end=Samples(end))
