"""Text to what Kokoro is given at once: as little as it speaks well, because it cannot stop in between."""

from collections.abc import Iterator
from typing import Final

from adapters.tts.hibari_text import Group, Utterance

_SOFT: Final = 24
"""Phonemes (some 1.5 s) after which a clause is spoken on its own; shorter ones cost more than they sound."""
_HARD: Final = 100
"""Phonemes (some 7 s) after which even a clause is cut, between words. The style table ends at 510."""
_REST: Final = 12
"""Phonemes that are too few to be left alone behind a cut."""
_CLAUSE_END: Final = tuple(",;:—")


def pieces(utterance: Utterance) -> Iterator[Utterance]:
    """A sentence's clauses, short ones joined."""
    piece: list[Group] = []
    left = len(utterance.phonemes)
    for group in utterance.groups:
        if piece and _length(piece) + len(group.phonemes) > _HARD:
            yield _joined(piece)
            piece = []
        piece.append(group)
        left -= len(group.phonemes) + 1
        if group.phonemes.endswith(_CLAUSE_END) and _length(piece) >= _SOFT and left >= _REST:
            yield _joined(piece)
            piece = []
    if piece:
        yield _joined(piece)


def _length(piece: list[Group]) -> int:
    return sum(len(group.phonemes) + 1 for group in piece)


def _joined(piece: list[Group]) -> Utterance:
    return Utterance(" ".join(group.text for group in piece), tuple(piece))
