"""Text to hibari's phonemes, with the way back from each phoneme to the written word."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from hibari import Hibari
from hibari.g2p import G2P
from hibari.g2p.normalize import normalize

from adapters.tts.words import Spoken, key_of

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


def groups_spoken(
    utterance: Utterance, durations: npt.NDArray[np.int64], hop: int, knows: Callable[[str], bool]
) -> tuple[Spoken, ...]:
    """Each group's time: from its first phoneme to its last one.

    Args:
        utterance: what was spoken.
        durations: of a pad, then of each phoneme that the network knows, and of what follows.
        hop: samples per unit of duration.
        knows: whether the network does.
    """
    ends = np.cumsum(durations) * hop
    at, groups = 1, []  # 0 is the pad
    for group in utterance.groups:
        count = sum(knows(p) for p in group.phonemes)
        groups.append(Spoken(key_of(group.text), int(ends[at - 1]), int(ends[at + count - 1])))
        at += count + int(knows(" "))
    return tuple(groups)


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
