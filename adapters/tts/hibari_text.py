"""Text to hibari's phonemes, with the way back from each phoneme to the written word."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from hibari import Hibari
from hibari.g2p import G2P
from hibari.g2p.normalize import normalize

_SOFT: Final = 200
"""A sentence with more phonemes than this (some 12 s) is cut at the next clause: the network sees it whole."""
_HARD: Final = 400
_CLAUSE_END: Final = tuple(",;:—")


@dataclass(frozen=True, slots=True)
class Group:
    """What was written without a blank, and its phonemes."""

    text: str
    phonemes: str


@dataclass(frozen=True, slots=True)
class Utterance:
    """What the network is given at once."""

    text: str
    groups: tuple[Group, ...]

    @property
    def phonemes(self) -> str:
        """With a blank between groups."""
        return " ".join(group.phonemes for group in self.groups)


def utterances(g2p: G2P, text: str) -> Iterator[Utterance]:
    """The text's sentences, the longest ones in pieces."""
    for sentence in Hibari.split_sentences(text):
        groups = _groups(g2p.phonemize_tokens(g2p.tokenize(normalize(sentence))))
        for piece in _pieces([group for group in groups if group.phonemes.strip()]):
            yield Utterance(" ".join(group.text for group in piece), tuple(piece))


def _groups(tokens: list[Any]) -> list[Group]:
    groups: list[Group] = []
    text = phonemes = ""
    for token in tokens:
        text += token.text
        phonemes += token.phonemes or ""
        if token.whitespace:
            groups.append(Group(text, phonemes))
            text = phonemes = ""
    return [*groups, Group(text, phonemes)]


def _pieces(groups: list[Group]) -> Iterator[list[Group]]:
    piece: list[Group] = []
    length = 0
    for group in groups:
        cut = Group(group.text, group.phonemes[:_HARD])
        if piece and length + len(cut.phonemes) > _HARD:
            yield piece
            piece, length = [], 0
        piece.append(cut)
        length += len(cut.phonemes) + 1
        if length > _SOFT and cut.phonemes.endswith(_CLAUSE_END):
            yield piece
            piece, length = [], 0
    if piece:
        yield piece
