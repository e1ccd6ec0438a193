"""Text as a language model writes it → pieces that can be spoken. Pure.

The first piece is short, a clause, because the listener waits for it; later ones are whole sentences, because a voice
needs a sentence to find its melody. Every decision looks at what stands before the next character only, so the pieces
do not depend on how the text was cut into deltas.
"""

# ruff: noqa: SIM905 - tables of words are read as text

import unicodedata
from typing import Final

from actors.policies.boundaries import Cut, cut_between, is_wide
from actors.policies.markup import Markup

MAX_WEIGHT: Final = 200
"""A longer sentence is cut at its last clause: what is spoken in one piece bounds how finely a pause can cut."""
_LIMIT_WITHOUT_BLANK: Final = 2 * MAX_WEIGHT
_LIMIT: Final = 3 * MAX_WEIGHT
_WIDE_WEIGHT: Final = 3
"""A Chinese character or a kana is a syllable: it takes as long to say as three letters."""
_MIN_SOFT_WEIGHT: Final = 40

_MIN_FIRST_WORDS: Final = 2
_ENOUGH_FIRST_WORDS: Final = 6
"""From here on a word that opens a new part of the sentence is a place to cut before."""
_MAX_FIRST_WORDS: Final = 10
_ENOUGH_FIRST_WIDE: Final = 8
_MAX_FIRST_WIDE: Final = 15
"""In words: 30 characters. Without blanks a cut may fall within a word, so it comes later."""

_OPENING: Final = frozenset(
    "and but or because although though when while which who where if unless until in on at by for from with without "
    "over under near after before between during through".split()
)
"""English words that begin a part of a sentence."""
_CLINGING: Final = frozenset(
    "a an the this these those my your his her its our their of to as so than is are was were be am i'm it's very not "
    "no some any every each".split()
)
"""English words that lean on the next one: a voice that stops after them sounds lost."""


class Phrasing:
    """One reply's text in, its pieces out; nothing that can be spoken is lost or repeated."""

    def __init__(self, language: str = "en") -> None:
        self._language = language
        self._markup = Markup()
        self._pending = ""
        self._weight = 0
        self._clause = 0
        """Where the last clause in `_pending` ends."""
        self._first = True

    def feed(self, delta: str) -> list[str]:
        """The pieces that this delta completes, often none. None is empty, none begins or ends with a blank."""
        return self._take_all(self._markup.feed(delta))

    def finish(self) -> list[str]:
        """The rest, once the text is complete."""
        pieces = self._take_all(self._markup.finish())
        rest = self._cut(len(self._pending))
        return [*pieces, rest] if rest else pieces

    def _take_all(self, text: str) -> list[str]:
        pieces = (self._take(char) for char in text)
        return [piece for piece in pieces if piece]

    def _take(self, char: str) -> str:
        if not self._pending and char.isspace():
            return ""
        end = self._end_before(char)
        piece = self._cut(end) if end else ""
        if self._pending or not char.isspace():
            self._pending += char
            self._weight += _weight(char)
        return piece

    def _cut(self, end: int) -> str:
        """The first `end` characters, "" if there is nothing to speak in them."""
        piece = " ".join(self._pending[:end].split())
        self._pending = self._pending[end:].lstrip()
        self._weight = sum(map(_weight, self._pending))
        self._clause = 0
        if not is_speakable(piece):
            return ""
        self._first = False
        return piece

    def _end_before(self, char: str) -> int:
        """Where to cut what is pending, now that `char` comes next; 0 for not yet."""
        pending = self._pending
        if not pending:
            return 0
        cut = cut_between(pending, char, language=self._language)
        if not is_speakable(pending):
            return 0 if self._weight < _LIMIT else len(pending)
        if cut is Cut.SENTENCE:
            return len(pending)
        if cut is Cut.CLAUSE:
            self._clause = len(pending)
        end = first_clause_end(pending, cut, char) if self._first else 0
        return end or (self._end_when_long(char) if self._weight >= MAX_WEIGHT else 0)

    def _end_when_long(self, char: str) -> int:
        """A sentence over the bound is cut at its last clause, else at its last blank, else where it can be borne."""
        if sum(map(_weight, self._pending[: self._clause])) >= _MIN_SOFT_WEIGHT:
            return self._clause
        blank = max(self._pending.rstrip().rfind(" "), self._pending.rstrip().rfind("\n"))
        if blank > 0 and is_speakable(self._pending[:blank]):
            return blank
        if self._weight >= _LIMIT or (self._weight >= _LIMIT_WITHOUT_BLANK and not _joins(char)):
            return len(self._pending)
        return 0


def first_clause_end(pending: str, cut: Cut, char: str) -> int:
    """Where the first piece may end, now that `char` comes next; 0 for not yet."""
    if cut is Cut.CLAUSE and count_words(pending) >= _MIN_FIRST_WORDS:
        return len(pending)
    if pending[-1].isspace():
        return 0
    if char.isspace():
        return _end_at_a_word(pending)
    return len(pending) if is_wide(pending[-1]) and is_wide(char) and _is_enough_wide(pending, char) else 0


def _end_at_a_word(pending: str) -> int:
    """No mark has come: cut before a word that opens something, at the latest when there are enough words."""
    words = count_words(pending)
    last = pending.rsplit(maxsplit=1)[-1]
    before_last = len(pending) - len(last)
    if words > _ENOUGH_FIRST_WORDS and last.lower() in _OPENING:
        return before_last
    if words < _MAX_FIRST_WORDS:
        return 0
    return before_last if last.lower() in _CLINGING else len(pending)


def _is_enough_wide(pending: str, char: str) -> bool:
    """In Japanese a word mostly ends where hiragana ends."""
    words = count_words(pending)
    word_ends = _is_hiragana(pending[-1]) and not _is_hiragana(char)
    return words >= (_ENOUGH_FIRST_WIDE if word_ends else _MAX_FIRST_WIDE)


def is_speakable(text: str) -> bool:
    """Whether there is anything in it that a voice can say."""
    return any(char.isalnum() for char in text)


def count_words(text: str) -> int:
    """Words that can be spoken; in scripts without blanks two characters count as one."""
    wide = sum(map(is_wide, text))
    narrow = "".join(" " if is_wide(char) else char for char in text) if wide else text
    return sum(map(is_speakable, narrow.split())) + wide // 2


def _is_hiragana(char: str) -> bool:
    return "ぁ" <= char <= "ゟ"


def _weight(char: str) -> int:
    return _WIDE_WEIGHT if unicodedata.east_asian_width(char) in "WF" else 1


def _joins(char: str) -> bool:
    """Belongs to the character before it: accents, vowel signs, joiners."""
    return unicodedata.category(char) in {"Mn", "Mc", "Me", "Cf"}
